"""`fit` for n epochs, `fit` again with `warm_start`, and `partial_fit` n times: one run, however it is cut."""

import pickle
import re
import signal

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier

from xbnet import ConfigError, DivergenceError, XBClassifier, XBRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = make_classification(200, 8, n_informative=5, n_classes=3, random_state=0)
EASY = {"random_state": 0, "tol": 0.05, "n_iter_no_change": 2, "learning_rate_init": 0.01}


def assert_same(a, b):
    np.testing.assert_array_equal(a.network_.theta, b.network_.theta)
    assert a.loss_curve_ == b.loss_curve_
    assert a.validation_scores_ == b.validation_scores_
    assert (a.n_iter_, a.t_) == (b.n_iter_, b.t_)
    assert (a.best_loss_, a.best_validation_score_) == (b.best_loss_, b.best_validation_score_)


def test_after_convergence_training_goes_on_where_it_ended():
    model = XBClassifier(max_iter=100, **EASY).fit(X, Y)
    n = model.n_iter_
    assert n < 100
    assert model.t_ == n * len(X)
    parts = XBClassifier(max_iter=100, **EASY)
    for _ in range(n):
        parts.partial_fit(X, Y, classes=[0, 1, 2])
    assert_same(model, parts)
    for _ in range(3):
        model = pickle.loads(pickle.dumps(model.partial_fit(X, Y)))
        assert_same(model, parts.partial_fit(X, Y))
    assert len(model.loss_curve_) == len(model.history_) == model.n_iter_ == n + 3


def test_warm_start_after_convergence_is_scikit_learns():
    """Training goes on for an epoch, sees that there is still no improvement, and ends: the curve grows by one."""
    ours = XBClassifier(max_iter=100, warm_start=True, **EASY).fit(X, Y)
    theirs = MLPClassifier(max_iter=100, warm_start=True, **EASY).fit(X, Y)
    for _ in range(2):
        before = len(ours.loss_curve_), len(theirs.loss_curve_), theirs.t_, ours.t_
        ours.fit(X, Y)
        theirs.fit(X, Y)
        assert (len(ours.loss_curve_), len(theirs.loss_curve_)) == (before[0] + 1, before[1] + 1)
        assert (theirs.t_ - before[2], ours.t_ - before[3]) == (200, 200)
        assert ours.n_iter_ == len(ours.loss_curve_)  # the one difference: scikit-learn counts the last call's
        assert theirs.n_iter_ == 1


@pytest.mark.parametrize("members", [1, 3])
def test_early_stopping_in_two_halves_is_the_whole(members):
    """With the same rows held out in both, and the weights of the best epoch of both."""
    settings = {"early_stopping": True, "n_iter_no_change": 50, "random_state": 2, "n_members": members}
    whole = XBClassifier(max_iter=12, **settings).fit(X, Y)
    halves = XBClassifier(max_iter=6, warm_start=True, **settings).fit(X, Y).fit(X, Y)
    assert_same(whole, halves)


def test_after_early_stopping_the_run_goes_on():
    settings = {"early_stopping": True, "random_state": 0, "learning_rate_init": 0.02}
    stopped = XBClassifier(max_iter=100, n_iter_no_change=3, warm_start=True, **settings).fit(X, Y)
    n = stopped.n_iter_
    assert n < 100
    stopped.set_params(n_iter_no_change=50, max_iter=5).fit(X, Y)
    assert_same(stopped, XBClassifier(max_iter=n + 5, n_iter_no_change=50, **settings).fit(X, Y))


def test_members_that_stopped_at_different_epochs_go_on_together():
    """Without a common state of the optimizer; but curves and counts go on."""
    model = XBClassifier(max_iter=100, n_members=4, warm_start=True, **EASY).fit(X, Y)
    lasted = np.isfinite(model.history_["train_loss"]).sum(axis=0)
    assert len(set(lasted)) > 1
    n, theta = model.n_iter_, model.network_.theta.copy()
    model.partial_fit(X, Y)
    assert (model.n_iter_, len(model.loss_curve_), len(model.history_)) == (n + 1, n + 1, n + 1)
    assert (model.network_.theta != theta).any(axis=1).all()


def test_samples_are_counted_as_they_come():
    model = XBClassifier(max_iter=3, warm_start=True, random_state=0).fit(X, Y).fit(X[:50], Y[:50])
    assert model.t_ == 3 * 200 + 3 * 50
    assert model.fit(X[:100], Y[:100]).n_iter_ == 9


@pytest.mark.parametrize(
    ("changed", "name", "before", "now"),
    [
        (
            {"hidden_layer_sizes": (7, 7)},
            "layers",
            "Linear(7, relu), Linear(3)",
            "Linear(7, relu), Linear(7, relu), Linear(3)",
        ),
        ({"activation": "tanh"}, "layers", "Linear(7, relu), Linear(3)", "Linear(7, tanh), Linear(3)"),
        ({"solver": "sgd"}, "solver", "PlainAdam", "Nesterov"),
        ({"n_members": 2}, "n_members", "1", "2"),
        ({"dtype": "float64"}, "dtype", "float32", "float64"),
    ],
)
def test_another_network_can_not_be_gone_on_with(changed, name, before, now):
    model = XBClassifier((7,), max_iter=2, warm_start=True).fit(X, Y).set_params(**changed)
    for method, anew in (("fit", "warm_start=False starts again"), ("partial_fit", "fit starts again")):
        line = f"XBClassifier.{method}: expected {name} {before}, as before, to train further, got {now}; {anew}"
        with pytest.raises(ConfigError, match=f"^{re.escape(line)}$"):
            getattr(model, method)(X, Y)
    model.set_params(warm_start=False).fit(X, Y)


def test_other_data_can_not_be_gone_on_with():
    model = XBClassifier((7,), max_iter=2, warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match=r"^X has 5 features, but XBClassifier is expecting 8 features as input\.$"):
        model.fit(X[:, :5], Y)
    with pytest.raises(ConfigError, match=r"^XBClassifier: `y` has classes not in `self\.classes_`: \[3\]$"):
        model.fit(X, Y + 1)
    values = XBRegressor((7,), max_iter=2, warm_start=True).fit(X, X[:, :2])
    with pytest.raises(ConfigError, match=r"^XBRegressor: expected y with 2 columns, as before, got 3$"):
        values.fit(X, X[:, :3])


def test_learning_rate_and_more_may_change():
    model = XBClassifier((7,), max_iter=2, warm_start=True, random_state=0).fit(X, Y)
    theta = model.network_.theta.copy()
    model.set_params(learning_rate_init=0.0, alpha=0.0, tol=0.0).fit(X, Y)
    np.testing.assert_array_equal(model.network_.theta, theta)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_with_tol_0_a_tie_is_patience_enough_as_in_scikit_learn(early_stopping):
    settings = {"hidden_layer_sizes": (4,), "max_iter": 9, "n_iter_no_change": 2, "random_state": 0, "alpha": 0.0}
    settings |= {"tol": 0.0, "early_stopping": early_stopping, "learning_rate_init": 1e-300}
    settings |= {"shuffle": False, "batch_size": len(X) // 2}
    ours = XBClassifier(dtype="float64", **settings).fit(X, Y)
    theirs = MLPClassifier(**settings).fit(X.astype(float), Y)
    assert ours.n_iter_ == theirs.n_iter_ == 9


class Disturbed(XBClassifier):
    """In the epoch of that number, Ctrl-C is pressed so many times after some steps."""

    epoch, times = 3, 1

    def _trainer(self, *arguments, **settings):
        trainer = super()._trainer(*arguments, **settings)
        gather = trainer.batches.gather

        def disturbed(index):
            if len(trainer.history) == self.epoch - 1 and trainer.optimizer.steps % 3 == 2:
                for _ in range(self.times):
                    signal.raise_signal(signal.SIGINT)
                self.epoch = 0
            return gather(index)

        trainer.batches.gather = disturbed
        return trainer


@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_interrupted_fit_is_one_of_fewer_epochs(early_stopping):
    settings = {"batch_size": 50, "random_state": 0, "early_stopping": early_stopping, "warm_start": True}
    with pytest.warns(UserWarning, match="^Disturbed: interrupted after 3 epochs; it can predict, and go on$"):
        model = Disturbed(max_iter=50, **settings).fit(X, Y)
    other = XBClassifier(max_iter=3, **settings).fit(X, Y)
    for _ in range(2):
        assert model.loss_curve_ == other.loss_curve_
        assert len(model.history_) == model.n_iter_ == len(model.loss_curve_)
        np.testing.assert_array_equal(model.network_.theta, other.network_.theta)
        for one in (model, other):
            one.set_params(max_iter=2).fit(X, Y)


def test_interrupted_twice_it_raises():
    model = Disturbed(batch_size=50)
    model.times = 2
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_process_that_ignores_interrupts_goes_on_to_do_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert Disturbed(max_iter=4, batch_size=50).fit(X, Y).n_iter_ == 4
    finally:
        signal.signal(signal.SIGINT, before)


def test_after_divergence_the_curves_are_of_one_length():
    model = XBClassifier(solver="sgd", warm_start=True, max_iter=5, batch_size=20, random_state=0).fit(X, Y)
    model.learning_rate_init = 1e30
    with pytest.raises(DivergenceError):
        model.fit(X, Y)
    assert model.n_iter_ == len(model.history_)
    model.learning_rate_init = 0.001
    before = len(model.history_)
    model.fit(X, Y)
    assert model.n_iter_ == len(model.history_) == before + 5
    assert np.isfinite(model.loss_)
