"""Kernels give what the reference implementation gives, whatever the shapes, and the same bits in any order of threads."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbnet
from tests.support import cases
from tests.support.chance import examples
from tests.support.devices.emulation import ORDERS, backend
from xbnet.backends.cuda import ops as module
from xbnet.backends.numpy_ops import NumpyOps
from xbnet.nn.activations import ACTIVATIONS, Activation
from xbnet.optim.optimizers import OPTIMIZERS
from xbnet.training.batches import InOrder, Resident, Shuffled
from xbnet.training.step import BoundStep

PLAIN = xbnet.Backend("numpy", "cpu", np, NumpyOps(np))
DTYPES = ("float32", "float64")
TOLERANCE = {"float32": {"rtol": 2e-5, "atol": 2e-6}, "float64": {"rtol": 1e-12, "atol": 1e-13}}
DTYPE = st.sampled_from(DTYPES)
R, B, C = 3, 7, cases.N_CLASSES


def close(here, there, what=""):
    np.testing.assert_allclose(here, there, err_msg=what, **TOLERANCE[here.dtype.name])


def both(layers, dtype="float64", order=ORDERS[0], replicas=R, **more):
    """The same network with kernels and without."""
    return [cases.network(layers, replicas=replicas, dtype=dtype, backend=b, **more) for b in (backend(order), PLAIN)]


def step(net, loss, optimizer, B=B, leading=1, task="classification", weight=None):
    """All that a step leaves behind."""
    bound, rule = loss.bind(net, task), optimizer.bind(net)
    x, y = cases.device_samples(net, task, B=B, leading=leading)
    w = None if weight is None else weight.astype(net.dtype)
    logits = net.forward(x, training=True)
    sums, dx = np.full((net.replicas, 3, 1), np.nan, net.dtype), np.empty((net.replicas, *x.shape[1:]), net.dtype)
    values = bound(logits, y, net.output_gradient, w, sums=sums)
    result = {"logits": logits.copy(), "values": values.copy(), "sums": sums, "dlogits": net.output_gradient.copy()}
    net.backward(dx=dx)
    rule.step()
    return result | {"dx": dx, "grad": net.grad.copy(), "theta": net.theta.copy(), "state": net.state.copy()}


def assert_same_step(nets, *arguments, **more):
    here, there = (step(net, *arguments, **more) for net in nets)
    for what in here:
        close(here[what], there[what], what)


CROSS_ENTROPY = xbnet.SoftmaxCrossEntropy()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", cases.LAYERS)
def test_layers(row, dtype):
    assert_same_step(both(row, dtype), CROSS_ENTROPY, xbnet.SGD(0.3))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", cases.LOSSES)
def test_losses(row, dtype):
    loss, task = cases.LOSSES[row]()
    assert_same_step(both("linear-tanh", dtype), loss, xbnet.SGD(0.3), leading=R, task=task)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", cases.OPTIMIZERS)
def test_optimizers(row, dtype):
    """Several steps, with a rate that changes: states and columns are those of the step."""
    nets = both("linear-tanh", dtype)
    found = []
    for net in nets:
        rule, rng = cases.OPTIMIZERS[row]().bind(net), np.random.default_rng(0)
        for lr in np.linspace(0.1, 0.02, 4 * R).reshape(4, R):
            net.grad[...] = rng.normal(size=net.grad.shape)
            rule.step(lr)
        found.append([net.theta, *rule.state.values()])
    for here, there in zip(*found, strict=True):
        close(here, there)


SMOOTHED = lambda: xbnet.SoftmaxCrossEntropy(label_smoothing=[0.0, 0.1, 0.3])  # noqa: E731
WEIGHTED = lambda: xbnet.SoftmaxCrossEntropy(class_weight=[1, 0.5, 2])  # noqa: E731


@settings(max_examples=examples(20), deadline=None)
@given(
    replicas=st.integers(1, 3), B=st.integers(1, 40), n_inputs=st.integers(1, 9), widths=st.lists(st.integers(1, 70), max_size=2),
    C=st.integers(1, 6), activation=st.sampled_from(sorted(ACTIVATIONS)), dtype=DTYPE, shared=st.booleans(),
    weighted=st.sampled_from([None, "shared", "own"]), class_weight=st.booleans(), smoothing=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_steps_of_any_shape(
    replicas, B, n_inputs, widths, C, activation, dtype, shared, weighted, class_weight, smoothing, seed
):
    """All at once."""
    rng = np.random.default_rng(seed)
    leading = 1 if shared else replicas
    x, y = rng.normal(size=(leading, B, n_inputs)).astype(dtype), rng.integers(0, C, (leading, B))
    w = None if weighted is None else rng.random((1 if weighted == "shared" else replicas, B)).astype(dtype)
    loss = xbnet.SoftmaxCrossEntropy(
        class_weight=rng.random(C) + 0.1 if class_weight else None, label_smoothing=smoothing
    )
    layers = [*(xbnet.Linear(n, activation) for n in widths), xbnet.Linear(C)]
    found = []
    for b in (backend(), PLAIN):
        net = xbnet.Network(layers, n_inputs, replicas=replicas, backend=b, dtype=dtype, rng=seed)
        net.theta[...] += np.random.default_rng(seed).normal(size=net.theta.shape) / 4
        bound = loss.bind(net)
        logits, sums = net.forward(x, training=True), np.empty((replicas, 3, 1), dtype)
        values = bound(logits, y, net.output_gradient, w, sums=sums).copy()
        dlogits = net.output_gradient.copy()
        net.backward()
        found.append((logits.copy(), values, sums, dlogits, net.grad))
        evaluated = bound(net.forward(x), y, None, w).copy()
        close(evaluated, values)
    for here, there in zip(*found, strict=True):
        np.testing.assert_allclose(
            here, there, rtol=1e-4 if dtype == "float32" else 1e-10, atol=1e-5 if dtype == "float32" else 1e-11
        )


def moved(b, rule, dtype="float64", l2=None, l1=None, clip=None, seed=0, sizes=(5,)):
    """Theta and states after three steps with penalties and clipping, as the trainer takes them."""
    net = xbnet.Network(
        [*(xbnet.Linear(n, "tanh") for n in sizes), xbnet.Linear(3)], 4, replicas=R, backend=b, dtype=dtype, rng=0
    )
    optimizer, penalty = rule.bind(net), xbnet.optim.penalties.Penalty(l2 or 0.0, l1 or 0.0).bind(net)
    limit, rng, norms = None if clip is None else net.per_replica("clip", clip), np.random.default_rng(seed), []
    step = BoundStep(net, CROSS_ENTROPY.bind(net), optimizer, penalty, limit, np.zeros((R, 1, 1), dtype))
    for _ in range(3):
        net.grad[...] = rng.normal(size=net.grad.shape)
        if b is not PLAIN:
            step.ops.update(step, optimizer.columns()[:, 0], True)
            optimizer.steps += 1
            norms.append(step.norm[:, 0].copy())
        else:
            if penalty.active:
                penalty.add_gradient(None)
            norms.append(np.linalg.norm(net.grad, axis=1, keepdims=True))
            if limit is not None:
                net.grad[...] *= limit / np.maximum(norms[-1], limit)
            optimizer.step()
    return [*norms, net.theta.copy(), *(s.copy() for s in optimizer.state.values())]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", cases.OPTIMIZERS)
@pytest.mark.parametrize(
    "cost",
    [
        {"l2": [0.0, 0.1, 0.02]},
        {"l1": 0.05},
        {"clip": [0.5, 2.0, 1e9]},
        {"l2": 0.1, "l1": [0.1, 0.0, 0.3], "clip": 1.0},
    ],
    ids=str,
)
def test_penalties_and_clipping_within_the_update(row, dtype, cost):
    for here, there in zip(
        *(moved(b, cases.OPTIMIZERS[row](), dtype, **cost) for b in (backend(), PLAIN)), strict=True
    ):
        close(here, there)


def test_large_theta_takes_several_blocks_per_replica():
    """And more entries than a block has threads."""
    settings = {"l1": 0.01, "clip": 2.0, "sizes": (40, 30)}
    for here, there in zip(*(moved(b, xbnet.AdamW(0.1), **settings) for b in (backend(), PLAIN)), strict=True):
        close(here, there)


@pytest.mark.parametrize("leading", [1, R])
@pytest.mark.parametrize("rows", [module.SHORT_BATCH - 1, module.SHORT_BATCH + 1, 600])
def test_batches_longer_than_a_block(rows, leading):
    """More rows than threads, and bias gradients as products beyond `SHORT_BATCH`."""
    assert_same_step(both("linear-gelu"), WEIGHTED(), xbnet.Adam(0.1), B=rows, leading=leading)


def test_a_loss_beyond_one_block_is_plain(monkeypatch):
    monkeypatch.setattr(module, "LARGEST_LOSS", 20)
    assert_same_step(both("linear-tanh"), SMOOTHED(), xbnet.SGD(0.1))


def test_many_elements_are_counted_by_long_long(monkeypatch):
    monkeypatch.setattr(module, "COUNTED_BY_INT", 20)
    monkeypatch.setattr(module, "MOST_BLOCKS", 1)
    for row, rows in (("linear-tanh", B), ("linear-tanh", module.SHORT_BATCH + 1), ("mixed-columns", B)):
        assert_same_step(both(row), CROSS_ENTROPY, xbnet.SGD(0.1), B=rows)


@pytest.mark.parametrize(
    ("R", "B", "K", "row", "look_up", "gradient"),
    [
        (1, 2, 3, 1, "int", "int"),
        (1, 2, 2**29, 1, "long long", "long long"),  # a large table
        (2**20, 2**9, 3, 1, "long long", "int"),  # many rows
        (1, 2**20, 3, 2**11, "long long", "long long"),  # which lie far apart
    ],
)
def test_look_ups_beyond_int_are_counted_by_long_long(R, B, K, row, look_up, gradient):
    """Nothing of the memory that the shapes name is there, or touched."""
    launched, one = [], np.zeros(1, np.float32)
    ops = module.CudaOps(SimpleNamespace(launch=lambda source, name, *rest: launched.append(name)), np)
    W, out = (np.lib.stride_tricks.as_strided(one, (R, n, 3), (n * 12, 12, 4)) for n in (K, B))
    codes = np.lib.stride_tricks.as_strided(one, (R, B, 1), (row * B * 4, row * 4, 4))
    ops.lookup(W, codes, out)
    ops.lookup_gradient(out, codes, W)
    assert launched == [f"lookup<float, {look_up}>", f"lookup_gradient<float, {gradient}>"]


def test_the_first_of_the_largest_logits_is_the_guess():
    logits = np.array([[[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [0.0, -1.0, 0.0]]])
    found = []
    for net in both("linear", replicas=1):
        loss, sums = CROSS_ENTROPY.bind(net), np.empty((1, 3, 1))
        loss(logits.copy(), np.array([[1, 0, 2]]), sums=sums)
        found.append(sums)
        assert sums[0, 1, 0] == 2
    close(*found)


@settings(max_examples=examples(15), deadline=None)
@given(
    replicas=st.integers(1, 5), orders=st.integers(1, 3), n=st.integers(1, 40), B=st.integers(1, 9), inputs=st.integers(1, 9),
    outputs=st.integers(0, 4), weighted=st.booleans(), dtype=DTYPE, seed=st.integers(0, 99),
)  # fmt: skip
def test_gathered_batches_are_the_same(replicas, orders, n, B, inputs, outputs, weighted, dtype, seed):
    """Labels (no outputs) or targets, and orders that some replicas share."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, inputs)), rng.normal(size=(n, outputs)) if outputs else rng.integers(0, 3, n)
    w, found = rng.random(n) if weighted else None, []
    for b in (backend(), PLAIN):
        data = Resident(b, np.dtype(dtype), x, y, w)
        streams = [np.random.default_rng([seed, u]) for u in range(orders)]
        batches = Shuffled(b, data, min(B, n), [streams[(r * r) % orders] for r in range(replicas)])
        found.append([np.array(array) for batch in batches.epoch() for array in batch if array is not None])
    for here, there in zip(*found, strict=True):
        assert here.dtype == there.dtype
        np.testing.assert_array_equal(here, there)


def test_batches_too_large_for_ints_are_gathered_by_the_library(monkeypatch):
    monkeypatch.setattr(module, "COUNTED_BY_INT", 20)
    data = Resident(backend(), np.dtype("float32"), np.arange(40.0).reshape(10, 4), np.arange(10))
    (batch,) = InOrder(backend(), data.subsets([np.arange(9, -1, -1)]), 10)
    assert batch.y.tolist() == [list(range(9, -1, -1))]


def test_a_batch_without_weight_has_no_gradient():
    for weight in (np.zeros((1, B)), np.zeros((R, B))):
        nets = both("linear-tanh")
        assert_same_step(nets, CROSS_ENTROPY, xbnet.SGD(0.3), weight=weight, leading=R)
        assert not nets[0].grad.any()


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("dtype", DTYPES)
def test_activations_where_they_bend_and_far_away(name, dtype):
    """At 0, beyond the range of exp, and NaN stays NaN: divergence is found by it."""
    z = np.array([-1e4, -90.0, -40.0, -18.0, -1.0, -1e-3, -0.0, 0.0, 1e-3, 1.0, 90.0, 1e4, np.nan], dtype)[None, None]
    bias, found = np.zeros((1, 1, z.shape[2]), dtype), []
    for b in (backend(), PLAIN):
        here, y, dy, db = z.copy(), np.empty_like(z), np.ones_like(z), np.empty_like(bias)
        activation = ACTIVATIONS[name]
        with np.errstate(all="ignore"):
            work = np.empty_like(z), np.empty_like(z)
            b.ops.bias_activation(activation, here, bias, y, work)
            b.ops.activation_gradient(activation, dy, here, y, db, work)
        found.append((y, dy))
    (y, dy), (y_plain, dy_plain) = found
    close(y, y_plain)
    close(dy[..., :-1], dy_plain[..., :-1])
    assert np.isnan(y[..., -1]).all()
    if name == "sigmoid":
        np.testing.assert_allclose(y[..., 2:4], y_plain[..., 2:4], rtol=1e-5)  # small ones keep their digits


def test_nan_in_the_gradient_ends_in_theta_when_clipping():
    net = cases.network(replicas=R, backend=backend())
    optimizer, clip = xbnet.SGD(0.1).bind(net), net.per_replica("clip", 1.0)
    net.grad[1, 0] = np.nan
    penalty = xbnet.optim.penalties.Penalty().bind(net)
    step = BoundStep(net, CROSS_ENTROPY.bind(net), optimizer, penalty, clip, np.zeros((R, 1, 1)))
    net.backend.ops.update(step, optimizer.columns()[:, 0], False)
    assert np.isnan(net.theta[1]).all()
    assert np.isfinite(net.theta[[0, 2]]).all()


def test_threads_in_any_order_give_the_same_bits():
    """A race within a block would show: see `test_emulated`."""
    seen = []
    for order in ORDERS:
        net, _ = both([xbnet.Linear(33, "gelu"), xbnet.Residual("elu")], "float32", order)
        loss = xbnet.SoftmaxCrossEntropy(class_weight=[1, 2, 3], label_smoothing=0.1)
        weight = np.linspace(0, 1, R * 70).reshape(R, 70)
        found = step(net, loss, xbnet.AdamW(0.1), B=70, leading=R, weight=weight)
        parts = net.backend.ops.square_sums(net.theta, net.grad, net.n_weights, None, None, np.zeros((R, 3), net.dtype))
        seen.append([*found.values(), parts])
    for other in seen[1:]:
        for a, b in zip(seen[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


# -- who gets them -----------------------------------------------------------------------------------------------------


class Own(xbnet.Linear):
    def forward(self, x, training):
        y = super().forward(x, training)
        y += 1
        return y


OWN = Activation(
    "tanh", lambda xp, z, out, work: np.sin(z, out), lambda xp, dy, z, y, work: np.multiply(dy, np.cos(z), dy)
)


@pytest.mark.parametrize(
    "layer", [Own(5), xbnet.Linear(5, OWN), xbnet.Residual(OWN)], ids=["layer", "linear", "residual"]
)
def test_layers_and_activations_of_a_user_run_as_they_are_written(layer):
    assert_same_step(both([layer]), CROSS_ENTROPY, xbnet.SGD(0.1))


def test_losses_and_optimizers_of_a_user_run_as_they_are_written():
    class Doubled(xbnet.SoftmaxCrossEntropy):
        def _evaluate(self, logits, labels, dlogits):
            super()._evaluate(logits, labels, dlogits)
            self.values[...] *= 2

    class Slow(xbnet.SGD):
        def update(self, theta, grad, lr):
            theta -= lr * grad / 2

    nets = both("linear-tanh")
    assert_same_step(nets, Doubled(), Slow(0.1))


def test_tables_name_what_the_core_has():
    assert list(ACTIVATIONS) == list(module.ACTIVATIONS)
    assert set(OPTIMIZERS) == set(module.RULES)
