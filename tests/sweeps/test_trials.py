"""Trials of Optuna's samplers in running stacks: refilled places, exact networks, what the study is told."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbnet
from tests.support.chance import examples
from tests.support.errors import refuses
from xbnet.training.trainer import Trainer

from .conftest import make_data

optuna = pytest.importorskip("optuna")
SPACE = {"lr": "loguniform:1e-3,1", "l2": [0, 0.001, 0.1]}
FIXED = {"epochs": 9, "hidden": (5,), "workers": 1}


def states(result):
    return [trial.state.name for trial in result.study.trials]


@pytest.fixture(scope="module")
def halved(data):
    return xbnet.sweep(SPACE, data, sampler="tpe", trials=30, at_once=8, halving=3, **FIXED)


def test_each_trial_is_told_and_is_a_row(halved):
    assert len(halved) == len(halved.study.trials) == 30
    for row, trial in zip(halved.rows(), halved.study.trials, strict=True):
        assert {key: row[key] for key in SPACE} == trial.params
        assert trial.state.name == {"pruned": "PRUNED", "finished": "COMPLETE"}[row["status"]]
        curve = halved.history(row["member"])["val_loss"]
        reported = {epoch: curve[:epoch].min() for epoch in (1, 3, 9) if epoch <= row["last_epoch"]}
        assert trial.intermediate_values == pytest.approx(reported, abs=0)
        assert row["last_epoch"] == (1, 3, 9)[row["rung"] - 1]
    assert halved.study.best_value == halved.best["mean"]
    assert {"PRUNED", "COMPLETE"} == set(states(halved))


def test_a_place_that_falls_free_is_taken_in_the_running_stack(data, monkeypatch):
    ages = []
    run = Trainer._run_epoch

    def noted(self, *arguments):
        ages.append(self.ages.tolist())
        return run(self, *arguments)

    monkeypatch.setattr(Trainer, "_run_epoch", noted)
    result = xbnet.sweep(SPACE, data, sampler="random", trials=30, at_once=8, halving=3, **FIXED)
    assert max(map(len, ages)) == 8
    assert any(len(set(beside)) > 2 for beside in ages)  # of several ages beside each other
    assert sum(map(len, ages)) == result.column("last_epoch").sum()  # nothing is trained twice
    xbnet.assert_replica_equal(result)


SPACES = st.fixed_dictionaries(
    {"lr": st.just("loguniform:1e-3,1")},
    optional={
        "l2": st.just([0, 0.01]),
        "dropout": st.just("uniform:0,0.5"),
        "hidden": st.sampled_from([[4, 6], [(4, 3), (5,)], "integers:2,4"]),
        "beta1": st.just("uniform:0.1,0.9"),
        "clip_norm": st.just([0.1, 1.0]),
    },
)


@settings(max_examples=examples(4), deadline=None)
@given(
    SPACES,
    st.fixed_dictionaries(
        {
            "optimizer": st.sampled_from(["adam", "adamw"]),
            "schedule": st.sampled_from(["constant", "cosine", "plateau:patience=1", "exponential"]),
            "patience": st.sampled_from([None, 1, 3]),
            "halving": st.sampled_from([None, 2, "hyperband:2"]),
            "folds": st.sampled_from([None, 2]),
            "seeds": st.sampled_from([1, 2]),
            "batch_norm": st.booleans(),
            "dtype": st.sampled_from(["float32", "float64"]),
            "at_once": st.integers(4, 9),
            "rng": st.integers(0, 99),
            "workers": st.integers(1, 2),
            "monitor": st.sampled_from([None, "train_accuracy", "val_accuracy"]),
        }
    ),
)
def test_any_network_equals_its_solo_run_whenever_it_came(space, fixed):
    result = xbnet.sweep(space, make_data(40, 20), sampler="random", trials=9, epochs=5, batch_size=16, **fixed)
    xbnet.assert_replica_equal(result)


def test_tpe_learns(data):
    """Its later trials are better than its first ten, which are drawn at random."""
    result = xbnet.sweep({"lr": "loguniform:1e-6,1"}, data, sampler="tpe", trials=40, at_once=2, epochs=3, workers=1)
    scores = result.column("score")
    assert np.median(scores[20:]) < np.median(scores[:10])
    more = {"epochs": 3, "workers": 1, "rng": 2**32}  # larger than Optuna's seeds, and 0 to it
    again = xbnet.sweep({"lr": "loguniform:1e-6,1"}, data, sampler="tpe", trials=40, at_once=2, **more)
    np.testing.assert_array_equal(scores, again.column("score"))


def test_a_study_of_ones_own_with_its_pruner(data):
    study = optuna.create_study(
        sampler=optuna.samplers.RandomSampler(seed=1),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
        direction="maximize",
    )
    result = xbnet.sweep(SPACE, data, sampler=study, trials=16, at_once=4, monitor="val_accuracy", **FIXED)
    assert result.study is study
    assert result.brackets == ()
    assert {"PRUNED", "COMPLETE"} == set(states(result))
    assert study.best_value == result.column("score").max()
    xbnet.assert_replica_equal(result)


def test_a_sampler_that_has_nothing_left_ends_the_sweep(data):
    grid = {"lr": [0.1, 1.0], "l2": [0, 0.1]}
    sampler = optuna.samplers.GridSampler(grid)
    result = xbnet.sweep(grid, data, sampler=sampler, trials=20, at_once=1, epochs=1, workers=1)
    assert len(result) == len(result.configurations()) == 4
    assert {state.name for state in (trial.state for trial in result.study.trials)} == {"COMPLETE"}


def test_trials_that_diverge_fail_and_those_that_stop_are_complete(data):
    space = {"lr": [1e30, 0.1, 0.2]}
    result = xbnet.sweep(
        space, data, sampler="random", trials=9, at_once=3, loss="mse", activation="relu", epochs=4, halving=2
    )
    for row, trial in zip(result.rows(), result.study.trials, strict=True):
        assert (row["status"] == "diverged") == (trial.state.name == "FAIL") == (row["lr"] == 1e30)
    result = xbnet.sweep({"lr": [1e-30, 1e-31]}, data, sampler="random", trials=4, patience=1, epochs=9)
    assert set(result.column("status")) == {"stopped"}
    assert set(states(result)) == {"COMPLETE"}


@pytest.mark.parametrize("after", [1, 4])
def test_an_interrupted_sampler_goes_on_with_what_it_proposed(data, tmp_path, monkeypatch, after):
    from xbnet.sweeps import board

    fixed = FIXED | {"sampler": "tpe", "trials": 20, "at_once": 6, "halving": 3, "out": tmp_path}
    real, calls = board.run_chunk, []
    monkeypatch.setattr(board, "run_chunk", lambda *a: (calls.append(1), 1 / (len(calls) <= after), real(*a))[2])
    with pytest.raises(ZeroDivisionError):
        xbnet.sweep(SPACE, data, **fixed)
    monkeypatch.setattr(board, "run_chunk", real)
    before = [json.loads(line) for line in (tmp_path / "trials.jsonl").read_text().splitlines()]
    result = xbnet.sweep(SPACE, data, resume=True, **fixed)
    assert len(result) == len(result.study.trials) == 20
    assert [trial.params for trial in result.study.trials[: len(before)]] == before
    xbnet.assert_replica_equal(result)
    assert not (tmp_path / "paused").exists()
    again = xbnet.sweep(SPACE, data, resume=True, **fixed)
    assert [row["score"] for row in again.rows()] == [row["score"] for row in result.rows()]
    (tmp_path / "trials.jsonl").write_text("[]\n")
    with refuses(xbnet.DataError, f"{tmp_path / 'trials.jsonl'}: is damaged; sweep into another folder"):
        xbnet.sweep(SPACE, data, resume=True, **fixed)


def test_in_processes(data):
    fixed = FIXED | {"workers": 2, "epochs": 3}
    result = xbnet.sweep(SPACE, data, sampler="tpe", trials=9, at_once=4, halving=3, executor="processes", **fixed)
    xbnet.assert_replica_equal(result, [0, 4, 8])


@pytest.mark.parametrize(
    ("space", "more", "line"),
    [
        (SPACE, {"trials": 3}, "sweep: trials and at_once go with a sampler; give sampler='tpe', or draws=N for random ones"),
        (SPACE, {"sampler": "tpe"}, "sweep: a sampler needs the number of trials, in place of draws: trials=N"),
        (SPACE, {"sampler": "tpe", "trials": 0}, "sweep: expected trials to be a whole number >= 1, got 0"),
        (SPACE, {"sampler": "tpe", "trials": 1, "at_once": 1, "seeds": 2}, "sweep: expected at_once to be a whole number >= 2, got 1"),
        (SPACE, {"sampler": "tp", "trials": 3}, "sweep: unknown sampler 'tp'; did you mean 'tpe'? known are random, tpe"),
        ([{"lr": 1}], {"sampler": "tpe", "trials": 3}, "sweep: a sampler needs a space {key: values}, got a list of configurations"),
        ({"lr": 0.1}, {"sampler": "tpe", "trials": 3}, "sweep: a sampler needs a key that varies, got none"),
        ({"epochs": [2, 4]}, {"sampler": "tpe", "trials": 3, "halving": 2}, "sweep: halving ranks after equal numbers of epochs; give one value of epochs, got [2, 4]"),
        ({"lr": [0.1, -1]}, {"sampler": "tpe", "trials": 3}, "sgd: expected lr in [0, inf), got -1.0"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(data, space, more, line):
    with refuses(xbnet.ConfigError, line):
        xbnet.sweep(space, data, **more)


def test_a_study_that_goes_the_wrong_way_is_one_line(data):
    study = optuna.create_study(direction="maximize")
    with refuses(xbnet.ConfigError, "sweep: expected a study whose direction is 'minimize', got maximize"):
        xbnet.sweep(SPACE, data, sampler=study, trials=2)


def test_distributions_of_optuna_are_as_good_as_ours(data):
    kinds = optuna.distributions
    theirs = {"lr": kinds.FloatDistribution(1e-3, 1, log=True), "l2": kinds.CategoricalDistribution([0, 1e-4])}
    ours = {"lr": "loguniform:1e-3,1", "l2": [0, 1e-4]}
    found = [
        xbnet.sweep(space, data, sampler="tpe", trials=4, epochs=1, workers=1, progress=False).study.trials
        for space in (theirs, ours)
    ]
    assert [trial.params for trial in found[0]] == [trial.params for trial in found[1]]
    with refuses(xbnet.ConfigError, "sgd: expected lr in [0, inf), got -1.0"):
        xbnet.sweep({"lr": kinds.FloatDistribution(-1, 1)}, data, sampler="tpe", trials=3)


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution:UserWarning")  # a word of Optuna's
def test_a_sweep_over_optunas_choices_of_tuples_is_resumed(data, tmp_path):
    space = {"hidden": optuna.distributions.CategoricalDistribution([(3, 4), (5,)])}
    how = {"sampler": "tpe", "epochs": 1, "workers": 1, "progress": False, "out": tmp_path / "s"}
    first = xbnet.sweep(space, data, trials=3, **how)
    again = xbnet.sweep(space, data, trials=3, resume=True, **how)
    assert [trial.value for trial in again.study.trials] == [trial.value for trial in first.study.trials]
    with refuses(xbnet.ConfigError, "sweep: a sampler needs a space {key: values}, got a list of configurations"):
        xbnet.sweep([{"lr": 0.1}], data, sampler="tpe", trials=2)
