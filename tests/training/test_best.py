"""What a network would end with: a copy while it trains itself, its own rows once others train in its place."""

import numpy as np
import pytest

from xbnet import BatchNorm, Linear, Network
from xbnet.training import best as kept_module
from xbnet.training.best import Kept


def network(backend="numpy"):
    return Network([Linear(4), BatchNorm(), Linear(2)], 3, replicas=4, backend=backend, rng=0)


def host(net):
    return net.backend.to_host(net.theta).copy(), net.backend.to_host(net.state).copy()


@pytest.mark.parametrize("numbers", [1, 1 << 16])
def test_kept_rows_are_those_of_the_time_when_they_were_kept(backend, numbers, monkeypatch):
    monkeypatch.setattr(kept_module, "NUMBERS_AT_ONCE", numbers)
    net = network(backend)
    kept = Kept(net)
    first = host(net)
    net.theta[...], net.state[...] = net.theta + 1, net.state + 1
    kept.keep(net, np.arange(4), np.array([True, False, True, False]))
    live = net.select([0, 3], successor=True)
    kept.settle()
    for now, before in zip(host(net), first, strict=True):
        np.testing.assert_allclose(now, before + np.array([[1], [0], [1], [0]]), rtol=1e-6)
    live.theta[...], live.state[...] = live.theta * 0 + 9, live.state * 0 + 9
    kept.keep(live, np.array([0, 3]), np.array([False, True]))
    for now, of, before in zip(host(net), kept.of(np.array([0, 3])), first, strict=True):
        np.testing.assert_allclose(now[:3], before[:3] + np.array([[1], [0], [1]]), rtol=1e-6)
        assert np.all(now[3] == 9)
        np.testing.assert_array_equal(net.backend.to_host(of), now[[0, 3]])


@pytest.mark.parametrize("settled", [False, True])
def test_what_was_kept_is_restored(settled):
    net = network()
    kept = Kept(net)
    if settled:
        kept.settle()
    rows = np.arange(4)
    theta, state = (array + 1 for array in host(net))
    kept.restore(rows, theta, state)
    for array, now in zip((theta, state), kept.of(rows), strict=True):
        np.testing.assert_array_equal(array, now)


def test_a_successor_takes_over_the_memory_of_the_gradient():
    net = network()
    some = net.select([3, 1], successor=True)
    assert np.shares_memory(some.grad, net.grad)
    assert not np.shares_memory(some.theta, net.theta)
    assert not np.shares_memory(net.select([3, 1]).grad, net.grad)
    x = np.random.default_rng(0).normal(size=(1, 8, 3)).astype("float32")
    for one in (some, net.select([3, 1])):
        one.forward(x, training=True)
        one.backward(np.ones((2, 8, 2), "float32"))
    np.testing.assert_array_equal(some.grad, one.grad)
