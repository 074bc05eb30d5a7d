"""Settings as one record: a new one is known to `fit`, compared when a run goes on, and checked, by its field alone."""

from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest

import xbnet
from tests.support import cases
from tests.support.errors import refuses
from tests.support.runs import X, Y, train, with_validation
from xbnet import SGD, Adam, ConfigError, Part, Recipe
from xbnet.optim.schedules import Cosine
from xbnet.training.recipe import Settings
from xbnet.training.samples import Samples
from xbnet.training.trainer import Trainer


def trainer(recipe, samples=None):
    samples = samples or Samples.of(with_validation())
    return Trainer(cases.network(replicas=3), xbnet.SoftmaxCrossEntropy(), Adam(0.1), samples, recipe, rng=0)


def test_type_checkers_know_the_settings_that_fit_takes():
    assert [*Settings.__annotations__, "penalty"] == [f.name for f in fields(Recipe)]


def test_names_become_what_they_name():
    recipe = Recipe(schedule="cosine", strategy="alternating:every=2", device_memory="2 kB", l2=[0.1, 0.2])
    assert isinstance(recipe.schedule, Cosine)
    assert recipe.strategy.every == 2
    assert recipe.device_memory == 2000
    with pytest.raises(FrozenInstanceError):
        recipe.epochs = 3


def test_what_depends_on_the_samples_is_settled_by_them():
    network, loss, samples = cases.network(), xbnet.SoftmaxCrossEntropy(), Samples.of(with_validation())
    known = Recipe(patience=2).check(network, loss, samples)
    assert (known.batch_size, known.monitor, known.keep_best) == (20, "val_loss", True)
    known = Recipe(batch_size=None).check(network, loss, replace(samples, val=None))
    assert (known.batch_size, known.monitor, known.keep_best) == (20, "train_loss", False)
    rows = [np.arange(7), np.arange(7, 14)]
    known = Recipe().check(network, loss, replace(samples, val=None, train_rows=rows, val_rows=rows))
    assert (known.batch_size, known.monitor) == (7, "val_loss")


def test_replicas_take_their_share_along():
    chosen = Recipe(l2=[0.1, 0.2, 0.3], l1=0.5, clip_norm=[1, 2, 3]).select(np.array([2, 0]))
    penalty = chosen.any_penalty()
    assert (list(penalty.l2), penalty.l1) == ([0.3, 0.1], 0.5)
    assert list(chosen.clip_norm) == [3, 1]


def test_all_that_decides_the_bits_is_described():
    described = Recipe(l2=0.1, monitor="val_loss").describe()
    assert set(described) | set(Recipe.MAY_CHANGE) == set(Settings.__annotations__)
    assert (described["l2"], described["monitor"], described["schedule"]) == ("0.1", "val_loss", "Schedule()")


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"epoch": 3}, "fit: unknown parameter 'epoch'; did you mean 'epochs'? known are "),
        ({"tol": -1}, "fit: expected tol in [0, inf), got -1"),
        ({"batch_size": "all"}, "fit: expected batch_size to be a whole number >= 1, got 'all'"),
        (
            {"monitor": "score"},
            "fit: expected monitor to be one of train_loss, train_cost, train_accuracy, got 'score'",
        ),
        ({"device_memory": "much"}, "fit: device_memory: expected bytes, a number or text like '500 MB' or '2 GiB' "),
    ],
)
def test_bad_settings_are_one_line(settings, line):
    with pytest.raises(ConfigError) as caught:
        train(**settings)
    assert str(caught.value).startswith(line)


def test_tol_is_the_least_that_counts_as_better():
    _, patient = train(epochs=20, patience=3)
    _, demanding = train(epochs=20, patience=3, tol=10.0)
    assert len(demanding) == 4
    assert len(patient) > 4


def test_last_weights_are_kept_where_the_best_are_not_wanted():
    def run(**settings):
        return train(optimizer=SGD(5.0), epochs=9, rng=0, data=with_validation(), **settings)[0].theta

    best, last = (run(patience=50, keep_best=keep) for keep in (True, False))
    assert not np.array_equal(best, last)
    np.testing.assert_array_equal(run(), last)


def test_a_trainer_goes_on_from_the_state_of_another():
    recipe = Recipe(epochs=6, batch_size=8, schedule="plateau", patience=2)
    whole, first, second = (trainer(recipe) for _ in range(3))
    while not whole.done:
        whole.run_epoch()
    first.run_epoch()
    second.restore(first.state())
    while not second.done:
        second.run_epoch()
    np.testing.assert_array_equal(whole.live.theta, second.live.theta)
    assert whole.finish().status == second.finish().status


def test_a_wrong_state_changes_nothing():
    recipe = Recipe(epochs=6, batch_size=8)
    first, second = trainer(recipe), trainer(recipe)
    first.run_epoch()
    before = second.network.theta.copy()
    with pytest.raises((TypeError, ValueError, KeyError)):
        second.restore(replace(first.state(), orders=[{"bit_generator": "another"}] * 3))
    np.testing.assert_array_equal(second.network.theta, before)
    assert not len(second.history)


def test_samples_say_how_many_each_replica_has():
    rows = [np.arange(5), np.arange(5)]
    samples = Samples("x", "classification", 3, Part(X, Y), train_rows=rows)
    assert (samples.n, samples.validated) == (5, False)
    with refuses(
        ConfigError, "fit: expected batch_size <= 5, the number of training samples, got 6; None takes them all"
    ):
        Recipe(batch_size=6).check(cases.network(), xbnet.SoftmaxCrossEntropy(), samples)
