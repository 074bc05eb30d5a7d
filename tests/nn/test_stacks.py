"""A member of a stack is its solo run, bit for bit; replicas neither see nor disturb each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbnet
from tests.support import cases
from tests.support.chance import examples
from xbnet import BatchNorm, Dataset, DivergenceError, Dropout, Linear, Part, Residual, replica_seeds

R = 3
FIGURES = xbnet.history.PER_REPLICA


def data_for(task, n=22):
    (x, y), (x_val, y_val) = cases.samples(task, n), cases.samples(task, 9, seed=8)
    return Dataset("small", Part(x, y), val=Part(x_val, y_val))


def run(make, seeds, data, *, replicas, dtype="float64", **settings):
    """Train a stack; `make(value)` gives layers, loss and optimizer, taking `value` of each per-replica setting."""
    layers, loss, optimizer = make
    net = cases.network(
        layers, n_outputs=data.n_outputs, n_inputs=data.n_inputs, replicas=replicas, rng=seeds, dtype=dtype
    )
    history = xbnet.fit(net, loss, optimizer, data, **{"epochs": 3, "batch_size": 8, **settings})
    return net, history


def assert_same_run(stack, solo, r):
    """Weights, statistics, gradients' norms, figures and fate of replica r of `stack` are those of `solo`."""
    (net, history), (alone, alone_history) = stack, solo
    np.testing.assert_array_equal(net.theta[r], alone.theta[0])
    np.testing.assert_array_equal(net.state[r], alone.state[0])
    assert history.status[r] == alone_history.status[0]
    assert history.best_epoch[r] == alone_history.best_epoch[0]
    for epoch, record in enumerate(history.records):
        for name in FIGURES:
            expected = alone_history.records[epoch][name][0] if epoch < len(alone_history) else np.nan
            np.testing.assert_array_equal(record[name][r], expected, err_msg=f"{name} in epoch {epoch + 1}")


def assert_stack_is_its_members(make, task="classification", replicas=R, data=None, **settings):
    """`make(value)` builds (layers, loss, optimizer); ``value([a, b, c])`` is the whole list, or one replica's item."""
    data = data_for(task) if data is None else data
    stack = run(make(lambda v: v), 7, data, replicas=replicas, **settings)
    for r, seed in enumerate(replica_seeds(7, replicas)):
        mine = {key: cases.one_of(value, r) for key, value in settings.items()}
        solo = run(make(lambda v, r=r: v[r]), [seed], data, replicas=1, **mine)
        assert_same_run(stack, solo, r)
    assert not np.array_equal(stack[0].theta[0], stack[0].theta[-1]) or replicas == 1
    return stack


LR, LOSS = [0.2, 0.05, 0.1], xbnet.SoftmaxCrossEntropy()


@pytest.mark.parametrize("row", cases.LAYERS)
def test_layers(row):
    assert_stack_is_its_members(lambda value: (row, LOSS, xbnet.SGD(value(LR))))


@pytest.mark.parametrize("row", cases.LAYERS)
def test_layers_in_float32(row):
    assert_stack_is_its_members(lambda value: (row, LOSS, xbnet.SGD(value(LR))), dtype="float32")


@pytest.mark.parametrize("row", cases.LOSSES)
def test_losses(row):
    loss, task = cases.LOSSES[row]()
    assert_stack_is_its_members(lambda value: ("linear-tanh", loss, xbnet.SGD(value(LR))), task)


@pytest.mark.parametrize("row", cases.OPTIMIZERS)
def test_full_batch(row):
    """One step an epoch."""
    hyper = cases.OPTIMIZERS[row]().hyper
    make = lambda value: (  # noqa: E731
        "linear-tanh",
        LOSS,
        type(cases.OPTIMIZERS[row]())(**{key: value([v, 0.5 * v, 0.9 * v]) for key, v in hyper.items()}),
    )
    assert_stack_is_its_members(make, batch_size=None, epochs=6, schedule=xbnet.optim.schedules.Exponential(0.8))


def test_label_smoothing_per_replica():
    def make(value):
        return "linear-tanh", xbnet.SoftmaxCrossEntropy(label_smoothing=value([0.0, 0.1, 0.4])), xbnet.SGD(0.1)

    assert_stack_is_its_members(make)


@pytest.mark.parametrize("row", cases.OPTIMIZERS)
def test_optimizers_with_every_hyper_parameter_per_replica(row):
    optimizer = cases.OPTIMIZERS[row]()

    def make(value):
        hyper = {key: value([v, 0.5 * v, 0.9 * v]) for key, v in optimizer.hyper.items()}
        return "linear-tanh", LOSS, type(optimizer)(**hyper)

    assert_stack_is_its_members(make)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_at_once(dtype):
    def make(value):
        layers = [Linear(6, "relu"), BatchNorm(), Residual(n_hidden=3), Dropout(value([0.0, 0.2, 0.5]))]
        loss = xbnet.SoftmaxCrossEntropy(class_weight=[1, 2, 3], label_smoothing=value([0.0, 0.1, 0.3]))
        return layers, loss, xbnet.AdamW(lr=value(LR), weight_decay=value([0.0, 0.1, 0.2]))

    assert_stack_is_its_members(
        make,
        dtype=dtype,
        l2=[0.0, 1e-3, 1e-2],
        l1=[1e-3, 0.0, 1e-2],
        clip_norm=[0.5, 1.0, 100.0],
        schedule="warmup:epochs=2,then=cosine",
        sample_weight=np.linspace(0.5, 2, 22),
        epochs=5,
    )


@pytest.mark.parametrize("row", cases.SCHEDULES)
def test_schedules(row):
    schedule = cases.SCHEDULES[row]()[0]
    make = lambda value: ("linear-tanh", LOSS, xbnet.SGD(value(LR)))  # noqa: E731
    assert_stack_is_its_members(make, schedule=schedule, epochs=5)


def test_plateau_falls_for_each_replica_in_its_own_epoch():
    def make(value):
        return "linear-tanh", LOSS, xbnet.SGD(value([5.0, 0.1, 2.0]))

    _, history = assert_stack_is_its_members(
        make, schedule="plateau:patience=1,factor=0.5", monitor="train_loss", epochs=6
    )
    falls = (history["lr"] / history["lr"][0]).T.tolist()
    assert falls[0] != falls[1] != falls[2], "the test means nothing if all fall together"
    assert falls[1] == [1.0] * 6


def test_early_stopping_ends_each_replica_in_its_own_epoch():
    def make(value):
        return (
            [Linear(6, "tanh"), BatchNorm(), Dropout(value([0.1, 0.0, 0.3]))],
            LOSS,
            xbnet.Adam(value([0.3, 0.003, 0.1])),
        )

    _, history = assert_stack_is_its_members(
        make, patience=3, epochs=15, l2=[0.0, 1e-3, 1e-2], clip_norm=[1.0, 9.0, 2.0]
    )
    ended = np.isfinite(history["train_loss"]).sum(axis=0)
    assert len(set(ended)) > 1, "the test means nothing if all replicas end together"
    assert "stopped" in history.status


@pytest.mark.parametrize("patience", [None, 2])
def test_a_replica_that_diverges_leaves_the_others_untouched(patience):
    rates = [0.1, 1e200, 0.05]
    make = lambda lr: ([Linear(6), Dropout(0.2)], xbnet.MeanSquaredError(), xbnet.Momentum(lr))  # noqa: E731
    data, seeds = data_for("regression"), replica_seeds(7, R)
    stack = run(make(rates), 7, data, replicas=R, patience=patience, epochs=6)
    assert stack[1].status[1] == "diverged"
    assert np.isfinite(stack[0].theta).all()
    for r in (0, 2):
        assert_same_run(stack, run(make(rates[r]), [seeds[r]], data, replicas=1, patience=patience, epochs=6), r)
    alone = cases.network(make(0)[0], rng=[seeds[1]])
    with pytest.raises(DivergenceError):
        xbnet.fit(alone, make(0)[1], xbnet.Momentum(rates[1]), data, batch_size=8, patience=patience, epochs=6)
    np.testing.assert_array_equal(stack[0].theta[1], alone.theta[0])


def test_same_seeds_share_one_order_and_change_nothing():
    make = ["linear-tanh", LOSS, xbnet.SGD(LR)]
    data = data_for("classification")
    stack = run(make, [3, 3, 3], data, replicas=R)
    for r in range(R):
        assert_same_run(stack, run([*make[:2], xbnet.SGD(LR[r])], [3], data, replicas=1), r)


@pytest.mark.parametrize("row", ["deep", "residual-both"])
def test_permuting_replicas_permutes_results(row):
    order = [2, 0, 1]
    seeds, data = replica_seeds(7, R), data_for("classification")
    net, history = run((row, LOSS, xbnet.Adam(LR)), seeds, data, replicas=R, l2=[0, 0.1, 0.2])
    shuffled = (row, LOSS, xbnet.Adam([LR[i] for i in order]))
    net2, history2 = run(shuffled, [seeds[i] for i in order], data, replicas=R, l2=[0.2, 0, 0.1])
    np.testing.assert_array_equal(net.theta[order], net2.theta)
    np.testing.assert_array_equal(net.state[order], net2.state)
    for name in FIGURES:
        np.testing.assert_array_equal(history[name][:, order], history2[name], err_msg=name)


@pytest.mark.parametrize("row", cases.LAYERS)
def test_blocks_of_the_jacobian_across_replicas_are_zero(row):
    """Replica 1's output and gradient move with its own theta; everything of the others keeps its bits."""
    net = cases.network(row, replicas=R)
    for layer in net.layers:
        if isinstance(layer, Dropout):
            layer.frozen = True
    x, _ = cases.device_samples(net, leading=R)
    cotangent = np.random.default_rng(0).normal(size=(R, x.shape[1], cases.N_CLASSES))

    def outcome(x):
        if any(isinstance(layer, Dropout) for layer in net.layers):
            net.use(x.shape[1])
            for layer in net.layers:
                if isinstance(layer, Dropout):
                    layer.mask[...] = 1
        dx = np.empty(x.shape)
        logits = net.forward(x, training=True).copy()
        net.backward(cotangent.copy(), dx)
        return logits, dx, net.grad.copy()

    before = outcome(x)
    net.theta[1] += np.random.default_rng(1).normal(size=net.n_parameters)
    moved = x.copy()
    moved[1] += 1.0
    for name, was, now in zip(("logits", "dx", "grad"), before, outcome(moved), strict=True):
        np.testing.assert_array_equal(was[[0, 2]], now[[0, 2]])
        constant = name == "dx" and row.startswith("embedding")  # a code does not move with x
        assert np.array_equal(was[1], now[1]) == constant


@pytest.mark.parametrize("row", cases.LAYERS)
def test_a_gradient_of_one_replica_stays_its_own(row):
    net = cases.network(row, replicas=R)
    x, _ = cases.device_samples(net, leading=1)
    dlogits = np.zeros((R, x.shape[1], cases.N_CLASSES))
    dlogits[1] = np.random.default_rng(0).normal(size=dlogits.shape[1:])
    net.forward(x, training=True)
    dx = np.full((R, *x.shape[1:]), np.nan)
    net.backward(dlogits, dx)
    for array in (net.grad, dx):
        assert np.all(array[[0, 2]] == 0)
        assert np.any(array[1] != 0) or (array is dx and row.startswith("embedding"))


@settings(max_examples=examples(12), deadline=None)
@given(
    replicas=st.integers(1, 5),
    n_inputs=st.integers(1, 5),
    width=st.integers(1, 4),
    batch_size=st.integers(1, 7),
    n=st.integers(7, 15),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 999),
)
def test_odd_sizes(replicas, n_inputs, width, batch_size, n, dtype, seed):
    """One input, one unit, one row, two classes, a last batch of any length."""
    rng = np.random.default_rng(seed)
    data = (rng.normal(size=(n, n_inputs)), np.r_[0, 1, rng.integers(0, 2, n - 2)])
    rates = list(np.geomspace(0.01, 0.2, replicas))

    def make(value):
        return [Linear(width, "gelu"), Residual(n_hidden=1), Dropout(0.3)], "cross_entropy", xbnet.Adam(value(rates))

    data = xbnet.training.samples.check_data(data)
    assert_stack_is_its_members(
        make, replicas=replicas, data=data, batch_size=batch_size, epochs=2, dtype=dtype, clip_norm=1.0
    )


@settings(max_examples=examples(8), deadline=None)
@given(replicas=st.integers(1, 5), width=st.integers(1, 4), batch_size=st.integers(1, 7), seed=st.integers(0, 999))
def test_odd_sizes_of_regression_with_one_output(replicas, width, batch_size, seed):
    rng = np.random.default_rng(seed)
    data = xbnet.training.samples.check_data((rng.normal(size=(9, 2)), rng.normal(size=9)))
    rates = list(np.geomspace(0.01, 0.2, replicas))

    def make(value):
        return [Linear(width, "tanh"), BatchNorm(), xbnet.LayerNorm()], "mse", xbnet.Momentum(value(rates))

    assert_stack_is_its_members(make, replicas=replicas, data=data, batch_size=batch_size, epochs=2, clip_norm=1.0)
