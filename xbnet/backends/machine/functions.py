"""The functions that libm computes one number at a time, written so that loops around them become vector instructions.

No branches, no tables, no calls: a number is split by adding a large one (which rounds it) and by shifting bits, and
what remains goes through a polynomial. NaN stays NaN everywhere, for a diverged network has to be noticed. The
polynomials are fitted to the least relative error. `benchmarks/ulp.py` measures the errors over all of float32, and
docs/compiled.md shows them; the suite holds them over samples.

A function is asked for by its name; numba picks the text for float32 or float64 by the argument's type.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

EXACT: Any = {
    "fastmath": {"contract", "nsz"},
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
"""Never "reassoc" here: it would take the rounding by a large number away."""

exact: Any = njit(**EXACT)
lowered: Any = intrinsic  # mypy would believe that those are called with a typing context

f4, f8 = np.float32, np.float64
i4, i8 = np.int32, np.int64


@lowered
def bits(typingctx: Any, x: Any) -> Any:
    """The bits of a float as an integer of the same size."""
    to: Any = {types.float32: types.int32, types.float64: types.int64}[x]

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(to.bitwidth))

    return to(x), codegen


@lowered
def from_bits(typingctx: Any, n: Any) -> Any:
    """The float that has these bits."""
    to: Any = {types.int32: types.float32, types.int64: types.float64}[n]

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType() if to is types.float32 else ir.DoubleType())

    return to(n), codegen


def like(x: Any, value: Any) -> Any:
    """`value` in the type of x."""
    return type(x)(value)


@overload(like, strict=False)
def _like(x: Any, value: Any) -> Any:
    cast = x
    return lambda x, value: cast(value)


def register(public: Any, single: Any, double: Any) -> None:
    """Let numba compile `public` as `single` or `double`, by the type of its argument."""
    overload(public, jit_options=EXACT, strict=False)(lambda x: single if x is types.float32 else double)


def exp(x: Any) -> Any:
    """e^x = 2^n e^r with n the nearest whole number to x / log 2."""
    return np.exp(x)


def expm1(x: Any) -> Any:
    """e^x - 1 = 2^n (e^r - 1) + (2^n - 1)."""
    return np.expm1(x)


def tanh(x: Any) -> Any:
    """sign(x) u / (u + 2) with u = expm1(2 |x|)."""
    return np.tanh(x)


def log(x: Any) -> Any:
    """n log 2 + log1p(f), with x = 2^n (1 + f) and f in [-1/3, 1/3]."""
    return np.log(x)


def log1p(x: Any) -> Any:
    """log(u) + (x - (u - 1)) / u with u = 1 + x."""
    return np.log1p(x)


# Here each polynomial in r is (e^r - 1 - r) / r^2, over |r| <= log(2) / 2.


def _exp_single(x: Any) -> Any:
    x = f4(-105) if x < f4(-105) else x
    x = f4(89) if x > f4(89) else x
    t = x * f4(1.44269504) + f4(12582912)
    n = t - f4(12582912)
    r = n * f4(-0.693145752) + x
    r = n * f4(-1.42860677e-6) + r
    p = f4(0.0013814596381991255) * r + f4(0.008368717090857866)
    p = p * r + f4(0.04166838809269516)
    p = p * r + f4(0.16666520629439244)
    p = p * r + f4(0.4999999344756018)
    p = p * (r * r) + r + f4(1)
    half = (n * f4(0.5) + f4(12582912)) - f4(12582912)
    return p * _power_single(half) * _power_single(n - half)


@exact
def _power_single(n: Any) -> Any:
    """2^n for a whole number n that is stored as a float, |n| <= 127."""
    return from_bits(i4((bits(n + f4(12582912)) << i4(23)) + i4(0x3F800000)))


def _expm1_single(x: Any) -> Any:
    x = f4(-20) if x < f4(-20) else x
    x = f4(89) if x > f4(89) else x
    t = x * f4(1.44269504) + f4(12582912)
    n = t - f4(12582912)
    r = n * f4(-0.693145752) + x
    r = n * f4(-1.42860677e-6) + r
    p = f4(0.00019790346295790848) * r + f4(0.0013944660256289727)
    p = p * r + f4(0.008333497069537347)
    p = p * r + f4(0.0416662949368967)
    p = p * r + f4(0.1666666586893542)
    p = p * r + f4(0.5000000067685836)
    p = p * (r * r) + r
    half = (n * f4(0.5) + f4(12582912)) - f4(12582912)
    a = _power_single(half)
    return (p * a + (a - _power_single(half - n))) * _power_single(n - half)


def _tanh_single(x: Any) -> Any:
    z = abs(x) * f4(2)
    z = f4(20) if z > f4(20) else z
    n = (z * f4(1.44269504) + f4(12582912)) - f4(12582912)
    r = n * f4(-0.693145752) + z
    r = n * f4(-1.42860677e-6) + r
    p = f4(0.00019790346295790848) * r + f4(0.0013944660256289727)
    p = p * r + f4(0.008333497069537347)
    p = p * r + f4(0.0416662949368967)
    p = p * r + f4(0.1666666586893542)
    p = p * r + f4(0.5000000067685836)
    p = p * (r * r) + r
    s = _power_single(n)
    u = p * s + (s - f4(1))
    y = u / (u + f4(2))
    return from_bits(i4(bits(y) | (bits(x) & i4(-0x80000000))))


def _log_single(x: Any) -> Any:
    small = x < f4(1.17549435e-38)
    a = x * f4(8388608) if small else x
    e = i4((bits(a) - i4(0x3F2AAAAB)) & i4(-0x00800000))
    n = f4(e) * f4(1.1920929e-7) - (f4(23) if small else f4(0))
    f = from_bits(i4(bits(a) - e)) - f4(1)
    p = f4(0.1200705230295298) * f - f4(0.12845076431169528)
    p = p * f + f4(0.10754260709105334)
    p = p * f - f4(0.12195773980820766)
    p = p * f + f4(0.14304454622643184)
    p = p * f - f4(0.16679578630561795)
    p = p * f + f4(0.1999959780891133)
    p = p * f - f4(0.24999820262753092)
    p = p * f + f4(0.33333335744403425)
    s = f * f
    y = n * f4(-2.12194440e-4) + (p * s * f - f4(0.5) * s)
    y = n * f4(0.693359375) + (f + y)
    y = x if x == f4(np.inf) else y
    y = f4(-np.inf) if x == f4(0) else y
    return y if x >= f4(0) else f4(np.nan)


def _exp_double(x: Any) -> Any:
    x = f8(-746) if x < f8(-746) else x
    x = f8(710) if x > f8(710) else x
    n = (x * f8(1.4426950408889634) + f8(6755399441055744)) - f8(6755399441055744)
    r = n * f8(-0.6931471803691238) + x
    r = n * f8(-1.9082149292705877e-10) + r
    p = _polynomial_double(r) * (r * r) + r + f8(1)
    half = (n * f8(0.5) + f8(6755399441055744)) - f8(6755399441055744)
    return p * _power_double(half) * _power_double(n - half)


@exact
def _polynomial_double(r: Any) -> Any:
    p = f8(2.4922386331591347e-08) * r + f8(2.764257489080018e-07)
    p = p * r + f8(2.7557919661186975e-06)
    p = p * r + f8(2.480146213058067e-05)
    p = p * r + f8(0.0001984126902554905)
    p = p * r + f8(0.0013888888969392245)
    p = p * r + f8(0.00833333333376241)
    p = p * r + f8(0.04166666666645124)
    p = p * r + f8(0.1666666666666596)
    return p * r + f8(0.5000000000000016)


@exact
def _power_double(n: Any) -> Any:
    return from_bits((bits(n + f8(6755399441055744)) << i8(52)) + i8(0x3FF0000000000000))


@exact
def _expm1_double(x: Any) -> Any:
    x = f8(-40) if x < f8(-40) else x
    x = f8(710) if x > f8(710) else x
    n = (x * f8(1.4426950408889634) + f8(6755399441055744)) - f8(6755399441055744)
    r = n * f8(-0.6931471803691238) + x
    r = n * f8(-1.9082149292705877e-10) + r
    p = _polynomial_double(r) * (r * r) + r
    half = (n * f8(0.5) + f8(6755399441055744)) - f8(6755399441055744)
    a = _power_double(half)
    return (p * a + (a - _power_double(half - n))) * _power_double(n - half)


def _tanh_double(x: Any) -> Any:
    z = abs(x) * f8(2)
    u = _expm1_double(f8(44) if z > f8(44) else z)
    y = u / (u + f8(2))
    return from_bits(bits(y) | (bits(x) & i8(-0x8000000000000000)))


def _log_double(x: Any) -> Any:
    small = x < f8(2.2250738585072014e-308)
    a = x * f8(4503599627370496) if small else x
    e = (bits(a) - i8(0x3FE5555555555555)) & i8(-0x0010000000000000)
    n = f8(e) * f8(2.220446049250313e-16) - (f8(52) if small else f8(0))
    f = from_bits(bits(a) - e) - f8(1)
    s = f / (f8(2) + f)
    z = s * s
    p = f8(0.1378156785544634) * z + f8(0.13177264243283607)
    p = p * z + f8(0.1539132142536152)
    p = p * z + f8(0.18181643299473874)
    p = p * z + f8(0.22222224970731724)
    p = p * z + f8(0.28571428547642186)
    p = p * z + f8(0.40000000000091296)
    p = p * z + f8(0.6666666666666659)
    h = f8(0.5) * f * f
    y = s * (h + p * z) + n * f8(1.9082149292705877e-10)
    y = n * f8(0.6931471803691238) - ((h - y) - f)
    y = x if x == f8(np.inf) else y
    y = f8(-np.inf) if x == f8(0) else y
    return y if x >= f8(0) else f8(np.nan)


def _log1p(x: Any) -> Any:
    u = like(x, 1) + x
    y = log(u) + (x - (u - like(x, 1))) / u
    y = y if u < like(x, np.inf) else u
    return x if u == like(x, 1) else y if u > like(x, 0) else log(u)


for _public, _single, _double in (
    (exp, _exp_single, _exp_double),
    (expm1, _expm1_single, _expm1_double.py_func),
    (tanh, _tanh_single, _tanh_double),
    (log, _log_single, _log_double),
    (log1p, _log1p, _log1p),
):
    register(_public, _single, _double)
