// One source, two compilers. The launcher puts this text in front of every kernel file.
//
// A kernel is written as phases: what lies between two barriers is one `phase([&](int thread) {...})`. CUDA runs its
// body once in every thread of the block and then waits for all of them; a C++ compiler runs it as a loop over the
// threads, in an order of its choice. A kernel that is right gives the same bits in any order; one that lacks a barrier
// (two steps in one phase, of which the second reads what the first has written for other threads) does not.
//
// So within a kernel:
// - only phases do work; variables outside of them hold the same value in every thread;
// - nothing lives in a thread from one phase to the next but what lies in shared or global memory;
// - no warp shuffles, no atomics: threads meet at the ends of phases only;
// - blocks are one-dimensional, grids have up to three dimensions; blocks never meet.
#ifdef __CUDACC__

#define KERNEL(max_threads) __global__ __launch_bounds__(max_threads)
#define DEVICE __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#define UNROLL_BY_2 _Pragma("unroll 2")
#define UNROLL_BY_4 _Pragma("unroll 4")

DEVICE int block_x() { return blockIdx.x; }
DEVICE int block_y() { return blockIdx.y; }
DEVICE int blocks_x() { return gridDim.x; }
DEVICE int blocks_y() { return gridDim.y; }
DEVICE int threads() { return blockDim.x; }

extern __shared__ double2 shared_start[];
template <typename T> DEVICE T* shared_memory() { return reinterpret_cast<T*>(shared_start); }

template <typename Body> DEVICE void phase(Body body) {
    body(static_cast<int>(threadIdx.x));
    __syncthreads();
}

#else

#include <math.h>

#define KERNEL(max_threads)
#define DEVICE inline
#define UNROLL
#define UNROLL_BY_2
#define UNROLL_BY_4

// What the hardware would know; `emulated.py` sets it before it calls a kernel.
struct Emulated {
    int block[2], blocks[2], threads;
    int order;  // of the threads: 0 forward, 1 reversed, 2 permuted
    void* shared;
};
static Emulated emulated;

DEVICE int block_x() { return emulated.block[0]; }
DEVICE int block_y() { return emulated.block[1]; }
DEVICE int blocks_x() { return emulated.blocks[0]; }
DEVICE int blocks_y() { return emulated.blocks[1]; }
DEVICE int threads() { return emulated.threads; }
template <typename T> DEVICE T* shared_memory() { return static_cast<T*>(emulated.shared); }

// The i-th of n in an order. 7919 is a prime larger than any n in use, so multiples of it meet every number once.
DEVICE int in_order(int i, int n, int order) {
    return order == 0 ? i : order == 1 ? n - 1 - i : static_cast<int>((i * 7919LL + 11) % n);
}

template <typename Body> DEVICE void phase(Body body) {
    for (int i = 0; i < emulated.threads; ++i) body(in_order(i, emulated.threads, emulated.order));
}

#endif

template <typename T> DEVICE T larger(T a, T b) { return a > b ? a : b; }
template <typename T> DEVICE T smaller(T a, T b) { return a < b ? a : b; }
