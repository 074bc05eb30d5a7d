"""Products: out (M, N) = a (M, K) b (K, N), M in the column N0, N in N1. All distances are in bytes."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from .functions import like, lowered
from .kernels import fast, row
from .table import A0, A1, B0, B1, C0, MODE, N0, N1, OUT, OUT0, OUT1, A, B, C, K


@fast
def product_rows(q: Any, t: Any) -> None:
    """Rows of b that are contiguous, times numbers of a, are added up; A0 and A1 are the distances in a, in bytes.

    Two rows of the result and four of b at a time. Where K is no multiple of four, the first rows of b are fewer, and
    their place is taken by the first one times 0. C are numbers to begin with, one per row of the result (a bias).
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


@fast
def _four(at: Any, one: Any, two: Any, three: Any, t: Any) -> Any:
    """The numbers at an address and at these distances from it."""
    return row(at, t)[0], row(at + one, t)[0], row(at + two, t)[0], row(at + three, t)[0]


@fast
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


@fast
def product_any(q: Any, t: Any) -> None:
    """Any distances, all in bytes, B0 along K and B1 along N: one number after the other."""
    for m in range(q[N0]):
        for n in range(q[N1]):
            total = like(t, 0)
            for k in range(q[K]):
                total += row(q[A] + m * q[A0] + k * q[A1], t)[0] * row(q[B] + k * q[B0] + n * q[B1], t)[0]
            row(q[OUT] + m * q[OUT0] + n * q[OUT1], t)[0] = total


@lowered
def gemm(typingctx: Any, address: Any, turns: Any, sizes: Any, places: Any, leads: Any, t: Any) -> Any:
    """Fortran's xGEMM at an address: C = A B, for arrays in Fortran's order.

    `turns` says of A and B whether they are the other way round; `sizes` are the rows and columns of C and the length
    of the sums; `places` and `leads` are addresses and distances between columns of A, B and C.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, byte, number = ir.IntType(32), ir.IntType(8), context.get_value_type(signature.args[5])
        address, turns, sizes, places, leads, _ = arguments
        take = lambda pack, k: builder.extract_value(pack, k)  # noqa: E731
        keep = lambda value: cgutils.alloca_once_value(builder, value)  # noqa: E731
        whole = lambda pack, k: keep(builder.trunc(take(pack, k), word))  # noqa: E731
        at = lambda k: builder.inttoptr(take(places, k), number.as_pointer())  # noqa: E731
        letter = lambda k: keep(  # noqa: E731
            builder.select(
                builder.icmp_signed("!=", take(turns, k), ir.Constant(ir.IntType(64), 0)), byte(84), byte(78)
            )
        )
        one, none = keep(ir.Constant(number, 1.0)), keep(ir.Constant(number, 0.0))
        given = [letter(0), letter(1), whole(sizes, 0), whole(sizes, 1), whole(sizes, 2), one]
        given += [at(0), whole(leads, 0), at(1), whole(leads, 1), none, at(2), whole(leads, 2)]
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in given])
        builder.call(builder.inttoptr(address, kind.as_pointer()), given)
        return context.get_dummy_value()

    return types.void(address, turns, sizes, places, leads, t), codegen


@fast
def product_blas(q: Any, t: Any) -> None:
    """By BLAS, whose address is in C; MODE says which operands are the other way round: 1 for a, 2 for b.

    BLAS sees arrays with rows and columns exchanged, so it makes b^T a^T.
    """
    mode = q[MODE]
    gemm(q[C], (mode >> 1, mode & 1), (q[N1], q[N0], q[K]), (q[B], q[A], q[OUT]), (q[B1], q[A1], q[OUT1]), t)
