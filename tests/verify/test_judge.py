"""The rule that decides: known curves with known verdicts."""

import numpy as np
import pytest

from xbnet.verify.verdicts import judge

E = 0.5 ** np.arange(32)
EPS = np.finfo(float).eps
CLEAN = np.ones(32, bool)


def verdict(f, slope, *, noise=1e-16, clean=CLEAN, tolerance=0.05):
    """Of f(e) with rounding of that size."""
    rng = np.random.default_rng(0)
    difference = np.array([f(e) - f(0.0) for e in E]) + rng.uniform(-noise, noise, len(E))
    return judge(E, difference, slope, 1e-16, np.full(len(E), 2 * noise), clean, tolerance)


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (np.exp, 1.0),
        (lambda e: 3 * e**2 + e, 1.0),
        (lambda e: np.tanh(1 + e), 1 - np.tanh(1) ** 2),
        (lambda e: np.cos(1 + 20 * e), -20 * np.sin(1)),
    ],
)
def test_right_slope_passes_with_orders_1_and_2(f, slope):
    found = verdict(f, slope)
    assert found.passed
    assert found.note == ""
    assert found.typical
    np.testing.assert_allclose(found.orders, [1, 2], atol=0.05)


@pytest.mark.parametrize("factor", [0.0, 7.0, -1.0, 0.999, 1 + 1e-5])
def test_wrong_slope_fails_with_order_1(factor):
    found = verdict(np.exp, factor)
    assert not found.passed
    assert found.orders[1] < 1.95
    assert 0.3 < found.error / (abs(1 - factor) / max(1, abs(factor))) < 1.01


def test_linear_function_passes():
    found = verdict(lambda e: 2 * e, 2.0)
    assert (found.passed, found.note, found.typical) == (True, "linear", True)
    assert found.orders[0] == pytest.approx(1)
    assert np.isnan(found.orders[1])
    assert found.error < 1e-14


def test_linear_function_with_a_wrong_slope_fails():
    assert not verdict(lambda e: 2 * e, 2.0001).passed


def test_constant_function_passes_only_with_slope_0():
    found = verdict(lambda e: 0 * e, 0.0)
    assert (found.passed, found.note) == (True, "flat")
    assert not verdict(lambda e: 0 * e, 1e-3).passed


def test_function_without_a_single_rounding_passes():
    assert judge(E, 0 * E, 0.0, 0.0, 0 * E, CLEAN, 0.05).passed


def test_cubic_remainder_passes_with_its_higher_order():
    found = verdict(lambda e: e + e**3, 1.0)
    assert found.passed
    assert found.orders[1] == pytest.approx(3, abs=0.01)
    assert not found.typical  # another direction is tried, in the hope of order 2


def test_remainder_that_bends_where_rounding_begins_passes():
    """Terms of e^2 and e^3 with opposite signs, and only a few points above rounding: no order shows, nor an error."""
    found = verdict(lambda e: e + 1e-9 * (e**2 - 0.6 * e**3), 1.0, noise=1e-14)
    assert found.passed
    assert found.note in ("no linear part", "linear", "by agreement", "")
    assert not verdict(lambda e: e + 1e-9 * (e**2 - 0.6 * e**3), 1.0 + 1e-9, noise=1e-14).passed


def test_points_beyond_a_kink_take_no_part():
    def bent(e):
        return e + e**2 + (10 * (e - 0.01) if e > 0.01 else 0.0)

    clean = E <= 0.01
    found = verdict(bent, 1.0, clean=clean)
    assert found.passed
    assert not (found.judged[0] & ~clean).any()
    assert not (found.judged[1] & ~clean).any()


def test_kink_near_by_leaves_agreement_to_judge():
    clean = E < 1e-7
    assert verdict(lambda e: e + e**2, 1.0, noise=1e-18, clean=clean).note == "by agreement"
    assert verdict(lambda e: e + e**2, 1.0, noise=1e-18, clean=clean).passed
    assert not verdict(lambda e: e + e**2, 1.01, noise=1e-18, clean=clean).passed


def test_flat_function_with_a_kink_near_by_passes_only_with_slope_0():
    clean = E < 1e-7
    assert verdict(lambda e: 0 * e, 0.0, clean=clean).passed
    assert not verdict(lambda e: 0 * e, 1e-6, clean=clean).passed
    assert not verdict(lambda e: 1e-3 * e, 0.0, clean=clean).passed


def test_nothing_to_judge_is_not_a_pass():
    found = verdict(np.exp, 1.0, clean=~CLEAN)
    assert not found.passed
    assert found.note == "every step crosses a kink"
    assert not verdict(lambda e: np.nan * e, 1.0).passed
    assert not verdict(np.exp, np.nan).passed


def test_jump_fails_the_first_curve():
    found = verdict(lambda e: float(e > 0) * 1e-3 + e, 1.0)
    assert not found.passed
    assert found.orders[0] < 0.5


def test_small_error_is_not_excused_by_smaller_steps():
    """At steps below 1e-6, where another direction looks, a slope off by 1e-6 vanishes in rounding."""
    failed = verdict(np.exp, 1 + 1e-6)
    closer = judge(E / 2**20, np.expm1(E / 2**20), 1 + 1e-6, 0.0, np.full(32, 2e-15), CLEAN, 0.05)
    assert not failed.passed
    assert closer.passed
    assert failed.quality > verdict(np.exp, 1.0).quality > closer.quality - 1
