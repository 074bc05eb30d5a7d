// A CUDA runtime and driver on memory of the host, with the signatures by which CuPy's modules call each other's C API.
//
// Work is done as late as possible: when the host waits for it, or for what comes after it. So what lacks an order between
// streams reads numbers of before. Rules of captures are kept: what a device would refuse raises here.
#include <Python.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

typedef intptr_t P;
typedef std::function<void()> Work;
typedef std::vector<std::pair<P, long>> Marks;  // of streams, how far they have to be

struct Stream {
    bool blocking = true, capturing = false, broken = false;
    long asked = 0, done = 0;
    std::vector<std::pair<Marks, Work>> work;
    std::vector<Work> captured;
    Marks waits;  // of what comes next
};

struct Kernel {
    void (*run)(unsigned* grid, unsigned threads, unsigned shared, void** arguments);
    size_t (*sizes)(size_t* of_arguments);
    int shared, threads;  // at most
};

static std::map<P, size_t> device, pinned;  // blocks of memory
static std::map<P, Stream> streams = {{0, Stream()}};
static std::map<P, std::pair<P, long>> events;
static std::map<P, std::vector<Work>> graphs;
static P last_id = 1000;

extern "C" {
long long launches = 0, reads = 0, allocations = 0, graph_launches = 0;
PyObject* loader = nullptr;  // loader(image) and loader(module, name), numbers of what they have made
}

static PyObject* fail(const char* what) {
    for (auto& s : streams) s.second.broken |= s.second.capturing;
    PyErr_Format(PyExc_RuntimeError, "pretended CUDA: %s", what);
    return nullptr;
}

static bool within(const std::map<P, size_t>& blocks, P start, size_t size) {
    auto block = blocks.upper_bound(start);
    return block != blocks.begin() && (--block, start + (P)size <= block->first + (P)block->second);
}

static void run_until(P stream, long mark) {
    for (Stream& s = streams[stream]; s.done < mark;) {
        auto next = std::move(s.work[s.done++]);
        for (auto& before : next.first) run_until(before.first, before.second);
        next.second();
    }
}

static void run_all() {
    for (auto& s : streams) run_until(s.first, s.second.asked);
}

// The default stream and those that are not non-blocking wait for each other.
static Marks implied(P stream) {
    Marks found;
    if (stream == 0) {
        for (auto& s : streams)
            if (s.first && s.second.blocking) found.push_back({s.first, s.second.asked});
    } else if (streams[stream].blocking) {
        found.push_back({0, streams[0].asked});
    }
    return found;
}

static const char* refusal(P stream) {
    if (!streams.count(stream)) return "no such stream";
    for (auto& s : streams)
        if (stream == 0 && s.second.capturing && s.second.blocking)
            return "the default stream is used while a blocking one captures";
    return nullptr;
}

static PyObject* ask(P stream, Work work) {
    if (const char* why = refusal(stream)) return fail(why);
    Stream& s = streams[stream];
    if (s.capturing) {
        s.captured.push_back(work);
    } else {
        Marks before = implied(stream);
        before.insert(before.end(), s.waits.begin(), s.waits.end());
        s.waits.clear();
        s.work.push_back({before, work});
        ++s.asked;
    }
    Py_RETURN_NONE;
}

static PyObject* wait_for(P stream) {
    if (const char* why = refusal(stream)) return fail(why);
    if (streams[stream].capturing) return fail("the host waits for a stream that captures");
    for (auto& mark : implied(stream)) run_until(mark.first, mark.second);
    run_until(stream, streams[stream].asked);
    Py_RETURN_NONE;
}

#define SKIP int
extern "C" {
// -- devices and memory -----------------------------------------------------------------------------------------------
int getDevice(SKIP) { return 0; }
int getDeviceCount(SKIP) { return 1; }
PyObject* setDevice(int, SKIP) { Py_RETURN_NONE; }
PyObject* _ensure_context() { Py_RETURN_NONE; }
P ctxGetCurrent(SKIP) { return 1; }
int driverGetVersion(SKIP) { return 12090; }
int runtimeGetVersion(SKIP) { return 12090; }
int _getCUDAMajorVersion(SKIP) { return 12; }
PyObject* getDeviceProperties(int, SKIP) { return Py_BuildValue("{s:y}", "name", "pretended"); }
PyObject* memGetInfo(SKIP) { return Py_BuildValue("(nn)", (Py_ssize_t)1 << 33, (Py_ssize_t)1 << 34); }
int deviceGetAttribute(int what, int, SKIP) { return what == 75 ? 9 : what == 76 ? 0 : what == 97 ? 232448 : 1; }

static P allocate(std::map<P, size_t>& blocks, size_t size) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 512, size + 1)) return fail("out of memory"), 0;
    memset(memory, 0xff, size);  // NaN
    blocks[(P)memory] = size;
    return (P)memory;
}
int pointerGetMemoryType(P address, SKIP) { return within(device, address, 1) ? 2 : within(pinned, address, 1); }
P cuda_malloc(size_t size, SKIP) { return ++allocations, allocate(device, size); }
P hostAlloc(size_t size, unsigned, SKIP) { return allocate(pinned, size); }

static PyObject* release(std::map<P, size_t>& blocks, P memory) {
    run_all();
    if (!blocks.erase(memory)) return fail("no such memory");
    free((void*)memory);
    Py_RETURN_NONE;
}
PyObject* cuda_free(P memory, SKIP) { return release(device, memory); }
PyObject* freeHost(P memory, SKIP) { return release(pinned, memory); }

PyObject* memsetAsync(P to, int value, size_t size, P stream, SKIP) {
    return ask(stream, [=] { memset((void*)to, value, size); });
}
PyObject* memcpyAsync(P to, P from, size_t size, int kind, P stream, SKIP) {
    const bool to_device = kind != 2, from_device = kind != 1;  // 3 and 4: within the device
    if (size && ((to_device && !within(device, to, size)) || (from_device && !within(device, from, size))))
        return fail("no memory of the device");
    if (!(to_device && from_device) && streams[stream].capturing) return fail("the host copies while a stream captures");
    if (kind == 1 && !within(pinned, from, size)) {  // is read before the call returns
        std::string bytes((char*)from, size);
        return ask(stream, [=] { memcpy((void*)to, bytes.data(), size); });
    }
    PyObject* asked = ask(stream, [=] { memcpy((void*)to, (void*)from, size); });
    if (kind == 2) ++reads;
    if (asked && kind == 2 && !within(pinned, to, size)) run_until(stream, streams[stream].asked);
    return asked;
}
PyObject* cuda_memset(P to, int value, size_t size, SKIP) {
    PyObject* asked = memsetAsync(to, value, size, 0, 0);
    return asked ? wait_for(0) : nullptr;
}
PyObject* cuda_memcpy(P to, P from, size_t size, int kind, SKIP) {
    PyObject* asked = memcpyAsync(to, from, size, kind, 0, 0);
    return asked ? wait_for(0) : nullptr;
}

// -- streams, events, graphs ------------------------------------------------------------------------------------------
P streamCreateWithFlags(unsigned flags, SKIP) { return streams[++last_id].blocking = !(flags & 1), last_id; }
P streamCreateWithPriority(unsigned flags, int, SKIP) { return streamCreateWithFlags(flags, 0); }
PyObject* streamDestroy(P, SKIP) { Py_RETURN_NONE; }  // once its work is done
PyObject* streamSynchronize(P stream, SKIP) { return wait_for(stream); }
PyObject* deviceSynchronize(SKIP) {
    for (auto& s : streams)
        if (s.second.capturing) return fail("the host waits for a device that captures");
    run_all();
    Py_RETURN_NONE;
}
P eventCreateWithFlags(unsigned, SKIP) { return ++last_id; }
PyObject* eventDestroy(P, SKIP) { Py_RETURN_NONE; }
PyObject* eventRecord(P event, P stream, SKIP) {
    if (streams.count(stream) && streams[stream].capturing) return fail("an event in a capture");
    PyObject* asked = ask(stream, [] {});
    events[event] = {stream, streams[stream].asked};
    return asked;
}
PyObject* streamWaitEvent(P stream, P event, SKIP, void*) {
    if (streams[stream].capturing) return fail("an event in a capture");
    if (events.count(event)) streams[stream].waits.push_back(events[event]);
    Py_RETURN_NONE;
}
PyObject* eventQuery(P event, SKIP) {
    auto mark = events[event];
    return PyLong_FromLong(streams[mark.first].done < mark.second ? 600 : 0);
}
PyObject* eventSynchronize(P event, SKIP) {
    auto mark = events[event];
    run_until(mark.first, mark.second);
    Py_RETURN_NONE;
}
float eventElapsedTime(P, P, SKIP) { return 1; }

int streamIsCapturing(P stream, SKIP) { return refusal(stream) ? fail(refusal(stream)), -1 : streams[stream].capturing; }
PyObject* streamBeginCapture(P stream, SKIP, void*) {
    Stream& s = streams[stream];
    if (s.capturing) return fail("captures already");
    s.capturing = true, s.broken = false, s.captured.clear();
    Py_RETURN_NONE;
}
P streamEndCapture(P stream, SKIP) {
    Stream& s = streams[stream];
    s.capturing = false;
    if (s.broken) return fail("the capture was broken"), 0;
    graphs[++last_id] = s.captured;
    return last_id;
}
P graphInstantiate(P graph, SKIP) { return graph; }
PyObject* graphLaunch(P graph, P stream, SKIP) {
    ++graph_launches;
    auto all = graphs.at(graph);
    return ask(stream, [=] {
        for (auto& work : all) work();
    });
}
PyObject* graphDestroy(P graph, SKIP) { return graphs.erase(graph), Py_NewRef(Py_None); }
PyObject* graphExecDestroy(P, SKIP) { Py_RETURN_NONE; }

// -- kernels ----------------------------------------------------------------------------------------------------------
static P number(PyObject* made) {
    if (!made) return 0;
    const P found = PyLong_AsSsize_t(made);
    return Py_DECREF(made), found;
}
P moduleLoadData(PyObject* image, SKIP) { return number(PyObject_CallFunction(loader, "O", image)); }
PyObject* moduleUnload(P, SKIP) { Py_RETURN_NONE; }
P moduleGetFunction(P module, PyObject* name, SKIP) {
    return number(PyObject_CallFunction(loader, "nO", (Py_ssize_t)module, name));
}
P make_kernel(void* run, void* sizes, int threads) {
    return (P) new Kernel{(decltype(Kernel::run))run, (decltype(Kernel::sizes))sizes, 48 * 1024, threads};
}
PyObject* funcSetAttribute(P kernel, int what, int value, SKIP) {
    if (what == 8 && value > 232448) return fail("more shared memory than a block can have");
    if (what == 8) ((Kernel*)kernel)->shared = value;
    Py_RETURN_NONE;
}
int funcGetAttribute(int what, P kernel, SKIP) { return what == 0 ? ((Kernel*)kernel)->threads : 0; }
PyObject* launchKernel(P kernel, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned, unsigned, unsigned shared,
                       P stream, P addresses, P, SKIP) {
    const Kernel k = *(Kernel*)kernel;
    ++launches;
    if ((int)shared > k.shared) return fail("more shared memory than was asked for");
    if ((int)threads > k.threads) return fail("more threads than the kernel is made for");
    size_t sizes[64];
    std::vector<std::string> values;
    for (size_t i = 0, n = k.sizes(sizes); i < n; ++i) values.push_back(std::string(((char**)addresses)[i], sizes[i]));
    return ask(stream, [=] {
        std::vector<void*> arguments;
        for (auto& value : values) arguments.push_back((void*)value.data());
        unsigned grid[3] = {x, y, z};
        k.run(grid, threads, shared, arguments.data());
    });
}

// -- cuBLAS: checks, and the product of `fake_cublas.cpp` when its turn comes ------------------------------------------
typedef int (*Gemm)(void*, int, int, int, int, int, const void*, const void*, int, int, long long, const void*, int, int,
                    long long, const void*, void*, int, int, long long, int, int, int);
Gemm gemm = nullptr;
void* gemm_handle = nullptr;
int cublasCreate_v2(void** handle) { return *handle = new P(0), 0; }
int cublasDestroy_v2(void*) { return 0; }
int cublasSetStream_v2(void* handle, void* stream) { return *(P*)handle = (P)stream, 0; }
int cublasSetWorkspace_v2(void*, void* memory, size_t size) { return within(device, (P)memory, size) ? 0 : 7; }
int cublasGemmStridedBatchedEx(void* handle, int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int at,
                               int lda, long long sa, const void* b, int bt, int ldb, long long sb, const void* beta,
                               void* c, int ct, int ldc, long long sc, int batch, int compute, int algorithm) {
    const P stream = *(P*)handle;
    if (!within(device, (P)a, 1) || !within(device, (P)b, 1) || !within(device, (P)c, 1)) return 11;
    if (refusal(stream)) return 13;
    double one = 0, zero = 0;  // or floats: they are read now
    memcpy(&one, alpha, at ? 8 : 4), memcpy(&zero, beta, at ? 8 : 4);
    ++launches;
    PyObject* asked = ask(stream, [=] {
        const int status = gemm(gemm_handle, ta, tb, m, n, k, &one, a, at, lda, sa, b, bt, ldb, sb, &zero, c, ct, ldc, sc,
                                batch, compute, algorithm);
        if (status) fprintf(stderr, "pretended CUDA: cuBLAS says %d\n", status), abort();
    });
    return asked ? 0 : (PyErr_Clear(), 13);
}
}
