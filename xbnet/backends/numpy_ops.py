"""NumPy's operations, and what they come to for arrays that are the same at every step, as in a `replay`.

Work that can be done once for such arrays is done once, always to the same bits:

- The product of one network goes to `ndarray.dot`, whose call costs half of `matmul`'s; both end in the same BLAS
  routine.
- Where an operand has to be stretched, NumPy prepares for long and walks row by row. So a number becomes an array
  without axes, a narrow column of one network is copied to all places first, and a row (a bias) is copied several
  times over and added to that many rows at once. For a stack a few narrow rows are what pays.
- `maximum` and `minimum` with a number have no vector instructions in NumPy, with an array they have: three times
  as fast.

Each function here takes scratch memory and the arguments of an operation, and gives the calls, without arguments,
that do it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import NUMPY, Array
from .ops import Ops

if TYPE_CHECKING:
    from .replay import Scratch

NARROW = 32
"""Up to this many columns an operand is copied to all rows before it is added to them."""

ROWS, NUMBERS = 8, 128
"""Rows of a network in a stack that are taken as one: at most this many, of at most this many numbers together."""

FEW_ROWS, SHORT_ROW, FEW_NUMBERS, MANY_NUMBERS = 128, 16, 512, 8192
"""Limits for one network: more than `FEW_ROWS` rows of at most `SHORT_ROW` numbers are taken as one up to `FEW_NUMBERS`
numbers together, others up to `MANY_NUMBERS`."""

LONG = 16
"""Numbers of a row from which on NumPy's own loop over it pays."""
PIECE = 1 << 14
"""Numbers that `maximum` and `minimum` take at a time."""

Calls = list[Callable[[], Any]]


class NumpyOps(Ops):
    """The same results by the array methods that skip NumPy's Python wrappers; all arrays are NumPy's own."""

    def gather(self, x: Any, index: Any, out: Any) -> Any:
        # "clip" spares NumPy a buffer; the indices are in range by contract.
        return x.take(index, 0, out, "clip")

    def row_max(self, x: Any, out: Any, index: Any, work: Any) -> Any:
        x.argmax(axis=2, out=index)
        np.add(index, self.row_starts[x.shape], out=work)
        x.reshape(-1).take(work, out=out.reshape(index.shape), mode="clip")
        return out

    def difference(self, a: Array, b: Array, out: Array) -> Array:
        return self.xp.subtract(a, b, out=out)

    def lookup(self, W: Array, codes: Array, out: Array) -> Array:
        for r, at, known, rows in _pieces(codes, out, W.shape[1]):
            out[r, at] = W[r, rows]
            out[r, at][~known] = 0
        return out

    def lookup_gradient(self, dy: Array, codes: Array, out: Array) -> Array:
        # In the order of the batch, as the machine and CUDA's kernel add them: so all end in the same bits.
        D = out.shape[2]
        out[...] = 0
        for r, at, known, rows in _pieces(codes, dy, out.shape[1]):
            places = rows[known][:, None] * D + np.arange(D)
            np.add.at(out[r].reshape(-1), places.reshape(-1), dy[r, at][known].reshape(-1))  # type: ignore[arg-type]
        return out

    def random(self, streams: Sequence[np.random.Generator], out: Any) -> Any:
        for stream, row in zip(streams, out, strict=True):
            stream.random(out=row, dtype=row.dtype)
        return out


def _pieces(codes: Array, y: Array, K: int) -> Iterator[tuple[int, slice, np.ndarray, np.ndarray]]:
    """Of y (R, B, D), a replica and some rows at a time: which codes (R or 1, B, 1) are one of 0 to K - 1, and those.

    So the arrays that NumPy makes on the way stay small.
    """
    R, B, D = y.shape
    n = max(PIECE // (4 * D), 1)
    for r in range(R):
        for at in (slice(i, min(i + n, B)) for i in range(0, B, n)):
            some: Any = codes[r % len(codes), at, 0]
            known = (some > -0.5) & (some < K - 0.5)
            yield r, at, known, (np.where(known, some, 0) + 0.5).astype(np.intp)


@cache
def _numbers(shape: tuple[int, ...], number: float, dtype: np.dtype) -> np.ndarray:
    return np.full(shape, number, dtype=dtype)


@cache
def _row_starts(R: int, B: int, C: int) -> np.ndarray:
    """Where rows begin in a flattened (R, B, C) array."""
    return (np.arange(R * B) * C).reshape(R, B)


def bmm(scratch: Scratch, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Calls:
    """See `Ops`."""
    if out.shape[0] == 1 and out.flags.c_contiguous:
        return [partial(a[0].dot, b[0], out[0])]
    if a.shape[2] == 1 and (out.shape[2] == 1 or out.shape[2] >= LONG):  # half the time of a call of BLAS per replica
        return [partial(np.multiply, a, b, out)]
    return [partial(np.matmul, a, b, out)]


def bmm_tn(scratch: Scratch, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Calls:
    """See `Ops`."""
    return bmm(scratch, a.swapaxes(1, 2), b, out)


def bmm_nt(scratch: Scratch, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Calls:
    """See `Ops`."""
    return bmm(scratch, a, b.swapaxes(1, 2), out)


def row_sum(scratch: Scratch, x: np.ndarray, out: np.ndarray) -> Calls:
    """See `Ops`."""
    return bmm(scratch, x, _numbers((1, x.shape[2], 1), 1, x.dtype), out)


def batch_sum(scratch: Scratch, x: np.ndarray, out: np.ndarray) -> Calls:
    """See `Ops`."""
    return bmm(scratch, _numbers((1, 1, x.shape[1]), 1, x.dtype), x, out)


def gather(scratch: Scratch, x: np.ndarray, index: np.ndarray, out: np.ndarray) -> Calls:
    """See `Ops`."""
    return [partial(x.take, index, 0, out, "clip")]


def row_max(scratch: Scratch, x: np.ndarray, index: np.ndarray, work: np.ndarray, out: np.ndarray) -> Calls:
    """See `Ops`."""
    if not (x.flags.c_contiguous and out.flags.c_contiguous):  # what is flat is a copy, and here it would stay one
        return [partial(NumpyOps(NUMPY).row_max, x, out, index, work)]
    add = partial(np.add, index, _row_starts(*x.shape), work)
    return [partial(x.argmax, 2, index), add, *gather(scratch, x.reshape(-1), work, out.reshape(index.shape))]


def extremum(operation: Callable[..., Any]) -> Callable[..., Calls]:
    """For `numpy.maximum` and `numpy.minimum`, which want their `out` by name."""

    def specialize(scratch: Scratch, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Calls:
        alike = a.shape == out.shape and a.flags.c_contiguous and out.flags.c_contiguous
        if not (isinstance(b, float) and alike):
            return [partial(operation, a, b, out=out)]
        numbers, a, out = _numbers((PIECE,), b, out.dtype), a.reshape(-1), out.reshape(-1)
        pieces = [slice(i, min(i + PIECE, len(a))) for i in range(0, len(a), PIECE)]
        return [partial(operation, a[at], numbers[: at.stop - at.start], out=out[at]) for at in pieces]

    return specialize


def elementwise(operation: Callable[..., Any]) -> Callable[..., Calls]:
    """For a ufunc such as `numpy.add`."""

    def specialize(scratch: Scratch, *operands: Any, out: np.ndarray) -> Calls:
        calls: Calls = []
        ready = []
        k = _rows_at_once(operands, out)
        for slot, operand in enumerate(operands):
            if isinstance(operand, (int, float)):
                operand = np.asarray(operand, dtype=out.dtype)
            elif operand.size == 1 < out.size:
                operand = operand.reshape(())
            elif k > 1 and operand.shape != out.shape:
                repeated = scratch.take(slot, (len(operand), k, operand.shape[2]), operand.dtype)
                calls.append(partial(repeated.__setitem__, ..., operand))
                operand = repeated.reshape(len(operand), 1, -1)
            elif k > 1:
                operand = _together(operand, k)
            elif operand.shape != out.shape and out.shape[0] == 1 and out.shape[-1] <= NARROW:
                everywhere = scratch.take(slot, out.shape, operand.dtype)
                calls.append(partial(everywhere.__setitem__, ..., operand))
                operand = everywhere
            ready.append(operand)
        return [*calls, partial(operation, *ready, _together(out, k) if k > 1 else out)]

    return specialize


def _rows_at_once(operands: Sequence[Any], out: np.ndarray) -> int:
    """How many rows of a network are taken as one, where rows (R or 1, 1, n) meet arrays (R, B, n)."""
    arrays = [operand for operand in operands if getattr(operand, "size", 1) > 1]
    rows = [a for a in arrays if a.ndim == 3 and a.shape != out.shape and a.shape[1:] == (1, out.shape[-1])]
    if not rows:
        return 1
    whole = [a for a in (*arrays, out) if a.shape == out.shape]
    if len(whole) + len(rows) != len(arrays) + 1 or not all(a.flags.c_contiguous for a in whole):
        return 1
    R, B, n = out.shape
    alone = FEW_NUMBERS if n <= SHORT_ROW and B > FEW_ROWS else MANY_NUMBERS
    most = min(ROWS, NUMBERS // n) if R > 1 else alone // n
    return max((k for k in range(1, min(most, B) + 1) if B % k == 0), default=1)


def _together(array: np.ndarray, k: int) -> np.ndarray:
    """An array (R, B, n) as (R, B / k, k n)."""
    R, B, n = array.shape
    return array.reshape(R, B // k, k * n)


SPECIALIZED: dict[str, Callable[..., Calls]] = {
    **{f.__name__: f for f in (bmm, bmm_tn, bmm_nt, row_sum, batch_sum, row_max, gather)},
    **{f.__name__: extremum(f) for f in (np.maximum, np.minimum)},
    **{f.__name__: elementwise(f) for f in (np.add, np.subtract, np.multiply, np.divide)},
}
"""Name of an operation of `Ops` or NumPy -> what it comes to."""
