import numpy as np
import pytest

from tests.support import cases
from tests.support.errors import refuses
from xbnet import ConfigError, Network, Residual

KNOWN = "known are elu, gelu, identity, leaky_relu, mish, relu, selu, sigmoid, silu, softplus, tanh"


@pytest.mark.parametrize(
    ("layer", "block"),
    [
        (Residual("tanh"), lambda x, W1, b, W2: x + np.tanh(x @ W1 + b) @ W2),
        (Residual("tanh", begin="relu"), lambda x, W1, b, W2: x + np.tanh(np.maximum(x, 0) @ W1 + b) @ W2),
        (Residual("tanh", end="relu"), lambda x, W1, b, W2: np.maximum(x + np.tanh(x @ W1 + b) @ W2, 0)),
    ],
    ids=["plain", "begin", "end"],
)
def test_values_are_the_formula(layer, block):
    net = Network([layer], 4, replicas=2, dtype="float64", rng=0)
    net.theta[...] = np.random.default_rng(0).normal(size=net.theta.shape)
    x, _ = cases.device_samples(net)
    p = net.parameters
    np.testing.assert_allclose(net.forward(x), block(x, p["0.W1"], p["0.b"], p["0.W2"]))


def test_without_weights_it_is_the_identity():
    net = Network([Residual("tanh", n_hidden=2, initializer="zeros")], 4, dtype="float64")
    x, _ = cases.device_samples(net)
    np.testing.assert_array_equal(net.forward(x, training=True), x)
    dy, dx = np.random.default_rng(0).normal(size=x.shape), np.empty_like(x)
    net.backward(dy.copy(), dx)
    np.testing.assert_array_equal(dx, dy)


def test_widths():
    net = Network([Residual(n_hidden=2), Residual()], 4)
    assert [spec.shape for spec in net.specs] == [(4, 2), (2, 4), (4, 4), (4, 4), (1, 2), (1, 4)]
    assert net.n_outputs == 4


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Residual(n_hidden=0), "Residual: expected n_hidden to be a whole number >= 1, got 0"),
        (lambda: Residual("tnh"), f"activation: unknown activation 'tnh'; did you mean 'tanh'? {KNOWN}"),
        (lambda: Residual(begin="tnh"), f"activation: unknown activation 'tnh'; did you mean 'tanh'? {KNOWN}"),
        (lambda: Residual(end="tnh"), f"activation: unknown activation 'tnh'; did you mean 'tanh'? {KNOWN}"),
    ],
)
def test_bad_input(make, line):
    with refuses(ConfigError, line):
        make()
