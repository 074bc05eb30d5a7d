"""Replayed calls: the same bits as calls that are run, and never those of other arrays."""

import inspect
import sys
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbnet
from tests.support import cases
from tests.support.chance import examples
from xbnet.backends.numpy_ops import FEW_ROWS, PIECE, SPECIALIZED, NumpyOps
from xbnet.backends.replay import MOST, RUNS, Recording, Replays, Scratch, replayable
from xbnet.nn.activations import ACTIVATIONS, Activation

PLAIN = xbnet.Backend("numpy", "cpu", np, NumpyOps(np))  # never replays
R, B, INPUTS, C = 3, 7, 5, 4
DTYPE = st.sampled_from([np.float32, np.float64])
SIZE = st.one_of(st.integers(1, 5), st.integers(1, 90))
OFTEN = RUNS + 3


class Own(xbnet.Linear):
    """A user's layer on top of one of ours: what it does beside `xp` can't be known."""

    def forward(self, x, training):
        y = super().forward(x, training)
        y += 1
        return y


class Fresh(xbnet.Layer):
    """Hands out another array each time, and sometimes the one that it was given."""

    def __init__(self):
        self.count = 0

    def forward(self, x, training):
        self.count += 1
        self.passed = self.count % 3 == 0
        return x if self.passed else np.tanh(x) * np.ones((self.dW_shape[0], 1, 1), x.dtype)

    def build(self, n_inputs):
        super().build(n_inputs)
        self.dW_shape = (1,)

    def backward(self, dy, dx):
        if dx is not None:
            dx[...] = dy * 0.5


OWN = Activation(
    "own", lambda xp, z, out, work: np.sin(z, out), lambda xp, dy, z, y, work: np.multiply(dy, np.cos(z), dy)
)
NAMESAKE = Activation("tanh", OWN.forward, OWN.backward)

NETWORKS = {
    **{name: (lambda name=name: [xbnet.Linear(6, name), xbnet.Linear(C)]) for name in ACTIVATIONS},
    "residual": lambda: [xbnet.Residual("tanh", begin="relu"), xbnet.Residual("gelu", end="silu"), xbnet.Linear(C)],
    "normalized": lambda: [xbnet.LayerNorm(), xbnet.Linear(6, "relu"), xbnet.LayerNorm(), xbnet.Linear(C)],
    "batch norm": lambda: [xbnet.BatchNorm(), xbnet.Linear(6, "relu"), xbnet.BatchNorm(), xbnet.Linear(C)],
    "dropout": lambda: [xbnet.Dropout(0.3), xbnet.Linear(6, "relu"), xbnet.Dropout(0.5), xbnet.Linear(C)],
    "own layer": lambda: [xbnet.Linear(6, "relu"), Own(5, "tanh"), xbnet.Linear(C)],
    "own activation": lambda: [xbnet.Linear(6, OWN), xbnet.Residual(NAMESAKE, end=OWN), xbnet.Linear(C)],
    "other arrays": lambda: [xbnet.Linear(6, "relu"), Fresh(), xbnet.Linear(C)],
}


class Doubled(xbnet.MeanSquaredError):
    """A user's loss."""

    def _evaluate(self, logits, labels, dlogits):
        super()._evaluate(logits, labels, dlogits)
        self.values[...] *= 2


LOSSES = {
    "cross_entropy": xbnet.SoftmaxCrossEntropy,
    "smoothed": lambda: xbnet.SoftmaxCrossEntropy(label_smoothing=0.1),
    "weighted": lambda: xbnet.SoftmaxCrossEntropy(class_weight=[1, 2, 3, 4]),
    "binary": xbnet.BinaryCrossEntropy,
    "mse": xbnet.MeanSquaredError,
    "own": Doubled,
}


class Slow(xbnet.Momentum):
    """A user's optimizer, with a state that only Python knows of."""

    taken = 0

    def update(self, theta, grad, lr, momentum):
        self.taken += 1
        theta -= lr * grad / (1 + self.taken)


OPTIMIZERS = {"momentum": xbnet.Momentum, "adam": xbnet.Adam, "own": Slow}


class Steps:
    """Steps and evaluations of one network, with new samples each time."""

    def __init__(self, layers, loss, backend, optimizer=xbnet.Momentum, replicas=R, dtype="float32", **more):
        self.network = xbnet.Network(layers, INPUTS, replicas=replicas, backend=backend, dtype=dtype, rng=0)
        self.step_ = xbnet.Step(self.network, loss, optimizer(0.1), **more)
        self.rng = np.random.default_rng(0)

    @property
    def records(self):
        return self.step_._replayed.replays.records

    def batch(self, size=B, leading=1):
        x, y = self.rng.normal(size=(leading, size, INPUTS)), self.rng.integers(0, C, (leading, size))
        return x.astype(self.network.dtype), y

    def step(self, weighted=False, **batch):
        x, y = self.batch(**batch)
        w = self.rng.random(y.shape).astype(x.dtype) if weighted else None
        values = self.step_(x, y, w).copy()
        return values, self.step_._replayed.sums.copy(), self.network.theta.copy(), self.network.state.copy()

    def predict(self, size):
        return (self.network.predict_proba(self.batch(size)[0][0]),)

    def slope(self):
        """The gradient by x of a sum of outputs, run."""
        x, _ = self.batch()
        logits, dx = self.network.forward(x, training=True), np.empty((self.network.replicas, B, INPUTS), x.dtype)
        self.network.backward(np.ones_like(logits), dx)
        return dx, self.network.grad.copy()


def both(layers, loss=xbnet.SoftmaxCrossEntropy, **keywords):
    """The same replayed, and run."""
    return Steps(layers(), loss(), "numpy", **keywords), Steps(layers(), loss(), PLAIN, **keywords)


def assert_same(these, those):
    for this, that in zip(these, those, strict=True):
        np.testing.assert_array_equal(this, that)


@pytest.mark.parametrize("replicas", [1, R])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_replayed_networks_give_the_same_bits(name, dtype, replicas):
    replayed, run = both(NETWORKS[name], dtype=dtype, replicas=replicas)
    for leading in (1, replicas):
        for _ in range(OFTEN):
            assert_same(replayed.step(leading=leading), run.step(leading=leading))
    assert len(replayed.records) == len({1, replicas})
    assert not run.records


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", LOSSES)
def test_replayed_losses_and_optimizers_give_the_same_bits(name, optimizer, weighted):
    costs = {"l2": 0.01, "l1": [0.01, 0.0, 0.02], "clip_norm": 0.5}
    replayed, run = both(NETWORKS["tanh"], LOSSES[name], optimizer=OPTIMIZERS[optimizer], **costs)
    for _ in range(OFTEN):
        assert_same(replayed.step(weighted), run.step(weighted))
    assert replayed.records


def test_logits_in_another_order():
    """What finds the largest needs them in C order, and would be handed a copy, for good."""

    class Turned(xbnet.Linear):
        def forward(self, x, training):
            y = super().forward(x, training)
            return np.ascontiguousarray(y.swapaxes(1, 2)).swapaxes(1, 2)

    replayed, run = both(lambda: [Turned(C)])
    for _ in range(OFTEN):
        assert_same(replayed.step(), run.step())


@pytest.mark.parametrize("name", ["residual", "batch norm", "own layer", "dropout"])
def test_whatever_comes_between(name):
    """Predictions, other batches and sizes, gradients by x."""
    replayed, run = both(NETWORKS[name])
    order = np.random.default_rng(1).integers(0, 6, 60)
    for what in np.repeat(order, 3):
        acts = [[s.step, s.predict, s.slope][min(what, 2) if what < 3 else 0] for s in (replayed, run)]
        given = [{}, {"size": 3 * B}, {}, {"weighted": True}, {"size": 2}, {"leading": R}][what]
        assert_same(acts[0](**given), acts[1](**given))


def test_only_so_many_sizes_are_remembered():
    replayed, run = both(NETWORKS["own layer"])
    for size in np.tile(np.arange(1, 13), OFTEN).tolist():
        assert_same(replayed.step(size=size), run.step(size=size))
    for size in [9] * OFTEN:
        assert_same(replayed.step(size=size), run.step(size=size))
    assert len(replayed.records) <= MOST
    assert len(replayed.step_._batches) <= MOST


def test_larger_buffers_make_records_void_and_let_the_old_memory_go():
    replayed, run = both(NETWORKS["own layer"])
    for size in [2] * OFTEN + [B] + [2] * OFTEN:
        assert_same(replayed.step(size=size), run.step(size=size))
        assert_same(replayed.predict(5 * size), run.predict(5 * size))
    (record,) = replayed.records.values()
    layers = [o for o in record.operations if o.name != "ops.loss"]
    arrays = [a for o in layers for p in (o, *o.parts) for a in (*p.operands, p.out)]
    known = [*replayed.network.memory(), *replayed.step_._batches.values()]
    known = [a for some in known for a in ([some] if isinstance(some, np.ndarray) else some) if a is not None]
    buffers = [a for a in arrays if isinstance(a, np.ndarray) and a.ndim == 3 and a.shape[:2] == (R, 2)]
    assert len(buffers) > 5
    assert all(any(np.shares_memory(a, flat) for flat in known) for a in buffers)


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"other arrays", "dropout", "own layer", "own activation"}))
def test_all_is_recorded(name):
    """Replayed into memory that holds nothing of the step before, a record fills all that it hands out."""
    steps = Steps(NETWORKS[name](), xbnet.SoftmaxCrossEntropy(), "numpy")
    for _ in range(OFTEN):
        steps.step()
    net, (x, y), loss = steps.network, steps.batch(), steps.step_.loss
    before = [net.theta.copy(), net.state.copy(), steps.step_.optimizer.state["velocity"].copy()]

    def outcome():
        net.theta[...], net.state[...], steps.step_.optimizer.state["velocity"][...] = before
        return steps.step_(x, y).copy(), net.grad.copy(), net.theta.copy()

    expected = outcome()
    for space in (net._buffers.of_layers, net._buffers.between_layers, loss._floats):
        for key, flat in space._flat.items():
            if key not in ("report", "weights", "fractions"):  # `report` holds ones, which only `_use` writes
                flat.fill(np.nan)
    loss.values.fill(np.nan)
    net.grad.fill(np.nan)
    assert_same(outcome(), expected)


def test_what_cant_be_recorded_is_called_as_a_whole():
    steps = Steps(NETWORKS["own layer"](), Doubled(), "numpy", optimizer=Slow)
    for _ in range(OFTEN):
        steps.step()
    (record,) = steps.records.values()
    opaque = [o.name for o in record.operations if o.opaque]
    assert opaque == ["Own.forward", "Doubled.__call__", "Own.backward"]
    update = record.operations[-1]
    assert (update.name, update.parts[0].name, update.parts[0].parts[0].name) == (
        "ops.update",
        "ops.apply",
        "Slow.apply",
    )
    assert sum(o.name == "ops.bmm" for o in record.operations) == 2


def test_a_record_names_its_operations():
    """So that they can be brought into another form; an operation that consists of others holds these, too."""
    steps = Steps([xbnet.Linear(6, "tanh"), xbnet.Dropout(0.5), xbnet.Linear(C)], xbnet.SoftmaxCrossEntropy(), "numpy")
    for _ in range(OFTEN):
        steps.step()
    (record,) = steps.records.values()
    names = [o.name for o in record.operations]
    assert names[:6] == ["ops.bmm", "ops.bias_activation", "ops.random", "xp.subtract", "xp.sign", "xp.maximum"]
    x, W = record.operations[0].operands
    assert (x.shape, W.shape, record.operations[0].out.shape) == ((1, B, INPUTS), (R, INPUTS, 6), (R, B, 6))
    _, bias, _ = record.operations[:3]
    assert bias.operands[0].name == "tanh"
    assert [p.name for p in bias.parts] == ["xp.add", "xp.tanh"]
    assert names.count("ops.loss") == names.count("ops.update") == 1
    assert [p.name for p in record.operations[-1].parts] == ["ops.apply"]
    assert [p.name for p in record.operations[-1].parts[0].parts] == [
        "xp.multiply",
        "xp.add",
        "xp.multiply",
        "xp.subtract",
    ]


def test_what_a_class_says_is_not_inherited():
    assert replayable(xbnet.Linear(2))
    assert not replayable(Own(2))
    assert not replayable(Doubled())
    assert (xbnet.Linear.kernel, Own.kernel, xbnet.Adam.kernel, Slow.kernel) == ("linear", None, "adam", None)

    class Stated(xbnet.Linear):
        replayable = True

    assert replayable(Stated(2))


def test_a_network_keeps_no_samples_alive():
    import gc
    import weakref

    class Tracked(np.ndarray):
        pass

    net = cases.network()
    x = np.ones((1, 5, cases.N_INPUTS), net.dtype).view(Tracked)
    seen = weakref.ref(x)
    step = xbnet.Step(net, "cross_entropy", "sgd")
    for _ in range(OFTEN):
        step(x, np.zeros((1, 5), int))
        net.predict(x[0])
    del x
    gc.collect()
    assert seen() is None


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
    """Ctrl-C, or an error of NumPy: neither half a record stays behind, nor buffers of two sizes, nor proxies."""
    sizes = [B] * (RUNS + 2) + [2]

    def losses(steps):
        steps.network.theta[...], steps.step_.optimizer.state["velocity"][...] = 0.1, 0
        steps.rng = np.random.default_rng(1)
        return np.concatenate([steps.step(size=size)[0] for size in [*sizes, B]], axis=1)

    make = lambda: Steps([xbnet.Linear(6, "tanh"), Own(C)], xbnet.SoftmaxCrossEntropy(), "numpy")  # noqa: E731
    expected, k, going = losses(make()), 0, True
    while going:
        steps, k = make(), k + (1 if k < 50 else 7)
        going = cut_short_at(k, lambda steps=steps: [steps.step(size=size) for size in sizes])
        np.testing.assert_array_equal(losses(steps), expected, err_msg=f"cut short at call {k}")
    assert k > 300


# -- recording ---------------------------------------------------------------------------------------------------------


class User:
    """A part that is recorded."""

    replayable = True

    def __init__(self):
        self.xp, self.ops = np, NumpyOps(np)


def record(act):
    user = User()
    recording = Recording([({0: user}, 0)], {})
    recording.start()
    act(user)
    recording.stop()
    return recording.operations


def test_operations_that_make_new_arrays_are_refused():
    with pytest.raises(TypeError, match="^xp.exp without out= can't be replayed, for it makes an array at each call$"):
        record(lambda user: user.xp.exp(np.ones(2)))


@pytest.mark.parametrize("name", ["add", "cumsum", "take", "sum", "clip"])
def test_results_go_to_out_wherever_a_function_has_its_place(name):
    operands = {"add": (2.0,), "take": (np.array([2, 0, 1]),), "clip": (0, 1), "sum": ()}.get(name, ())
    x, out = np.arange(3.0), np.empty(() if name == "sum" else 3)
    (operation,) = record(lambda user: getattr(user.xp, name)(x, *operands, out=out))
    assert (operation.name, operation.out is out) == (f"xp.{name}", True)
    expected = out.copy()
    out.fill(np.nan)
    play(operation.calls)
    np.testing.assert_array_equal(out, expected)


def test_recording_gives_back_what_it_borrowed():
    net = xbnet.Network([xbnet.Linear(2), Own(2)], 2, rng=0)
    first, second = net.layers
    before = first.xp, first.ops
    recording = Recording([(net.layers, 0), (net.layers, 1)], {})
    recording.start()
    assert first.xp is not before[0]
    assert first.ops is not before[1]
    assert net.layers[1] is not second
    recording.stop()
    assert (first.xp, first.ops) == before
    assert net.layers == [first, second]


def test_a_recording_is_in_no_cycle():
    """What it holds, arrays among it, goes with it."""
    net = xbnet.Network([xbnet.Linear(2, "tanh")], 2, rng=0)
    x = np.ones((1, 3, 2), np.float32)
    net.forward(x)
    recording = Recording([(net.layers, 0)], {})
    recording.start()
    net.forward(x)
    recording.stop()
    assert recording.operations
    gone = weakref.ref(recording)
    del recording
    assert gone() is None


def test_replays_of_a_backend_that_has_none_are_runs():
    replays, seen = Replays([], {}), []
    for _ in range(OFTEN):
        replays.run(0, 0, seen.append, 1)
    assert len(seen) == OFTEN
    assert not replays.records


def play(calls):
    for call in calls:
        call()


SHAPES = {  # operands and result, without R
    "bmm": lambda M, K, N: ((M, K), (K, N), (M, N)),
    "bmm_tn": lambda M, K, N: ((K, M), (K, N), (M, N)),
    "bmm_nt": lambda M, K, N: ((M, K), (N, K), (M, N)),
    "row_sum": lambda M, K, N: ((M, K), (M, 1)),
    "batch_sum": lambda M, K, N: ((M, K), (1, K)),
}


@settings(max_examples=examples(40), deadline=None)
@given(replicas=st.integers(1, 3), M=SIZE, K=SIZE, N=SIZE, dtype=DTYPE, seed=st.integers(0))
@pytest.mark.parametrize("name", SHAPES)
def test_specialized_products_have_the_bits_of_the_stacked_ones(name, replicas, M, K, N, dtype, seed):
    """`dot` for one network and `matmul` for a stack must end in the same BLAS routine."""
    rng = np.random.default_rng(seed)
    *operands, shape = SHAPES[name](M, K, N)
    rows = [rng.normal(size=(replicas, np.prod(s) + 3)).astype(dtype) for s in operands]  # strided, as views into theta
    arrays = [row[:, 1 : 1 + np.prod(s)].reshape(replicas, *s) for row, s in zip(rows, operands, strict=True)]
    expected = getattr(PLAIN.ops, name)(*arrays, np.empty((replicas, *shape), dtype))
    specialize = SPECIALIZED[name]
    for r in range(replicas):
        out = np.empty((1, *shape), dtype)
        play(specialize(Scratch(), *(np.ascontiguousarray(a[r : r + 1]) for a in arrays), out))
        np.testing.assert_array_equal(out, expected[r : r + 1])
    out = np.empty((replicas, *shape), dtype)
    play(specialize(Scratch(), *arrays, out))
    np.testing.assert_array_equal(out, expected)


def test_specialized_products_write_where_dot_would_refuse():
    out = np.zeros((1, 4, 2))[:, ::2]
    play(SPECIALIZED["bmm"](Scratch(), np.ones((1, 2, 3)), np.ones((1, 3, 2)), out))
    np.testing.assert_array_equal(out, np.full((1, 2, 2), 3.0))


@settings(max_examples=examples(50), deadline=None)
@given(
    name=st.sampled_from(["add", "subtract", "multiply", "divide"]),
    shapes=st.sampled_from(["xb", "bx", "xc", "cx", "xx", "xn", "nx", "xo", "oo", "xs", "sx", "bc", "bb", "xt"]),
    sizes=st.tuples(st.integers(1, 3), SIZE | st.sampled_from([FEW_ROWS, FEW_ROWS + 1, 3 * FEW_ROWS]), SIZE),
    dtype=DTYPE,
    seed=st.integers(0),
    inplace=st.booleans(),
)
def test_specialized_elementwise_operations_have_the_same_bits(name, shapes, sizes, dtype, seed, inplace):
    """Of whole arrays x, rows b, columns c, numbers n, arrays of one number o, and what all replicas share: s, t."""
    rng, (R, rows, columns) = np.random.default_rng(seed), sizes
    kinds = {"x": (R, rows, columns), "b": (R, 1, columns), "c": (R, rows, 1), "o": (1, 1, 1)}
    kinds |= {"s": (1, 1, columns), "t": (1, rows, columns)}
    theta = rng.normal(size=(R, columns + 3)).astype(dtype)  # of which b is a strided view
    makers = {"n": lambda: -0.3, "b": lambda: theta[:, 1:-2].reshape(R, 1, columns)}
    a, b = (makers.get(k, lambda k=k: rng.normal(size=kinds[k]).astype(dtype))() for k in shapes)
    expected = getattr(np, name)(a, b, out=np.empty((R, rows, columns), dtype))
    out = a if inplace and shapes[0] == "x" else np.full((R, rows, columns), np.nan, dtype)
    play(SPECIALIZED[name](Scratch(), a, b, out=out))
    assert out.tobytes() == expected.tobytes()


@settings(max_examples=examples(20), deadline=None)
@given(
    name=st.sampled_from(["maximum", "minimum"]),
    size=st.sampled_from([1, 5, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 3]),
    dtype=DTYPE,
    strided=st.booleans(),
)
def test_specialized_extrema_have_the_same_bits(name, size, dtype, strided):
    a = np.random.default_rng(0).normal(size=(1, size, 3)).astype(dtype)
    a[0, -1] = [np.nan, -0.0, -np.inf]
    a = a[:, :, ::2] if strided else a
    for other in (0.0, 0.01, a[:, ::-1]):
        out = np.full(a.shape, 7, dtype)
        play(SPECIALIZED[name](Scratch(), a, other, out=out))
        np.testing.assert_array_equal(out, getattr(np, name)(a, other))


def test_specialized_extrema_stretch_what_replicas_share():
    out = np.full((3, 2, 4), np.nan)
    play(SPECIALIZED["maximum"](Scratch(), np.full((1, 2, 4), -1.0), 0.5, out=out))
    np.testing.assert_array_equal(out, np.full((3, 2, 4), 0.5))


@pytest.mark.parametrize("row", cases.LAYERS)
def test_fit_is_the_same_with_and_without(row):
    histories = []
    for backend in ("numpy", PLAIN):
        net = cases.network(row, replicas=2, backend=backend)
        histories.append(xbnet.fit(net, "cross_entropy", "adam", cases.samples(), epochs=3, batch_size=4, rng=0))
    for key in ("train_loss", "grad_norm"):
        np.testing.assert_array_equal(histories[0][key], histories[1][key])
