import numpy as np
import pytest

from tests.support.errors import refuses
from xbnet import ConfigError, Dropout, Network, replica_seeds

R, B, WIDTH = 3, 400, 50
RATES = [0.0, 0.25, 0.8]


def dropped(seed=0, rates=RATES, dtype="float64"):
    net = Network([Dropout(rates)], WIDTH, replicas=R, dtype=dtype, rng=seed)
    return net, net.forward(np.ones((1, B, WIDTH), dtype), training=True)


def test_entries_are_0_or_scaled_up_at_each_replicas_rate():
    _, y = dropped()
    for r, rate in enumerate(RATES):
        assert set(np.unique(y[r])) <= {0.0, 1 / (1 - rate)}
        assert np.mean(y[r] == 0) == pytest.approx(rate, abs=0.02)
        assert y[r].mean() == pytest.approx(1, abs=0.05)


def test_when_not_training_each_replica_has_an_output_of_its_own():
    net = Network([Dropout(RATES), Dropout(0.5)], WIDTH, replicas=R, rng=0)
    x = np.random.default_rng(0).normal(size=(1, B, WIDTH)).astype("float32")
    y = net.forward(x)
    assert y.shape == (R, B, WIDTH)
    np.testing.assert_array_equal(y, np.broadcast_to(x, y.shape))
    assert net.predict_proba(x[0]).shape == (R, B, WIDTH)


def test_backward_uses_the_same_mask():
    net, y = dropped()
    dx = np.empty((R, B, WIDTH))
    net.backward(np.full((R, B, WIDTH), 2.0), dx)
    np.testing.assert_array_equal(dx, 2 * y)


def test_every_forward_draws_anew_and_frozen_ones_do_not():
    net, y = dropped()
    first = y.copy()
    x = np.ones((1, B, WIDTH))
    assert not np.array_equal(net.forward(x, training=True)[1:], first[1:])
    net.layers[0].frozen = True
    second = net.forward(x, training=True).copy()
    np.testing.assert_array_equal(net.forward(x, training=True), second)


def test_not_training_it_is_the_identity():
    net, _ = dropped()
    x = np.random.default_rng(0).normal(size=(R, B, WIDTH))
    np.testing.assert_array_equal(net.forward(x), x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_replicas_masks_are_those_of_its_solo_run(dtype):
    _, y = dropped(dtype=dtype)
    for r, seed in enumerate(replica_seeds(0, R)):
        alone = Network([Dropout(RATES[r])], WIDTH, dtype=dtype, rng=[seed])
        np.testing.assert_array_equal(alone.forward(np.ones((1, B, WIDTH), dtype), training=True)[0], y[r])


def test_replicas_draw_different_masks():
    _, y = dropped(rates=0.5)
    assert not np.array_equal(y[0], y[1])


@pytest.mark.parametrize("rate", [1, 1.0, -0.1, float("nan"), [0.1, 1.0]])
def test_bad_rates(rate):
    with refuses(ConfigError, f"Dropout: expected a rate in [0, 1), or one per replica, got {rate!r}"):
        Dropout(rate)


@pytest.mark.parametrize("rate", ["a", [[0.1]]])
def test_no_rates(rate):
    with refuses(ConfigError, f"Dropout: expected a number or one per replica, got {rate!r}"):
        Dropout(rate)
