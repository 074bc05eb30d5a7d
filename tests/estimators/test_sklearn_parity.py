"""In float64, the estimators follow scikit-learn's networks number by number."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from xbnet import ConfigError, XBClassifier, XBRegressor
from xbnet.estimators.rules import draw_ahead

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
TOLERANCE = 1e-10

SETTINGS = {
    "adam": {},
    "adam_betas": {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.05},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.7, "learning_rate_init": 0.05},
    "sgd": {"solver": "sgd", "momentum": 0, "learning_rate_init": 0.1},
    "penalty": {"alpha": 1.0},
    "logistic": {"activation": "logistic", "hidden_layer_sizes": (20, 10)},
    "tanh": {"activation": "tanh", "hidden_layer_sizes": 30},
    "in_order": {"shuffle": False, "batch_size": 64},
    "early_stopping": {"early_stopping": True, "n_iter_no_change": 2, "validation_fraction": 0.2},
}


def assert_follows(ours, theirs):
    assert ours.n_iter_ == theirs.n_iter_
    for a, b in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=0, atol=TOLERANCE)
    if theirs.validation_scores_ is not None:
        np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=0, atol=TOLERANCE)
    assert (ours.best_loss_ is None) == (theirs.best_loss_ is None)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("load", [load_digits, load_breast_cancer])
def test_classifier_follows(load, name):
    X, y = load(return_X_y=True)
    X, y = StandardScaler().fit_transform(X)[:560], y[:560]
    settings = {"max_iter": 17, "random_state": 3, **SETTINGS[name]}  # 3 steps an epoch at least: 50 steps and more
    theirs = MLPClassifier(**settings).fit(X, y)
    ours = XBClassifier(dtype="float64", **settings).fit(X, y)
    assert_follows(ours, theirs)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["adam", "nesterov", "early_stopping"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_regressor_follows(name, outputs):
    X, y = load_diabetes(return_X_y=True)
    y = y / 100 if outputs == 1 else np.column_stack([y, y[::-1]]) / 100
    settings = {"max_iter": 20, "random_state": 3, **SETTINGS[name], "learning_rate_init": 0.01}
    theirs = MLPRegressor(**settings).fit(X, y)
    ours = XBRegressor(dtype="float64", **settings).fit(X, y)
    curve, theirs.loss_curve_ = theirs.loss_curve_, [1.0] * theirs.n_iter_
    penalties = ours.loss_curve_
    # scikit-learn's curve is the mean over outputs, its gradient that of the sum: we show what is minimized.
    if outputs == 1:
        np.testing.assert_allclose(penalties, curve, rtol=0, atol=TOLERANCE)
    ours.loss_curve_ = [1.0] * ours.n_iter_
    assert_follows(ours, theirs)


def test_multilabel_and_weights_follow():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 5))
    Y = (X @ rng.normal(size=(5, 3)) > 0).astype(int)
    w = rng.uniform(0.5, 2, 150)
    settings = {"max_iter": 10, "batch_size": 30, "random_state": 0, "n_iter_no_change": 50}
    theirs = MLPClassifier(**settings).fit(X, Y)
    ours = XBClassifier(dtype="float64", **settings).fit(X, Y)
    assert_follows(ours, theirs)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    theirs, ours = (m.fit(X, Y[:, 0], sample_weight=w) for m in (theirs, ours))
    for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("targets", ["binary", "multiclass", "multilabel"])
def test_weights_there_and_back(targets):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 4))
    y = {
        "binary": np.where(X[:, 0] > 0, "yes", "no"),
        "multiclass": X[:, :3].argmax(axis=1) + 5,
        "multilabel": (X[:, :3] > 0).astype(int),
    }[targets]
    theirs = MLPClassifier((6, 5), activation="tanh", max_iter=5, random_state=0).fit(X, y)
    ours = XBClassifier.from_sklearn(theirs)
    assert ours.dtype == "float64"
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-14)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    ours.partial_fit(X, y)
    back = ours.to_sklearn()
    np.testing.assert_allclose(ours.predict_proba(X), back.predict_proba(X), rtol=0, atol=1e-14)
    np.testing.assert_array_equal(ours.predict(X), back.predict(X))
    assert back.score(X, y) == ours.score(X, y)
    back.partial_fit(X, y)


def test_regression_weights_there_and_back():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 4)).astype(np.float32)
    for y in (X[:, 0], X[:, :2]):
        theirs = MLPRegressor(hidden_layer_sizes=(6,), max_iter=5, random_state=0).fit(X, y)
        ours = XBRegressor.from_sklearn(theirs)
        assert ours.dtype == "float32"
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ours.to_sklearn().predict(X), ours.predict(X), rtol=1e-5, atol=1e-6)


def test_what_can_not_be_converted_is_one_line():
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 3

    def complaint(make):
        with pytest.raises(ConfigError) as caught:
            make()
        return str(caught.value)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        lbfgs = MLPClassifier(solver="lbfgs", max_iter=2).fit(X, y)
        members = XBClassifier(n_members=2, max_iter=1).fit(X, y)
        silu = XBClassifier(activation="silu", max_iter=1).fit(X, y)
        blocks = XBClassifier((3,), residual=1, max_iter=1).fit(X, y)
        encoded = XBRegressor((3,), schema=True, max_iter=1).fit(X, y)
    assert complaint(lambda: XBClassifier.from_sklearn(lbfgs)) == (
        "from_sklearn(MLPClassifier): solver='lbfgs' has no counterpart; train with 'adam' or 'sgd'"
    )
    assert complaint(lambda: XBRegressor.from_sklearn(lbfgs)) == (
        "from_sklearn(MLPClassifier): expected an MLPRegressor of scikit-learn"
    )
    with pytest.raises(NotFittedError, match="This MLPClassifier instance is not fitted yet"):
        XBClassifier.from_sklearn(MLPClassifier())
    assert complaint(members.to_sklearn) == (
        "XBClassifier.to_sklearn: scikit-learn has one member and the default loss only"
    )
    assert complaint(silu.to_sklearn) == (
        "XBClassifier.to_sklearn: scikit-learn has one of identity, relu, tanh, logistic for all layers"
    )
    assert complaint(encoded.to_sklearn) == (
        "XBRegressor.to_sklearn: scikit-learn's networks know no schema, by which this one encodes X (schema=False)"
    )
    assert complaint(blocks.to_sklearn).startswith(
        "XBClassifier.to_sklearn: scikit-learn has fully connected layers only, not ["
    )


def test_a_stream_that_others_share_is_only_read():
    class Shared(np.random.RandomState):
        def set_state(self, state):
            pytest.fail("rewound under others' draws")

    assert draw_ahead(Shared(3)) == np.random.RandomState(3).randint(np.iinfo(np.int32).max)
