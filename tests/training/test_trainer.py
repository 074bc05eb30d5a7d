"""Clipping, and which replica stops when, with which weights."""

import numpy as np
import pytest

import xbnet
from tests.support import cases
from tests.support.errors import refuses
from tests.support.runs import TARGETS, X, train, with_validation
from xbnet import SGD, BatchNorm, DivergenceError, Linear, fit


def test_clipping_bounds_the_step_and_keeps_its_direction():
    free, clipped, loose = (
        train(optimizer=SGD(1.0), batch_size=None, epochs=1, clip_norm=c) for c in (None, 0.01, 1e9)
    )
    start = cases.network().theta
    step, short = free[0].theta - start, clipped[0].theta - start
    assert np.linalg.norm(step) == pytest.approx(free[1]["grad_norm"][0])
    assert clipped[1]["grad_norm"][0] == pytest.approx(free[1]["grad_norm"][0]), "the norm before clipping is told"
    np.testing.assert_allclose(short, step * 0.01 / np.linalg.norm(step), rtol=1e-9)
    np.testing.assert_allclose(loose[0].theta, free[0].theta, rtol=1e-12)


def test_a_gradient_of_zero_is_not_divided_by_zero():
    net = cases.network([Linear(2, "relu", initializer="zeros")])
    x = np.zeros((20, cases.N_INPUTS))
    fit(net, "mse", SGD(0.1), (x, np.zeros((20, 3))), epochs=1, batch_size=8, clip_norm=1.0)
    assert np.isfinite(net.theta).all()


# -- who stops when ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("monitor", ["val_loss", "val_accuracy", "train_loss"])
def test_early_stopping_gives_the_best_weights_back(monitor):
    seen = []
    net = cases.network([Linear(8, "tanh"), BatchNorm()])
    keep = lambda record: seen.append((net.theta.copy(), net.state.copy())) and False  # noqa: E731
    history = fit(
        net,
        "cross_entropy",
        SGD(3.0),
        with_validation(),
        epochs=60,
        batch_size=4,
        patience=4,
        monitor=monitor,
        on_epoch=keep,
    )
    figures = history[monitor] * (-1 if monitor == "val_accuracy" else 1)
    best = int(figures.argmin())
    assert history.status == ["stopped"]
    assert history.best_epoch.tolist() == [best + 1]
    assert len(history) == best + 1 + 4
    np.testing.assert_array_equal(net.theta, seen[best][0])
    np.testing.assert_array_equal(net.state, seen[best][1])


def test_a_run_that_ends_before_patience_gives_the_best_weights_too():
    net = cases.network()
    seen = []
    history = fit(
        net,
        "cross_entropy",
        SGD(5.0),
        with_validation(),
        epochs=8,
        batch_size=4,
        patience=8,
        on_epoch=lambda record: seen.append(net.theta.copy()),
    )
    assert history.status == ["finished"]
    np.testing.assert_array_equal(net.theta, seen[history.best_epoch[0] - 1])


def test_without_patience_the_last_weights_stay():
    net, seen = cases.network(), []
    fit(
        net,
        "cross_entropy",
        SGD(5.0),
        with_validation(),
        epochs=8,
        batch_size=4,
        on_epoch=lambda r: seen.append(net.theta.copy()),
    )
    np.testing.assert_array_equal(net.theta, seen[-1])


def test_a_truthy_answer_stops_the_run():
    net, history = train(epochs=9, on_epoch=lambda record: record["epoch"] == 4)
    assert len(history) == 4
    assert history.status == ["stopped"]
    np.testing.assert_array_equal(net.theta, train(epochs=4)[0].theta)


TOO_FAST = (
    "fit: the loss became {what} in epoch {epoch}, step {step} of 3 (learning rate {lr}); try a smaller learning rate, "
    "clip_norm, or standardized inputs; the last good weights are kept"
)


def test_divergence_is_one_line_and_keeps_the_last_good_weights():
    net = cases.network([Linear(4)])
    start = net.theta.copy()
    with refuses(DivergenceError, TOO_FAST.format(what="infinite", epoch=1, step=2, lr="1e+200")) as caught:
        train(net, "mse", SGD(1e200), TARGETS)
    np.testing.assert_array_equal(net.theta, start)
    history = caught.value.history
    assert history.status == ["diverged"]
    assert len(history) == 1


def test_divergence_in_a_later_epoch_keeps_the_epoch_before():
    """The second epoch's rate is a hundred digits longer."""

    class Jump(xbnet.optim.schedules.Schedule):
        def factors(self, epochs, total):
            return np.where(epochs < 1, 1.0, 1e201)

    net = cases.network([Linear(4)])
    with refuses(DivergenceError, TOO_FAST.format(what="infinite", epoch=2, step=2, lr="1e+200")) as caught:
        train(net, "mse", SGD(0.1), TARGETS, schedule=Jump(), epochs=5)
    np.testing.assert_array_equal(
        net.theta, train(cases.network([Linear(4)]), "mse", SGD(0.1), TARGETS, epochs=1)[0].theta
    )
    assert np.isfinite(caught.value.history["train_loss"][0])


def test_weights_that_overflow_in_the_last_step_of_an_epoch_are_seen():
    net = cases.network([Linear(4)])
    start = net.theta.copy()
    line = (
        "fit: the weights became nan or infinite in epoch 1, step 1 of 1 (learning rate 1e+308); try a smaller "
        "learning rate, clip_norm, or standardized inputs; the last good weights are kept"
    )
    with refuses(DivergenceError, line):
        train(net, "mse", SGD(1e308), (X, 1e3 * TARGETS[1]), batch_size=None, epochs=1)
    np.testing.assert_array_equal(net.theta, start)


def test_a_user_who_stops_after_replicas_left():
    net = cases.network([Linear(4)], replicas=3)
    history = fit(
        net, "mse", SGD([0.1, 1e200, 0.05]), TARGETS, epochs=9, batch_size=8, on_epoch=lambda r: r["epoch"] == 3
    )
    assert history.status == ["stopped", "diverged", "stopped"]
    assert np.isnan(history["train_loss"][1:, 1]).all()
    assert np.isfinite(history["train_loss"][:, [0, 2]]).all()
