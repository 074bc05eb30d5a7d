"""Protocols of an array and an array library: as much of NumPy, CuPy and dpnp as they have in common.

Nothing here runs: type checkers read it, and so may you. Shapes are in docstrings, by the package's legend.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike as ArrayLike
    from numpy.typing import DTypeLike as DTypeLike
else:  # which costs no time at import
    ArrayLike = DTypeLike = Any


class Array(Protocol):
    """An array of NumPy, CuPy or dpnp, wherever it is; a NumPy array is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""

    @property
    def ndim(self) -> int:
        """How many axes there are."""

    @property
    def size(self) -> int:
        """How many numbers there are."""

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numbers' type; that of NumPy in all three libraries."""

    @property
    def T(self) -> Array:
        """A view with the axes in reverse."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __getitem__(self, key: Any, /) -> Array: ...

    def __setitem__(self, key: Any, value: Any, /) -> None: ...

    def __add__(self, other: Any, /) -> Any: ...

    def __radd__(self, other: Any, /) -> Any: ...

    def __sub__(self, other: Any, /) -> Any: ...

    def __mul__(self, other: Any, /) -> Any: ...

    def __rmul__(self, other: Any, /) -> Any: ...

    def __gt__(self, other: Any, /) -> Any: ...

    def __truediv__(self, other: Any, /) -> Any: ...

    def reshape(self, shape: Any, /, *more: int) -> Array:
        """The same numbers in another shape: a view of what is contiguous."""

    def swapaxes(self, axis1: int, axis2: int, /) -> Array:
        """A view with two axes exchanged."""

    def astype(self, dtype: Any, /, *, copy: bool = ...) -> Array:
        """A copy of another type."""

    def copy(self) -> Array:
        """A copy."""

    def fill(self, value: Any, /) -> None:
        """Set all numbers."""

    def sum(self, axis: Any = ...) -> Any:
        """The sum over an axis, by the library itself: not within a step, see `Ops`."""

    def mean(self, axis: Any = ...) -> Any:
        """The mean over an axis."""


class Unary(Protocol):
    """An elementwise function of one array."""

    def __call__(self, x: Any, /, out: Array | None = None) -> Array:
        """``out = f(x)``."""


class Binary(Protocol):
    """An elementwise function of two arrays, or of an array and a number."""

    def __call__(self, a: Array | float, b: Array | float, /, out: Array | None = None) -> Array:
        """``out = f(a, b)``."""


class Namespace(Protocol):
    """The dialect: what the core may ask of `xp`. `tests/test_floors.py` holds the core and the libraries to it."""

    abs: Unary
    ceil: Unary
    cos: Unary
    exp: Unary
    expm1: Unary
    log: Unary
    log1p: Unary
    negative: Unary
    sign: Unary
    sin: Unary
    sqrt: Unary
    square: Unary
    tanh: Unary
    add: Binary
    divide: Binary
    equal: Binary
    greater_equal: Binary
    less: Binary
    maximum: Binary
    minimum: Binary
    multiply: Binary
    subtract: Binary

    def arange(self, stop: int, /) -> Array:
        """Whole numbers from 0."""

    def argmax(self, x: Array, /, *, axis: int, out: Array) -> Array:
        """Where the largest are."""

    def asarray(self, host: Any, /, dtype: Any = ...) -> Array:
        """A copy on the device; on a host maybe the same array."""

    def broadcast_to(self, x: Array, shape: tuple[int, ...], /) -> Array:
        """A view that repeats what has size 1."""

    def copyto(self, out: Array, x: Array | float, /, *, where: Array = ...) -> None:
        """Overwrite `out`, with x stretched to its shape."""

    def empty(self, shape: Any, /, dtype: Any = ...) -> Array:
        """An array of any numbers."""

    def full(self, shape: Any, value: Any, /, dtype: Any = ...) -> Array:
        """An array of one number."""

    def matmul(self, a: Array, b: Array, /, *, out: Array) -> Array:
        """The product of the last two axes."""

    def ones(self, shape: Any, /, dtype: Any = ...) -> Array:
        """An array of ones."""

    def take(self, x: Array, index: Array, /, *, axis: int, out: Array) -> Array:
        """Rows of x."""

    def zeros(self, shape: Any, /, dtype: Any = ...) -> Array:
        """An array of zeros."""


NUMPY: Namespace = cast(Any, np)
"""NumPy itself, whose own types know only NumPy's arrays."""


@runtime_checkable
class Sparse(Protocol):
    """A sparse matrix or array of SciPy's, of any form."""

    def tocsr(self) -> Any:
        """By rows."""

    def toarray(self) -> Any:
        """As NumPy's."""


Rows = ArrayLike | Sparse
"""Rows (N, I) on the host, as users hand them in: a list, an array, a DataFrame of numbers, a sparse matrix."""
