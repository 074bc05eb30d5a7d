"""Steps that are played from a tape: the same bits as steps that are run, and never those of other arrays."""

import inspect
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbnet
from tests.support import cases
from xbnet.backends.numpy_ops import FEW_ROWS, NUMPY_PREPARED, PIECE, NumpyOps
from xbnet.backends.replay import MOST_TAPES, Recorder, Recording, play
from xbnet.nn.activations import ACTIVATIONS, Activation

PLAIN = xbnet.Backend("numpy", "cpu", np, NumpyOps(np))  # never tapes
R, B, INPUTS, C = 3, 7, 5, 4
DTYPE = st.sampled_from([np.float32, np.float64])
SIZE = st.one_of(st.integers(1, 5), st.integers(1, 90))

NETWORKS = {
    **{name: (lambda name=name: [xbnet.Linear(6, name), xbnet.Linear(C)]) for name in ACTIVATIONS},
    "residual": lambda: [xbnet.Residual("tanh", begin="relu"), xbnet.Residual("gelu", end="silu"), xbnet.Linear(C)],
    "normalized": lambda: [xbnet.LayerNorm(), xbnet.Linear(6, "relu"), xbnet.LayerNorm(), xbnet.Linear(C)],
}
LOSSES = {
    "cross_entropy": xbnet.SoftmaxCrossEntropy,
    "smoothed": lambda: xbnet.SoftmaxCrossEntropy(label_smoothing=0.1),
    "weighted": lambda: xbnet.SoftmaxCrossEntropy(class_weight=[1, 2, 3, 4]),
    "binary": xbnet.BinaryCrossEntropy,
    "mse": xbnet.MeanSquaredError,
}


class Steps:
    """A network with loss and optimizer, and batches that come in the same arrays at every step."""

    def __init__(self, layers, loss, backend, replicas=R, dtype="float32"):
        self.network = xbnet.Network(layers, INPUTS, replicas=replicas, backend=backend, dtype=dtype, rng=0)
        self.loss, self.optimizer = loss.bind(self.network), xbnet.Momentum(0.1).bind(self.network)
        self.rng = np.random.default_rng(0)
        self.batches = {}

    def batch(self, size=B, leading=1, key=None):
        """The arrays of that key, with new contents."""
        x, y = self.rng.normal(size=(leading, size, INPUTS)), self.rng.integers(0, C, (leading, size))
        arrays = self.batches.setdefault(
            (size, leading, key), (np.empty(x.shape, self.network.dtype), np.empty_like(y))
        )
        arrays[0][...], arrays[1][...] = x, y
        return arrays

    def step(self, **batch):
        x, y = self.batch(**batch)
        net = self.network
        values = self.loss(net.forward(x, training=True), y, net.output_gradient).copy()
        sums = self.loss.sums(np.empty((net.replicas, 3, 1), net.dtype))
        net.backward()
        self.optimizer.step()
        return values, sums, net.theta.copy()

    def evaluate(self, size):
        x, y = self.batch(size)
        return (self.loss(self.network.forward(x), y).copy(),)

    def slope(self):
        """The gradient by x of a sum of outputs, which no tape has."""
        x, _ = self.batch()
        logits, dx = self.network.forward(x, training=True), np.empty((self.network.replicas, B, INPUTS), x.dtype)
        self.network.backward(np.ones_like(logits), dx)
        return dx, self.network.grad.copy()


def both(layers, loss, **keywords):
    """The same on a tape, and run."""
    return Steps(layers(), loss(), "numpy", **keywords), Steps(layers(), loss(), PLAIN, **keywords)


def assert_same(these, those):
    for this, that in zip(these, those, strict=True):
        np.testing.assert_array_equal(this, that)


@pytest.mark.parametrize("replicas", [1, R])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_played_networks_give_the_same_bits(name, dtype, replicas):
    taped, run = both(NETWORKS[name], xbnet.SoftmaxCrossEntropy, dtype=dtype, replicas=replicas)
    for leading in (1, replicas):
        for _ in range(4):
            assert_same(taped.step(leading=leading), run.step(leading=leading))
        assert taped.network.tape.backward
        assert not run.network.tape.forward


@pytest.mark.parametrize("replicas", [1, R])
@pytest.mark.parametrize("name", LOSSES)
def test_played_losses_give_the_same_bits(name, replicas):
    taped, run = both(NETWORKS["tanh"], LOSSES[name], replicas=replicas)
    for _ in range(4):
        assert_same(taped.step(), run.step())
    assert any(calls for _, calls in taped.loss._tapes.values()) == (name != "weighted")


def test_logits_in_another_order_are_not_taped():
    """What finds the largest needs them in C order, and would be handed a copy, for good."""
    net = xbnet.Network([xbnet.Linear(C)], INPUTS, rng=0)
    loss, labels = xbnet.SoftmaxCrossEntropy().bind(net), np.full((1, B), C - 1)
    logits = np.empty((1, C, B), np.float32).swapaxes(1, 2)
    for scale in (1, 1, 1e3, 1e4):
        logits[...] = scale * np.arange(B * C).reshape(1, B, C)
        assert np.all(np.isfinite(loss(logits, labels)))


def test_whatever_comes_between():
    """Evaluations, other batches and sizes, gradients by x: each time the tape starts anew, or is not asked."""
    taped, run = both(NETWORKS["residual"], xbnet.SoftmaxCrossEntropy)
    order = np.random.default_rng(1).integers(0, 6, 200)
    for what in np.repeat(order, 3):
        acts = [[steps.step, steps.evaluate, steps.slope][min(what, 2) if what < 3 else 0] for steps in (taped, run)]
        settings = [{}, {"size": 3 * B}, {}, {"key": "other"}, {"size": 2}, {"leading": R}][what]
        assert_same(acts[0](**settings), acts[1](**settings))


def test_batches_of_each_size_have_a_tape_of_their_own():
    """As the last batch of an epoch, which is shorter; and what is not on a tape finds the layers as they should be."""
    taped, run = both(NETWORKS["residual"], xbnet.SoftmaxCrossEntropy)
    for size in (B, B, 2, B, 2, 3 * B, 2, 3 * B, B, B, 2, B, 3 * B, B, 2, 3 * B):
        assert_same(taped.step(size=size), run.step(size=size))
        assert_same(taped.evaluate(size), run.evaluate(size))
    tapes = taped.network._tapes
    assert sorted((x[1], training) for x, training in tapes) == [(n, t) for n in (2, B, 3 * B) for t in (False, True)]
    assert all(tape.forward and bool(tape.backward) == tape.training for tape in tapes.values())
    for size in (2, B, 2, B):  # played forward, run backward
        assert_same(taped.step(size=size), run.step(size=size))
        assert_same(taped.slope(), run.slope())


def test_only_so_many_sizes_are_remembered():
    taped, run = both(NETWORKS["tanh"], xbnet.SoftmaxCrossEntropy)
    for size in np.tile(np.arange(1, 13), 3).tolist():
        assert_same(taped.step(size=size), run.step(size=size))
    assert len(taped.network._tapes) <= MOST_TAPES
    assert len(taped.loss._tapes) <= MOST_TAPES


@pytest.mark.parametrize("name", NETWORKS)
def test_all_is_written_down(name):
    """Played into memory that holds nothing of the step before, a tape fills all that it hands out."""
    steps = Steps(NETWORKS[name](), xbnet.SoftmaxCrossEntropy(), "numpy")
    for _ in range(3):
        steps.step()
    net, (x, y) = steps.network, steps.batch()

    def outcome():
        logits = net.forward(x, training=True).copy()
        values = steps.loss(net.tape.logits, y, net.output_gradient).copy()
        net.backward()
        return logits, values, net.grad.copy()

    expected = outcome()
    for space in (net._activations, net._gradients, steps.loss._floats):
        for name, flat in space._flat.items():
            if name not in ("report", "weights", "fractions"):  # `report` holds ones, which only `_use` writes
                flat.fill(np.nan)
    steps.loss.values.fill(np.nan)
    net.grad.fill(np.nan)
    assert_same(outcome(), expected)


class Own(xbnet.Linear):
    """A user's layer on top of one of ours: what it does beside `xp` can't be known."""

    def forward(self, x, training):
        y = super().forward(x, training)
        y += 1
        return y


OWN = Activation(
    "own", lambda xp, z, out, work: np.sin(z, out), lambda xp, dy, z, y, work: np.multiply(dy, np.cos(z), dy)
)
NAMESAKE = Activation("tanh", OWN.forward, OWN.backward)


@pytest.mark.parametrize(
    "layer",
    [xbnet.Dropout(0.5), xbnet.BatchNorm(), Own(5), xbnet.Linear(5, OWN), xbnet.Residual(end=NAMESAKE)],
    ids=repr,
)
def test_what_does_more_than_array_operations_is_never_taped(layer):
    steps = Steps([layer, xbnet.Linear(C)], xbnet.SoftmaxCrossEntropy(), "numpy")
    for _ in range(4):
        steps.step()
    assert not steps.network.tape.forward


def test_a_loss_of_ones_own_is_never_taped():
    class Doubled(xbnet.MeanSquaredError):
        def _evaluate(self, logits, labels, dlogits):
            super()._evaluate(logits, labels, dlogits)
            self.values[...] *= 2

    steps = Steps([xbnet.Linear(C)], Doubled(), "numpy")
    first = [steps.step()[0] for _ in range(4)]
    assert not any(calls for _, calls in steps.loss._tapes.values())
    assert np.all(np.isfinite(first))


def test_select_and_release_start_anew():
    steps = Steps(NETWORKS["tanh"](), xbnet.SoftmaxCrossEntropy(), "numpy")
    for _ in range(3):
        steps.step()
    twin = steps.network.select([2, 0])
    assert len(twin._tapes) == 1  # of the pass that let the buffers go
    x, _ = steps.batch()
    np.testing.assert_array_equal(twin.forward(x), steps.network.forward(x)[[2, 0]])
    steps.step()
    steps.step()
    steps.network.release()
    assert all(tape.x is not x for tape in steps.network._tapes.values())


class CutShort(BaseException):
    """As Ctrl-C."""


def cut_short_at(k, act):
    """Whether `act` was cut short at its k-th call."""
    count = 0

    def watch(frame, event, argument):
        nonlocal count
        generator = frame.f_code.co_flags & inspect.CO_GENERATOR  # what is raised while one is closed is lost
        ours = frame.f_globals["__name__"].startswith("xbnet.")
        count += ours and not generator and event in ("call", "c_call")
        if count == k:
            count += 1
            raise CutShort

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        act()
    except CutShort:
        return True
    finally:
        sys.setprofile(before)
    return False


def test_a_step_that_is_cut_short_anywhere_spoils_none_after_it():
    """Ctrl-C, or an error of NumPy: neither half a tape stays behind, nor buffers of two sizes."""
    sizes = [B, B, B, B, 2]

    def losses(steps):
        steps.network.theta[...], steps.optimizer.state["velocity"][...] = 0.1, 0
        steps.rng = np.random.default_rng(1)
        return np.concatenate([steps.step(size=size)[0] for size in [*sizes, B]], axis=1)

    make = lambda: Steps(NETWORKS["tanh"](), xbnet.SoftmaxCrossEntropy(), "numpy")  # noqa: E731
    expected, k, going = losses(make()), 0, True
    while going:
        steps, k = make(), k + 1
        going = cut_short_at(k, lambda steps=steps: [steps.step(size=size) for size in sizes])
        np.testing.assert_array_equal(losses(steps), expected, err_msg=f"cut short at call {k}")
    assert k > 300


def test_operations_that_make_new_arrays_are_refused():
    calls = []
    with pytest.raises(TypeError, match="^exp without out= can't be written on a tape: it would give new arrays$"):
        Recorder(np, calls, {}).exp(np.ones(2))
    assert calls == []


@pytest.mark.parametrize("name", ["add", "cumsum", "take", "sum", "clip"])
def test_results_go_to_out_wherever_a_function_has_its_place(name):
    operands = {"add": (2.0,), "take": (np.array([2, 0, 1]),), "clip": (0, 1), "sum": ()}.get(name, ())
    x, calls = np.arange(3.0), []
    out = np.empty(() if name == "sum" else 3)
    getattr(Recorder(np, calls, {}), name)(x, *operands, out=out)
    expected = out.copy()
    out.fill(np.nan)
    play(calls)
    np.testing.assert_array_equal(out, expected)


def test_recording_gives_back_what_it_borrowed():
    layer = xbnet.Network([xbnet.Linear(2)], 2, rng=0).layers[0]
    before = layer.xp, layer.ops
    with Recording([layer], {}):
        assert layer.xp is not before[0]
        assert layer.ops is not before[1]
    assert (layer.xp, layer.ops) == before


SHAPES = {  # operands and result, without R
    "bmm": lambda M, K, N: ((M, K), (K, N), (M, N)),
    "bmm_tn": lambda M, K, N: ((K, M), (K, N), (M, N)),
    "bmm_nt": lambda M, K, N: ((M, K), (N, K), (M, N)),
    "row_sum": lambda M, K, N: ((M, K), (M, 1)),
    "batch_sum": lambda M, K, N: ((M, K), (1, K)),
}


@settings(max_examples=150, deadline=None)
@given(replicas=st.integers(1, 3), M=SIZE, K=SIZE, N=SIZE, dtype=DTYPE, seed=st.integers(0))
@pytest.mark.parametrize("name", SHAPES)
def test_prepared_products_have_the_bits_of_the_stacked_ones(name, replicas, M, K, N, dtype, seed):
    """`dot` for one network and `matmul` for a stack must end in the same BLAS routine."""
    rng = np.random.default_rng(seed)
    *operands, shape = SHAPES[name](M, K, N)
    rows = [rng.normal(size=(replicas, np.prod(s) + 3)).astype(dtype) for s in operands]  # strided, as views into theta
    arrays = [row[:, 1 : 1 + np.prod(s)].reshape(replicas, *s) for row, s in zip(rows, operands, strict=True)]
    expected = getattr(PLAIN.ops, name)(*arrays, np.empty((replicas, *shape), dtype))
    prepare = NUMPY_PREPARED[name]
    for r in range(replicas):
        out = np.empty((1, *shape), dtype)
        play(prepare(*(np.ascontiguousarray(a[r : r + 1]) for a in arrays), out))
        np.testing.assert_array_equal(out, expected[r : r + 1])
    out = np.empty((replicas, *shape), dtype)
    play(prepare(*arrays, out))
    np.testing.assert_array_equal(out, expected)


def test_prepared_products_write_where_dot_would_refuse():
    out = np.zeros((1, 4, 2))[:, ::2]
    play(NUMPY_PREPARED["bmm"](np.ones((1, 2, 3)), np.ones((1, 3, 2)), out))
    np.testing.assert_array_equal(out, np.full((1, 2, 2), 3.0))


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(["add", "subtract", "multiply", "divide"]),
    shapes=st.sampled_from(["xb", "bx", "xc", "cx", "xx", "xn", "nx", "xo", "oo", "xs", "sx", "bc", "bb", "xt"]),
    sizes=st.tuples(st.integers(1, 3), SIZE | st.sampled_from([FEW_ROWS, FEW_ROWS + 1, 3 * FEW_ROWS]), SIZE),
    dtype=DTYPE,
    seed=st.integers(0),
    inplace=st.booleans(),
)
def test_prepared_elementwise_operations_have_the_same_bits(name, shapes, sizes, dtype, seed, inplace):
    """Of whole arrays x, rows b, columns c, numbers n, arrays of one number o, and what all replicas share: s, t."""
    rng, (R, rows, columns) = np.random.default_rng(seed), sizes
    kinds = {"x": (R, rows, columns), "b": (R, 1, columns), "c": (R, rows, 1), "o": (1, 1, 1)}
    kinds |= {"s": (1, 1, columns), "t": (1, rows, columns)}
    theta = rng.normal(size=(R, columns + 3)).astype(dtype)  # of which b is a strided view
    makers = {"n": lambda: -0.3, "b": lambda: theta[:, 1:-2].reshape(R, 1, columns)}
    a, b = (makers.get(k, lambda k=k: rng.normal(size=kinds[k]).astype(dtype))() for k in shapes)
    expected = getattr(np, name)(a, b, out=np.empty((R, rows, columns), dtype))
    out = a if inplace and shapes[0] == "x" else np.full((R, rows, columns), np.nan, dtype)
    play(NUMPY_PREPARED[name](a, b, out=out))
    assert out.tobytes() == expected.tobytes()


@settings(max_examples=50, deadline=None)
@given(
    name=st.sampled_from(["maximum", "minimum"]),
    size=st.sampled_from([1, 5, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 3]),
    dtype=DTYPE,
    strided=st.booleans(),
)
def test_prepared_extrema_have_the_same_bits(name, size, dtype, strided):
    a = np.random.default_rng(0).normal(size=(1, size, 3)).astype(dtype)
    a[0, -1] = [np.nan, -0.0, -np.inf]
    a = a[:, :, ::2] if strided else a
    for other in (0.0, 0.01, a[:, ::-1]):
        out = np.full(a.shape, 7, dtype)
        play(NUMPY_PREPARED[name](a, other, out=out))
        np.testing.assert_array_equal(out, getattr(np, name)(a, other))


def test_prepared_extrema_stretch_what_replicas_share():
    out = np.full((3, 2, 4), np.nan)
    play(NUMPY_PREPARED["maximum"](np.full((1, 2, 4), -1.0), 0.5, out=out))
    np.testing.assert_array_equal(out, np.full((3, 2, 4), 0.5))


@pytest.mark.parametrize("row", cases.LAYERS)
def test_fit_is_the_same_with_and_without(row):
    histories = []
    for backend in ("numpy", PLAIN):
        net = cases.network(row, replicas=2, backend=backend)
        histories.append(xbnet.fit(net, "cross_entropy", "adam", cases.samples(), epochs=3, batch_size=4, rng=0))
    for key in ("train_loss", "grad_norm"):
        np.testing.assert_array_equal(histories[0][key], histories[1][key])
