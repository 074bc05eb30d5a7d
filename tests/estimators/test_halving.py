"""Successive halving in stacks: scikit-learn's own halving by epochs, with nothing trained twice."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, HalvingRandomSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xbnet import ConfigError, StackedHalvingSearchCV, StackedOptunaSearchCV, XBClassifier
from xbnet.backends.blas import one_blas_thread
from xbnet.backends.machine.load import why_not
from xbnet.estimators import meeting, stack
from xbnet.estimators.rungs import Rungs, epochs_ahead
from xbnet.training.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore")
X, Y = load_iris(return_X_y=True)
GRID = {"learning_rate_init": [0.001, 0.01, 0.1], "alpha": [0, 0.1, 1e3]}


def net(**more):
    return XBClassifier(**{"hidden_layer_sizes": (4,), "batch_size": 32, "random_state": 3, "tol": 0} | more)


def assert_same(estimator, grid=GRID, prefix="", **more):
    settings = {"max_resources": 9, "cv": 3, "resource": f"{prefix}max_iter"} | more
    grid = {prefix + key: values for key, values in grid.items()}
    with one_blas_thread():
        stacked = StackedHalvingSearchCV(estimator, grid, **settings).fit(X, Y)
        n = settings.pop("n_candidates", None)
        kind = HalvingGridSearchCV if n is None else HalvingRandomSearchCV
        looped = kind(estimator, grid, **settings, **({} if n is None else {"n_candidates": n})).fit(X, Y)
    for key, values in looped.cv_results_.items():
        if key == "params" or key.startswith("param_"):
            assert repr(values) == repr(stacked.cv_results_[key])
        elif not key.endswith("_time"):
            np.testing.assert_array_equal(stacked.cv_results_[key], values, err_msg=key)
    assert stacked.n_resources_ == looped.n_resources_
    assert stacked.best_params_ == looped.best_params_
    return stacked


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"early_stopping": True, "n_iter_no_change": 2},
        {"tol": 0.05, "n_iter_no_change": 1},
        {"dropout": 0.2, "batch_norm": True, "class_weight": "balanced"},
        {"schedule": "cosine"},
        {"solver": "sgd", "clip_norm": 0.5},
    ],
    ids=lambda settings: ",".join(settings),
)
def test_it_is_scikit_learns_halving(settings):
    assert_same(net(**settings))


def test_in_a_pipeline_with_drawn_configurations():
    space = {"learning_rate_init": stats.loguniform(1e-3, 1), "alpha": [0, 0.1]}
    assert_same(make_pipeline(StandardScaler(), net()), space, "xbclassifier__", n_candidates=9, random_state=1)


def test_configurations_that_diverge_leave():
    grid = {"learning_rate_init": [0.01, 1e38, 0.1]}
    search = assert_same(net(solver="sgd", momentum=0, loss="mse"), grid, factor=2, max_resources=4)
    assert np.isnan(search.cv_results_["mean_test_score"]).any()


def test_no_epoch_is_trained_twice(monkeypatch):
    trained = []
    run = Trainer._run_epoch

    def counted(self, *arguments):
        trained.append(len(self.rows))
        return run(self, *arguments)

    monkeypatch.setattr(Trainer, "_run_epoch", counted)
    search = StackedHalvingSearchCV(net(), GRID, max_resources=9, cv=3, refit=False).fit(X, Y)
    assert search.n_candidates_ == [9, 3, 1]
    assert sum(trained) == 3 * (9 * 1 + 3 * 2 + 1 * 6)  # folds x (all for 1 epoch, 3 for 2 more, 1 for 6 more)


def test_hyperbands_brackets(monkeypatch):
    trained = []
    run = Trainer._run_epoch
    monkeypatch.setattr(Trainer, "_run_epoch", lambda self, *a: (trained.append(len(self.rows)), run(self, *a))[1])
    space = {"learning_rate_init": stats.loguniform(1e-3, 1), "alpha": [0, 0.1]}
    more = {"n_candidates": 22, "brackets": "hyperband", "max_resources": 9, "cv": 2, "random_state": 1}
    search = StackedHalvingSearchCV(net(), space, **more, refit=False).fit(X, Y)
    table = search.cv_results_
    sizes = [(len(bracket.configurations), bracket.rungs) for bracket in search.brackets_]
    assert sizes == [(12, (1, 3, 9)), (6, (3, 9)), (4, (9,))]
    assert sum(trained) == 2 * (12 * 1 + 4 * 2 + 1 * 6 + 6 * 3 + 2 * 6 + 4 * 9)  # folds x what is left at each rung
    assert search.n_candidates_ == [12, 4 + 6, 1 + 2 + 4]
    assert table["n_resources"][search.best_index_] == 9
    for b, n in ((0, [12, 4, 1]), (1, [6, 2]), (2, [4])):
        rungs = table["n_resources"][table["bracket"] == b]
        assert np.unique(rungs, return_counts=True)[1].tolist() == n
    alone = GridSearchCV(net(), {k: [v] for k, v in search.best_params_.items()}, cv=2).fit(X, Y)
    assert alone.best_score_ == search.best_score_


def test_a_bracket_of_which_nothing_can_be_trained_leaves_the_others_alone():
    more = {"brackets": "hyperband", "max_resources": 4, "factor": 2, "cv": 2, "random_state": 1}
    with pytest.warns(FitFailedWarning, match="All the 8 fits failed"):
        search = StackedHalvingSearchCV(net(), {"alpha": [-1, -1, -1, -1, 0]}, **more).fit(X, Y)
    assert search.best_params_ == {"alpha": 0, "max_iter": 4}
    with pytest.raises(ValueError, match="All the 4 fits failed"):
        StackedHalvingSearchCV(net(), {"alpha": [-1, -2]}, **more).fit(X, Y)


def test_brackets_that_do_not_exist():
    with pytest.raises(ConfigError, match="expected brackets 'hyperband' or None, got 'asha'"):
        StackedHalvingSearchCV(net(), GRID, brackets="asha").fit(X, Y)


@pytest.mark.skipif(why_not() is not None, reason="numba is not installed")
@pytest.mark.parametrize("kind", ["halving", "optuna"])
def test_the_level_is_chosen_by_what_all_rungs_save(kind, monkeypatch):
    levels, real = [], stack._fit

    def fit(tasks, data, level, keep):
        levels.extend(level for task in tasks if task.stands is None)  # the others stay at theirs
        real(tasks, data, "replay", keep)

    monkeypatch.setattr(stack, "_fit", fit)
    monkeypatch.setattr(stack, "saves", lambda trainer, replicas: 1e-3 * trainer.recipe.epochs * replicas)
    how = {"max_resources": 9, "cv": 3, "refit": False}
    if kind == "halving":
        search = StackedHalvingSearchCV(net(), GRID, **how)
    else:
        pytest.importorskip("optuna")
        how |= {"n_trials": 9, "at_once": 3, "factor": 3, "random_state": 0}
        search = StackedOptunaSearchCV(net(), {"alpha": "uniform:0,1"}, **how)
    assert epochs_ahead(27, 1, 9, 3) == (9, 63)  # of 9 configurations x 3 folds: 27 in the first rung
    for limit, level in (0.062, "compiled"), (0.064, "replay"):
        monkeypatch.setattr(stack, "LONG_ENOUGH", limit)
        levels.clear()
        search.fit(X, Y)
        assert set(levels) == {level}


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True, "n_iter_no_change": 2}], ids=["plain", "stopping"])
def test_stacks_are_made_anew_of_those_who_go_on_and_any_number_may_wait(settings, monkeypatch):
    monkeypatch.setattr(meeting, "MOST_AT_ONCE", 4)
    stacks, real = [], stack._fit

    def fit(tasks, data, level, keep):
        stacks.append([task.stands and id(task.stands.trainer) for task in tasks])
        real(tasks, data, level, keep)

    train = Rungs.train

    def rung(self, tasks):
        train(self, tasks)
        assert len({standing.epochs for standing in self._stood.values()}) <= 2  # the others' memory is free

    monkeypatch.setattr(stack, "_fit", fit)
    monkeypatch.setattr(Rungs, "train", rung)
    assert_same(net(**settings), n_jobs=1)
    if not settings:  # 27 fits in the first rung, 9 in the second, 3 in the last; 4 wait at a time
        assert [len(before) for before in stacks] == [4] * 6 + [3] + [4, 4, 1] + [3]
        assert [len(set(before)) for before in stacks[7:]] == [2, 2, 1, 2]


def test_candidates_whose_optimizers_are_of_different_classes_are_not_in_one_stack():
    assert_same(net(solver="sgd", max_iter=9), {"momentum": [0, 0.5, 0.9]})


def test_no_stack_is_empty_where_threads_are_many_and_stacks_small(monkeypatch):
    sizes, real, measure = [], stack._fit, stack.footprint
    monkeypatch.setattr(stack, "footprint", lambda trainer: replace(measure(trainer), best_stack=1))
    monkeypatch.setattr(stack, "_fit", lambda tasks, *rest: (sizes.append(len(tasks)), real(tasks, *rest)))
    StackedHalvingSearchCV(net(), GRID, max_resources=1, cv=3, refit=False, n_jobs=8).fit(X, Y)
    assert sizes == [1] * 27
