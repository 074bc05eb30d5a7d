"""Optuna's search in scikit-learn's form: its trials are scored as GridSearchCV scores them, and nothing trains twice."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.support.errors import refuses
from xbnet import ConfigError, StackedOptunaSearchCV, XBClassifier
from xbnet.backends.blas import one_blas_thread
from xbnet.estimators.rungs import Rungs
from xbnet.training.trainer import Trainer

optuna = pytest.importorskip("optuna")
pytestmark = pytest.mark.filterwarnings("ignore")
X, Y = load_iris(return_X_y=True)
SPACE = {"learning_rate_init": "loguniform:1e-3,1", "alpha": [0, 0.1]}


def net(**more):
    return XBClassifier((4,), batch_size=32, random_state=3, tol=0, n_iter_no_change=50, **more)


def search(estimator, space=SPACE, **more):
    settings = {"n_trials": 12, "at_once": 6, "cv": 3, "random_state": 0, "refit": False}
    with one_blas_thread():
        return StackedOptunaSearchCV(estimator, space, **(settings | more)).fit(X, Y)


def test_trials_are_scored_as_alone():
    found = search(
        make_pipeline(StandardScaler(), net(max_iter=3)), {f"xbclassifier__{k}": v for k, v in SPACE.items()}
    )
    assert found.cv_results_["trial"].tolist() == list(range(12))
    for row, trial in zip(found.cv_results_["mean_test_score"], found.study_.trials, strict=True):
        assert trial.value == row
    model = make_pipeline(StandardScaler(), net(max_iter=3)).set_params(**found.best_params_)
    with one_blas_thread():
        assert cross_val_score(model, X, Y, cv=3).mean() == found.best_score_ == found.study_.best_value


@pytest.mark.parametrize("waiting", [512, 3])
def test_pruned_trials_make_room_and_no_epoch_is_trained_twice(waiting, monkeypatch):
    monkeypatch.setattr("xbnet.estimators.meeting.MOST_AT_ONCE", waiting)
    trained, standing, begin = [], [], Rungs.begin
    monkeypatch.setattr(Rungs, "begin", lambda self: (begin(self), standing.append(len(self._stood))))
    run = Trainer._run_epoch
    monkeypatch.setattr(Trainer, "_run_epoch", lambda self, *a: (trained.append(len(self.rows)), run(self, *a))[1])
    found = search(net(), factor=3, max_resources=9)
    table, states = found.cv_results_, [trial.state.name for trial in found.study_.trials]
    assert len(states) == 12
    assert {"COMPLETE", "PRUNED"} == set(states)
    last = dict(zip(table["trial"], table["n_resources"], strict=True))  # rows rise
    assert sum(trained) == 3 * sum(last.values())
    assert max(standing) <= 18  # 6 trials x 3 folds; who has left is forgotten
    assert [last[t] == 9 for t in range(12)] == [state == "COMPLETE" for state in states]
    best = table["trial"][found.best_index_]
    assert (found.study_.best_trial.number, found.best_params_["max_iter"]) == (best, 9)
    with one_blas_thread():
        assert cross_val_score(net().set_params(**found.best_params_), X, Y, cv=3).mean() == found.best_score_


def test_configurations_that_are_proposed_again():
    space = {"learning_rate_init": [0.001, 0.01, 0.1], "alpha": [0, 1]}
    found = search(net(), space, n_trials=20, at_once=4, factor=3, max_resources=9, random_state=2)
    scores = {}
    for row, score in zip(found.cv_results_["params"], found.cv_results_["mean_test_score"], strict=True):
        scores.setdefault(tuple(row.items()), set()).add(score)
    with one_blas_thread():
        alone = {row: {cross_val_score(net().set_params(**dict(row)), X, Y, cv=3).mean()} for row in scores}
    assert scores == alone


def test_trials_that_fail_alone_leave_the_others_alone():
    with pytest.warns(FitFailedWarning, match="All the 2 fits failed"):
        found = search(net(max_iter=1), {"alpha": [0, -1, 1]}, n_trials=6, at_once=1, cv=2, random_state=1)
    failed = [trial.params["alpha"] == -1 for trial in found.study_.trials]
    assert sum(failed) in range(1, 6)
    assert [trial.state.name == "FAIL" for trial in found.study_.trials] == failed
    assert found.cv_results_["trial"].tolist() == [i for i, bad in enumerate(failed) if not bad]
    with pytest.raises(ValueError, match="All the 2 fits failed"):
        search(net(max_iter=1), {"alpha": [-1, -2]}, n_trials=3, at_once=1, cv=2)


def test_a_sampler_that_has_nothing_left_ends_the_search():
    grid = {"alpha": [0, 1, 2]}
    found = search(net(max_iter=1), grid, sampler=optuna.samplers.GridSampler(grid), at_once=2, cv=2)
    assert {trial.params["alpha"] for trial in found.study_.trials} == {0, 1, 2}
    assert len(found.study_.trials) < 12


def test_spaces_and_studies_of_optuna():
    space = {"hidden_layer_sizes": [(3,), (4, 2)], "alpha": optuna.distributions.FloatDistribution(0, 1)}
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    more = {"scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss", "n_trials": 4}
    found = search(net(max_iter=2), space, sampler=study, **more)
    assert found.study_ is study
    assert study.best_value == found.best_score_
    assert found.best_params_["hidden_layer_sizes"] in [(3,), (4, 2)]
    np.testing.assert_array_equal(found.predict(X), found.best_estimator_.predict(X))


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"n_trials": 0}, "StackedOptunaSearchCV: expected n_trials to be a whole number >= 1, got 0"),
        ({"factor": 1}, "StackedOptunaSearchCV: expected factor in (1, inf), got 1"),
        ({"sampler": "tree"}, "StackedOptunaSearchCV: unknown sampler 'tree'; known are random, tpe"),
        (
            {"scoring": ["accuracy", "f1_macro"]},
            "StackedOptunaSearchCV: expected refit to name one of several scores, got False",
        ),
    ],
)
def test_refusals(more, line):
    with refuses(ConfigError, line):
        search(net(max_iter=1), n_trials=more.pop("n_trials", 2), **more)
