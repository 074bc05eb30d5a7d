"""The instructions' kernels: loops over contiguous numbers, which LLVM turns into vector instructions.

Every kernel gets a line of the program, with addresses filled in, and `t`, a number of the type that it works on. The
columns of a line have the names that `table` gives them. Loops within one long function stay scalar, so each
instruction is a function of its own. An operation in place is written as ``y[i] = f(y[i], ...)``: of two arrays that
turn out to be the same LLVM would believe that they overlap, and stay scalar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.core import cgutils

from . import functions
from .functions import like, lowered
from .table import (
    A0,
    A1,
    APART,
    B0,
    B1,
    BY_NUMBER,
    C0,
    IN_PLACE,
    IN_PLACE_BY_NUMBER,
    IN_SECOND,
    IN_SECOND_OF_NUMBER,
    MODE,
    N0,
    N1,
    OF_NUMBER,
    OUT,
    OUT0,
    OUT1,
    A,
    B,
    C,
)  # fmt: skip

FAST: dict[str, Any] = {"fastmath": {"reassoc", "contract", "nsz"}, "error_model": "numpy", "nogil": True}
FAST |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Not `fastmath=True`: that also promises that no NaN comes up, and a network that diverges would not be noticed."""
fast: Any = njit(**FAST)


@lowered
def row(typingctx: Any, address: Any, t: Any) -> Any:
    """An address as a pointer to numbers of the type of t."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(t)(types.int64, t), codegen


@lowered
def integers(typingctx: Any, address: Any) -> Any:
    """An address as a pointer to whole numbers."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.intp_t.as_pointer())

    return types.CPointer(types.int64)(types.int64), codegen


def named(name: str, f: Callable[..., Any]) -> Any:
    """Compile a function under a name of its own.

    numba numbers functions of one name, starting again in each process: on disk, tanh stood for square.
    """
    f.__qualname__ = name
    return fast(f)


def unary(name: str, f: Callable[[Any], Any]) -> Any:
    """out[i, j] = f(a[i, j])."""
    f = f if hasattr(f, "py_func") else named(f"{name}_of_a_number", f)

    def run(q: Any, t: Any) -> None:
        n, mode, out1, a1 = q[N1], q[MODE], q[OUT1], q[A1]
        for i in range(q[N0]):
            y = row(q[OUT] + i * q[OUT0], t)
            if mode == IN_PLACE:
                for j in range(n):
                    y[j] = f(y[j])
            elif mode == APART:
                x = row(q[A] + i * q[A0], t)
                for j in range(n):
                    y[j] = f(x[j])
            else:
                x = row(q[A] + i * q[A0], t)
                for j in range(n):
                    y[j * out1] = f(x[j * a1])

    return named(name, run)


def binary(name: str, f: Callable[[Any, Any], Any]) -> Any:
    """out[i, j] = f(a[i, j], b[i, j]), where an operand may be one number for all j."""
    f = f if hasattr(f, "py_func") else named(f"{name}_of_two_numbers", f)

    def run(q: Any, t: Any) -> None:
        n, mode, out1, a1, b1 = q[N1], q[MODE], q[OUT1], q[A1], q[B1]
        for i in range(q[N0]):
            y = row(q[OUT] + i * q[OUT0], t)
            x = row(q[A] + i * q[A0], t)
            z = row(q[B] + i * q[B0], t)
            if mode == IN_PLACE:
                for j in range(n):
                    y[j] = f(y[j], z[j])
            elif mode == APART:
                for j in range(n):
                    y[j] = f(x[j], z[j])
            elif mode == IN_PLACE_BY_NUMBER:
                c = z[0]
                for j in range(n):
                    y[j] = f(y[j], c)
            elif mode == BY_NUMBER:
                c = z[0]
                for j in range(n):
                    y[j] = f(x[j], c)
            elif mode == IN_SECOND:
                for j in range(n):
                    y[j] = f(x[j], y[j])
            elif mode == IN_SECOND_OF_NUMBER:
                c = x[0]
                for j in range(n):
                    y[j] = f(c, y[j])
            elif mode == OF_NUMBER:
                c = x[0]
                for j in range(n):
                    y[j] = f(c, z[j])
            else:
                for j in range(n):
                    y[j * out1] = f(x[j * a1], z[j * b1])

    return named(name, run)


@fast
def _sign(x: Any) -> Any:
    y = like(x, 1) if x > like(x, 0) else like(x, 0)
    y = like(x, -1) if x < like(x, 0) else y
    return y if x == x else x


@fast
def _maximum(a: Any, b: Any) -> Any:
    """NaN where one of them is."""
    return a if (a >= b) | (a != a) else b


@fast
def _minimum(a: Any, b: Any) -> Any:
    return a if (a <= b) | (a != a) else b


copy = unary("copy", lambda x: x)
negative = unary("negative", lambda x: -x)
absolute = unary("absolute", lambda x: abs(x))
square = unary("square", lambda x: x * x)
sign = unary("sign", _sign)
ceil = unary("ceil", lambda x: np.ceil(x))
sqrt = unary("sqrt", lambda x: np.sqrt(x))
exp = unary("exp", lambda x: functions.exp(x))
expm1 = unary("expm1", lambda x: functions.expm1(x))
log = unary("log", lambda x: functions.log(x))
log1p = unary("log1p", lambda x: functions.log1p(x))
tanh = unary("tanh", lambda x: functions.tanh(x))
add = binary("add", lambda a, b: a + b)
subtract = binary("subtract", lambda a, b: a - b)
multiply = binary("multiply", lambda a, b: a * b)
divide = binary("divide", lambda a, b: a / b)
maximum = binary("maximum", _maximum)
minimum = binary("minimum", _minimum)
equal = binary("equal", lambda a, b: like(a, 1) if a == b else like(a, 0))
greater_equal = binary("greater_equal", lambda a, b: like(a, 1) if a >= b else like(a, 0))


@fast
def where(q: Any, t: Any) -> None:
    """out[i, j] = a[i, j] where b[i, j] is not 0, else what it was."""
    n, out1, a1, b1 = q[N1], q[OUT1], q[A1], q[B1]
    for i in range(q[N0]):
        y = row(q[OUT] + i * q[OUT0], t)
        x = row(q[A] + i * q[A0], t)
        z = row(q[B] + i * q[B0], t)
        for j in range(n):
            if z[j * b1] != like(t, 0):
                y[j * out1] = x[j * a1]


@fast
def sum_inner(q: Any, t: Any) -> None:
    """out[i] = the sum of a[i, :], whose numbers are contiguous; OUT0 is the distance in `out`."""
    n = q[N1]
    for i in range(q[N0]):
        x, total = row(q[A] + i * q[A0], t), like(t, 0)
        for j in range(n):
            total += x[j]
        row(q[OUT] + i * q[OUT0], t)[0] = total


@fast
def sum_outer(q: Any, t: Any) -> None:
    """out[j] = the sum of a[:, j]."""
    n, m = q[N1], q[N0]
    y, x = row(q[OUT], t), row(q[A], t)
    for j in range(n):
        y[j] = x[j]
    i = 1
    while i + 3 < m:
        a, b = row(q[A] + i * q[A0], t), row(q[A] + (i + 1) * q[A0], t)
        c, d = row(q[A] + (i + 2) * q[A0], t), row(q[A] + (i + 3) * q[A0], t)
        for j in range(n):
            y[j] += (a[j] + b[j]) + (c[j] + d[j])
        i += 4
    while i < m:
        x = row(q[A] + i * q[A0], t)
        for j in range(n):
            y[j] += x[j]
        i += 1


@fast
def largest_outer(q: Any, t: Any) -> None:
    """out[j] = the largest of a[:, j], c[j] the first i where it is; NaN is larger than all."""
    n = q[N1]
    y, where_, x = row(q[OUT], t), row(q[C], t), row(q[A], t)
    for j in range(n):
        y[j] = x[j]
    for j in range(n):
        where_[j] = like(t, 0)
    for i in range(1, q[N0]):
        x, now = row(q[A] + i * q[A0], t), like(t, i)
        for j in range(n):
            new, old = x[j], y[j]
            better = (not (new <= old)) & (old == old)
            where_[j] = now if better else where_[j]
            y[j] = new if better else old


@fast
def largest_inner(q: Any, t: Any) -> None:
    """out[i] = the largest of a[i, :], c[i] the first j where it is."""
    for i in range(q[N0]):
        x, at = row(q[A] + i * q[A0], t), 0
        for j in range(1, q[N1]):
            if not (x[j] <= x[at]) and x[at] == x[at]:
                at = j
        row(q[OUT] + i * q[OUT0], t)[0] = x[at]
        row(q[C] + i * q[C0], t)[0] = like(t, at)


# -- neighbours that are one pass together ------------------------------------------------------------


@fast
def tanh_gradient(q: Any, t: Any) -> None:
    """out -= out a^2."""
    n = q[N1]
    for i in range(q[N0]):
        y, x = row(q[OUT] + i * q[OUT0], t), row(q[A] + i * q[A0], t)
        for j in range(n):
            y[j] -= x[j] * x[j] * y[j]


@fast
def subtract_scaled(q: Any, t: Any) -> None:
    """out -= a b, b one number for all j."""
    n = q[N1]
    for i in range(q[N0]):
        y, x, c = row(q[OUT] + i * q[OUT0], t), row(q[A] + i * q[A0], t), row(q[B] + i * q[B0], t)[0]
        for j in range(n):
            y[j] -= x[j] * c


@fast
def relu_gradient(q: Any, t: Any) -> None:
    """out = out where a > 0, 0 where it is 0, NaN where it is NaN; a is no smaller than 0."""
    n = q[N1]
    for i in range(q[N0]):
        y, x = row(q[OUT] + i * q[OUT0], t), row(q[A] + i * q[A0], t)
        for j in range(n):
            y[j] *= _minimum(np.ceil(x[j]), like(t, 1))


@fast
def bias_relu(q: Any, t: Any) -> None:
    """out = the larger one of a + b and 0, for rows a[i, :] and a row b[:]."""
    n = q[N1]
    z = row(q[B], t)
    for i in range(q[N0]):
        y, x = row(q[OUT] + i * q[OUT0], t), row(q[A] + i * q[A0], t)
        for j in range(n):
            y[j] = _maximum(x[j] + z[j], like(t, 0))
