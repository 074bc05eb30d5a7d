"""How the libraries of devices are opened: CuPy on CUDA, dpnp on SYCL devices. Only here they are imported."""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
import warnings
from pathlib import Path
from typing import Any

from ..errors import BackendError, ConfigError
from .cublas import Cublas, Host, check_precision, load_library
from .cuda.launch import CudaLauncher, Launcher
from .cuda.ops import CudaOps
from .ops import Ops

INSTALL = {
    "numpy": "pip install numpy",
    "cupy": "pip install 'cupy-cuda12x[ctk]' (or 'cupy-cuda13x[ctk]' for a CUDA 13 driver)",
    "dpnp": "pip install dpnp",
}
OTHER_NAMES = {
    "cuda": "cupy",
    "gpu": "cupy",
    "nvidia": "cupy",
    "sycl": "dpnp",
    "xpu": "dpnp",
    "intel": "dpnp",
    "cpu": "numpy",
}
"""Names of these devices in other libraries."""
SETTINGS = {"cupy": {"precision": "fp32", "kernels": "fused"}}
"""Backend -> what its name may set, with the default: ``cupy:precision=tf32``."""


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise BackendError(f"backend {name!r}: {_reason(error)}; install it with: {INSTALL[name]}") from None
    except ImportError as error:
        raise BackendError(f"backend {name!r}: {_reason(error)}; install it with: {INSTALL[name]}") from error


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def open_cupy(precision: str = "fp32", kernels: str = "fused") -> dict[str, Any]:
    """The fields of a `Backend` on the present CUDA device."""
    check_precision(precision)
    if kernels not in ("fused", "plain"):
        raise ConfigError(f"backend 'cupy': expected kernels 'fused' or 'plain', got {kernels!r}")
    cupy = _import("cupy")
    try:
        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    except Exception as error:
        raise BackendError(
            f"backend 'cupy': CuPy {cupy.__version__} is installed, but no CUDA device answers ({_reason(error)}); "
            "check `nvidia-smi`, or use --backend numpy"
        ) from error
    launcher = CudaLauncher(cupy) if kernels == "fused" else None
    chosen = {"precision": precision, "kernels": kernels}
    settings = ",".join(f"{key}={value}" for key, value in chosen.items() if value != SETTINGS["cupy"][key])
    device, ops = properties["name"].decode(), _cuda_ops(cupy, precision, launcher)
    return {"device": device, "xp": cupy, "ops": ops, "launcher": launcher, "settings": settings}


def _cuda_ops(cupy: Any, precision: str, launcher: Launcher | None) -> Ops:
    """Products by one cuBLAS call each, or by `cupy.matmul` where the library can't be loaded."""

    def allocate(nbytes: int) -> tuple[Any, int]:
        memory = cupy.cuda.alloc(nbytes)
        return memory, memory.ptr

    def wait() -> None:
        cupy.cuda.get_current_stream().synchronize()

    host = Host(
        pointer=lambda array: array.data.ptr,
        stream=lambda: cupy.cuda.get_current_stream().ptr,
        device=cupy.cuda.runtime.getDevice,
        allocate=allocate,
    )
    try:
        cublas = Cublas(load_library(cupy.cuda.runtime.runtimeGetVersion() // 1000), host, cupy.matmul, precision)
        cublas.open()
    except (OSError, AttributeError, BackendError) as error:
        warnings.warn(
            f"backend 'cupy': cuBLAS can't be used ({error}), so products go through cupy.matmul, which copies "
            f"their operands and has no TF32 for stacks; install it with: {INSTALL['cupy']}",
            stacklevel=2,
        )
        return Ops(cupy, wait=wait) if launcher is None else CudaOps(launcher, cupy, wait=wait)
    if launcher is None:
        return Ops(cupy, cublas.gemm, wait, capturable=True)
    return CudaOps(launcher, cupy, cublas.gemm, wait, capturable=True)


def open_dpnp() -> dict[str, Any]:
    """The fields of a `Backend` on the default SYCL device."""
    if "dpnp" not in sys.modules:
        # Intel's OpenCL runtime for CPUs comes with dpnp from PyPI, but its loader has to be told where it is.
        library = Path(sysconfig.get_path("data"), "lib", "libintelocl.so")
        if library.exists():
            os.environ.setdefault("OCL_ICD_FILENAMES", str(library))
        # After every call dpnp lets go of its arguments in a SYCL host task that takes Python's lock, while oneMKL
        # on a CPU waits for a host task of its own with that lock held (dpnp#2850). In the small default pool of
        # threads the two wait for each other forever, after a few training steps.
        os.environ.setdefault("SYCL_QUEUE_THREAD_POOL_SIZE", "64")
    dpnp = _import("dpnp")
    try:
        device = dpnp.empty(1).sycl_device
    except Exception as error:
        raise BackendError(
            f"backend 'dpnp': dpnp {dpnp.__version__} is installed, but no SYCL device answers ({_reason(error)}); "
            "install a driver for the device, or use --backend numpy"
        ) from error
    return {"device": device.name.strip(), "xp": dpnp, "ops": Ops(dpnp)}
