"""The real CuPy without a device: imported before it, this has it call `runtime.cpp` in place of CUDA.

CuPy's compiled modules reach CUDA through tables of functions that its modules `runtime` and `driver` hand out when they
are imported (``__pyx_capi__``). Here other functions are put in. Kernels are compiled by a C++ compiler: CuPy's own with
`device.h`, the project's as `emulated` does it. So Python, CuPy, the order of streams and the numbers are real; NVRTC,
cuBLAS' insides and time are not. Fits CuPy 14.
"""

import ctypes
import functools
import itertools
import re
import shutil
import subprocess
import sysconfig
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).parent
_folder = tempfile.TemporaryDirectory(prefix="xbnet-cuda-")
FOLDER = Path(_folder.name)
RENAMED = {
    "malloc": "cuda_malloc",
    "free": "cuda_free",
    "memset": "cuda_memset",
    "memcpy": "cuda_memcpy",
}  # libc has them
ENTRY = """
extern "C" size_t sizes(size_t* out) {{ return sizes_of(&{name}, out); }}
static void** arguments;
static void thread() {{ call(&{name}, arguments); }}
extern "C" void run(unsigned* grid, unsigned threads, unsigned, void** given) {{
    gridDim = {{grid[0], grid[1], grid[2]}}, blockDim = {{threads}}, arguments = given;
    for (blockIdx.x = 0; blockIdx.x < grid[0]; ++blockIdx.x) run_block<thread>(threads, {barriers});
}}
"""
OURS = """
#include <stdlib.h>
extern "C" size_t sizes(size_t* out) {
    char text[4096];
    signature(text);
    size_t n = 0;
    for (char* kind = strtok(text, " "); kind; kind = strtok(0, " ")) out[n++] = strcmp(kind, "int32") && strcmp(kind, "float32") ? 8 : 4;
    return n;
}
extern "C" void start(unsigned* grid, unsigned threads, unsigned bytes, void** arguments) {
    void* shared = aligned_alloc(64, (bytes + 64) / 64 * 64);
    run(grid[0], grid[1], threads, 0, shared, bytes, arguments);
    free(shared);
}
"""


def compiled(text, *flags):
    """The path of a library; threads may ask for the same one at once."""
    folder = Path(tempfile.mkdtemp(dir=FOLDER))
    code, library = folder / "code.cpp", folder / "library.so"
    code.write_text(text)
    compiler = shutil.which("g++") or shutil.which("c++")
    subprocess.run([compiler, "-std=c++17", "-O1", "-w", "-shared", "-fPIC", *flags, code, "-o", library], check=True)
    return library


runtime = ctypes.PyDLL(str(compiled((HERE / "runtime.cpp").read_text(), f"-I{sysconfig.get_path('include')}")))
cublas = ctypes.CDLL(str(compiled((HERE.parents[1] / "support" / "devices" / "fake_cublas.cpp").read_text())))


def address(function):
    return ctypes.cast(function, ctypes.c_void_p).value


def counter(name):
    """How many there were so far: "launches", "reads", "allocations", "graph_launches"."""
    return ctypes.c_longlong.in_dll(runtime, name).value


handle = ctypes.c_void_p()
cublas.cublasCreate_v2(ctypes.byref(handle))
scratch = ctypes.create_string_buffer(8)
cublas.cublasSetWorkspace_v2(handle, scratch, 8)
ctypes.c_void_p.in_dll(runtime, "gemm_handle").value = handle.value
ctypes.c_void_p.in_dll(runtime, "gemm").value = address(cublas.cublasGemmStridedBatchedEx)

# -- the tables -------------------------------------------------------------------------------------------------------

api, kept = ctypes.pythonapi, []
api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
api.PyCapsule_New.restype, api.PyCapsule_New.argtypes = (
    ctypes.py_object,
    [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p],
)
KINDS = {
    "PyObject *": ctypes.py_object, "int": ctypes.c_int, "unsigned int": ctypes.c_uint, "size_t": ctypes.c_size_t,
    "intptr_t": ctypes.c_ssize_t, "float": ctypes.c_float,
}  # fmt: skip


def put_in(module):
    """Replace what `runtime.cpp` has of a module's functions, for other modules and for Python."""
    for name, capsule in list(module.__pyx_capi__.items()):
        signature = api.PyCapsule_GetName(capsule)
        mine = getattr(runtime, RENAMED.get(name, name), None)
        if mine is None or b"(" not in signature:
            continue
        kept.append(signature)
        module.__pyx_capi__[name] = api.PyCapsule_New(address(mine), signature, None)
        result, arguments = re.fullmatch(r"(.*?)\((.*)\)", signature.decode()).groups()
        kinds = [KINDS[a] for a in arguments.split(", ") if a in KINDS]
        mine.restype, mine.argtypes = KINDS[result.strip() if "*" not in result else "PyObject *"], None
        setattr(module, name, functools.partial(from_python, mine, kinds))


def from_python(function, kinds, *arguments):
    return function(*(kind(a) for kind, a in zip(kinds, arguments, strict=False)), ctypes.c_int(0), None)


import cupy_backends.cuda.api.driver  # noqa: E402
import cupy_backends.cuda.api.runtime  # noqa: E402

put_in(cupy_backends.cuda.api.runtime)
put_in(cupy_backends.cuda.api.driver)

import cuda.pathfinder  # noqa: E402

cuda.pathfinder.find_nvidia_header_directory = lambda name: str(FOLDER)

import cupy  # noqa: E402
from cupy.cuda import compiler, function  # noqa: E402

from xbnet.backends import devices  # noqa: E402
from xbnet.backends.cuda import emulated  # noqa: E402

# -- kernels ----------------------------------------------------------------------------------------------------------

INCLUDED = Path(cupy.__file__).parent / "_core" / "include"
(FOLDER / "cupy").mkdir()
for header in ("complex", "atomics"):
    (FOLDER / "cupy" / f"{header}.cuh").write_text("")
sources, numbers, current = {}, itertools.count(1), threading.local()


def compile_module(source, options, arch, extra_source, backend, cooperative, names, *more):
    """In place of `_compile_with_cache_cuda`: what is loaded is the source, and functions keep their names."""
    current.source = source
    module = function.Module()
    module.load(b"")
    module._set_mapping({name: name for name in names or ()})
    return module


def load(module, name=None):
    """For `runtime.cpp`: the number of a module, or the address of a kernel in it."""
    if name is None:
        number = next(numbers)
        sources[number] = current.source
        return number
    source = sources[module]
    if "phase(" in source:
        text = emulated.PRELUDE + source + emulated.ENTRY.replace("KERNEL_NAME", name) + OURS
        library = ctypes.CDLL(str(compiled(text, *emulated.FLAGS)))
        threads = int(re.search(rf"KERNEL\((\d+)\)\s+void {name.split('<')[0]}\(", source)[1])
        run = library.start
    else:
        entry = ENTRY.format(name=name, barriers=int("__syncthreads" in source))
        text = f'#include "{HERE / "device.h"}"\n{source}\n{entry}'
        library, threads = ctypes.CDLL(str(compiled(text, f"-I{FOLDER}", f"-I{INCLUDED}"))), 1024
        run = library.run
    kept.append(library)
    runtime.make_kernel.restype = ctypes.c_ssize_t
    return runtime.make_kernel(ctypes.c_void_p(address(run)), ctypes.c_void_p(address(library.sizes)), threads)


kept.append(load)
ctypes.py_object.in_dll(runtime, "loader").value = load
compiler._compile_with_cache_cuda = compile_module
cupy._core.set_reduction_accelerators([])  # CUB is compiled for devices only
cupy._core.set_routine_accelerators([])
devices.load_library = lambda major: runtime
