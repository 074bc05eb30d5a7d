"""The machine's own tanh, exp, ...: how far they are from the true values, and what they make of NaN and infinity."""

import numpy as np
import pytest

from xbnet.backends.machine.lower import lower
from xbnet.backends.machine.record import Operation

pytest.importorskip("numba")

from xbnet.backends.machine.load import machine

LIMITS = {"exp": 1.2, "expm1": 2.5, "tanh": 2.6, "log": 1.0, "log1p": 1.5, "sin": 1.6, "cos": 1.6}
"""Units in the last place, for both types: what the table in `functions.py` says, and a little."""


def run(name, x):
    """What the machine makes of x (N,)."""
    x, y = x[None], np.empty_like(x)[None]
    program = lower([Operation(name, (x,), (y,))], x.dtype, 1, [], {})
    program.play(machine(x.dtype), program.addresses(1, {}), 1, 0, 1)
    return y[0]


def ulps(y, true, dtype):
    """Distances from the true values (in more digits) where those are finite numbers of the type, else 0."""
    with np.errstate(all="ignore"):
        rounded = true.astype(dtype)
        spacing = np.maximum(np.spacing(np.abs(rounded)), np.finfo(dtype).smallest_subnormal)
        return np.where(np.isfinite(rounded), np.abs(y - true) / spacing.astype(true.dtype), 0).astype(float)


@pytest.mark.parametrize("name", LIMITS)
def test_float32(name):
    x = (np.arange(2**17, dtype=np.uint32) * np.uint32(2**15) + np.uint32(77)).view(np.float32)
    y = run(name, x)
    with np.errstate(all="ignore"):
        true = getattr(np, name)(x.astype(np.float64))
        rounded = true.astype(np.float32)
    assert ulps(y, true, np.float32).max() < LIMITS[name]
    same = (y == rounded) | (np.isnan(y) & np.isnan(rounded))
    assert same[~np.isfinite(rounded)].all()


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="no numbers of more digits to judge by")
@pytest.mark.parametrize("name", LIMITS)
def test_float64(name):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=20_000) * 10 ** rng.uniform(-300, 3, 20_000), rng.uniform(-745, 709, 20_000)])
    with np.errstate(all="ignore"):
        true = getattr(np, name)(x.astype(np.longdouble))
    assert ulps(run(name, x), true, np.float64).max() < LIMITS[name]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "name", ["exp", "expm1", "tanh", "log", "log1p", "sin", "cos", "sign", "abs", "sqrt", "ceil", "negative"]
)
def test_what_is_no_number_stays_so(name, dtype):
    tiny, largest = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -1.0, 1.0, tiny, -tiny, largest, -largest] * 3, dtype)
    with np.errstate(all="ignore"):
        true = getattr(np, name)(x)
    np.testing.assert_allclose(run(name, x), true, rtol=4 * np.finfo(dtype).eps)
