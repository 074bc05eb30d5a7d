import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, RandomizedSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import xbnet
from xbnet import StackedSearchCV, XBClassifier, XBRegressor
from xbnet.estimators.buckets import by_value
from xbnet.nn.layers import BATCH
from xbnet.optim.schedules import Exponential

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)


def classifier(**settings):
    return XBClassifier(**{"hidden_layer_sizes": (6,), "max_iter": 8, "batch_size": 16, "random_state": 3} | settings)


def assert_same_search(stacked, looped):
    """All scores, ranks and parameters are the same, to the last bit."""
    a, b = stacked.cv_results_, looped.cv_results_
    assert list(a) == list(b)
    for key in a:
        if key.endswith("_time"):
            continue
        if key == "params":
            assert a[key] == b[key]
        elif key.startswith("param_"):
            assert a[key].tolist() == b[key].tolist()
            assert a[key].dtype == b[key].dtype
        else:
            np.testing.assert_array_equal(a[key], b[key], err_msg=key)
    for name in ("best_index_", "best_score_", "best_params_", "n_splits_", "multimetric_"):
        assert getattr(stacked, name, None) == getattr(looped, name, None)


def both(estimator, grid, fit=None, **settings):
    fit = fit or {}
    with threadpool_limits(limits=1, user_api="blas"):
        looped = GridSearchCV(estimator, grid, **settings).fit(X, Y, **fit)
        stacked = StackedSearchCV(estimator, grid, **settings).fit(X, Y, **fit)
    return stacked, looped


GRID = {"learning_rate_init": [0.003, 0.03, 0.3], "alpha": [0, 0.01], "hidden_layer_sizes": [(6,), (5, 4)]}


def test_it_takes_the_place_of_grid_search():
    stacked, looped = both(classifier(), GRID, cv=2)
    assert_same_search(stacked, looped)
    np.testing.assert_array_equal(stacked.predict_proba(X), looped.predict_proba(X))
    np.testing.assert_array_equal(stacked.classes_, looped.classes_)
    assert stacked.n_features_in_ == 4
    assert stacked.score(X, Y) == looped.score(X, Y)


@pytest.mark.parametrize(
    "settings",
    [
        {"early_stopping": True, "n_iter_no_change": 2},
        {"early_stopping": True, "class_weight": "balanced"},
        {"dropout": 0.2, "batch_norm": True, "residual": 1},
        {"solver": "sgd", "nesterovs_momentum": False, "clip_norm": 1.0},
        {"tol": 0.1, "n_iter_no_change": 1},
        {"dtype": "float64", "batch_size": "full", "schedule": "cosine"},
        {"n_iter_no_change": np.inf, "shuffle": False, "loss": "binary_cross_entropy"},
    ],
    ids=lambda settings: ",".join(settings),
)
def test_every_way_to_fit_gives_the_same_scores(settings):
    grid = {"learning_rate_init": [0.01, 0.1], "alpha": [0.0001, 0.1]}
    assert_same_search(*both(classifier(**settings), grid, cv=2))


def test_what_differs_within_a_stack():
    grid = [
        {"dropout": [0, 0.1, 0.3], "beta_1": [0.8, 0.9], "random_state": [1, 2]},
        {"clip_norm": [0.1, 1.0], "epsilon": [1e-8, 1e-3], "class_weight": [None, "balanced"]},
        {"solver": ["sgd"], "momentum": [0, 0.5, 0.9]},
    ]
    assert_same_search(*both(classifier(), grid, cv=2))


class Times(xbnet.Layer):
    """A layer of a user's own, whose `repr` does not tell by what it multiplies."""

    def __init__(self, factor):
        self.factor = factor

    def buffers(self):
        return {"y": (BATCH, self.n_inputs)}

    def forward(self, x, training):
        return self.xp.multiply(x, self.factor, out=self.y)

    def backward(self, dy, dx):
        if dx is not None:
            self.xp.multiply(dy, self.factor, out=dx)


@pytest.mark.parametrize(
    "grid",
    [
        {"schema": [False, "standard", "robust"], "alpha": [0, 0.1]},
        {"preset": ["tables"], "n_members": [1, 2], "max_iter": [2]},
    ],
)
def test_preparations_and_presets_are_searched(grid):
    """A schema is learned of each fold's rows; several members train alone."""
    search = {"cv": StratifiedKFold(2), "refit": False}
    with threadpool_limits(1):
        stacked, looped = (
            kind(classifier(max_iter=2), grid, **search).fit(X, Y) for kind in (StackedSearchCV, GridSearchCV)
        )
    assert_same_search(stacked, looped)


def test_the_level_may_be_asked_for():
    """As in a fit alone: "auto" looks at what the whole search would save."""
    grid = {"execution": ["eager", "replay"], "alpha": [0, 1]}
    search = StackedSearchCV(XBClassifier((3,), max_iter=2, random_state=0), grid, cv=2, refit=False)
    levels = []
    search.set_params(scoring=lambda model, X, y: levels.append(model.history_.execution) or 0.0).fit(X, Y)
    assert sorted(levels) == ["eager"] * 4 + ["replay"] * 4


def test_layers_of_ones_own_are_told_apart_by_what_they_hold():
    grid = {"hidden_layer_sizes": [(4, Times(0.0)), (4, Times(3.0))], "learning_rate_init": [0.01, 0.1]}
    assert_same_search(*both(classifier(), grid, cv=2))


@pytest.mark.parametrize(
    ("make", "one", "other"),
    [
        (lambda factor: (4, Times(factor)), 1.0, 2.0),
        (lambda spread: [xbnet.Linear(4, initializer=f"normal:{spread}")], 0.1, 0.2),
        (lambda place: np.arange(2000) + (np.arange(2000) == place), 1000, 1001),
        (lambda factor: lambda z: z * factor, 1.0, 2.0),
        (lambda value: {"a": value}, 1, True),
        (lambda gamma: Exponential(gamma), 0.9, 0.8),
        (lambda lr: xbnet.Adam(lr), 0.1, 0.2),
    ],
)
def test_settings_are_told_apart_by_what_they_hold(make, one, other):
    assert by_value(make(one)) == by_value(make(one)) != by_value(make(other))


def test_folds_of_a_pipeline_are_standardized_by_their_own_training_part():
    pipeline = Pipeline([("scale", StandardScaler()), ("net", classifier())])
    grid = {"net__learning_rate_init": [0.01, 0.1], "net__alpha": [0, 0.1], "scale__with_std": [True, False]}
    stacked, looped = both(pipeline, grid, cv=StratifiedKFold(3, shuffle=True, random_state=0))
    assert_same_search(stacked, looped)
    np.testing.assert_array_equal(stacked.predict(X), looped.predict(X))


def test_sample_weights_groups_scorers_and_train_scores():
    weights = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    pipeline = make_pipeline(StandardScaler(), classifier())
    fit = {"groups": np.arange(len(X)) % 7, "xbclassifier__sample_weight": weights}
    stacked, looped = both(
        pipeline,
        {"xbclassifier__alpha": [0, 0.1]},
        fit,
        cv=GroupKFold(3),
        scoring=["accuracy", "neg_log_loss"],
        refit="neg_log_loss",
        return_train_score=True,
    )
    assert_same_search(stacked, looped)


@pytest.mark.parametrize("scoring", [None, "neg_log_loss", ["accuracy", "neg_log_loss"]])
def test_scores_are_weighted_where_grid_search_weighs_them(scoring):
    weights = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    settings = {"scoring": scoring, "refit": "accuracy" if isinstance(scoring, list) else True, "cv": 3}
    grid = {"alpha": [0, 0.1], "learning_rate_init": [0.001, 0.1]}
    stacked, looped = both(classifier(), grid, {"sample_weight": weights}, return_train_score=True, **settings)
    assert_same_search(stacked, looped)


def test_random_search_draws_the_same_configurations():
    space = {"learning_rate_init": stats.loguniform(1e-3, 1), "alpha": [0, 0.1]}
    with threadpool_limits(limits=1, user_api="blas"):
        looped = RandomizedSearchCV(classifier(), space, n_iter=5, random_state=1, cv=2).fit(X, Y)
        stacked = StackedSearchCV(classifier(), space, n_iter=5, random_state=1, cv=2).fit(X, Y)
    assert_same_search(stacked, looped)


def test_regression():
    x, y = make_regression(90, 4, noise=1.0, random_state=0)
    regressor = XBRegressor((5,), max_iter=6, random_state=0, batch_size=16, early_stopping=True, n_iter_no_change=2)
    grid = {"learning_rate_init": [0.01, 0.1], "alpha": [0, 1]}
    with threadpool_limits(limits=1, user_api="blas"):
        looped = GridSearchCV(regressor, grid, cv=KFold(3)).fit(x, y)
        stacked = StackedSearchCV(regressor, grid, cv=KFold(3)).fit(x, y)
    assert_same_search(stacked, looped)


def test_threads_change_nothing():
    one, three = (StackedSearchCV(classifier(), GRID, cv=3, n_jobs=n).fit(X, Y) for n in (1, 3))
    assert_same_search(one, three)


def test_a_network_that_diverges_is_a_fit_that_failed():
    grid = {"learning_rate_init": [0.01, 1e38]}
    net = classifier(solver="sgd", momentum=0, loss="mse", activation="relu")
    failed = r"(?s)^\n3 fits failed out of a total of 6\..* try a smaller learning rate"
    with pytest.warns(FitFailedWarning, match=failed), pytest.warns(UserWarning, match="scores are non-finite"):
        search = StackedSearchCV(net, grid, cv=3).fit(X, Y)
    assert np.isnan(search.cv_results_["mean_test_score"][1])
    assert search.cv_results_["rank_test_score"].tolist() == [1, 2]
    line = "XBClassifier: the loss or the weights became nan or infinite in epoch 1; try a smaller learning rate, "
    with pytest.raises(xbnet.DivergenceError, match=f"^{line}clip_norm, or standardized inputs$"):
        StackedSearchCV(net, grid, cv=3, error_score="raise").fit(X, Y)


def test_refit_by_a_function_and_not_at_all():
    search = StackedSearchCV(classifier(), {"alpha": [0, 1]}, cv=2, refit=lambda results: 1).fit(X, Y)
    assert search.best_params_ == {"alpha": 1}
    search = StackedSearchCV(classifier(), {"alpha": [0, 1]}, cv=2, refit=False).fit(X, Y)
    assert not hasattr(search, "best_estimator_")
