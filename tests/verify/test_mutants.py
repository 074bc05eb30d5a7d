"""The checker checked: it fails broken code, and says where it is broken."""

import re

import numpy as np
import pytest

import xbnet
from xbnet.optim.penalties import BoundPenalty

from .mutants import MUTANTS, half_penalty, plain


def batch():
    rng = np.random.default_rng(3)
    return rng.standard_normal((6, 4)), rng.integers(0, 3, 6)


def network_of(layers, dtype="float64"):
    return xbnet.Network(layers, 4, replicas=2, dtype=dtype, rng=1)


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught_and_named(name):
    mutant = MUTANTS[name]
    x, y = batch()
    result = xbnet.gradient_test(network_of(mutant.layers()), mutant.loss, x, y, **dict(mutant.settings))
    assert not result.passed
    assert any(line.startswith(mutant.blames) for line in result.failures()), "\n".join(result.failures())
    with pytest.raises(xbnet.GradientError, match=re.escape(result.failures()[0])) as caught:
        result.raise_if_failed()
    assert caught.value.exit_code == 1
    assert caught.value.result is result
    assert "FAILED" in str(result)


def test_half_penalty_is_caught(monkeypatch):
    monkeypatch.setattr(BoundPenalty, "add_gradient", half_penalty)
    x, y = batch()
    result = xbnet.gradient_test(network_of(plain()), "cross_entropy", x, y, l2=0.1)
    assert any(line.startswith("0.W[") for line in result.failures())


@pytest.mark.parametrize("seed", range(3))
def test_slope_that_is_off_by_3e_6_is_found(seed):
    class Slight(xbnet.Linear):
        def backward(self, dy, dx):
            super().backward(dy, dx)
            self.dW *= 1 + 3e-6

    x, y = batch()
    network = xbnet.Network([Slight(5, "tanh"), xbnet.Linear(3)], 4, replicas=2, dtype="float64", rng=seed)
    assert xbnet.gradient_test(network, "cross_entropy", x, y, rng=seed).passed is False


class Largest(xbnet.Layer):
    """x where it is the largest of its row, else 0; rounding of the maximum makes it equal to nothing."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x, training):
        largest = self.xp.max(x, axis=2, keepdims=True, out=self.xp.empty((*x.shape[:2], 1), dtype=x.dtype))
        self.here = x == largest
        return x * self.here

    def backward(self, dy, dx):
        if dx is not None:
            dx[...] = self.factor * dy * self.here


@pytest.mark.parametrize("factor", [1.0, 7.0, 1.001])
def test_equality_that_the_rounding_probe_breaks_excuses_nothing(factor):
    x, y = batch()
    network = network_of([xbnet.Linear(4, "tanh"), Largest(factor), xbnet.Linear(3)])
    result = xbnet.gradient_test(network, "cross_entropy", x, y)
    assert result.passed is None  # right or wrong, what is seen is no more than rounding does
    assert result.reasons()[0] == "0.W[r=0]: rounding may hide 1e+00 of the slope"
    assert xbnet.jacobian_test(Largest(factor), x).passed is (None if factor == 1 else False)  # <u, J v> needs no probe
