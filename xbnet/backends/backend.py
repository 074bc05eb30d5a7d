"""Array libraries behind one record: NumPy on a CPU, CuPy on CUDA, dpnp on SYCL devices.

This is the only module that imports cupy or dpnp. The numeric core receives a `Backend` and speaks the
dialect that the three share:

- ufuncs with `out=`, which never aliases an input unless the ufunc is arithmetic (dpnp refuses
  ``maximum(x, 0, out=x)`` and comparisons in place, and wants booleans as the `out` of a comparison); no `where=`
  on ufuncs, no `einsum`;
- `matmul`, `take`, `argmax` only through `backend.ops`;
- no `.item()`, `float(array)`, `if array`: each waits for the device. One host read an epoch;
- hyper-parameters are Python floats or arrays of the network's dtype: ``float32 array * np.float64`` is float64.
"""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BackendError, ConfigError, unknown_name
from ..parsing import check_keys, parse_settings
from .arrays import NUMPY, Array, ArrayLike, DTypeLike, Namespace
from .cublas import Cublas, Host, check_precision, load_library
from .cuda.launch import CudaLauncher, Launcher
from .cuda.ops import CudaOps
from .numpy_ops import SPECIALIZED, NumpyOps
from .ops import Ops
from .replay import Specialized

INSTALL = {
    "numpy": "pip install numpy",
    "cupy": "pip install 'cupy-cuda12x[ctk]' (or 'cupy-cuda13x[ctk]' for a CUDA 13 driver)",
    "dpnp": "pip install dpnp",
}
SETTINGS = {"cupy": {"precision": "fp32", "kernels": "fused"}}
"""Backend -> what its name may set, with the default: ``cupy:precision=tf32``."""


@dataclass(frozen=True, eq=False)
class Backend:
    """An array library and one of its devices.

    Attributes
    ----------
    name
        "numpy", "cupy" or "dpnp".
    device
        The device's name, for people.
    xp
        The array namespace.
    ops
        The operations in which libraries differ.
    specialized
        Operations that come in a quicker form for arrays that stay; empty: nothing is replayed here, see `replay`.
    launcher
        What runs the project's own kernels; None: nothing does.
    settings
        What was set by the name, e.g. "precision=tf32".
    """

    name: str
    device: str
    xp: Namespace
    ops: Ops
    specialized: Specialized = field(default_factory=dict)
    launcher: Launcher | None = None
    settings: str = ""

    @property
    def on_host(self) -> bool:
        """Whether its arrays are NumPy's own."""
        return self.name == "numpy"

    @property
    def library(self) -> Any:
        """`xp`, for what it has beyond the dialect."""
        return self.xp

    @property
    def cuda(self) -> bool:
        """Whether it has CUDA's streams and graphs."""
        return hasattr(self.xp, "cuda")

    def asarray(self, host: ArrayLike | Array, dtype: DTypeLike | None = None) -> Array:
        """Copy a host array (or pass an array of this backend) to the device, in C order."""
        if isinstance(host, self.library.ndarray):
            return self.library.ascontiguousarray(host if dtype is None else host.astype(dtype, copy=False))
        return self.xp.asarray(np.ascontiguousarray(host, dtype=dtype))

    def to_host(self, array: Array) -> np.ndarray:
        """Copy an array of this backend to a NumPy array; waits for the device."""
        if self.name == "cupy" and isinstance(array, self.library.ndarray):
            return array.get()
        return array if isinstance(array, np.ndarray) else self.library.asnumpy(array)

    def synchronize(self) -> None:
        """Wait until the device has done all it was asked to."""
        if self.name == "cupy":
            self.library.cuda.get_current_stream().synchronize()
        elif self.name == "dpnp":
            self.library.empty(1).sycl_queue.wait()

    def count(self) -> int:
        """How many CUDA devices this process sees; 0 for other backends."""
        return self.library.cuda.runtime.getDeviceCount() if self.name == "cupy" else 0

    def __reduce__(self) -> tuple[Callable[..., Backend], tuple[str]]:
        """A backend is pickled as its name, and opened anew where it arrives."""
        return get_backend, (self.full_name,)

    @property
    def full_name(self) -> str:
        """The name with its settings, as `get_backend` takes it."""
        return f"{self.name}:{self.settings}" if self.settings else self.name

    def __repr__(self) -> str:
        return f"Backend({self.full_name!r}, device={self.device!r})"


def get_backend(name: str | Backend = "numpy") -> Backend:
    """The backend of that name; never another one.

    Parameters
    ----------
    name
        "numpy", "cupy", "dpnp"; "auto" is CuPy where a CUDA device answers, else NumPy. A `Backend` is
        returned as it is. CuPy takes settings: "cupy:precision=tf32" lets tensor cores round the operands of float32
        products to 10 bits of mantissa ("fp32", the default, does not), and "cupy:kernels=plain" leaves out the
        project's own kernels.

    Raises
    ------
    BackendError
        The library is missing or no device of it answers; the line says what to install.
    ConfigError
        There is no backend of that name, or it has no such setting.
    """
    if isinstance(name, Backend):
        return name
    if name == "auto":
        try:
            return _open("cupy")
        except BackendError:
            return _open("numpy")
    bare, settings = parse_settings("backend", name) if isinstance(name, str) else (name, {})
    if not isinstance(bare, str) or bare not in INSTALL:
        raise unknown_name("get_backend", "backend", bare, [*INSTALL, "auto"])
    if settings and bare not in SETTINGS:
        raise ConfigError(f"backend {bare!r}: takes no settings, got {', '.join(settings)}")
    check_keys(f"backend {bare!r}", settings, SETTINGS.get(bare, {}))
    return _open(bare, **settings)


_opened: dict[tuple, Backend] = {}


def _open(name: str, **settings: str) -> Backend:
    defaults = SETTINGS.get(name, {})
    key = name, *(defaults | settings).items()
    if key not in _opened:
        _opened[key] = {"numpy": _numpy, "cupy": _cupy, "dpnp": _dpnp}[name](**settings)
    return _opened[key]


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BackendError(f"backend {name!r}: {_reason(error)}; install it with: {INSTALL[name]}") from error


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _numpy() -> Backend:
    return Backend("numpy", "cpu", NUMPY, NumpyOps(NUMPY), SPECIALIZED)


def _cupy(precision: str = "fp32", kernels: str = "fused") -> Backend:
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
    return Backend(
        "cupy",
        properties["name"].decode(),
        cupy,
        _cuda_ops(cupy, precision, launcher),
        launcher=launcher,
        settings=",".join(f"{key}={value}" for key, value in chosen.items() if value != SETTINGS["cupy"][key]),
    )


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


def _dpnp() -> Backend:
    if "dpnp" not in sys.modules:
        # Intel's OpenCL runtime for CPUs comes with dpnp from PyPI, but its loader has to be told where it is.
        library = Path(sysconfig.get_path("data"), "lib", "libintelocl.so")
        if library.exists():
            os.environ.setdefault("OCL_ICD_FILENAMES", str(library))
        # After every call dpnp lets go of its arguments in a SYCL host task that takes Python's lock, while oneMKL
        # on a CPU waits for a host task of its own with that lock held (dpnp#2850). In the small default pool of
        # threads the two wait for each other for ever, after a few training steps.
        os.environ.setdefault("SYCL_QUEUE_THREAD_POOL_SIZE", "64")
    dpnp = _import("dpnp")
    try:
        device = dpnp.empty(1).sycl_device
    except Exception as error:
        raise BackendError(
            f"backend 'dpnp': dpnp {dpnp.__version__} is installed, but no SYCL device answers ({_reason(error)}); "
            "install a driver for the device, or use --backend numpy"
        ) from error
    return Backend("dpnp", device.name.strip(), dpnp, Ops(dpnp))


def describe_backends() -> list[dict[str, str]]:
    """For each backend: its name, the library's version, the device that answers, or what to do."""
    rows = []
    for name in INSTALL:
        row = {"backend": name, "version": "", "device": "", "hint": ""}
        try:
            backend = _open(name)
            row["version"], row["device"] = backend.library.__version__, backend.device
        except BackendError as error:
            module = sys.modules.get(name)
            row["version"] = getattr(module, "__version__", "not installed")
            row["hint"] = str(error)
        rows.append(row)
    return rows
