"""Array libraries with one interface: NumPy on a CPU, CuPy on CUDA, dpnp on SYCL devices.

`devices` opens them. The numeric core receives a `Backend` and speaks the
dialect that the three share:

- ufuncs with `out=`, which never aliases an input unless the ufunc is arithmetic (dpnp refuses
  ``maximum(x, 0, out=x)`` and comparisons in place, and wants booleans as the `out` of a comparison); no `where=`
  on ufuncs, no `einsum`;
- `matmul`, `take`, `argmax` only through `backend.ops`;
- no `.item()`, `float(array)`, `if array`: each waits for the device. One host read an epoch;
- hyper-parameters are Python floats or arrays of the network's dtype: ``float32 array * np.float64`` is float64.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import BackendError, ConfigError, unknown_name
from ..parsing import check_keys, parse_settings
from .arrays import NUMPY, Array, ArrayLike, DTypeLike, Namespace
from .cuda.launch import Launcher
from .devices import INSTALL, OTHER_NAMES, SETTINGS, open_cupy, open_dpnp
from .numpy_ops import SPECIALIZED, NumpyOps
from .ops import Ops
from .replay import Specialized


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
        The launcher of the project's own CUDA kernels; None: they are not used.
    settings
        Options that the name set, e.g. "precision=tf32".

    Examples
    --------
    >>> backend = get_backend("numpy")
    >>> backend.name, backend.xp.__name__
    ('numpy', 'numpy')
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
        """The array library itself, for functions that `xp` leaves out."""
        return self.xp

    @property
    def cuda(self) -> bool:
        """Whether it has CUDA's streams and graphs."""
        return hasattr(self.xp, "cuda")

    def asarray(self, host: ArrayLike | Array, dtype: DTypeLike | None = None) -> Array:
        """Copy a host array to the device, in C order; an array of this backend is passed on.

        Parameters
        ----------
        host
            Numbers of any shape.
        dtype
            Type of the result; by default that of `host`.

        Returns
        -------
        array
            An array of this backend.
        """
        if isinstance(host, self.library.ndarray):
            return self.library.ascontiguousarray(host if dtype is None else host.astype(dtype, copy=False))
        return self.xp.asarray(np.ascontiguousarray(host, dtype=dtype))

    def to_host(self, array: Array) -> np.ndarray:
        """Copy an array of this backend to the host, and wait for the device.

        Parameters
        ----------
        array
            An array of this backend, or of NumPy, which is returned as it is.

        Returns
        -------
        numpy.ndarray
        """
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
        """A backend is pickled as its name, and opened again where it arrives."""
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

    Returns
    -------
    Backend

    Raises
    ------
    BackendError
        The library is missing or no device of it answers; the line says what to install.
    ConfigError
        There is no backend of that name, or it has no such setting.

    Examples
    --------
    >>> get_backend("auto").name in ("cupy", "numpy")
    True
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
        raise unknown_name("get_backend", "backend", bare, [*INSTALL, "auto"], OTHER_NAMES)
    if settings and bare not in SETTINGS:
        raise ConfigError(f"backend {bare!r}: takes no settings, got {', '.join(settings)}")
    check_keys(f"backend {bare!r}", settings, SETTINGS.get(bare, {}))
    return _open(bare, **settings)


OPENERS: dict[str, Callable[..., dict[str, Any]]] = {"cupy": open_cupy, "dpnp": open_dpnp}
_opened: dict[tuple[Any, ...], Backend] = {}


def _open(name: str, **settings: str) -> Backend:
    defaults = SETTINGS.get(name, {})
    key = name, *(defaults | settings).items()
    if key not in _opened:
        numpy = {"device": "cpu", "xp": NUMPY, "ops": NumpyOps(NUMPY), "specialized": SPECIALIZED}
        _opened[key] = Backend(name, **(numpy if name == "numpy" else OPENERS[name](**settings)))
    return _opened[key]


def describe_backends() -> list[dict[str, str]]:
    """Tell of each backend whether it can be used here.

    Returns
    -------
    list of dict
        "backend", the library's "version", the "device" that answers, and a "hint" where none does.

    Examples
    --------
    >>> [found["backend"] for found in describe_backends()]
    ['numpy', 'cupy', 'dpnp']
    """
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
