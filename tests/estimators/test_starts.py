"""Fits of a search that begin alike begin once, and are scored together: with the digits of fits that don't."""

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xbnet import StackedOptunaSearchCV, StackedSearchCV, XBClassifier, XBRegressor
from xbnet.estimators import stack, together

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
NET = XBClassifier((5,), max_iter=2, batch_size=40, random_state=3, execution="replay")
RATES = {"learning_rate_init": [0.003, 0.1], "beta_1": [0.9, 0.5]}


def scores(kind, net=NET, grid=RATES, x=X, y=Y, **more):
    found = kind(net, grid, cv=3, refit=False, return_train_score=True, **more).fit(x, y).cv_results_
    return {name: values for name, values in found.items() if "_test_" in name or "_train_" in name}


def check_same(**how):
    found = scores(StackedSearchCV, **how)
    for name, values in scores(GridSearchCV, **how).items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def counted(monkeypatch, holder, name):
    calls, real = [], getattr(holder, name)
    monkeypatch.setattr(holder, name, lambda *given, **more: calls.append(given) or real(*given, **more))
    return calls


@pytest.mark.parametrize(
    ("settings", "grid", "begun"),
    [
        ({}, RATES, 3),
        ({"early_stopping": True}, RATES, 3),
        ({}, {"dropout": [0.0, 0.2, 0.4]}, 6),
        ({}, {"class_weight": [None, "balanced"], "max_iter": [1, 2]}, 6),
        ({}, {"random_state": [0, 1]}, 6),
        ({"random_state": None}, {"learning_rate_init": [0.1]}, 3),
    ],
)
def test_fits_that_begin_alike_begin_once(settings, grid, begun, monkeypatch):
    net = clone(NET).set_params(**settings)
    if net.random_state is not None:
        check_same(net=net, grid=grid)
    calls = counted(monkeypatch, XBClassifier, "_start")
    scores(StackedSearchCV, net=net, grid=grid)
    assert len(calls) == begun


@pytest.mark.filterwarnings("ignore:XBClassifier. expected batch_size")
def test_fits_that_have_to_train_alone_have_streams_of_their_own_and_warn_once(monkeypatch):
    net = clone(NET).set_params(batch_size=10**4)
    expected = scores(GridSearchCV, net=net)
    monkeypatch.setattr(stack, "footprint", lambda trainer: 1 / 0)
    with pytest.warns(UserWarning, match="batch_size") as said:
        found = scores(StackedSearchCV, net=net)
    assert len([one for one in said if "batch_size" in str(one.message)]) == 3 * len(found["mean_test_score"])
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_rows_that_a_step_writes_into_later_stay_as_they_were():
    """Scoring the training part scales the array of `copy=False` once more; fits of later rounds begin on the rows."""
    pytest.importorskip("optuna")
    net = make_pipeline(StandardScaler(copy=False), clone(NET).set_params(learning_rate_init=0.03))
    rounds = {"n_trials": 4, "at_once": 2, "cv": 3, "refit": False, "return_train_score": True}
    x = (X * 3 + 5).astype("float32")
    found = StackedOptunaSearchCV(net, {"xbclassifier__alpha": [0.0]}, **rounds).fit(x, Y).cv_results_
    assert len(set(found["mean_test_score"])) == 1


def test_a_scorer_may_write_into_predictions():
    def shifted(e, x, y):
        found = e.predict(x)
        found += 1
        return -abs(found - y).mean()

    net = XBRegressor((5,), max_iter=2, batch_size=40, random_state=3, execution="replay")
    check_same(net=net, x=X.astype("float32"), y=X[:, 0], scoring={"first": shifted, "then": "r2"})


class Focused(XBClassifier):
    """Weighs by what is no parameter."""

    def _weigh(self, y, sample_weight):
        return np.where(y == self.focus, 9.0, 1.0)


class Wrapped(ClassifierMixin, BaseEstimator):
    """Tells its network so."""

    def __init__(self, net=None, focus=0):
        self.net, self.focus = net, focus

    def fit(self, x, y):
        net = clone(self.net)
        net.focus = self.focus
        self.net_ = net.fit(x, y)
        self.classes_ = net.classes_
        return self

    def predict(self, x):
        return self.net_.predict(x)


def test_classes_of_others_begin_alone():
    net = Focused((5,), max_iter=2, batch_size=40, random_state=3, execution="replay", learning_rate_init=0.1)
    assert len(set(scores(GridSearchCV, net=Wrapped(net), grid={"focus": [0, 1, 2]})["mean_test_score"])) > 1
    check_same(net=Wrapped(net), grid={"focus": [0, 1, 2]})


def test_few_starts_are_kept(monkeypatch):
    monkeypatch.setattr("xbnet.estimators.meeting.MOST_STARTS", 1)
    check_same(grid={"learning_rate_init": [0.01, 0.1]})


def test_what_is_to_be_warned_of_is_said_by_each_fit():
    y = np.arange(len(Y)) % 100  # scikit-learn warns of so many classes
    with pytest.warns(UserWarning, match="number of unique classes") as said:
        StackedSearchCV(NET, {"alpha": [0, 1]}, cv=[(np.arange(120), np.arange(120, 150))]).fit(X, y)
    assert len([one for one in said if "number of unique classes" in str(one.message)]) >= 3


def test_networks_of_a_stack_predict_together_and_are_single_when_asked_for(monkeypatch):
    kept = []

    def score(e, X, y):
        kept.append(e)
        e.predict(X)
        return e.score(X, y)

    passes = counted(monkeypatch, together.Network, "run_rows")
    StackedSearchCV(NET, RATES, cv=3, refit=False, scoring=score, n_jobs=1).fit(X, Y)
    assert len(passes) == 3  # one per fold
    for e in kept:
        assert isinstance(vars(e)["_network"], together.Place)
        found = [e.predict_proba(rows) for rows in (X, X[:1], X[:40], X[1:50], X[:60])]  # more sets than are kept
        single = pickle.loads(pickle.dumps(e))
        for rows, values in zip((X, X[:1], X[:40], X[1:50], X[:60]), found, strict=True):
            np.testing.assert_array_equal(values, single.predict_proba(rows))
        assert single.network_.replicas == 1


@pytest.mark.parametrize("kind", [int, str, bool, np.uint8])
@pytest.mark.parametrize("weights", [None, np.arange(1.0, 101)])
def test_the_score_is_scikit_learns(kind, weights):
    y = (Y[:100]).astype(kind)
    e = clone(NET).fit(X[:100], y)
    for truth in (y, y[::-1], list(y)):
        assert e.score(X[:100], truth, weights) == ClassifierMixin.score(e, X[:100], truth, weights)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        e.score(X[:100], y[:50])
    with pytest.raises(NotFittedError):
        clone(NET).score(X[:100], y)


def test_predictions_of_another_kind_than_the_labels_are_refused():
    class Words(XBClassifier):
        def predict(self, X):
            return super().predict(X).astype(str)

    with pytest.raises(ValueError, match="Mix of label input types"):
        Words(**NET.get_params()).fit(X, Y).score(X, Y)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x[:, :3], "X has 3 features, but XBClassifier is expecting 4 features"),
        (lambda x: np.where(x > 7, np.nan, x), "Input X contains NaN"),
        (lambda x: np.where(x > 7, np.inf, x), "Input X contains infinity"),
    ],
)
def test_rows_are_checked_as_scikit_learn_does(spoil, message):
    with pytest.raises(ValueError, match=message):
        clone(NET).fit(X, Y).predict(spoil(X))


def test_large_rows_are_no_infinity():
    e = clone(NET).set_params(dtype="float64").fit(X, Y)
    assert len(e.predict(np.full((40, 4), 1e307))) == 40  # their sum is infinite
