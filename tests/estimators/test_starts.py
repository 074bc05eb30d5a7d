"""Fits of a search that begin alike begin once, and are scored together: with the digits of fits that don't."""

import pickle

import numpy as np
import pytest
from sklearn.base import ClassifierMixin, clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from xbnet import StackedSearchCV, XBClassifier
from xbnet.estimators import stack, together

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
NET = XBClassifier((5,), max_iter=2, batch_size=40, random_state=3, execution="replay")
RATES = {"learning_rate_init": [0.003, 0.1], "beta_1": [0.9, 0.5]}


def scores(kind, net=NET, grid=RATES, **more):
    found = kind(net, grid, cv=3, refit=False, return_train_score=True, **more).fit(X, Y).cv_results_
    return {name: values for name, values in found.items() if "score" in name and "time" not in name}


def check_same(**how):
    for name, values in scores(GridSearchCV, **how).items():
        np.testing.assert_array_equal(scores(StackedSearchCV, **how)[name], values, err_msg=name)


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


def test_fits_that_have_to_train_alone_have_streams_of_their_own(monkeypatch):
    expected = scores(GridSearchCV)
    monkeypatch.setattr(stack, "footprint", lambda trainer: 1 / 0)
    for name, values in scores(StackedSearchCV).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


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
