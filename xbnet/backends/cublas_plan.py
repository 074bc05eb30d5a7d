"""From the layouts of arrays to the arguments of one cuBLAS call; no device is needed."""

from __future__ import annotations

from typing import Any, NamedTuple

LARGEST = 2**31 - 1
"""Sizes and leading dimensions are C ints."""


class Plan(NamedTuple):
    """The arguments of `cublasGemmStridedBatchedEx` but for types and pointers; strides in elements.

    cuBLAS reads matrices by columns, so it sees a matrix of rows as its transpose, and is asked for
    ``out^T = b^T a^T``. `first_is_b` says so; where `out` itself is stored by columns, a stays first.
    """

    first_is_b: bool
    transpose_first: int
    transpose_second: int
    m: int
    n: int
    k: int
    ld_first: int
    stride_first: int
    ld_second: int
    stride_second: int
    ld_out: int
    stride_out: int
    batch: int


class _Stack(NamedTuple):
    """A stack of matrices (rows, columns) in memory: `down` and `across` are the steps from one entry to the next."""

    rows: int
    columns: int
    down: int
    across: int
    stride: int

    @property
    def T(self) -> _Stack:
        """Each matrix transposed."""
        return _Stack(self.columns, self.rows, self.across, self.down, self.stride)

    def leading(self) -> int | None:
        """From one column to the next, where columns are contiguous and don't overlap; else None."""
        if (self.down != 1 and self.rows > 1) or (self.across < self.rows and self.columns > 1):
            return None
        return self.across if self.columns > 1 else self.rows


def plan(a: Any, b: Any, out: Any) -> Plan | None:
    """How one cuBLAS call computes out (R, M, N) = a (R or 1, M, K) b (R or 1, K, N); None where it can't.

    Operands may be views: slices of rows of theta, swapped axes, parts of padded arrays, one matrix for all replicas.
    It can't where neither rows nor columns of a matrix are contiguous, steps are negative, types differ, a size is 0
    or more than a C int holds, or replicas of `out` are on top of each other.
    """
    if not a.dtype == b.dtype == out.dtype or out.dtype.name not in ("float32", "float64"):
        return None
    R = out.shape[0]
    left, right, result = (_stack(array, R) for array in (a, b, out))
    if left is None or right is None or result is None or (R > 1 and result.stride == 0):
        return None
    if (left.rows, left.columns, right.columns) != (result.rows, right.rows, result.columns):
        return None
    first_is_b = result.T.leading() is not None  # rows are contiguous
    if first_is_b:
        left, right, result = right.T, left.T, result.T
    first, second, ld_out = _operand(left), _operand(right), result.leading()
    if first is None or second is None or ld_out is None:
        return None
    found = Plan(
        first_is_b, first[0], second[0], result.rows, result.columns, left.columns,
        first[1], left.stride, second[1], right.stride, ld_out, result.stride, R,
    )  # fmt: skip
    sizes = (found.m, found.n, found.k, found.ld_first, found.ld_second, found.ld_out, found.batch)
    return found if min(sizes) > 0 and max(sizes) <= LARGEST else None


def _stack(array: Any, R: int) -> _Stack | None:
    """The layout of (R or 1, rows, columns), in elements; None where steps are negative or not whole elements."""
    if array.shape[0] not in (1, R) or any(s < 0 or s % array.itemsize for s in array.strides):
        return None
    stride, down, across = (s // array.itemsize for s in array.strides)
    return _Stack(array.shape[1], array.shape[2], down, across, 0 if array.shape[0] == 1 else stride)


def _operand(matrix: _Stack) -> tuple[int, int] | None:
    """(0, leading dimension) where columns are contiguous, (1, ...) where rows are and cuBLAS has to transpose."""
    for transpose, seen in ((0, matrix), (1, matrix.T)):
        leading = seen.leading()
        if leading is not None:
            return transpose, leading
    return None
