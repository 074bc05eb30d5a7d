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
