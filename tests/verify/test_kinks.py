"""Kinks: seen, avoided, left out, and never taken for an error."""

from dataclasses import replace

import numpy as np
import pytest

import xbnet
from xbnet import Dropout, Linear, Residual
from xbnet.nn.activations import ACTIVATIONS

ZEROS = np.zeros((5, 4))
LABELS = np.array([0, 1, 2, 0, 1])


def relu_network(*layers, **settings):
    return xbnet.Network([*layers, Linear(3)], 4, replicas=2, rng=0, **settings)


def test_inputs_on_the_corner_are_nudged_and_reported():
    """x = 0 and begin="relu": every input of that relu sits on its corner, whatever theta is."""
    network = relu_network(Residual("relu", begin="relu"))
    result = xbnet.gradient_test(network, "cross_entropy", ZEROS, LABELS)
    result.raise_if_failed()
    assert result.placement.nudges >= 1
    assert "nudged" in str(result)


def test_zero_bias_and_zero_rows_pass_without_jitter():
    x = np.random.default_rng(0).standard_normal((5, 4)) * (np.arange(5) % 2)[:, None]
    result = xbnet.gradient_test(relu_network(Linear(6, "relu")), "cross_entropy", x, LABELS, jitter=0)
    result.raise_if_failed()
    assert result.placement.nudges >= 1


def test_what_dropout_has_set_to_zero_needs_no_nudge():
    x = np.random.default_rng(0).standard_normal((5, 4))
    result = xbnet.gradient_test(relu_network(Dropout(0.5), Residual("tanh", begin="relu")), "mse", x, LABELS)
    result.raise_if_failed()
    assert result.placement.nudges == 0
    assert result.placement.watched == 2 * 5 * 4


def test_steps_that_cross_a_kink_are_left_out():
    x = np.random.default_rng(0).standard_normal((50, 4))
    y = np.arange(50) % 3
    result = xbnet.gradient_test(relu_network(Linear(40, "leaky_relu"), Linear(30, "relu")), "mse", x, y)
    result.raise_if_failed()
    curve = result.curves[0]
    assert (~curve.clean).any()
    assert not any((j.judged[1] & ~clean).any() for j, clean in zip(curve.judgements, curve.clean, strict=True))


def test_l1_penalty_at_zero_weights():
    network = xbnet.Network([Linear(3, initializer="zeros")], 4, rng=0)
    x = np.random.default_rng(0).standard_normal((5, 4))
    result = xbnet.gradient_test(network, "mse", x, LABELS, l1=0.1, jitter=0)
    result.raise_if_failed()
    assert result.placement.nudges >= 1
    assert result.placement.watched == 12


def test_numerical_gradient_steps_around_kinks_or_says_nan():
    """One input on the corner itself: no step stays on one side of it."""
    network = xbnet.Network([Linear(2, "relu"), Linear(2)], 1, dtype="float64", rng=0)
    network.parameters["0.W"][...] = [[1.0, 1.0]]
    network.parameters["0.b"][...] = [[-1.0, 0.5]]
    numeric = xbnet.numerical_gradient(network, "mse", [[1.0]], [0])
    np.testing.assert_array_equal(np.isnan(numeric["0.b"]), [[[True, False]]])
    comparison = xbnet.compare_gradients(network, "mse", [[1.0]], [0])
    assert comparison.passed
    assert {b.block: b.left_out for b in comparison.blocks} == {"0.W": 1, "0.b": 1, "1.W": 0, "1.b": 0, "x": 1}


@pytest.mark.parametrize("broken", [0.9, 1.5])
def test_a_wrong_derivative_is_not_excused_by_kinks(broken):
    relu = ACTIVATIONS["relu"]

    def backward(xp, dy, z, y, work):
        relu.backward(xp, dy, z, y, work)
        dy *= broken

    x = np.random.default_rng(0).standard_normal((60, 4))
    network = relu_network(Linear(40, replace(relu, backward=backward)), Linear(40, "relu"))
    result = xbnet.gradient_test(network, "mse", x, np.arange(60) % 3)
    assert not result.passed
    assert result.failures()[0].startswith("0.W[")
