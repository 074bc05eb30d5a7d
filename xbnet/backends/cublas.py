"""Batched products on CUDA without a copy: each is one strided-batched cuBLAS call, made through ctypes.

`cupy.matmul` copies transposed operands and views into theta, gathers pointers where replicas share an operand, never
uses TF32 for stacks, and refuses to run while a stream is captured. cuBLAS itself needs none of that: it takes a
distance between the columns of each matrix and one between the matrices of a stack, which may be 0.
"""

from __future__ import annotations

import ctypes
import importlib
import threading
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import BackendError, ConfigError
from .cublas_plan import Plan, plan

# Numbers of cuBLAS' headers (library_types.h, cublas_api.h).
REAL_32F, REAL_64F = 0, 1
COMPUTE = {"fp32": 68, "tf32": 77}
COMPUTE_64F = 70
DEFAULT_ALGORITHM = -1
STATUS = {
    1: "CUBLAS_STATUS_NOT_INITIALIZED",
    3: "CUBLAS_STATUS_ALLOC_FAILED",
    7: "CUBLAS_STATUS_INVALID_VALUE",
    8: "CUBLAS_STATUS_ARCH_MISMATCH",
    11: "CUBLAS_STATUS_MAPPING_ERROR",
    13: "CUBLAS_STATUS_EXECUTION_FAILED",
    14: "CUBLAS_STATUS_INTERNAL_ERROR",
    15: "CUBLAS_STATUS_NOT_SUPPORTED",
    16: "CUBLAS_STATUS_LICENSE_ERROR",
}
WORKSPACE = 32 << 20
"""Bytes of scratch memory per handle: what cuBLAS asks for on Hopper. Given once, so nothing is allocated later."""
LIBRARIES = ("libcublas.so.{}", "cublas64_{}.dll")
"""Names, with the major version of CUDA; of another one, the driver may be too old."""


class Host(NamedTuple):
    """Services of the array library that the caller needs; tests give memory of the host instead.

    Attributes
    ----------
    pointer
        Array -> address of its first entry.
    stream
        () -> address of the current stream.
    device
        () -> number of the current device.
    allocate
        Bytes -> (owner, address) of device memory that lives as long as its owner.
    """

    pointer: Callable[[Any], int]
    stream: Callable[[], int]
    device: Callable[[], int]
    allocate: Callable[[int], tuple[Any, int]]


class Cublas:
    """Products by cuBLAS, on the current stream of the calling thread.

    Parameters
    ----------
    library
        libcublas, loaded by ctypes.
    host
        See `Host`.
    matmul
        Product for layouts without a `plan`: ``matmul(a, b, out=out)``.
    precision
        How float32 is multiplied: "fp32", or "tf32" for tensor cores that round operands to 10 bits of mantissa.

    Notes
    -----
    Each thread has a handle per device. The stream of a handle is set when it changes, so a step that is to be
    captured runs once on the capturing stream before: then nothing is created or allocated within.
    """

    def __init__(self, library: Any, host: Host, matmul: Callable[..., Any], precision: str = "fp32"):
        self.library, self.host, self.matmul = library, host, matmul
        self.precision = check_precision(precision)
        declare(library)
        self._threads = threading.local()
        self._plans: dict[tuple[Any, ...], Plan | None] = {}
        # alpha = 1 and beta = 0, read by cuBLAS on the host before it returns.
        self._one = {"float32": ctypes.c_float(1), "float64": ctypes.c_double(1)}
        self._zero = {"float32": ctypes.c_float(0), "float64": ctypes.c_double(0)}

    def gemm(self, a: Any, b: Any, out: Any, precision: str | None = None) -> Any:
        """A (R or 1, M, K), b (R or 1, K, N) -> out (R, M, N), overwritten; nothing is copied or waited for.

        Raises
        ------
        BackendError
            cuBLAS refuses; the line has the name of its status.
        """
        key = (a.shape, a.strides, b.shape, b.strides, out.shape, out.strides, a.dtype, b.dtype, out.dtype)
        if key not in self._plans:
            self._plans[key] = plan(a, b, out)
        found = self._plans[key]
        if found is None:
            return self.matmul(a, b, out=out) if out.size else out
        name = out.dtype.name
        compute = COMPUTE[check_precision(precision) if precision else self.precision]
        kind, compute = (REAL_32F, compute) if name == "float32" else (REAL_64F, COMPUTE_64F)
        first, second = (b, a) if found.first_is_b else (a, b)
        pointer = self.host.pointer
        status = self.library.cublasGemmStridedBatchedEx(
            self.open(), found.transpose_first, found.transpose_second, found.m, found.n, found.k,
            ctypes.byref(self._one[name]),
            pointer(first), kind, found.ld_first, found.stride_first,
            pointer(second), kind, found.ld_second, found.stride_second,
            ctypes.byref(self._zero[name]),
            pointer(out), kind, found.ld_out, found.stride_out,
            found.batch, compute, DEFAULT_ALGORITHM,
        )  # fmt: skip
        check("cublasGemmStridedBatchedEx", status)
        return out

    def open(self) -> int:
        """The calling thread's handle on the current device, set to the current stream.

        Raises
        ------
        BackendError
            The library does not suit the driver, or has no memory on the device.
        """
        device = self.host.device()
        handles: dict[int, Handle] = self._threads.__dict__.setdefault("handles", {})
        if device not in handles:
            handles[device] = Handle(self.library, self.host)
        return handles[device].on(self.host.stream())


class Handle:
    """A cuBLAS handle with memory of its own; destroyed when it is let go of."""

    def __init__(self, library: Any, host: Host):
        self.library, self.stream = library, -1
        self.workspace, self.address = host.allocate(WORKSPACE)
        made = ctypes.c_void_p()
        check("cublasCreate", library.cublasCreate_v2(ctypes.byref(made)))
        self.value = made.value or 0
        # Not when Python ends: the driver may be gone by then.
        weakref.finalize(self, library.cublasDestroy_v2, self.value).atexit = False

    def on(self, stream: int) -> int:
        """The handle, whose calls go to that stream."""
        if stream != self.stream:
            check("cublasSetStream", self.library.cublasSetStream_v2(self.value, stream))
            # cublasSetStream goes back to cuBLAS' own workspace, which would be allocated within a capture.
            check("cublasSetWorkspace", self.library.cublasSetWorkspace_v2(self.value, self.address, WORKSPACE))
            self.stream = stream
        return self.value


def declare(library: Any) -> None:
    """Tell ctypes the signatures of cublas_v2.h."""
    pointer, integer, long = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong
    matrix = [pointer, integer, integer, long]  # address, type, leading dimension, stride
    library.cublasCreate_v2.argtypes = [ctypes.POINTER(pointer)]
    library.cublasDestroy_v2.argtypes = [pointer]
    library.cublasSetStream_v2.argtypes = [pointer, pointer]
    library.cublasSetWorkspace_v2.argtypes = [pointer, pointer, ctypes.c_size_t]
    library.cublasGemmStridedBatchedEx.argtypes = [
        pointer, integer, integer, integer, integer, integer,
        pointer, *matrix, *matrix, pointer, *matrix, integer, integer, integer,
    ]  # fmt: skip


def check(call: str, status: int) -> None:
    """Raise for a status other than success."""
    if status:
        name = STATUS.get(status, f"status {status}")
        raise BackendError(f"backend 'cupy': {call} failed with {name}; see NVIDIA's cuBLAS documentation for it")


def check_precision(precision: Any) -> str:
    """The precision as it came, or `ConfigError`."""
    if precision not in COMPUTE:
        raise ConfigError(f"backend 'cupy': expected precision 'fp32' or 'tf32', got {precision!r}")
    return precision


def load_library(major: int) -> Any:
    """Libcublas: the one of the pip wheels that CuPy uses, else the system's, by preference for CUDA `major`.

    Raises
    ------
    OSError
        There is none that can be loaded; the text says what was tried.
    """
    from ctypes.util import find_library  # it imports `subprocess`, for which nobody else shall wait

    tried = []
    paths = [*(name.format(major) for name in LIBRARIES), find_library("cublas")]
    try:
        paths.insert(0, importlib.import_module("cuda.pathfinder").load_nvidia_dynamic_lib("cublas").abs_path)
    except Exception as error:  # not installed, or it finds nothing: each version has error classes of its own
        tried.append(f"cuda.pathfinder: {type(error).__name__}")
    for path in filter(None, paths):
        try:
            return ctypes.CDLL(path)
        except OSError as error:
            tried.append(str(error))
    raise OSError("; ".join(tried))
