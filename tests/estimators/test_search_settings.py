"""Settings drawn at random: `StackedSearchCV` gives what `GridSearchCV` gives, or raises what that raises."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn import config_context
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit, StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from tests.support.chance import examples
from xbnet import DivergenceError, StackedSearchCV, XBClassifier, XBRegressor
from xbnet.backends.blas import one_blas_thread

pytestmark = pytest.mark.filterwarnings("ignore")
X, Y = load_iris(return_X_y=True)
X, Y = X[::2], Y[::2]
WEIGHTS = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
TIMES = ("fit_time", "score_time")


def net(**more):
    return XBClassifier(**{"hidden_layer_sizes": (4,), "max_iter": 3, "batch_size": 16, "random_state": 3} | more)


class Doubled(XBClassifier):
    """With a `fit` of its own, which ends in that of its parent."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(np.asarray(X) * 2, y, sample_weight)


class Own(XBClassifier):
    """With a `fit` of its own that trains nothing."""

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[int(self.alpha) % len(self.classes_)])


def run(kind, estimator, grid, x=X, y=Y, fit=None, **more):
    """The search, or the first line of what it raises."""
    with warnings.catch_warnings(), one_blas_thread():
        warnings.simplefilter("ignore")
        try:
            return kind(estimator, grid, **more).fit(x, y, **(fit or {}))
        except DivergenceError as error:  # in a stack nobody knows in which step it was
            return type(error), "diverged"
        except Exception as error:
            return type(error), str(error).strip().splitlines()[0].replace("GridSearchCV", "StackedSearchCV")


def assert_same(estimator, grid, cv=2, **more):
    stacked, looped = (run(kind, estimator, grid, cv=cv, **more) for kind in (StackedSearchCV, GridSearchCV))
    if isinstance(looped, tuple):
        assert stacked == looped
        return stacked
    assert not isinstance(stacked, tuple), stacked
    a, b = stacked.cv_results_, looped.cv_results_
    assert list(a) == list(b)
    for key in a:
        if key == "params" or key.startswith("param_"):
            assert repr(a[key]) == repr(b[key])
        elif not key.endswith(TIMES):
            np.testing.assert_allclose(a[key], b[key], rtol=0, atol=1e-12, err_msg=key)
    for name in ("best_index_", "best_score_", "n_splits_", "multimetric_"):
        assert repr(getattr(stacked, name, None)) == repr(getattr(looped, name, None))
    return stacked


# -- the cases that were wrong once -------------------------------------------------------------------------------------


WIDE = np.zeros((len(X), 1001))
WIDE[:, 500:504] = X


def picked(x, keep):
    return x * keep


def test_preparations_that_look_alike():
    """Their `repr` hides where 1,001 values differ."""
    keep = np.ones((2, 1001))
    keep[1, 400:600] = 0
    grid = {"functiontransformer__kw_args": [{"keep": one} for one in keep]}
    search = assert_same(
        make_pipeline(FunctionTransformer(picked), net(max_iter=30, learning_rate_init=0.05)), grid, x=WIDE, cv=3
    )
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] != scores[1]


@pytest.mark.parametrize(
    ("estimator", "grid", "more"),
    [
        (net(), {"hidden_layer_sizes": [np.array([4, 3]), np.array([5])]}, {"cv": None}),
        (net(), {"dtype": ["float32", "float64"]}, {}),
        (make_pipeline(PCA(), net()), {"pca__n_components": [2, 9]}, {}),
        (net(), {"batch_size": [0, 16]}, {}),
        (net(), {"alpha": [-1, 0.1]}, {"error_score": 0.25}),
        (net(), {"alpha": [-1]}, {}),
        (net(), {"alpha": [-1, 0]}, {"error_score": "raise"}),
        (net(), {"alhpa": [1]}, {}),
        (net(), {"n_members": [1, 2], "warm_start": [True, False]}, {}),
        (Pipeline([("net", net())]), {"net__alpha": [0, 1]}, {}),
        (Doubled((4,), max_iter=3, random_state=0), {"alpha": [0, 1]}, {}),
        (Own(), {"alpha": [0, 1, 2]}, {}),
        (net(), {"alpha": [0]}, {"cv": KFold(3)}),
        (net(), {"alpha": [0]}, {"n_jobs": 0}),
        (net(), {"alpha": [0, 1]}, {"scoring": ["accuracy"]}),
        (net(schedule="nonsense"), {"alpha": [0, 1]}, {}),
        (net(clip_norm=-1), {"alpha": [0, 1]}, {}),
        (BaggingClassifier(net(), 3, random_state=0), {"estimator__alpha": [0, 1]}, {}),
        (OneVsRestClassifier(net()), {"estimator__learning_rate_init": [0.01, 0.1]}, {}),
        (StandardScaler(), {"with_std": [True, False]}, {"scoring": lambda *a: 0.5}),
    ],
)
def test_cases_by_name(estimator, grid, more):
    assert_same(estimator, grid, **more)


@pytest.mark.parametrize("n_jobs", [-2, -1, 1, 3])
def test_threads_are_counted_as_scikit_learn_counts_them(n_jobs):
    one, other = (StackedSearchCV(net(), {"alpha": [0, 1]}, cv=2, n_jobs=n).fit(X, Y) for n in (None, n_jobs))
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], other.cv_results_["mean_test_score"])


def test_a_class_of_one_member():
    y = Y.copy()
    y[0] = 7
    assert_same(net(), {"alpha": [0, 1]}, y=y, cv=3)


def test_targets_that_are_transformed():
    inner = XBRegressor((4,), max_iter=4, random_state=0)
    model = TransformedTargetRegressor(make_pipeline(StandardScaler(), inner), transformer=StandardScaler())
    assert_same(model, {"regressor__xbregressor__alpha": [0, 1]}, y=X[:, 0] * 3, cv=KFold(3))


@pytest.mark.parametrize(("fit", "score"), [(True, False), (False, True), (True, True), (False, False), (None, None)])
@pytest.mark.parametrize("piped", [False, True])
def test_metadata_routing(fit, score, piped):
    with config_context(enable_metadata_routing=True):
        model = net().set_fit_request(sample_weight=fit).set_score_request(sample_weight=score)
        if piped:
            scaler = StandardScaler().set_fit_request(sample_weight=fit)
            assert_same(make_pipeline(scaler, model), {"xbclassifier__alpha": [0, 1]}, fit={"sample_weight": WEIGHTS})
        else:
            assert_same(model, {"alpha": [0, 1]}, fit={"sample_weight": WEIGHTS})


def test_routed_aliases():
    with config_context(enable_metadata_routing=True):
        model = net().set_fit_request(sample_weight="w").set_score_request(sample_weight="v")
        assert_same(model, {"alpha": [0, 1]}, fit={"w": WEIGHTS, "v": WEIGHTS[::-1]})


def test_a_validation_part_and_a_steps_weights_are_handed_on():
    assert_same(net(early_stopping=True), {"alpha": [0, 1]}, fit={"X_val": X[:40:2], "y_val": Y[:40:2]})
    model = make_pipeline(StandardScaler(), net())
    fit = {"standardscaler__sample_weight": WEIGHTS, "xbclassifier__sample_weight": WEIGHTS}
    assert_same(model, {"xbclassifier__alpha": [0, 1]}, fit=fit)


def test_callbacks_are_called():
    pytest.importorskip("sklearn.callback")
    calls = []

    class Recording:
        def on_fit_task_end(self, *a, **k):
            calls.append("end")

        def on_fit_task_begin(self, *a, **k):
            calls.append("begin")

        def setup(self, *a, **k):
            calls.append("setup")

        def teardown(self, *a, **k):
            calls.append("teardown")

    for kind in (StackedSearchCV, GridSearchCV):
        kind(net(), {"alpha": [0, 1]}, cv=2).set_callbacks(Recording()).fit(X, Y)
    ours, theirs = calls[: len(calls) // 2], calls[len(calls) // 2 :]
    assert sorted(ours) == sorted(theirs)  # theirs end before the next ones begin
    assert calls.count("begin") > 4


# -- drawn ones ---------------------------------------------------------------------------------------------------------

NETS = st.fixed_dictionaries(
    {},
    optional={
        "early_stopping": st.booleans(),
        "solver": st.sampled_from(["adam", "sgd", "rmsprop"]),
        "dropout": st.sampled_from([0, 0.3]),
        "batch_norm": st.booleans(),
        "dtype": st.sampled_from(["float32", "float64"]),
        "loss": st.sampled_from(["auto", "mse", "binary_cross_entropy"]),
        "schedule": st.sampled_from([None, "cosine", "plateau"]),
        "clip_norm": st.sampled_from([None, 0.5]),
        "batch_size": st.sampled_from([7, 16, "full", "auto", 500]),
        "class_weight": st.sampled_from([None, "balanced"]),
        "n_iter_no_change": st.sampled_from([1, np.inf]),
        "hidden_layer_sizes": st.sampled_from([(), (3,), (4, 2), np.array([2, 2])]),
        "shuffle": st.booleans(),
    },
)
VALUES = {
    "alpha": [0, 0.1, -1],
    "learning_rate_init": [0.01, 0.3, 1e30],
    "hidden_layer_sizes": [(3,), (4, 2), 5],
    "random_state": [0, 1],
    "dropout": [0, 0.2, 0.5],
    "early_stopping": [True, False],
    "class_weight": [None, "balanced"],
    "beta_1": [0.5, 0.9],
    "batch_size": [8, 0],
    "max_iter": [1, 3],
}
PREPARED = {
    "none": lambda model: model,
    "scaled": lambda model: Pipeline([("scale", StandardScaler()), ("net", model)]),
    "reduced": lambda model: Pipeline([("scale", PCA(2)), ("net", model)]),
    "columns": lambda model: Pipeline([("scale", ColumnTransformer([("a", MinMaxScaler(), [0, 2])])), ("net", model)]),
    "sparse": lambda model: Pipeline([("scale", FunctionTransformer(sparse.csr_array)), ("net", model)]),
    "skipped": lambda model: Pipeline([("scale", "passthrough"), ("net", model)]),
}
SCORINGS = [
    (None, True),
    ("neg_log_loss", True),
    (["accuracy", "f1_macro"], "f1_macro"),
    (["accuracy", "f1_macro"], True),
    ({"a": "accuracy", "b": make_scorer(accuracy_score)}, "b"),
    ("accuracy", lambda results: 0),
    ("roc_auc_ovr", False),
]
SPLITS = [2, StratifiedKFold(3), KFold(3, shuffle=True, random_state=0), ShuffleSplit(2, random_state=1), GroupKFold(3)]


@settings(max_examples=examples(12) if settings.default.derandomize else 300, suppress_health_check=list(HealthCheck))
@given(
    made=NETS,
    keys=st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=2, unique=True),
    prepared=st.sampled_from(sorted(PREPARED)),
    scoring=st.sampled_from(range(len(SCORINGS))),
    cv=st.sampled_from(range(len(SPLITS))),
    weighted=st.booleans(),
    train=st.booleans(),
    error_score=st.sampled_from([np.nan, 0.5, "raise"]),
)
def test_any_settings(made, keys, prepared, scoring, cv, weighted, train, error_score):
    piped = prepared != "none"
    fit = {"groups": np.arange(len(X)) % 5}
    if weighted:
        fit["net__sample_weight" if piped else "sample_weight"] = WEIGHTS
    score, refit = SCORINGS[scoring]
    assert_same(
        PREPARED[prepared](net(**made)),
        {("net__" if piped else "") + key: VALUES[key] for key in keys},
        fit=fit,
        scoring=score,
        refit=refit,
        cv=SPLITS[cv],
        return_train_score=train,
        error_score=error_score,
    )
