"""What each instruction does: loops over numbers that lie side by side, which LLVM turns into vector instructions.

Every kernel gets a line of the program, with addresses filled in, and `t`, a number of the type that it works on. The
columns of a line have the names that `table` gives them. Loops within one long function stay scalar, so each instruction is a
function of its own. An operation in place is written as ``y[i] = f(y[i], ...)``: of two arrays that turn out to be the
same LLVM would believe that they overlap, and stay scalar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from . import functions
from .functions import like
from .table import (
    A, A0, A1, APART, B, B0, B1, BY_NUMBER, C, C0, IN_PLACE, IN_PLACE_BY_NUMBER, IN_SECOND, IN_SECOND_OF_NUMBER, K, MODE,
    N0, N1, OF_NUMBER, OUT, OUT0, OUT1,
)  # fmt: skip

FAST = {"fastmath": {"reassoc", "contract", "nsz"}, "error_model": "numpy", "nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Not `fastmath=True`: that also promises that no NaN comes up, and a network that diverges would not be noticed."""


@intrinsic
def row(typingctx: Any, address: Any, t: Any) -> Any:
    """An address as a pointer to numbers of the type of t."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(t)(types.int64, t), codegen


@intrinsic
def integers(typingctx: Any, address: Any) -> Any:
    """An address as a pointer to whole numbers."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.intp_t.as_pointer())

    return types.CPointer(types.int64)(types.int64), codegen


def unary(f: Callable[[Any], Any]) -> Any:
    """out[i, j] = f(a[i, j])."""

    @njit(**FAST)
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

    return run


def binary(f: Callable[[Any, Any], Any]) -> Any:
    """out[i, j] = f(a[i, j], b[i, j]), where an operand may be one number for all j."""

    @njit(**FAST)
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

    return run


def _scalar(f: Callable[..., Any]) -> Any:
    return njit(**FAST)(f)


@_scalar
def _sign(x: Any) -> Any:
    y = like(x, 1) if x > like(x, 0) else like(x, 0)
    y = like(x, -1) if x < like(x, 0) else y
    return y if x == x else x


@_scalar
def _maximum(a: Any, b: Any) -> Any:
    """NaN where one of them is."""
    return a if (a >= b) | (a != a) else b


@_scalar
def _minimum(a: Any, b: Any) -> Any:
    return a if (a <= b) | (a != a) else b


copy = unary(_scalar(lambda x: x))
negative = unary(_scalar(lambda x: -x))
absolute = unary(_scalar(lambda x: abs(x)))
square = unary(_scalar(lambda x: x * x))
sign = unary(_sign)
ceil = unary(_scalar(lambda x: np.ceil(x)))
sqrt = unary(_scalar(lambda x: np.sqrt(x)))
exp = unary(_scalar(lambda x: functions.exp(x)))
expm1 = unary(_scalar(lambda x: functions.expm1(x)))
log = unary(_scalar(lambda x: functions.log(x)))
log1p = unary(_scalar(lambda x: functions.log1p(x)))
tanh = unary(_scalar(lambda x: functions.tanh(x)))
add = binary(_scalar(lambda a, b: a + b))
subtract = binary(_scalar(lambda a, b: a - b))
multiply = binary(_scalar(lambda a, b: a * b))
divide = binary(_scalar(lambda a, b: a / b))
maximum = binary(_maximum)
minimum = binary(_minimum)
equal = binary(_scalar(lambda a, b: like(a, 1) if a == b else like(a, 0)))
greater_equal = binary(_scalar(lambda a, b: like(a, 1) if a >= b else like(a, 0)))


@njit(**FAST)
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


@njit(**FAST)
def sum_inner(q: Any, t: Any) -> None:
    """out[i] = the sum of a[i, :], whose numbers lie side by side; OUT0 is the distance in `out`."""
    n = q[N1]
    for i in range(q[N0]):
        x, total = row(q[A] + i * q[A0], t), like(t, 0)
        for j in range(n):
            total += x[j]
        row(q[OUT] + i * q[OUT0], t)[0] = total


@njit(**FAST)
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


@njit(**FAST)
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


@njit(**FAST)
def largest_inner(q: Any, t: Any) -> None:
    """out[i] = the largest of a[i, :], c[i] the first j where it is."""
    for i in range(q[N0]):
        x, at = row(q[A] + i * q[A0], t), 0
        for j in range(1, q[N1]):
            if not (x[j] <= x[at]) and x[at] == x[at]:
                at = j
        row(q[OUT] + i * q[OUT0], t)[0] = x[at]
        row(q[C] + i * q[C0], t)[0] = like(t, at)


@njit(**FAST)
def one_hot(q: Any, t: Any) -> None:
    """out[i, j] = 1 where b[j] is i, else 0."""
    n = q[N1]
    z = row(q[B], t)
    for i in range(q[N0]):
        y, now = row(q[OUT] + i * q[OUT0], t), like(t, i)
        for j in range(n):
            y[j] = like(t, 1) if z[j] == now else like(t, 0)


@njit(**FAST)
def take(q: Any, t: Any) -> None:
    """out[i, j] = a[b[i], j], b whole numbers that are stored as floats."""
    out1, a1 = q[OUT1], q[A1]
    for i in range(q[N0]):
        at = np.int64(row(q[B] + i * q[B0], t)[0])
        y, x = row(q[OUT] + i * q[OUT0], t), row(q[A] + at * q[A0], t)
        for j in range(q[N1]):
            y[j * out1] = x[j * a1]


@njit(**FAST)
def gather(q: Any, t: Any) -> None:
    """out[i, j] = a[b[i], j], b whole numbers that lie side by side."""
    out1, index, n = q[OUT1], integers(q[B]), q[N1]
    if out1 == 1:
        for i in range(q[N0]):
            y, x = row(q[OUT] + i * q[OUT0], t), row(q[A] + index[i] * q[A0], t)
            for j in range(n):
                y[j] = x[j]
        return
    for i in range(q[N0]):
        y, x = row(q[OUT] + i * q[OUT0], t), row(q[A] + index[i] * q[A0], t)
        for j in range(n):
            y[j * out1] = x[j]


@njit(**FAST)
def gather_labels(q: Any, t: Any) -> None:
    """out[i] = a[b[i]], both whole numbers; they are stored as floats."""
    index, x, y = integers(q[B]), integers(q[A]), row(q[OUT], t)
    for i in range(q[N0]):
        y[i] = like(t, x[index[i]])


@njit(**FAST)
def labels(q: Any, t: Any) -> None:
    """out[i] = a[i], whole numbers that are stored as floats."""
    x, y = integers(q[A]), row(q[OUT], t)
    for i in range(q[N0]):
        y[i] = like(t, x[i])


@njit(**FAST)
def flags(q: Any, t: Any) -> None:
    """out[i] = a[i], bytes that are stored as floats."""
    x, y = row(q[A], np.uint8(0)), row(q[OUT], t)
    for i in range(q[N0]):
        y[i] = like(t, x[i])


# -- products: out (M, N) = a (M, K) b (K, N), M in N0, N in N1 -----------------------------------------------------------


@njit(**FAST)
def product_rows(q: Any, t: Any) -> None:
    """Rows of b that lie side by side, times numbers of a, are added up; A0 and A1 are the distances in a, in bytes.

    Two rows of the result and four of b at a time. Where K is no multiple of four, the first rows of b are fewer, and their
    place is taken by the first one times 0. C are numbers to begin with, one per row of the result (a bias).
    """
    M, N = q[N0], q[N1]
    a0, a1 = q[A0], q[A1]
    m = 0
    while m < M:
        two = m + 1 < M
        at = q[A] + m * a0
        bt = at + a0 if two else at
        y = row(q[OUT] + m * q[OUT0], t)
        z = row(q[OUT] + (m + 1) * q[OUT0], t) if two else y
        c = row(q[C] + m * q[C0], t)[0] if q[C] else like(t, 0)
        d = row(q[C] + (m + 1) * q[C0], t)[0] if q[C] and two else like(t, 0)
        k = (q[K] - 1) & 3
        i1, i2, i3 = 1 if k > 0 else 0, 2 if k > 1 else 0, 3 if k > 2 else 0
        x0, x1, x2, x3 = row(q[B], t), row(q[B] + i1 * q[B0], t), row(q[B] + i2 * q[B0], t), row(q[B] + i3 * q[B0], t)
        one, none = like(t, 1), like(t, 0)
        f1, f2, f3 = one if k > 0 else none, one if k > 1 else none, one if k > 2 else none
        v0, v1, v2, v3 = _four(at, i1 * a1, i2 * a1, i3 * a1, t)
        w0, w1, w2, w3 = _four(bt, i1 * a1, i2 * a1, i3 * a1, t)
        v1, v2, v3, w1, w2, w3 = v1 * f1, v2 * f2, v3 * f3, w1 * f1, w2 * f2, w3 * f3
        if two:
            for n in range(N):
                y[n] = v0 * x0[n] + v1 * x1[n] + v2 * x2[n] + v3 * x3[n] + c
                z[n] = w0 * x0[n] + w1 * x1[n] + w2 * x2[n] + w3 * x3[n] + d
        else:
            for n in range(N):
                y[n] = v0 * x0[n] + v1 * x1[n] + v2 * x2[n] + v3 * x3[n] + c
        k += 1
        while k < q[K]:
            rest, bt_ = at + k * a1, bt + k * a1
            v0, v1, v2, v3 = _four(rest, a1, 2 * a1, 3 * a1, t)
            w0, w1, w2, w3 = _four(bt_, a1, 2 * a1, 3 * a1, t)
            x = q[B] + k * q[B0]
            x0, x1, x2, x3 = row(x, t), row(x + q[B0], t), row(x + 2 * q[B0], t), row(x + 3 * q[B0], t)
            if two:
                for n in range(N):
                    y[n] += v0 * x0[n] + v1 * x1[n] + v2 * x2[n] + v3 * x3[n]
                    z[n] += w0 * x0[n] + w1 * x1[n] + w2 * x2[n] + w3 * x3[n]
            else:
                for n in range(N):
                    y[n] += v0 * x0[n] + v1 * x1[n] + v2 * x2[n] + v3 * x3[n]
            k += 4
        m += 2


@njit(**FAST)
def _four(at: Any, one: Any, two: Any, three: Any, t: Any) -> Any:
    """The numbers at an address and at these distances from it."""
    return row(at, t)[0], row(at + one, t)[0], row(at + two, t)[0], row(at + three, t)[0]


@njit(**FAST)
def product_dots(q: Any, t: Any) -> None:
    """Rows of a and columns of b, both side by side, are multiplied and summed: B1 is the distance of b's columns.

    Two rows and four columns at a time, the last ones again where there are fewer.
    """
    M, N, k_end, out1 = q[N0], q[N1], q[K], q[OUT1]
    for m in range(0, M, 2):
        other = m + 1 if m + 1 < M else m
        x, y = row(q[A] + m * q[A0], t), row(q[A] + other * q[A0], t)
        at, bt = q[OUT] + m * q[OUT0], q[OUT] + other * q[OUT0]
        n = 0
        while n < N:
            last = N - 1
            j1, j2, j3 = min(n + 1, last), min(n + 2, last), min(n + 3, last)
            d0, d1 = row(q[B] + n * q[B1], t), row(q[B] + j1 * q[B1], t)
            d2, d3 = row(q[B] + j2 * q[B1], t), row(q[B] + j3 * q[B1], t)
            s0 = s1 = s2 = s3 = t0 = t1 = t2 = t3 = like(t, 0)
            if n < last or other > m:
                for k in range(k_end):
                    s0 += x[k] * d0[k]
                    s1 += x[k] * d1[k]
                    s2 += x[k] * d2[k]
                    s3 += x[k] * d3[k]
                    t0 += y[k] * d0[k]
                    t1 += y[k] * d1[k]
                    t2 += y[k] * d2[k]
                    t3 += y[k] * d3[k]
                row(bt + j3 * out1, t)[0] = t3
                row(bt + j2 * out1, t)[0] = t2
                row(bt + j1 * out1, t)[0] = t1
                row(bt + n * out1, t)[0] = t0
                row(at + j3 * out1, t)[0] = s3
                row(at + j2 * out1, t)[0] = s2
                row(at + j1 * out1, t)[0] = s1
                row(at + n * out1, t)[0] = s0
            else:
                for k in range(k_end):
                    s0 += x[k] * d0[k]
                row(at + n * out1, t)[0] = s0
            n += 4


@njit(**FAST)
def product_any(q: Any, t: Any) -> None:
    """Any distances, all in bytes, B0 along K and B1 along N: one number after the other."""
    for m in range(q[N0]):
        for n in range(q[N1]):
            total = like(t, 0)
            for k in range(q[K]):
                total += row(q[A] + m * q[A0] + k * q[A1], t)[0] * row(q[B] + k * q[B0] + n * q[B1], t)[0]
            row(q[OUT] + m * q[OUT0] + n * q[OUT1], t)[0] = total


@njit(**FAST)
def product_blas(q: Any, t: Any) -> None:
    """By BLAS; MODE says which operands lie the other way round: 1 for a, 2 for b."""
    M, N, k_end, mode = q[N0], q[N1], q[K], q[MODE]
    y = carray(row(q[OUT], t), (M, N))
    if mode == 0:
        np.dot(carray(row(q[A], t), (M, k_end)), carray(row(q[B], t), (k_end, N)), y)
    elif mode == 1:
        np.dot(carray(row(q[A], t), (k_end, M)).T, carray(row(q[B], t), (k_end, N)), y)
    elif mode == 2:
        np.dot(carray(row(q[A], t), (M, k_end)), carray(row(q[B], t), (N, k_end)).T, y)
    else:
        np.dot(carray(row(q[A], t), (k_end, M)).T, carray(row(q[B], t), (N, k_end)).T, y)


# -- neighbours that are one pass together ------------------------------------------------------------------------------


@njit(**FAST)
def tanh_gradient(q: Any, t: Any) -> None:
    """out -= out a^2."""
    n = q[N1]
    for i in range(q[N0]):
        y, x = row(q[OUT] + i * q[OUT0], t), row(q[A] + i * q[A0], t)
        for j in range(n):
            y[j] -= x[j] * x[j] * y[j]


@njit(**FAST)
def subtract_scaled(q: Any, t: Any) -> None:
    """out -= a b, b one number for all j."""
    n = q[N1]
    for i in range(q[N0]):
        y, x, c = row(q[OUT] + i * q[OUT0], t), row(q[A] + i * q[A0], t), row(q[B] + i * q[B0], t)[0]
        for j in range(n):
            y[j] -= x[j] * c
