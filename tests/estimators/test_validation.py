"""What is recorded on the validation part is what `score` says; early stopping goes by it."""

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_multilabel_classification, make_regression
from sklearn.metrics import accuracy_score, r2_score

import xbnet
from xbnet import XBClassifier, XBRegressor
from xbnet.estimators.validation import r_squared, weighted_mean

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, LABELS = make_classification(240, 8, n_informative=5, n_classes=3, random_state=0)
XM, FLAGS = make_multilabel_classification(240, 8, n_classes=4, random_state=0)
XR, VALUES = make_regression(240, 8, n_targets=3, noise=5.0, random_state=0)
VALUES = VALUES / VALUES.std(axis=0) * [1, 10, 0.1]  # of which R^2 is not that of all values together
W = np.random.default_rng(0).uniform(0.1, 3, 80)

TASKS = {
    "binary": (XBClassifier, X, LABELS > 0, {}),
    "names": (XBClassifier, X, np.array(["a", "b", "c"])[LABELS], {}),
    "one_class": (XBClassifier, X, np.zeros(240), {}),
    "flags": (XBClassifier, (XM - XM.mean(axis=0)) / XM.std(axis=0), FLAGS, {}),
    "own_loss": (XBClassifier, X, LABELS, {"loss": "mse"}),
    "values": (XBRegressor, XR, VALUES[:, 0], {}),
    "rows_of_values": (XBRegressor, XR, VALUES, {}),
    "own_regression_loss": (XBRegressor, XR, VALUES, {"loss": xbnet.MeanSquaredError()}),
}


@pytest.fixture(params=TASKS)
def task(request):
    kind, x, y, settings = TASKS[request.param]
    return lambda **more: kind(random_state=0, dtype="float64", learning_rate_init=0.02, **settings, **more), x, y


@pytest.mark.parametrize("w", [None, W], ids=["plain", "weighted"])
@pytest.mark.parametrize("members", [1, 3])
def test_scores_are_those_of_score(task, w, members):
    make, x, y = task
    for epochs in (1, 4):
        model = make(max_iter=epochs, n_members=members)
        model.fit(x[80:], y[80:], X_val=x[:80], y_val=y[:80], sample_weight_val=w)
        assert len(model.validation_scores_) == epochs
        assert model.validation_scores_[-1] == pytest.approx(model.score(x[:80], y[:80], w), abs=1e-12)
        assert model.best_validation_score_ == max(model.validation_scores_)


@pytest.mark.parametrize("w", [None, W], ids=["plain", "weighted"])
def test_early_stopping_keeps_the_weights_of_the_best_score(task, w):
    make, x, y = task
    model = make(max_iter=60, early_stopping=True, n_iter_no_change=3)
    model.fit(x[80:], y[80:], X_val=x[:80], y_val=y[:80], sample_weight_val=w)
    best = int(np.argmax(model.validation_scores_)) + 1
    assert model.score(x[:80], y[:80], w) == pytest.approx(max(model.validation_scores_), abs=1e-12)
    assert model.best_validation_score_ == pytest.approx(max(model.validation_scores_), abs=1e-12)
    assert model.history_.best_epoch.tolist() == [best]
    assert model.n_iter_ == len(model.validation_scores_) <= 60
    until_best = make(max_iter=best).fit(x[80:], y[80:])
    np.testing.assert_array_equal(until_best.network_.theta, model.network_.theta)


def test_members_stop_each_by_its_own_score():
    """As they would alone; what is recorded is the score of all, of which some may have stopped."""
    settings = {"max_iter": 80, "early_stopping": True, "n_iter_no_change": 2, "hidden_layer_sizes": (9,)}
    settings |= {"dtype": "float64", "learning_rate_init": 0.02}
    part = {"X_val": X[:80], "y_val": LABELS[:80]}
    stack = XBClassifier(n_members=4, random_state=1, **settings).fit(X[80:], LABELS[80:], **part)
    alone = [
        XBClassifier(random_state=int(s), **settings).fit(X[80:], LABELS[80:], **part) for s in stack.member_seeds_
    ]
    epochs = [model.n_iter_ for model in alone]
    assert len(set(epochs)) > 1
    assert stack.n_iter_ == max(epochs)
    np.testing.assert_allclose(stack.network_.theta, [m.network_.theta[0] for m in alone], rtol=0, atol=1e-12)
    for epoch in range(stack.n_iter_):  # again, by the members alone: trained so far, or with the weights they kept
        so_far = [
            model
            if model.n_iter_ <= epoch
            else XBClassifier(
                random_state=int(seed), **{**settings, "max_iter": epoch + 1, "early_stopping": False}
            ).fit(X[80:], LABELS[80:])
            for model, seed in zip(alone, stack.member_seeds_, strict=True)
        ]
        together = np.mean([model.predict_proba(X[:80]) for model in so_far], axis=0).argmax(axis=1)
        assert stack.validation_scores_[epoch] == pytest.approx(np.mean(together == LABELS[:80]))
    assert stack.best_validation_score_ == stack.score(X[:80], LABELS[:80])


def test_scores_are_scikit_learns():
    rng = np.random.default_rng(1)
    y, p, w = rng.normal(size=(30, 3)), rng.normal(size=(30, 3)), rng.uniform(0, 2, 30)
    y[:, 1], p[:, 2] = 4.0, (y[:, 2] + 0.1)
    for weights in (None, w):
        assert r_squared(y, p, weights) == pytest.approx(r2_score(y, p, sample_weight=weights), abs=1e-13)
        assert r_squared(y[:, 0], p[:, 0], weights) == pytest.approx(r2_score(y[:, 0], p[:, 0], sample_weight=weights))
        hits = accuracy_score(y[:, 0] > 0, p[:, 0] > 0, sample_weight=weights)
        assert weighted_mean((y[:, 0] > 0) == (p[:, 0] > 0), weights) == pytest.approx(hits)
    assert r_squared(np.ones((5, 1)), np.ones((5, 1)), None) == 1.0
