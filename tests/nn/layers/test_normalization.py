import numpy as np
import pytest

from tests.support import cases
from tests.support.errors import refuses
from xbnet import BatchNorm, ConfigError, LayerNorm, Linear, Network

R = 2


def net_of(layer, **more):
    net = Network([layer], 4, replicas=R, dtype="float64", rng=0, **more)
    net.theta[...] = np.random.default_rng(0).normal(size=net.theta.shape)
    return net


@pytest.mark.parametrize("leading", [1, R])
def test_batch_norm_by_the_formula(leading):
    net = net_of(BatchNorm(momentum=0.3, eps=0.01))
    x, _ = cases.device_samples(net, leading=leading)
    x = x * 3 + 5
    y = net.forward(x, training=True)
    full = np.broadcast_to(x, (R, *x.shape[1:]))
    mean, var = full.mean(axis=1, keepdims=True), full.var(axis=1, keepdims=True)
    gain, offset = net.parameters["0.gain"], net.parameters["0.offset"]
    np.testing.assert_allclose(y, gain * (full - mean) / np.sqrt(var + 0.01) + offset)
    np.testing.assert_allclose(net.statistics["0.running_mean"], 0.3 * mean)
    np.testing.assert_allclose(net.statistics["0.running_var"], 0.7 + 0.3 * full.var(axis=1, keepdims=True, ddof=1))


def test_batch_norm_predicts_with_the_running_statistics():
    net = net_of(BatchNorm(eps=0.01))
    net.state[...] = np.random.default_rng(1).uniform(1, 2, net.state.shape)
    x, _ = cases.device_samples(net)
    mean, var = net.statistics["0.running_mean"], net.statistics["0.running_var"]
    expected = net.parameters["0.gain"] * (x - mean) / np.sqrt(var + 0.01) + net.parameters["0.offset"]
    before = net.state.copy()
    np.testing.assert_allclose(net.forward(x), expected)
    np.testing.assert_array_equal(net.state, before)


def test_running_statistics_come_near_the_data():
    net = net_of(BatchNorm(momentum=0.1))
    rng = np.random.default_rng(0)
    for _ in range(80):
        net.forward(rng.normal(3.0, 2.0, size=(1, 200, 4)), training=True)
    np.testing.assert_allclose(net.statistics["0.running_mean"], 3.0, rtol=0.05)
    np.testing.assert_allclose(net.statistics["0.running_var"], 4.0, rtol=0.1)


def test_frozen_statistics_stay():
    net = net_of(BatchNorm())
    net.layers[0].frozen = True
    before = net.state.copy()
    net.forward(cases.device_samples(net)[0], training=True)
    np.testing.assert_array_equal(net.state, before)


def test_a_batch_of_one_row_is_finite_and_moves_no_statistics():
    net = net_of(BatchNorm())
    before = net.state.copy()
    y = net.forward(cases.device_samples(net, B=1)[0], training=True)
    np.testing.assert_array_equal(y, net.parameters["0.offset"])
    dx = np.full((R, 1, 4), np.nan)
    net.backward(np.ones((R, 1, 4)), dx)
    np.testing.assert_array_equal(dx, 0)
    np.testing.assert_array_equal(net.state, before)


@pytest.mark.parametrize("leading", [1, R])
def test_layer_norm_by_the_formula(leading):
    net = net_of(LayerNorm(eps=0.01))
    x, _ = cases.device_samples(net, leading=leading)
    mean, var = x.mean(axis=2, keepdims=True), x.var(axis=2, keepdims=True)
    expected = net.parameters["0.gain"] * (x - mean) / np.sqrt(var + 0.01) + net.parameters["0.offset"]
    np.testing.assert_allclose(net.forward(x, training=True), expected)
    np.testing.assert_allclose(net.forward(x), expected)


@pytest.mark.parametrize("layer", [BatchNorm(), LayerNorm()])
def test_a_constant_feature_is_no_division_by_zero(layer):
    net = net_of(layer)
    x = np.full((R, 5, 4), 7.0)
    np.testing.assert_allclose(net.forward(x, training=True), np.broadcast_to(net.parameters["0.offset"], x.shape))
    dx = np.full_like(x, np.nan)
    net.backward(np.ones_like(x), dx)
    assert np.isfinite(dx).all()


def test_statistics_start_neutral():
    net = Network([Linear(3), BatchNorm(), LayerNorm()], 2)
    for k in (1, 2):
        assert np.all(net.parameters[f"{k}.gain"] == 1)
        assert np.all(net.parameters[f"{k}.offset"] == 0)
    assert np.all(net.statistics["1.running_mean"] == 0)
    assert np.all(net.statistics["1.running_var"] == 1)


BATCH = "BatchNorm: expected "


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: BatchNorm(momentum=0), f"{BATCH}momentum in (0, 1], got 0"),
        (lambda: BatchNorm(momentum=1.5), f"{BATCH}momentum in (0, 1], got 1.5"),
        (lambda: BatchNorm(eps=0), f"{BATCH}eps in (0, inf), got 0"),
        (lambda: BatchNorm(eps="a"), f"{BATCH}eps in (0, inf), got 'a'"),
        (lambda: LayerNorm(eps=-1), "LayerNorm: expected eps in (0, inf), got -1"),
        (lambda: LayerNorm(eps=None), "LayerNorm: expected eps in (0, inf), got None"),
    ],
)
def test_bad_input(make, line):
    with refuses(ConfigError, line):
        make()
