"""The same tests on every backend that answers."""

import numpy as np

import xbnet
from tests.support.devices import emulation


def test_gradient_and_jacobian_on_every_backend(backend):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((4, 3)), rng.integers(0, 2, 4)
    layers = [xbnet.Linear(3, "relu"), xbnet.Dropout(0.2), xbnet.BatchNorm(), xbnet.Linear(2)]
    network = xbnet.Network(layers, 3, replicas=2, backend=backend, rng=0)
    before = backend.to_host(network.theta).copy()
    xbnet.gradient_test(network, "cross_entropy", x, y, l1=0.01, steps=20).raise_if_failed()
    np.testing.assert_array_equal(backend.to_host(network.theta), before)


def test_comparison_on_every_backend(backend):
    x = np.random.default_rng(0).standard_normal((2, 2))
    network = xbnet.Network([xbnet.Linear(2, "tanh")], 2, backend=backend, rng=0)
    xbnet.compare_gradients(network, "mse", x, [0, 1]).raise_if_failed()
    assert xbnet.jacobian(network, x)["0.W"].shape == (1, 2, 2, 2, 2)


def test_kinks_are_seen_where_one_kernel_does_what_a_layer_does():
    """Nobody calls an activation's forward there."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 4)), rng.integers(0, 3, 20)
    layers = [xbnet.Linear(30, "relu"), xbnet.Residual("leaky_relu", begin="relu"), xbnet.Linear(3)]
    network = xbnet.Network(layers, 4, replicas=2, dtype="float64", rng=0, backend=emulation.backend())
    result = xbnet.gradient_test(network, "cross_entropy", x, y)
    assert result.passed, str(result)
    assert result.placement.watched == 2 * 20 * 90
    assert any((~curve.clean).any() for curve in result.curves)
    xbnet.training_test(network, "cross_entropy", "adam", (x, y), levels=["eager"]).raise_if_failed()


def test_a_layer_of_a_network_keeps_its_replicas():
    network = xbnet.Network([xbnet.Dropout([0.1, 0.2, 0.3]), xbnet.Linear(3)], 4, replicas=3, rng=0)
    result = xbnet.jacobian_test(network.layers[0], np.random.default_rng(0).standard_normal((5, 4)))
    assert result.passed, str(result)
    assert "R=3" in result.title
