"""The machine: one compiled function that plays any program, for float32 or float64.

It is compiled once per type, and kept on disk.
"""

from __future__ import annotations

from typing import Any

from numba import njit, types

from . import gathers, products
from . import kernels as do
from .kernels import FAST
from .table import ADDRESSES, NAMES, OP

(
    COPY, NEGATIVE, ABS, SQUARE, SIGN, CEIL, SQRT, EXP, EXPM1, LOG, LOG1P, TANH, ADD, SUBTRACT, MULTIPLY, DIVIDE,
    MAXIMUM, MINIMUM, EQUAL, GREATER_EQUAL, WHERE, SUM_INNER, SUM_OUTER, LARGEST_INNER, LARGEST_OUTER, ONE_HOT, TAKE,
    GATHER, GATHER_LABELS, LABELS, FLAGS, PRODUCT_ROWS, PRODUCT_DOTS, PRODUCT_ANY, PRODUCT_BLAS, TANH_GRADIENT,
    SUBTRACT_SCALED,
) = range(len(NAMES))  # fmt: skip


def arguments(name: str) -> tuple[Any, ...]:
    """The types of what `play` gets, for float32 or float64."""
    table, whole = types.Array(types.int64, 2, "C"), types.int64
    return (table, table, table, table, whole, table, whole, whole, whole, whole, getattr(types, name))


def make(digest: str, kept: bool) -> Any:
    """The machine; `digest` stands for all text that it is made of, so that numba keeps versions apart."""
    compiled: Any = njit(**{**FAST, "no_cpython_wrapper": False}, cache=kept)

    @compiled
    def play(
        lines: Any, base: Any, step: Any, moving: Any, once: Any, bases: Any, own: Any, first: Any, last: Any,
        steps: Any, t: Any,
    ) -> Any:  # fmt: skip
        digest  # noqa: B018  (so that numba sees it)
        n = lines.shape[0]
        now = lines.copy()
        for r in range(first, last):
            for line in range(n):
                for j in range(4):
                    place = ADDRESSES[j]
                    of = base[line, j]
                    now[line, place] = lines[line, place] + (own if of == 0 else bases[r, of])
            for s in range(steps):
                for line in range(once if s else 0, n):
                    q = now[line]
                    op = q[OP]
                    if op == COPY:
                        do.copy(q, t)
                    elif op == NEGATIVE:
                        do.negative(q, t)
                    elif op == ABS:
                        do.absolute(q, t)
                    elif op == SQUARE:
                        do.square(q, t)
                    elif op == SIGN:
                        do.sign(q, t)
                    elif op == CEIL:
                        do.ceil(q, t)
                    elif op == SQRT:
                        do.sqrt(q, t)
                    elif op == EXP:
                        do.exp(q, t)
                    elif op == EXPM1:
                        do.expm1(q, t)
                    elif op == LOG:
                        do.log(q, t)
                    elif op == LOG1P:
                        do.log1p(q, t)
                    elif op == TANH:
                        do.tanh(q, t)
                    elif op == ADD:
                        do.add(q, t)
                    elif op == SUBTRACT:
                        do.subtract(q, t)
                    elif op == MULTIPLY:
                        do.multiply(q, t)
                    elif op == DIVIDE:
                        do.divide(q, t)
                    elif op == MAXIMUM:
                        do.maximum(q, t)
                    elif op == MINIMUM:
                        do.minimum(q, t)
                    elif op == EQUAL:
                        do.equal(q, t)
                    elif op == GREATER_EQUAL:
                        do.greater_equal(q, t)
                    elif op == WHERE:
                        do.where(q, t)
                    elif op == SUM_INNER:
                        do.sum_inner(q, t)
                    elif op == SUM_OUTER:
                        do.sum_outer(q, t)
                    elif op == LARGEST_INNER:
                        do.largest_inner(q, t)
                    elif op == LARGEST_OUTER:
                        do.largest_outer(q, t)
                    elif op == ONE_HOT:
                        gathers.one_hot(q, t)
                    elif op == TAKE:
                        gathers.take(q, t)
                    elif op == GATHER:
                        gathers.gather(q, t)
                    elif op == GATHER_LABELS:
                        gathers.gather_labels(q, t)
                    elif op == LABELS:
                        gathers.labels(q, t)
                    elif op == FLAGS:
                        gathers.flags(q, t)
                    elif op == PRODUCT_ROWS:
                        products.product_rows(q, t)
                    elif op == PRODUCT_DOTS:
                        products.product_dots(q, t)
                    elif op == PRODUCT_ANY:
                        products.product_any(q, t)
                    elif op == PRODUCT_BLAS:
                        products.product_blas(q, t)
                    elif op == TANH_GRADIENT:
                        do.tanh_gradient(q, t)
                    elif op == SUBTRACT_SCALED:
                        do.subtract_scaled(q, t)
                for m in range(moving.shape[0]):
                    line, j = moving[m, 0], moving[m, 1]
                    now[line, ADDRESSES[j]] += step[line, j]
        return 0

    return play
