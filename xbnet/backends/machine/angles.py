"""Sine and cosine, whose argument may be as large as a number gets.

Up to `FAR` the nearest multiple of pi / 2 is subtracted in three parts, of which the first two have 33 bits, so that
their products with a whole number below 2^20 are exact. A polynomial does the rest, and loops become vector
instructions. Float32 is computed in float64: that costs less than a reduction in parts of float32, and nearly every
result is the nearest number. A row that holds an angle beyond `FAR` asks the C library for that one. What becomes of a
number never depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .functions import bits, exact, f8, from_bits, i8, like, register
from .kernels import named, row
from .table import A0, A1, APART, IN_PLACE, MODE, N0, N1, OUT, OUT0, OUT1, A

FAR = 1e6
"""Beyond this an angle's multiple of pi / 2 has more bits than the reduction can take."""


def sin(x: Any) -> Any:
    """+-sin r or +-cos r with r = x - n pi / 2, by n modulo 4."""
    return np.sin(x)


def cos(x: Any) -> Any:
    """sin(x + pi / 2), with n + 1 in the place of n."""
    return np.cos(x)


@exact
def _by_quarter(x: Any, more: Any) -> Any:
    """The sine of x + more pi / 2, |x| <= FAR."""
    t = x * f8(0.6366197723675814) + f8(6755399441055744)
    n = t - f8(6755399441055744)
    quarter = bits(t) + more
    r = n * f8(-1.5707963267341256) + x
    r = n * f8(-6.077100506303966e-11) + r
    r = n * f8(-2.0222662487959506e-21) + r
    z = r * r
    p = f8(1.58969099521155010221e-10) * z - f8(2.50507602534068634195e-08)
    p = p * z + f8(2.75573137070700676789e-06)
    p = p * z - f8(1.98412698298579493134e-04)
    p = p * z + f8(8.33333333332248946124e-03)
    p = p * z - f8(1.66666666666666324348e-01)
    sine = p * (z * r) + r
    p = f8(-1.13596475577881948265e-11) * z + f8(2.08757232129817482790e-09)
    p = p * z - f8(2.75573143513906633035e-07)
    p = p * z + f8(2.48015872894767294178e-05)
    p = p * z - f8(1.38888888888741095749e-03)
    p = p * z + f8(4.16666666666666019037e-02)
    half = f8(0.5) * z
    rest = f8(1) - half
    cosine = rest + (((f8(1) - rest) - half) + p * (z * z))
    y = cosine if quarter & i8(1) else sine
    return from_bits(bits(y) ^ ((quarter & i8(2)) << i8(62)))


def _sin_double(x: Any) -> Any:
    return _by_quarter(x, i8(0))


def _cos_double(x: Any) -> Any:
    return _by_quarter(x, i8(1))


def _sin_single(x: Any) -> Any:
    return np.float32(_by_quarter(f8(x), i8(0)))


def _cos_single(x: Any) -> Any:
    return np.float32(_by_quarter(f8(x), i8(1)))


register(sin, _sin_single, _sin_double)
register(cos, _cos_single, _cos_double)


def angular(name: str, near: Callable[[Any], Any], far: Callable[[Any], Any]) -> Any:
    """out[i, j] = near(a[i, j]) up to `FAR`, and far(a[i, j]) beyond."""
    near, far = named(f"{name}_near", near), named(f"{name}_far", far)

    def run(q: Any, t: Any) -> None:
        n, mode, out1, a1 = q[N1], q[MODE], q[OUT1], q[A1]
        for i in range(q[N0]):
            y, x, beyond = row(q[OUT] + i * q[OUT0], t), row(q[A] + i * q[A0], t), like(t, 0)
            for j in range(n):
                beyond += like(t, 1) if abs(x[j * a1]) > like(t, FAR) else like(t, 0)
            if beyond > like(t, 0):
                for j in range(n):
                    v = x[j * a1]
                    y[j * out1] = far(v) if abs(v) > like(t, FAR) else near(v)
            elif mode == IN_PLACE:
                for j in range(n):
                    y[j] = near(y[j])
            elif mode == APART:
                for j in range(n):
                    y[j] = near(x[j])
            else:
                for j in range(n):
                    y[j * out1] = near(x[j * a1])

    return named(name, run)


sine = angular("sin", lambda x: sin(x), lambda x: np.sin(f8(x)))
cosine = angular("cos", lambda x: cos(x), lambda x: np.cos(f8(x)))
