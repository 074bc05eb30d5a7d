import numpy as np
import pytest

from tests.support import cases
from tests.support.errors import refuses
from xbnet import ConfigError, Linear, Network


def test_values_and_gradients_by_hand():
    net = Network([Linear(2)], 3, dtype="float64", rng=0)
    net.parameters["0.W"][0] = [[1, 2], [3, 4], [5, 6]]
    net.parameters["0.b"][0] = [[0.5, -0.5]]
    x = np.array([[[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]]])
    assert net.forward(x, training=True).tolist() == [[[11.5, 13.5], [-1.5, -2.5]]]
    dx = np.empty_like(x)
    net.backward(np.array([[[1.0, 2.0], [-1.0, 0.0]]]), dx)
    assert dx.tolist() == [[[5, 11, 17], [-1, -3, -5]]]
    assert net.gradients["0.W"].tolist() == [[[1, 2], [-1, 0], [3, 4]]]
    assert net.gradients["0.b"].tolist() == [[[0, 2]]]


def test_the_gradient_of_b_is_a_sum_over_the_batch():
    net = cases.network(replicas=2)
    x, _ = cases.device_samples(net)
    dy = np.random.default_rng(0).normal(size=(2, 7, 3))
    net.forward(x, training=True)
    expected = dy.sum(axis=1, keepdims=True)
    net.backward(dy)
    np.testing.assert_allclose(net.gradients["1.b"], expected)


def test_default_initializer_follows_the_activation():
    rng = np.random.default_rng
    for activation, bound in (("tanh", (6 / 700) ** 0.5), (None, (6 / 700) ** 0.5)):
        W = Linear(300, activation)._draw(rng(0), (400, 300))
        assert 0.99 * bound < np.abs(W).max() <= bound
    assert Linear(300, "relu")._draw(rng(0), (400, 300)).std() == pytest.approx((2 / 400) ** 0.5, rel=0.01)


@pytest.mark.parametrize("n", [0, -3, 2.0, "10", True, None])
def test_bad_width(n):
    with refuses(ConfigError, f"Linear: expected n_outputs to be a whole number >= 1, got {n!r}"):
        Linear(n)
