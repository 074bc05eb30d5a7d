import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, RandomizedSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import xbnet
from xbnet import StackedSearchCV, XBClassifier, XBRegressor
from xbnet.estimators.stack import start
from xbnet.nn.layers import BATCH

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
    stacked, looped = both(classifier(), GRID, cv=3)
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
    assert_same_search(*both(classifier(**settings), grid, cv=3))


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


def test_layers_of_ones_own_are_told_apart_by_what_they_hold():
    grid = {"hidden_layer_sizes": [(4, Times(0.0)), (4, Times(3.0))], "learning_rate_init": [0.01, 0.1]}
    assert_same_search(*both(classifier(), grid, cv=2))
    layers = [(xbnet.Linear(4, "tanh", initializer="normal:0.1"), Times(factor)) for factor in (1.0, 1.0, 2.0)]
    with threadpool_limits(limits=1, user_api="blas"):
        tasks = [start(classifier(hidden_layer_sizes=sizes), 0, X, Y) for sizes in layers]
    assert [task.bucket() == tasks[0].bucket() for task in tasks] == [True, True, False]


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
    again = StackedSearchCV(pipeline, {"xbclassifier__alpha": [0]}, cv=2).fit(X, Y, sample_weight=weights)
    assert again.best_score_ > 0


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
    with pytest.warns(FitFailedWarning, match="^3 fits of 6 failed: the loss of the network became NaN or infinite"):
        search = StackedSearchCV(net, grid, cv=3).fit(X, Y)
    assert np.isnan(search.cv_results_["mean_test_score"][1])
    assert search.cv_results_["rank_test_score"].tolist() == [1, 2]
    with pytest.raises(xbnet.ConfigError, match=r"^StackedSearchCV: 3 fits of 6 failed: .*; try smaller"):
        StackedSearchCV(net, grid, cv=3, error_score="raise").fit(X, Y)


def test_refit_by_a_function_and_not_at_all():
    search = StackedSearchCV(classifier(), {"alpha": [0, 1]}, cv=2, refit=lambda results: 1).fit(X, Y)
    assert search.best_params_ == {"alpha": 1}
    search = StackedSearchCV(classifier(), {"alpha": [0, 1]}, cv=2, refit=False).fit(X, Y)
    assert not hasattr(search, "best_estimator_")


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda: StackedSearchCV(classifier(), {"alhpa": [1]}),
            "StackedSearchCV: XBClassifier has no parameter 'alhpa'",
        ),
        (
            lambda: StackedSearchCV(classifier(), {"alpha": [0]}, cv=KFold(3)),
            "StackedSearchCV: fold 0 has no sample of class 0 to train on; use fewer folds, or stratified ones",
        ),
        (
            lambda: StackedSearchCV(StandardScaler(), {"with_std": [True]}, scoring=lambda *a: 0.0),
            "StackedSearchCV: expected an XBClassifier or XBRegressor, or a Pipeline that ends in one, got "
            "StandardScaler; use GridSearchCV for others",
        ),
        (
            lambda: StackedSearchCV(classifier(n_members=2), {"alpha": [0]}),
            "StackedSearchCV: expected n_members=1; the search makes the stacks itself",
        ),
        (
            lambda: StackedSearchCV(classifier(), {"alpha": [0]}, scoring=["accuracy"]),
            "StackedSearchCV: with several scorers refit must be one of accuracy, a function or False, got True",
        ),
        (
            lambda: StackedSearchCV(classifier(), {"alpha": [-1]}),
            "XBClassifier: expected alpha in [0, inf), got -1",
        ),
    ],
)
def test_bad_input_is_one_line(make, line):
    with pytest.raises(xbnet.XbnetError) as caught:
        make().fit(X, Y)
    assert str(caught.value) == line


def test_the_search_itself_does_not_warn_of_unfinished_fits():
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        StackedSearchCV(classifier(max_iter=1), {"alpha": [0]}, cv=2, refit=False).fit(X, Y)
