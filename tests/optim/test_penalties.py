import numpy as np
import pytest

from tests.support import cases
from tests.support.errors import refuses
from xbnet import ConfigError, Network
from xbnet.optim.penalties import Penalty

R = 2


def stack(row="deep"):
    net = cases.network(row, replicas=R)
    net.theta[...] = np.random.default_rng(0).normal(size=net.theta.shape)  # biases too
    net.grad[...] = 7.0
    return net


@pytest.mark.parametrize(("l2", "l1"), [(0.1, 0.0), (0.0, 0.1), (0.2, 0.3), ([0.1, 0.0], [0.0, 0.5])])
@pytest.mark.parametrize("row", cases.LAYERS)
def test_value_and_gradient_touch_weights_and_nothing_else(row, l2, l1):
    net = stack(row)
    bound = Penalty(l2, l1).bind(net)
    value = bound.value()
    bound.add_gradient()
    for r in range(R):
        a, b = cases.one_of(l2, r), cases.one_of(l1, r)
        total = 0.0
        for spec in net.specs:
            block, gradient = net.parameters[spec.name][r], net.gradients[spec.name][r]
            if spec.is_weight:
                total += a * (block**2).sum() + b * np.abs(block).sum()
                np.testing.assert_allclose(gradient, 7.0 + 2 * a * block + b * np.sign(block))
            else:
                assert np.all(gradient == 7.0), spec.name
        assert value[r, 0] == pytest.approx(total)


def test_which_blocks_are_weights():
    assert [s.name for s in cases.network("deep").specs if s.is_weight] == ["0.W", "2.W1", "2.W2", "5.W"]


def test_no_penalty_does_nothing():
    net = stack()
    bound = Penalty().bind(net)
    assert not bound.active
    assert not Penalty(1.0).bind(Network([cases.LayerNorm()], 3)).active, "no weights, no penalty"


def test_select():
    chosen = Penalty([0.1, 0.2], 0.5).select(np.array([1]))
    assert (chosen.l2.tolist(), chosen.l1) == ([0.2], 0.5)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Penalty(l2=-1), "penalty: expected l2 >= 0, got -1"),
        (lambda: Penalty(l1=[0.1, float("inf")]), "penalty: expected l1 >= 0, got [0.1, inf]"),
        (lambda: Penalty("a"), "l2: expected a number or one per replica, got 'a'"),
        (lambda: Penalty([1, 2, 3]).bind(stack()), "l2: expected a number or one per replica (R=2), got shape (3,)"),
    ],
)
def test_bad_input(make, line):
    with refuses(ConfigError, line):
        make()
