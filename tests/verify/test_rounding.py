"""Rounding is measured where it happens, and nothing stays between a layer and its operations."""

import numpy as np

import xbnet
from xbnet.optim.penalties import Penalty
from xbnet.verify.functionals import Cost
from xbnet.verify.objective import Objective
from xbnet.verify.problem import Problem

EPS = float(np.finfo(float).eps)


def objective_of(network, loss, x, y):
    theta = np.array(network.theta, dtype=float)
    return Objective(Problem(network, theta, x[None], Cost(loss, y[None], None, "classification"), Penalty()))


def test_cancellation_within_a_loss_shows():
    """softplus(8) - 8 = 3e-4, good to a rounding of 8 and not of 3e-4."""
    network = xbnet.Network([xbnet.Linear(1)], 1, dtype="float64", rng=0)
    network.theta[...] = [[1.0, 0.0]]
    objective = objective_of(network, xbnet.BinaryCrossEntropy(), np.array([[8.0]]), np.array([0]))
    noise = objective.noise(EPS)
    assert objective.value().f[0] < 4e-4
    assert EPS < noise.f[0] < 100 * EPS


def test_cancellation_within_a_layer_shows():
    """Rows around 1e6 with a spread of 1: their mean is good to 1e-10, so x-hat is no better."""
    x = 1e6 + np.random.default_rng(0).standard_normal((8, 3))
    y = np.arange(8) % 2
    near, far = (
        objective_of(
            xbnet.Network([xbnet.BatchNorm(), xbnet.Linear(2)], 3, dtype="float64", rng=0),
            xbnet.MeanSquaredError(),
            z,
            y,
        ).noise(EPS)
        for z in (x - 1e6, x)
    )
    assert far.entry("1.W")[0] > 1e4 * near.entry("1.W")[0]


def test_cancellation_behind_an_activation_shows():
    """tanh(16) is 1 - 2e-14, good to 1e-16, and what is left of its spread is made 1e5 times larger."""
    layers = [xbnet.Linear(1, "tanh"), xbnet.BatchNorm(), xbnet.BatchNorm(), xbnet.Linear(2)]
    network = xbnet.Network(layers, 1, dtype="float64", rng=0)
    network.parameters["0.W"][...] = 16.0
    x = 1 + 0.01 * np.random.default_rng(0).standard_normal((8, 1))
    noise = objective_of(network, xbnet.MeanSquaredError(), x, np.arange(8) % 2).noise(EPS)
    assert noise.f[0] > 1e3 * EPS


def test_operations_are_the_backends_own_outside_of_a_measurement():
    network = xbnet.Network([xbnet.Linear(3, "tanh"), xbnet.BatchNorm()], 2, dtype="float64", rng=0)
    objective = objective_of(network, xbnet.SoftmaxCrossEntropy(), np.ones((4, 2)), np.array([0, 1, 2, 0]))
    before = objective.value().f, objective.gradient()
    objective.noise(1e-3)
    for owner in (objective.network, network):
        for layer in owner.layers:
            assert layer.xp is network.backend.xp
            assert layer.ops is network.backend.ops
    np.testing.assert_array_equal(objective.value().f, before[0])
    for block, part in objective.gradient().items():
        np.testing.assert_array_equal(part, before[1][block])


def test_measured_with_another_precision_it_scales():
    network = xbnet.Network([xbnet.Linear(3, "tanh"), xbnet.Linear(3)], 2, dtype="float64", rng=0)
    objective = objective_of(network, xbnet.SoftmaxCrossEntropy(), np.ones((4, 2)), np.array([0, 1, 2, 0]))
    fine, coarse = objective.noise(1e-12), objective.noise(1e-8)
    assert 1e3 < coarse.f[0] / fine.f[0] < 1e5
    assert 1e3 < coarse.entry("theta")[0] / fine.entry("theta")[0] < 1e5
