"""Runs that stop and go on."""

import logging
import os
import signal
import threading

import numpy as np
import pytest

import xbnet
from xbnet import Adam, BatchNorm, ConfigError, DataError, Dropout, Linear, Momentum, Network
from xbnet.optim.schedules import Plateau, Warmup

X = np.random.default_rng(0).normal(size=(120, 3))
Y = (X @ np.random.default_rng(1).normal(size=(3, 3))).argmax(axis=1)
DATA = xbnet.Dataset("toy", xbnet.Part(X[:90], Y[:90]), xbnet.Part(X[90:], Y[90:]))
# Has a memory that every epoch moves.
SCHEDULE = Warmup(epochs=2, then=Plateau(factor=0.5, patience=1))


class Killed(Exception):
    pass


def make():
    return Network([Linear(5, "tanh"), BatchNorm(), Dropout(0.1), Linear(3)], 3, replicas=3, rng=0)


def train(network, optimizer=None, epochs=14, die_at=None, **settings):
    def on_epoch(record):
        if record["epoch"] == die_at:
            raise Killed

    settings = {"patience": 2, "schedule": SCHEDULE, "batch_size": 20, "rng": 7, **settings}
    # Learning rates so different that replicas leave at different times.
    optimizer = optimizer or Adam(lr=[0.005, 0.3, 1.5])
    return xbnet.fit(network, "cross_entropy", optimizer, DATA, epochs=epochs, on_epoch=on_epoch, **settings)


def assert_equal(a, b):
    (one, first), (two, second) = a, b
    np.testing.assert_array_equal(one.theta, two.theta)
    np.testing.assert_array_equal(one.state, two.state)
    assert first.status == second.status
    np.testing.assert_array_equal(first.best_epoch, second.best_epoch)
    assert len(first) == len(second)
    for name in first.records[0]:
        if name not in ("seconds", "samples_per_second"):
            np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("seed", range(6))
def test_random_deaths_change_no_bit(seed, tmp_path):
    rng = np.random.default_rng(seed)
    every = int(rng.integers(1, 4))
    optimizer = [None, Momentum([0.05, 0.2, 2.0])][seed % 2]
    # Replicas leave at different times.
    settings = {"clip_norm": [0.5, 1.0, 2.0], "l2": 1e-3} if seed % 3 == 0 else {}
    network = make()
    history = train(network, optimizer, **settings)
    die_at = 1
    while True:
        twin = make()
        die_at += int(rng.integers(1, 5))
        folder = {"checkpoint": tmp_path, "checkpoint_every": every, "resume": True}
        try:
            second = train(twin, optimizer, die_at=die_at, **settings, **folder)
        except Killed:
            continue
        break
    assert_equal((network, history), (twin, second))


def test_damaged_newest_falls_back_to_the_one_before(tmp_path, caplog):
    network = make()
    history = train(network)
    with pytest.raises(Killed):
        train(make(), die_at=6, checkpoint=tmp_path, checkpoint_every=1)
    newest, older = sorted(tmp_path.iterdir(), reverse=True)
    newest.write_bytes(newest.read_bytes()[:-7])
    twin = make()
    with caplog.at_level(logging.WARNING, "xbnet"):
        second = train(twin, checkpoint=tmp_path, resume=True)
    assert_equal((network, history), (twin, second))
    assert caplog.messages[0].endswith("; trying the checkpoint before it")
    for path in (newest, older):
        path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="is not a safetensors file, or is damaged"):
        train(make(), checkpoint=tmp_path, resume=True)


def test_failed_write_leaves_the_last_good_one(tmp_path, monkeypatch):
    with pytest.raises(Killed):
        train(make(), die_at=4, checkpoint=tmp_path, checkpoint_every=1)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError) as caught:
        train(make(), checkpoint=tmp_path, checkpoint_every=1, resume=True)
    path = tmp_path / "epoch-00000004.safetensors"
    assert str(caught.value) == f"{path}: can't be written (No space left on device); choose another place"
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"optimizer": Adam(0.1)}, "optimizer = Adam(lr=[0.005, 0.3, 1.5], beta1=0.9, beta2=0.999, eps=1e-08)"),
        ({"batch_size": 30}, "batch_size = 20, got 30"),
        ({"rng": 8}, "order = another one"),
        ({"schedule": "cosine"}, "schedule = Warmup("),
        ({"patience": 3}, "patience = 2, got 3"),
        ({"l2": 0.5}, "l2 = 0.0, got 0.5"),
        ({"monitor": "val_accuracy"}, "monitor = val_loss, got val_accuracy"),
    ],
)
def test_other_settings_are_refused(change, name, tmp_path):
    with pytest.raises(Killed):
        train(make(), die_at=3, checkpoint=tmp_path, checkpoint_every=1)
    twin = make()
    before = twin.theta.copy()
    with pytest.raises(ConfigError) as caught:
        train(twin, checkpoint=tmp_path, resume=True, **change)
    start = f"resume: {tmp_path}/epoch-00000002.safetensors was made with {name}"
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith("; resume with the same settings")
    np.testing.assert_array_equal(twin.theta, before)


@pytest.mark.parametrize(("replicas", "other"), [(2, 0.1 + 1e-12), (1200, 0.2)])
def test_values_per_replica_are_compared_to_the_last_digit_and_replica(replicas, other, tmp_path):
    rates = np.full(replicas, 0.1)

    def go_on(rates):
        network = Network([Linear(3)], 3, replicas=replicas, rng=0)
        folder = {"checkpoint": tmp_path, "checkpoint_every": 1, "resume": True}
        xbnet.fit(network, "cross_entropy", xbnet.SGD(rates), DATA, epochs=1, **folder)

    go_on(rates)
    go_on(rates.copy())
    rates[replicas // 2] = other
    with pytest.raises(ConfigError, match="was made with optimizer"):
        go_on(rates)


def test_other_data_or_network_are_refused(tmp_path):
    with pytest.raises(Killed):
        train(make(), die_at=3, checkpoint=tmp_path, checkpoint_every=1)
    other = Network([Linear(5, "relu"), BatchNorm(), Dropout(0.1), Linear(3)], 3, replicas=3, rng=0)
    with pytest.raises(ConfigError, match=r"was made with layers = "):
        train(other, checkpoint=tmp_path, resume=True)
    moved = xbnet.Dataset("toy", xbnet.Part(X[:90] + 1e-9, Y[:90]), xbnet.Part(X[90:], Y[90:]))
    with pytest.raises(ConfigError, match=r"was made with data = 90 training samples with checksum"):
        xbnet.fit(make(), "cross_entropy", Adam(lr=[0.005, 0.3, 1.5]), moved, epochs=14, rng=7, patience=2,
                  schedule=SCHEDULE, batch_size=20, checkpoint=tmp_path, resume=True)  # fmt: skip


def test_interrupt_waits_for_the_epoch_and_the_run_goes_on(tmp_path):
    network = make()
    history = train(network)
    before = signal.getsignal(signal.SIGINT)

    def interrupt(record):
        if record["epoch"] == 5:
            signal.raise_signal(signal.SIGINT)

    twin = make()
    settings = {"patience": 2, "schedule": SCHEDULE, "batch_size": 20, "rng": 7, "epochs": 14}
    optimizer = Adam(lr=[0.005, 0.3, 1.5])
    with pytest.raises(xbnet.errors.Interrupted, match=r"^interrupted after epoch 5; the run can be resumed from "):
        xbnet.fit(twin, "cross_entropy", optimizer, DATA, checkpoint=tmp_path, on_epoch=interrupt, **settings)
    assert signal.getsignal(signal.SIGINT) is before
    twin = make()
    assert_equal((network, history), (twin, train(twin, checkpoint=tmp_path, resume=True)))


def test_other_threads_can_train_too(tmp_path):
    network, ends = make(), []
    thread = threading.Thread(target=lambda: ends.append(train(network, checkpoint=tmp_path, checkpoint_every=2)))
    thread.start()
    thread.join()
    assert len(ends) == 1


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"checkpoint_every": 2}, "fit: checkpoint_every and resume need checkpoint=FOLDER"),
        ({"resume": True}, "fit: checkpoint_every and resume need checkpoint=FOLDER"),
        (
            {"checkpoint": "x", "checkpoint_every": 0},
            "fit: expected checkpoint_every to be a whole number >= 1, got 0",
        ),
    ],
)
def test_wrong_settings(settings, line):
    with pytest.raises(ConfigError) as caught:
        train(make(), **settings)
    assert str(caught.value) == line
