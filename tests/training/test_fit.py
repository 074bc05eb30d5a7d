import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbnet
from tests.support import cases
from tests.support.chance import examples
from tests.support.runs import X, Y, train, with_validation
from xbnet import Dropout, Linear, evaluate, fit


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
    net, history = train(schedule=xbnet.optim.schedules.Step(every=1, gamma=0.0), epochs=3)
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


@settings(max_examples=examples(6), deadline=None)
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


def test_dropout_learns():
    """The whole loop on something that has an answer."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    y = (x[:, 0] * x[:, 1] > 0).astype(int) + (x[:, 2] > 1)
    net = cases.network([Linear(24, "tanh"), Dropout(0.05), Linear(12, "relu")], replicas=2)
    history = fit(net, "cross_entropy", "adam:lr=0.02", (x, y), epochs=40, batch_size=32)
    assert np.all(history["train_accuracy"][-1] > 0.85)
