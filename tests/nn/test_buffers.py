"""What a network does with its memory: nothing unwritten is read, nothing is allocated, no type changes."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbnet
from tests.support import cases
from xbnet import Backend, Dropout
from xbnet.backends.ops import Ops

R, B = 3, 7


def poison(net, batch=B):
    """Fill every buffer and gradient of a network with NaN, as memory that nobody has written."""
    net.use(batch)
    net._buffers.between()
    for space in (net._buffers.of_layers, net._buffers.between_layers):
        for flat in space._flat.values():
            flat.fill(np.nan)
    net.grad.fill(np.nan)


def pass_through(net, leading=R, batch=B, dx=True):
    """Copies of logits, dx and grad of one forward and backward pass."""
    x, _ = cases.device_samples(net, B=batch, leading=leading)
    before = x.copy()
    logits = net.forward(x, training=True).copy()
    dlogits = np.random.default_rng(0).normal(size=logits.shape).astype(net.dtype)
    down = np.full((net.replicas, *x.shape[1:]), np.nan, net.dtype) if dx else None
    net.backward(dlogits, down)
    np.testing.assert_array_equal(x, before, err_msg="x is only read")
    return logits, down, net.grad.copy()


def assert_same(these, those):
    for this, that in zip(these, those, strict=True):
        np.testing.assert_array_equal(this, that)


@pytest.mark.parametrize("leading", [1, R], ids=["shared", "own"])
@pytest.mark.parametrize("row", cases.LAYERS)
def test_nothing_is_read_that_was_not_written(row, leading):
    clean, poisoned = (cases.network(row, replicas=R) for _ in range(2))
    poison(poisoned)
    expected, found = pass_through(clean, leading), pass_through(poisoned, leading)
    assert all(np.isfinite(array).all() for array in found)
    assert_same(found, expected)


@pytest.mark.parametrize("leading", [1, R], ids=["shared", "own"])
@pytest.mark.parametrize("row", cases.LAYERS)
def test_the_gradient_is_the_slope_along_random_directions(row, leading):
    """Of theta and of x, for a random cotangent; each replica for itself."""
    net, h = cases.network(row, replicas=R), 1e-6
    net.theta[...] += 0.3 * np.random.default_rng(2).normal(size=net.theta.shape)  # gains and offsets are not neutral
    net.use(B)
    for layer in net.layers:
        layer.frozen = True
        if isinstance(layer, Dropout):
            layer.mask[...] = np.random.default_rng(3).uniform(0, 2, layer.mask.shape)
    x, _ = cases.device_samples(net, B=B, leading=leading)
    rng = np.random.default_rng(4)
    dlogits, along_theta, along_x = (rng.normal(size=s) for s in ((R, B, 3), net.theta.shape, x.shape))
    net.forward(x, training=True)
    dx = np.empty((R, *x.shape[1:]))
    net.backward(dlogits.copy(), dx)
    expected = (net.grad * along_theta).sum(axis=1) + (dx * along_x).sum(axis=(1, 2))
    start, ends = net.theta.copy(), []
    for step in (h, -h):
        net.theta[...] = start + step * along_theta
        ends.append((net.forward(x + step * along_x, training=True) * dlogits).sum(axis=(1, 2)))
    np.testing.assert_allclose(expected, (ends[0] - ends[1]) / (2 * h), rtol=1e-6)


@pytest.mark.parametrize("row", cases.LAYERS)
def test_backward_overwrites(row):
    net = cases.network(row, replicas=R)
    for layer in net.layers:
        layer.frozen = True  # masks and running statistics stay
    net.use(B)
    for layer in net.layers:
        if isinstance(layer, Dropout):
            layer.mask[...] = 1.25
    first = pass_through(net)
    net.grad.fill(np.nan)
    assert_same(pass_through(net), first)
    assert_same([pass_through(net, dx=False)[2]], [first[2]])


@pytest.mark.parametrize("row", cases.LAYERS)
def test_batches_of_changing_size_leave_no_trace(row):
    """As in the last, short batch of an epoch and the validation after it."""
    net = cases.network(row, replicas=R)
    for batch in (5, 2, 8, 1, 5):
        fresh = cases.network(row, replicas=R)
        for twin in (net, fresh):
            twin.use(batch)
            for layer in twin.layers:
                layer.frozen = True
                if isinstance(layer, Dropout):
                    layer.mask[...] = 1.25
        assert_same(pass_through(net, batch=batch), pass_through(fresh, batch=batch))
        net.forward(np.ones((1, 11, cases.N_INPUTS)))


@settings(max_examples=30, deadline=None)
@given(
    replicas=st.integers(1, 4),
    batch=st.integers(1, 5),
    n_inputs=st.integers(1, 4),
    n_outputs=st.integers(1, 4),
    row=st.sampled_from(sorted(cases.LAYERS.keys() - cases.OF_FOUR_INPUTS)),
)
def test_any_size(replicas, batch, n_inputs, n_outputs, row):
    net = cases.network(row, replicas=replicas, n_inputs=n_inputs, n_outputs=n_outputs)
    x = np.random.default_rng(0).normal(size=(1, batch, n_inputs))
    assert net.forward(x, training=True).shape == (replicas, batch, n_outputs)
    dx = np.full((replicas, batch, n_inputs), np.nan)
    net.backward(np.ones((replicas, batch, n_outputs)), dx)
    assert np.isfinite(dx).all()
    assert np.isfinite(net.grad).all()


# -- types and memory --------------------------------------------------------------------------------------------------


class Spy:
    """NumPy, with every array and number of a call looked at."""

    def __init__(self):
        self.words = set()

    def __getattr__(self, word):
        found = getattr(np, word)
        if not callable(found) or isinstance(found, type):
            return found

        def call(*arguments, **keywords):
            for thing in [*arguments, *keywords.values()]:
                assert getattr(thing, "dtype", None) != np.float64, f"float64 in xp.{word}"
            result = found(*arguments, **keywords)
            assert getattr(result, "dtype", None) != np.float64, f"float64 from xp.{word}"
            self.words.add(word)
            return result

        return call


@pytest.mark.parametrize("row", cases.LAYERS)
def test_float32_stays_float32(row):
    spy = Spy()
    backend = Backend("numpy", "cpu", spy, Ops(spy))
    net = cases.network(row, replicas=2, backend=backend, dtype="float32")
    data = cases.samples(n=20)
    loss = xbnet.SoftmaxCrossEntropy(class_weight=[1, 2, 3], label_smoothing=[0.1, 0.2])
    more = {"l2": 0.1, "l1": [0.1, 0.2], "clip_norm": 1.0, "sample_weight": np.ones(20), "patience": 1}
    for optimizer in cases.OPTIMIZERS.values():
        xbnet.fit(net, loss, optimizer(), data, epochs=2, batch_size=8, **more)
    assert {"multiply", "matmul", "take"} <= spy.words
    arrays = [*net.parameters.values(), *net._buffers.of_layers._flat.values(), net.state, net.predict_proba(data[0])]
    assert {a.dtype for a in arrays} == {np.dtype("float32")}


@pytest.mark.parametrize("row", cases.LOSSES)
def test_float32_stays_float32_in_losses(row):
    spy = Spy()
    loss, task = cases.LOSSES[row]()
    net = cases.network(backend=Backend("numpy", "cpu", spy, Ops(spy)), dtype="float32")
    xbnet.fit(net, loss, "adamw", cases.samples(task), epochs=1, batch_size=8)
    assert "matmul" in spy.words


@pytest.mark.parametrize("row", cases.LAYERS)
def test_a_step_allocates_nothing_of_the_size_of_its_data(row):
    net = cases.network(row, replicas=2, dtype="float32")
    loss = xbnet.SoftmaxCrossEntropy(label_smoothing=0.1, class_weight=[1, 2, 3]).bind(net)
    optimizer = xbnet.AdamW().bind(net)
    x, y = cases.device_samples(net, B=10_000)

    def step():
        loss(net.forward(x, training=True), y, net.output_gradient)
        net.backward()
        optimizer.step()

    step()
    tracemalloc.start()
    try:
        step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    smallest = 2 * 10_000 * 2 * 4  # two replicas' rows of the narrowest buffer, in bytes
    assert peak < smallest


def test_theta_is_never_rebound():
    net = cases.network()
    for name in ("theta", "grad", "state"):
        with pytest.raises(AttributeError):
            setattr(net, name, np.zeros(1))
