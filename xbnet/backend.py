"""Array libraries behind one record: NumPy on a CPU, CuPy on CUDA, dpnp on SYCL devices.

This is the only module that imports cupy or dpnp. The numeric core receives a `Backend` and speaks the
dialect that the three share:

- ufuncs with `out=`, which never aliases an input unless the ufunc is arithmetic (dpnp refuses
  ``maximum(x, 0, out=x)`` and comparisons in place, and wants booleans as the `out` of a comparison); no `where=`
  on ufuncs, no `einsum`;
- `matmul`, `take`, `argmax` only through `backend.linalg`;
- no `.item()`, `float(array)`, `if array`: each waits for the device. One host read an epoch;
- hyper-parameters are Python floats or arrays of the network's dtype: ``float32 array * np.float64`` is float64.
"""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import BackendError, unknown_name
from .linalg import Linalg, numpy_linalg, plain_linalg, prepared_linalg

INSTALL = {
    "numpy": "pip install numpy",
    "cupy": "pip install 'cupy-cuda12x[ctk]' (or 'cupy-cuda13x[ctk]' for a CUDA 13 driver)",
    "dpnp": "pip install dpnp",
}


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
    linalg
        Batched products and the few operations in which libraries differ.
    """

    name: str
    device: str
    xp: Any
    linalg: Linalg

    def asarray(self, host: Any, dtype: Any = None) -> Any:
        """Copy a host array (or pass an array of this backend) to the device, in C order."""
        if isinstance(host, self.xp.ndarray):
            return self.xp.ascontiguousarray(host if dtype is None else host.astype(dtype, copy=False))
        return self.xp.asarray(np.ascontiguousarray(host, dtype=dtype))

    def to_host(self, array: Any) -> np.ndarray:
        """Copy an array of this backend to a NumPy array; waits for the device."""
        if isinstance(array, np.ndarray):
            return array
        return array.get() if self.name == "cupy" else self.xp.asnumpy(array)

    def linalg_for_buffers(self) -> Linalg:
        """`linalg` for a holder of buffers, whose arrays are the same at every step."""
        return prepared_linalg(self.xp, self.linalg) if self.name == "numpy" else self.linalg

    def synchronize(self) -> None:
        """Wait until the device has done all it was asked to."""
        if self.name == "cupy":
            self.xp.cuda.get_current_stream().synchronize()
        elif self.name == "dpnp":
            self.xp.empty(1).sycl_queue.wait()

    def __reduce__(self) -> Any:
        """A backend is pickled as its name, and opened anew where it arrives."""
        return get_backend, (self.name,)

    def __repr__(self) -> str:
        return f"Backend({self.name!r}, device={self.device!r})"


def get_backend(name: str | Backend = "numpy") -> Backend:
    """The backend of that name; never another one.

    Parameters
    ----------
    name
        "numpy", "cupy", "dpnp"; "auto" is CuPy where a CUDA device answers, else NumPy. A `Backend` is
        returned as it is.

    Raises
    ------
    BackendError
        The library is missing or no device of it answers; the line says what to install.
    ConfigError
        There is no backend of that name.
    """
    if isinstance(name, Backend):
        return name
    if name == "auto":
        try:
            return _open("cupy")
        except BackendError:
            return _open("numpy")
    if not isinstance(name, str) or name not in INSTALL:
        raise unknown_name("get_backend", "backend", name, [*INSTALL, "auto"])
    return _open(name)


_opened: dict[str, Backend] = {}


def _open(name: str) -> Backend:
    if name not in _opened:
        _opened[name] = {"numpy": _numpy, "cupy": _cupy, "dpnp": _dpnp}[name]()
    return _opened[name]


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BackendError(f"backend {name!r}: {_reason(error)}; install it with: {INSTALL[name]}") from error


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _numpy() -> Backend:
    return Backend("numpy", "cpu", np, numpy_linalg(np))


def _cupy() -> Backend:
    cupy = _import("cupy")
    try:
        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    except Exception as error:
        raise BackendError(
            f"backend 'cupy': CuPy {cupy.__version__} is installed, but no CUDA device answers ({_reason(error)}); "
            "check `nvidia-smi`, or use --backend numpy"
        ) from error
    return Backend("cupy", properties["name"].decode(), cupy, plain_linalg(cupy))


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
    return Backend("dpnp", device.name.strip(), dpnp, plain_linalg(dpnp))


def describe_backends() -> list[dict[str, str]]:
    """For each backend: its name, the library's version, the device that answers, or what to do."""
    rows = []
    for name in INSTALL:
        row = {"backend": name, "version": "", "device": "", "hint": ""}
        try:
            backend = _open(name)
            row["version"], row["device"] = backend.xp.__version__, backend.device
        except BackendError as error:
            module = sys.modules.get(name)
            row["version"] = getattr(module, "__version__", "not installed")
            row["hint"] = str(error)
        rows.append(row)
    return rows
