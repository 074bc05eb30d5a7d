"""The compiled machine by itself: threads, where its code is kept, what it refuses, and when "auto" takes it."""

import numpy as np
import pytest

import xbnet
from tests.support import cases
from tests.support.errors import refuses
from tests.training.execution.test_levels import Scale, train
from xbnet import BatchNorm, Dropout, Linear, Residual

pytest.importorskip("numba")


class NewArrays(Scale):
    replayable = True

    def forward(self, x, training):
        return super().forward(self.xp.tanh(x), training)


@pytest.fixture(params=[1, 2, 5])
def threads(request, monkeypatch):
    """However little there is to do."""
    monkeypatch.setattr("xbnet.backends.machine.threads.WORTH_A_THREAD", 1)
    monkeypatch.setattr("xbnet.backends.machine.threads.count_cores", lambda: request.param)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_on_any_number_of_threads_a_member_ends_in_the_bits_of_the_network_alone(threads, dtype):
    R, rates = 5, [0.1, 0.05, 0.2, 0.01, 0.02]
    layers = [Linear(40, "tanh"), BatchNorm(), Dropout([0.1, 0.2, 0.3, 0.4, 0.5]), Residual("gelu"), Linear(70, "relu")]
    settings = {"l2": [0, 0.1, 0, 0.01, 0], "clip_norm": [1, 2, 0.1, 4, 5]}
    stack = cases.network(layers, replicas=R, dtype=dtype)
    train(stack, "compiled", optimizer=xbnet.Adam(rates), rng=None, **settings)
    for r, seed in enumerate(xbnet.replica_seeds(0, R)):
        layers[2] = Dropout(0.1 * (r + 1))
        alone = cases.network(layers, dtype=dtype, rng=[seed])
        mine = {key: values[r] for key, values in settings.items()}
        train(alone, "compiled", optimizer=xbnet.Adam(rates[r]), rng=None, **mine)
        np.testing.assert_array_equal(stack.theta[r], alone.theta[0])
        np.testing.assert_array_equal(stack.state[r], alone.state[0])


def test_stretches_change_nothing(monkeypatch):
    """Epochs that are played some steps at a time."""
    nets = [cases.network("deep", replicas=2) for _ in range(2)]
    train(nets[0], "compiled", batch_size=3)
    monkeypatch.setattr("xbnet.training.execution.programs.AT_ONCE", 1)
    train(nets[1], "compiled", batch_size=3)
    np.testing.assert_array_equal(nets[0].theta, nets[1].theta)


def test_a_layer_that_is_not_what_it_says_is_refused_in_one_line():
    reason = "xp.tanh without out= gives a new array"
    with refuses(xbnet.ConfigError, f"fit: execution 'compiled' is not possible: {reason}; use 'auto'"):
        train(cases.network([Linear(5, "tanh"), NewArrays()]), "compiled")


def test_without_numba_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("xbnet.backends.machine.load.find_spec", lambda name: None)
    reason = "numba is missing; install it with: pip install numba"
    with refuses(xbnet.ConfigError, f"fit: execution 'compiled' is not possible: {reason}; use 'auto'"):
        train(cases.network(), "compiled")


def test_a_cache_that_fails_is_said_and_fails_no_run(monkeypatch):
    from xbnet.backends.machine import entries, load

    def broken(*arguments):
        if arguments[-1]:
            raise OSError("no space left")
        return whole(*arguments)

    whole = entries.make_play
    monkeypatch.setattr(entries, "make_play", broken)
    monkeypatch.setattr(load, "_keeps", True)
    monkeypatch.setattr(load, "_loaded", {})
    net = cases.network()
    with pytest.warns(UserWarning, match=r"^the compiled machine is not kept on disk \(no space left\)"):
        machine = load.machine(net.dtype)
    assert not load._keeps
    monkeypatch.setattr(load, "_keeps", True)
    machine.prepare({0})
    assert machine.entries[0]
