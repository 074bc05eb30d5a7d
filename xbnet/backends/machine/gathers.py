"""Instructions that look numbers up: rows by their numbers, labels, truth values. See `kernels`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .functions import like
from .kernels import fast, integers, row
from .table import A0, A1, B0, C0, N0, N1, OUT, OUT0, OUT1, A, B


@fast
def one_hot(q: Any, t: Any) -> None:
    """out[i, j] = 1 where b[j] is i, else 0."""
    n = q[N1]
    z = row(q[B], t)
    for i in range(q[N0]):
        y, now = row(q[OUT] + i * q[OUT0], t), like(t, i)
        for j in range(n):
            y[j] = like(t, 1) if z[j] == now else like(t, 0)


@fast
def take(q: Any, t: Any) -> None:
    """out[i, j] = a[b[i], j], b whole numbers that are stored as floats."""
    out1, a1 = q[OUT1], q[A1]
    for i in range(q[N0]):
        at = np.int64(row(q[B] + i * q[B0], t)[0])
        y, x = row(q[OUT] + i * q[OUT0], t), row(q[A] + at * q[A0], t)
        for j in range(q[N1]):
            y[j * out1] = x[j * a1]


@fast
def lookup(q: Any, t: Any) -> None:
    """out[i, j] = a[b[i], j], b to the nearest whole number; 0 where b[i] is none of the C0 rows of a."""
    out1, a1, n, most = q[OUT1], q[A1], q[N1], like(t, q[C0]) - like(t, 0.5)
    for i in range(q[N0]):
        code = row(q[B] + i * q[B0], t)[0]
        y = row(q[OUT] + i * q[OUT0], t)
        if code > like(t, -0.5) and code < most:
            x = row(q[A] + np.int64(code + like(t, 0.5)) * q[A0], t)
            for j in range(n):
                y[j * out1] = x[j * a1]
        else:
            for j in range(n):
                y[j * out1] = like(t, 0)


@fast
def lookup_gradient(q: Any, t: Any) -> None:
    """out[k, j] = sum of a[i, j] over all i where b[i] is k, in the order of i; out has C0 rows."""
    out1, a1, n, most = q[OUT1], q[A1], q[N1], like(t, q[C0]) - like(t, 0.5)
    for k in range(q[C0]):
        y = row(q[OUT] + k * q[OUT0], t)
        for j in range(n):
            y[j * out1] = like(t, 0)
    for i in range(q[N0]):
        code = row(q[B] + i * q[B0], t)[0]
        if code > like(t, -0.5) and code < most:
            y, x = row(q[OUT] + np.int64(code + like(t, 0.5)) * q[OUT0], t), row(q[A] + i * q[A0], t)
            for j in range(n):
                y[j * out1] += x[j * a1]


@fast
def gather(q: Any, t: Any) -> None:
    """out[i, j] = a[b[i], j], b whole numbers that are contiguous."""
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


@fast
def gather_labels(q: Any, t: Any) -> None:
    """out[i] = a[b[i]], both whole numbers; they are stored as floats."""
    index, x, y = integers(q[B]), integers(q[A]), row(q[OUT], t)
    for i in range(q[N0]):
        y[i] = like(t, x[index[i]])


@fast
def labels(q: Any, t: Any) -> None:
    """out[i] = a[i], whole numbers that are stored as floats."""
    x, y = integers(q[A]), row(q[OUT], t)
    for i in range(q[N0]):
        y[i] = like(t, x[i])


@fast
def flags(q: Any, t: Any) -> None:
    """out[i] = a[i], bytes that are stored as floats."""
    x, y = row(q[A], np.uint8(0)), row(q[OUT], t)
    for i in range(q[N0]):
        y[i] = like(t, x[i])
