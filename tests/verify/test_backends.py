"""The same tests on every backend that answers."""

import numpy as np

import xbnet


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
