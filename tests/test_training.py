import cases
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lines import refuses

import xbnet
from xbnet import (
    SGD,
    BatchNorm,
    ConfigError,
    DataError,
    Dataset,
    DivergenceError,
    Dropout,
    Linear,
    Network,
    Part,
    ShapeError,
    evaluate,
    fit,
)

X, Y = cases.samples(n=20)
QUICK = {"epochs": 2, "batch_size": 8}


def train(net=None, loss="cross_entropy", optimizer=None, data=(X, Y), **settings):
    net = cases.network() if net is None else net
    return net, fit(net, loss, optimizer or SGD(0.1), data, **{**QUICK, **settings})


def with_validation(n=9):
    x, y = cases.samples(n=n, seed=8)
    return Dataset("small", Part(X, Y), val=Part(x, y))


# -- the loop is the plain loop ----------------------------------------------------------------------------------------


def test_fit_is_the_plain_loop():
    """Every batch of every epoch, the short last one too, in the order of the replica's stream."""
    net, history = train(cases.network(rng=3), epochs=3, l2=0.01)
    mine = cases.network(rng=3)
    loss = xbnet.SoftmaxCrossEntropy().bind(mine)
    order = xbnet.replicas.stream(mine.seeds[0], "shuffle")
    n_weights = mine.n_weights
    for epoch in range(3):
        total, rows = 0.0, order.permutation(20)
        for start in (0, 8, 16):
            pick = rows[start : start + 8]
            logits = mine.forward(X[None, pick], training=True)
            total += loss(logits, Y[None, pick], mine.output_gradient).sum()
            mine.backward()
            mine.grad[:, :n_weights] += 2 * 0.01 * mine.theta[:, :n_weights]
            norm = np.sqrt((mine.grad**2).sum())
            mine.theta[...] -= 0.1 * mine.grad
        penalty = 0.01 * (mine.theta[:, :n_weights] ** 2).sum()
        assert history["train_loss"][epoch] == pytest.approx(total / 20, rel=1e-12)
        assert history["train_cost"][epoch] == pytest.approx(total / 20 + penalty, rel=1e-12)
        assert history["grad_norm"][epoch] == pytest.approx(norm, rel=1e-12)
    np.testing.assert_allclose(net.theta, mine.theta, rtol=1e-12)


def test_figures_of_the_history():
    net, history = train(data=with_validation(), epochs=3)
    assert len(history) == 3
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["lr"].tolist() == [0.1] * 3
    assert history.status == ["finished"]
    assert history.best_epoch[0] == history["val_loss"].argmin() + 1
    part = with_validation().val
    last = evaluate(net, "cross_entropy", part.x, part.y)
    assert history["val_loss"][-1] == pytest.approx(last["loss"][0])
    assert history["val_accuracy"][-1] == pytest.approx(last["accuracy"][0])
    assert last["accuracy"][0] == np.mean(net.predict(part.x) == part.y)
    assert history.seconds > 0
    assert np.all(history["samples_per_second"] > 0)
    assert history.at_best("val_loss")[0] == history["val_loss"].min()


def test_without_validation_there_are_no_such_figures():
    _, history = train()
    assert np.isnan(history["val_loss"]).all()
    assert np.isfinite(history["train_accuracy"]).all()


@pytest.mark.parametrize("task", ["multilabel", "regression", "classification"])
def test_links_and_accuracies_of_tasks(task):
    loss = {"multilabel": "binary_cross_entropy", "regression": "mse", "classification": "cross_entropy"}[task]
    net, history = train(loss=loss, data=cases.samples(task, 20))
    assert net.link == {"multilabel": "multilabel", "regression": "identity", "classification": "softmax"}[task]
    assert np.isnan(history["train_accuracy"]).all() == (task == "regression")


def test_full_batch_is_one_unshuffled_step():
    net, history = train(batch_size=None, epochs=1)
    mine = cases.network()
    logits = mine.forward(X[None], training=True)
    values = xbnet.SoftmaxCrossEntropy().bind(mine)(logits, Y[None], mine.output_gradient)
    mine.backward()
    np.testing.assert_array_equal(net.theta, mine.theta - 0.1 * mine.grad)
    assert history["train_loss"][0] == pytest.approx(values.mean())
    np.testing.assert_array_equal(train(batch_size=20, epochs=1)[0].theta, net.theta)


def test_runs_repeat_and_the_order_has_a_seed_of_its_own():
    first, again = train()[0], train()[0]
    np.testing.assert_array_equal(first.theta, again.theta)
    other = train(rng=99)[0]
    assert not np.array_equal(first.theta, other.theta)
    np.testing.assert_array_equal(other.theta, train(rng=99)[0].theta)


def test_schedules_reach_the_optimizer():
    net, history = train(schedule=xbnet.schedules.Step(every=1, gamma=0.0), epochs=3)
    np.testing.assert_array_equal(net.theta, train(epochs=1)[0].theta)
    assert history["lr"].tolist() == [0.1, 0, 0]


def test_settings_and_data_stay_as_they_were():
    x, y, weights = X.copy(), Y.copy(), np.linspace(1, 2, 20)
    for array in (x, y, weights):
        array.setflags(write=False)
    loss, optimizer = xbnet.SoftmaxCrossEntropy(label_smoothing=0.1), xbnet.Adam()
    before = dict(vars(loss)), dict(vars(optimizer))
    train(loss=loss, optimizer=optimizer, data=(x, y), sample_weight=weights)
    assert (vars(loss), vars(optimizer)) == before
    np.testing.assert_array_equal(x, X)


def test_any_memory_layout_of_the_data():
    wide = np.zeros((40, 8))
    wide[::2, ::2] = X
    expected = train()[0].theta
    for x in (wide[::2, ::2], np.asfortranarray(X), X.astype(object).astype(float)):
        np.testing.assert_array_equal(train(data=(x, Y))[0].theta, expected)


# -- weights -----------------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=20, max_size=20).filter(lambda w: all(np.bincount(Y, w) > 0)))
def test_sample_weights_are_repeated_rows(weights):
    weighted = train(sample_weight=weights, batch_size=None, epochs=4)
    repeated = train(data=(np.repeat(X, weights, axis=0), np.repeat(Y, weights)), batch_size=None, epochs=4)
    np.testing.assert_allclose(weighted[0].theta, repeated[0].theta, rtol=1e-9)
    for name in ("train_loss", "train_accuracy", "grad_norm"):
        np.testing.assert_allclose(weighted[1][name], repeated[1][name], rtol=1e-9, err_msg=name)


def test_class_weights_are_repeated_rows():
    weights = np.array([3, 1, 2])
    weighted = train(loss=xbnet.SoftmaxCrossEntropy(class_weight=weights), batch_size=None, epochs=4)
    repeated = train(data=(np.repeat(X, weights[Y], axis=0), np.repeat(Y, weights[Y])), batch_size=None, epochs=4)
    np.testing.assert_allclose(weighted[0].theta, repeated[0].theta, rtol=1e-9)


def test_minibatches_without_weight_move_nothing():
    only = np.zeros(20)
    only[:4] = 1
    net, history = train(sample_weight=only, batch_size=2, epochs=3)
    assert history.status == ["finished"]
    assert np.isfinite(net.theta).all()
    assert np.isfinite(history["train_loss"]).all()


# -- clipping ----------------------------------------------------------------------------------------------------------


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
TARGETS = cases.samples("regression", 20)


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

    class Jump(xbnet.schedules.Schedule):
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


# -- evaluate ----------------------------------------------------------------------------------------------------------


def test_evaluate_by_hand():
    """Dropout is off and batch normalization uses its running statistics, as in predictions."""
    net = cases.network("deep", replicas=2)
    proba, w = net.predict_proba(X), np.linspace(0, 2, 20)
    found = evaluate(net, "cross_entropy", X, Y, w)
    losses, hits = -np.log(proba[:, np.arange(20), Y]), proba.argmax(axis=2) == Y
    np.testing.assert_allclose(found["loss"], (losses * w).sum(axis=1) / w.sum())
    np.testing.assert_allclose(found["accuracy"], (hits * w).sum(axis=1) / w.sum())
    assert found["loss"].dtype == np.float64


def test_evaluate_does_not_ask_for_every_class():
    net = cases.network()
    for rows in (slice(0, 1), Y != 1, Y == 2):
        found = evaluate(net, "cross_entropy", X[rows], Y[rows])
        assert found["accuracy"][0] == np.mean(net.predict(X[rows]) == Y[rows])


def test_evaluate_in_pieces_is_the_same(monkeypatch):
    expected = evaluate(cases.network(), "cross_entropy", X, Y)["loss"]
    monkeypatch.setattr(xbnet.evaluation, "EVALUATION_ROWS", 7)
    np.testing.assert_allclose(evaluate(cases.network(), "cross_entropy", X, Y)["loss"], expected)


def test_evaluate_multilabel_and_regression():
    net, targets = cases.network(), cases.samples("multilabel", 20)[1]
    for y in (targets, targets.astype(float)):
        right = (net.forward(X[None])[0] >= 0) == y
        assert evaluate(net, "binary_cross_entropy", X, y)["accuracy"][0] == pytest.approx(right.mean())
    assert np.isnan(evaluate(net, "mse", *TARGETS)["accuracy"]).all()
    narrow = cases.network(n_outputs=1)
    error = narrow.forward(X[None])[0, :, 0] - TARGETS[1][:, 0]
    assert evaluate(narrow, "mse", X, TARGETS[1][:, 0])["loss"][0] == pytest.approx((error**2).mean())


# -- bad input ---------------------------------------------------------------------------------------------------------

WHOLE = "to be a whole number >= 1, got"
MONITORS = "fit: expected monitor to be one of train_loss, train_cost, train_accuracy, got "
WEIGHTS = "fit: expected sample_weight >= 0 with at least one > 0"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"epochs": 0}, f"fit: expected epochs {WHOLE} 0"),
        ({"epochs": None}, f"fit: expected epochs {WHOLE} None"),
        ({"batch_size": 0}, f"fit: expected batch_size {WHOLE} 0"),
        ({"batch_size": True}, f"fit: expected batch_size {WHOLE} True"),
        (
            {"batch_size": 21},
            "fit: expected batch_size <= 20, the number of training samples, got 21; None takes them all",
        ),
        ({"patience": 0}, f"fit: expected patience {WHOLE} 0"),
        ({"clip_norm": 0}, "fit: expected clip_norm > 0, got 0; None does not clip"),
        ({"clip_norm": "a"}, "clip_norm: expected a number or one per replica, got 'a'"),
        ({"clip_norm": [1, 2]}, "clip_norm: expected a number or one per replica (R=1), got shape (2,)"),
        ({"monitor": "val_loss"}, f"{MONITORS}'val_loss'"),
        ({"monitor": "accuracy"}, f"{MONITORS}'accuracy'"),
        ({"sample_weight": -np.ones(20)}, WEIGHTS),
        ({"sample_weight": np.zeros(20)}, WEIGHTS),
        ({"sample_weight": np.full(20, np.inf)}, WEIGHTS),
        ({"l2": -1}, "penalty: expected l2 >= 0, got -1"),
        ({"l1": [0.1, 0.2]}, "l1: expected a number or one per replica (R=1), got shape (2,)"),
        ({"rng": "a"}, "rng: expected an integer >= 0, a SeedSequence, a Generator or None, got 'a'"),
        ({"optimizer": SGD([0.1, 0.2])}, "sgd.lr: expected a number or one per replica (R=1), got shape (2,)"),
        (
            {"schedule": xbnet.schedules.Step([1, 2])},
            "Step.every: expected a number or one per replica (R=1), got shape (2,)",
        ),
        ({"net": "mlp"}, "fit: expected a Network, got str"),
        (
            {"net": Network([Linear(5)], 4)},
            "fit: expected a network with 3 outputs for arrays (classification), got 5; "
            "set the last layer to Linear(3)",
        ),
        ({"data": TARGETS}, "cross_entropy: can't be used for regression; it serves classification"),
        (
            {"loss": "mse", "data": TARGETS, "monitor": "train_accuracy"},
            "fit: train_accuracy can't be monitored in a regression, which has none; take a loss",
        ),
        (
            {"loss": xbnet.MeanSquaredError(class_weight=[1, 1, 1]), "data": TARGETS},
            "mse: class_weight needs integer labels, got regression targets; use sample_weight",
        ),
    ],
)
def test_bad_settings(settings, line):
    with refuses(ConfigError, line):
        train(**settings)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("gmm", "fit: expected data to be a Dataset or (x, y), got str; see load_dataset"),
        (X, "fit: expected data to be a Dataset or (x, y), got ndarray; see load_dataset"),
        ((X[:0], Y[:0]), "arrays: training x expected at least one sample, got (0, 4)"),
        (
            (X, np.where(Y == 1, 0, Y)),
            "arrays: class 1 of 3 never occurs in training; add samples of it, or drop the class",
        ),
        (
            (np.where(np.arange(80).reshape(20, 4) == 6, np.nan, X), Y),
            "arrays: training x expected finite values, got nan at row 1, column 2 (counted from 0); "
            "remove or fill such samples",
        ),
    ],
    ids=["name", "x alone", "empty", "absent class", "nan"],
)
def test_bad_data(data, line):
    with refuses(DataError, line):
        train(data=data)


def test_bad_shapes():
    with refuses(ShapeError, "fit: expected x of arrays (N, I=4), got (20, 2)"):
        train(data=(X[:, :2], Y))
    with refuses(ShapeError, "fit: expected sample_weight (N=20), got (5,)"):
        train(sample_weight=np.ones(5))


@pytest.mark.parametrize(
    ("kind", "arguments", "line"),
    [
        (ShapeError, (X[:, :2], Y), "evaluate: expected x (N, I=4), got (20, 2)"),
        (ShapeError, (X, Y[:5]), "evaluate: expected y (N=20), got (5,)"),
        (ShapeError, (X, Y, np.ones(3)), "evaluate: expected sample_weight (N=20), got (3,)"),
        (ConfigError, (X, Y, np.zeros(20)), "evaluate: expected sample_weight >= 0 with at least one > 0"),
        (DataError, (X[:0], Y[:0]), "evaluate: expected at least one sample, got none"),
        (DataError, (X, Y + 5), "evaluate: expected labels in [0, 3), got 5 to 7"),
        (DataError, (X, Y - 1), "evaluate: expected labels in [0, 3), got -1 to 1"),
        (DataError, (X * np.nan, Y), "evaluate: expected x to hold finite numbers"),
        (DataError, (X, ["a"] * 20), "evaluate: expected y to hold finite numbers"),
        (DataError, (X, Y, "a"), "evaluate: expected sample_weight to hold numbers, got 'a'"),
        (ConfigError, TARGETS, "cross_entropy: can't be used for regression; it serves classification"),
    ],
)
def test_bad_input_of_evaluate(kind, arguments, line):
    with refuses(kind, line):
        evaluate(cases.network(), "cross_entropy", *arguments)


def test_dropout_learns():
    """The whole loop on something that has an answer."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    y = (x[:, 0] * x[:, 1] > 0).astype(int) + (x[:, 2] > 1)
    net = cases.network([Linear(24, "tanh"), Dropout(0.05), Linear(12, "relu")], replicas=2)
    history = fit(net, "cross_entropy", "adam:lr=0.02", (x, y), epochs=40, batch_size=32)
    assert np.all(history["train_accuracy"][-1] > 0.85)
