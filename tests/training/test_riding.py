"""Replicas that have left ride along: what anybody can see is what it is where they are taken out of the stack at once."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest

import xbnet
from xbnet.nn.losses import get_loss
from xbnet.training import riding
from xbnet.training.recipe import Recipe
from xbnet.training.samples import Samples
from xbnet.training.trainer import Trainer

X = np.random.default_rng(0).normal(size=(60, 4))
Y = (X[:, 0] + np.random.default_rng(1).normal(size=60) > 0).astype(int)
RATES = [0.3, 0.01, 0.1, 0.03, 0.2]


def run(monkeypatch, light, layers, seeds=range(5), **settings):
    """The trainer's states once someone has left and at the end, those of the generators, and the stacks made anew."""
    monkeypatch.setattr(riding, "LIGHT", light)
    data = xbnet.Dataset("t", xbnet.Part(X[:40], Y[:40]), val=xbnet.Part(X[40:], Y[40:]), classes=("a", "b"))
    network = xbnet.Network([*layers, xbnet.Linear(2)], 4, replicas=5, rng=0)
    recipe = Recipe(epochs=40, batch_size=16, patience=3, **settings)
    streams = {seed: np.random.default_rng(seed) for seed in seeds}
    orders = [streams[seed] for seed in seeds]
    trainer = Trainer(network, get_loss("cross_entropy"), xbnet.Adam(RATES), Samples.of(data), recipe, shuffles=orders)
    narrow, made, states = trainer.narrow, [], []
    trainer.narrow = lambda stay: (made.append(len(stay)), narrow(stay))
    while not trainer.done:
        trainer.run_epoch()
        if len(trainer.rows) < 5 and not states and len(streams) == 5:  # to look lets nobody ride
            states.append(copy.deepcopy(trainer.state().pack()))
    trainer.finish()
    states.append(copy.deepcopy(trainer.state().pack()))
    drawn = [generator.bit_generator.state for generator in orders]
    return states, made, trainer.history, drawn


@pytest.mark.parametrize(
    ("execution", "keep_best", "schedule", "seeds"),
    [
        ("eager", True, "cosine", range(5)),
        ("replay", False, "plateau:patience=2", range(5)),
        ("eager", False, "cosine", [0, 1, 0, 1, 0]),  # replicas that share an order
        ("replay", True, "cosine", [0, 0, 1, 1, 0]),
        ("replay", False, "cosine", [1, 0, 0, 0, 0]),
    ],
)
def test_nobody_sees_it(monkeypatch, execution, keep_best, schedule, seeds):
    settings = {"execution": execution, "keep_best": keep_best, "schedule": schedule, "seeds": seeds}
    (states, made, history, drawn), (plain, often, expected, drawn_there) = (
        run(monkeypatch, light, [xbnet.Linear(8, "tanh")], **settings) for light in (1 << 17, 0)
    )
    assert len([n for n in made if n]) < len([n for n in often if n])
    assert drawn == drawn_there
    assert history.status == expected.status
    assert np.array_equal(history.best_epoch, expected.best_epoch)
    for name in ("train_loss", "val_loss", "lr"):
        assert np.array_equal(history[name], expected[name], equal_nan=True)
    for (tensors, _), (others, _) in zip(states, plain, strict=True):
        assert tensors.keys() == others.keys()
        for name in tensors:
            if not name.endswith(("seconds", "samples_per_second")):
                assert np.array_equal(tensors[name], others[name], equal_nan=True), name


def test_no_random_numbers_are_drawn_for_them(monkeypatch):
    layers = [xbnet.Linear(8, "tanh"), xbnet.Dropout(0.2)]
    (states, made, *_), (plain, often, *_) = (
        run(monkeypatch, light, layers, execution="eager") for light in (1 << 17, 0)
    )
    assert made == often
    assert states[-1][1]["streams"] == plain[-1][1]["streams"]


def test_members_score_together_by_the_weights_that_are_kept(monkeypatch):
    found = []
    for light in (1 << 17, 0):
        monkeypatch.setattr(riding, "LIGHT", light)
        model = xbnet.XBClassifier(
            (8,), n_members=4, early_stopping=True, n_iter_no_change=3, learning_rate_init=0.1, random_state=0
        ).fit(X, Y)
        found.append(model)
    assert found[0].validation_scores_ == found[1].validation_scores_
    assert np.array_equal(found[0].predict_proba(X), found[1].predict_proba(X))


def test_an_interrupt_leaves_what_is_kept_of_those_that_have_left(monkeypatch):
    found = []
    for light in (1 << 17, 0):
        monkeypatch.setattr(riding, "LIGHT", light)
        network = xbnet.Network([xbnet.Linear(8, "tanh"), xbnet.Linear(2)], 4, replicas=5, rng=0)
        data = xbnet.Dataset("t", xbnet.Part(X[:40], Y[:40]), val=xbnet.Part(X[40:], Y[40:]), classes=("a", "b"))

        def stop(record):
            if np.isnan(record["train_loss"]).any():
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            xbnet.fit(
                network, "cross_entropy", xbnet.Adam(RATES), data, epochs=40, batch_size=16, patience=3, on_epoch=stop
            )
        found.append(network.theta.copy())
    np.testing.assert_array_equal(*found)


def test_a_checkpoint_lets_nobody_ride_under_the_networks_lock():
    """Whoever predicts meanwhile would see the stack while it is made anew."""
    network = xbnet.Network([xbnet.Linear(2)], 4, replicas=3, rng=0)
    samples = Samples.of(xbnet.Dataset("t", xbnet.Part(X, Y), classes=("a", "b")))
    trainer = Trainer(network, get_loss("cross_entropy"), xbnet.SGD(0.1), samples, Recipe(epochs=3, batch_size=16))
    trainer.rows, free = trainer.rows[:2], []  # the third one has left, and rides

    def narrow(stay):
        one = threading.Thread(target=lambda: free.append(network.exclusive()._lock.acquire(blocking=False)))
        one.start()
        one.join()

    trainer.narrow = narrow
    trainer.state()
    assert free == [False]
