// What CuPy's own kernels know of a device, for a C++ compiler. Threads are coroutines that take turns at barriers.
#include <stddef.h>
#include <ucontext.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#define __device__
#define __host__
#define __global__
#define __shared__ static
#define __forceinline__ inline
using std::isfinite;
using std::isinf;
using std::isnan;
using std::max;
using std::min;
template <typename T> struct complex { T real, imag; };

struct Index { unsigned x = 1, y = 1, z = 1; };
static Index threadIdx, blockIdx, blockDim, gridDim;
static int __popc(unsigned x) { return __builtin_popcount(x); }
static int __popcll(unsigned long long x) { return __builtin_popcountll(x); }

static ucontext_t block, *fiber;
static void __syncthreads() {
    const Index me = threadIdx;
    ucontext_t* mine = fiber;
    swapcontext(mine, &block);
    threadIdx = me, fiber = mine;
}

template <typename... A, size_t... N>
static void call(void (*kernel)(A...), void** arguments, std::index_sequence<N...>) {
    kernel(*static_cast<std::remove_const_t<A>*>(arguments[N])...);
}
template <typename... A> static void call(void (*kernel)(A...), void** arguments) {
    call(kernel, arguments, std::make_index_sequence<sizeof...(A)>());
}
template <typename... A> static size_t sizes_of(void (*)(A...), size_t* out) {
    const size_t sizes[] = {sizeof(A)..., 0};
    memcpy(out, sizes, sizeof sizes);
    return sizeof...(A);
}

template <void (*thread)()> static void run_block(unsigned threads, bool barriers) {
    if (!barriers) {
        for (threadIdx.x = 0; threadIdx.x < threads; ++threadIdx.x) thread();
        return;
    }
    std::vector<ucontext_t> fibers(threads);
    std::vector<std::vector<char>> stacks(threads, std::vector<char>(1 << 15));
    static std::vector<char> ended;
    ended.assign(threads, 0);
    void (*whole)() = [] { thread(), ended[threadIdx.x] = 1; };
    for (unsigned t = 0; t < threads; ++t) {
        getcontext(&fibers[t]);
        fibers[t].uc_stack.ss_sp = stacks[t].data(), fibers[t].uc_stack.ss_size = stacks[t].size();
        fibers[t].uc_link = &block;
        makecontext(&fibers[t], whole, 0);
    }
    while (std::count(ended.begin(), ended.end(), 0))
        for (unsigned t = 0; t < threads; ++t)
            if (!ended[t]) threadIdx.x = t, swapcontext(&block, fiber = &fibers[t]);
}
