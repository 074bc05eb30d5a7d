"""What holds on every level of execution: the same numbers as step by step, the same bits alone, in a stack, and resumed.

Replayed steps are those that are run one by one, to the bit; the compiled machine's are up to rounding.
"""

from types import SimpleNamespace

import numpy as np
import pytest

import xbnet
from tests.support import cases
from xbnet import BatchNorm, Dropout, Linear, Residual
from xbnet.training.recipe import Recipe
from xbnet.training.samples import Samples
from xbnet.training.sparse import SparseRows
from xbnet.training.trainer import Trainer

RTOL = {"replay": {}, "compiled": {"float64": 1e-11, "float32": 2e-4}}


@pytest.fixture(params=["replay", "compiled"])
def level(request):
    """Each level that is possible on NumPy, but for the reference."""
    if request.param == "compiled":
        pytest.importorskip("numba")
    return request.param


@pytest.fixture(params=["eager", "replay", "compiled"])
def any_level(request):
    if request.param == "compiled":
        pytest.importorskip("numba")
    return request.param


def train(net, level, *, loss="cross_entropy", optimizer=None, task=None, n=40, epochs=3, data=None, **settings):
    """Train on the table's samples, or on others; the history."""
    loss, task = cases.LOSSES[loss]()[0] if isinstance(loss, str) else loss, task or cases.LOSSES[loss]()[1]
    settings = {"batch_size": 16, "rng": 1} | settings
    data = cases.samples(task, n) if data is None else data
    return xbnet.fit(
        net, loss, optimizer or xbnet.SGD(0.1), data, epochs=epochs, execution=level, progress=False, **settings
    )


def compare(level, layers="linear-tanh", *, dtype="float64", replicas=3, network=None, **settings):
    """Train two equal networks, on this level and one call after the other."""
    network = {"n_outputs": cases.N_CLASSES} | (network or {})
    nets = [cases.network(layers, dtype=dtype, replicas=replicas, **network) for _ in range(2)]
    first, second = (train(net, one, **settings) for net, one in zip(nets, (level, "eager"), strict=True))
    assert (first.execution, second.execution) == (level, "eager")
    assert not np.array_equal(nets[0].theta, cases.network(layers, dtype=dtype, replicas=replicas, **network).theta)
    rtol = RTOL[level].get(dtype, 0)
    np.testing.assert_allclose(nets[0].theta, nets[1].theta, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(nets[0].state, nets[1].state, rtol=rtol, atol=rtol)
    for name in ("train_loss", "train_accuracy", "grad_norm", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(first[name], second[name], rtol=rtol, atol=rtol, err_msg=name)
    return nets


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("layers", cases.LAYERS)
def test_layers(level, layers, replicas):
    compare(level, layers, replicas=replicas)


@pytest.mark.parametrize("layers", ["linear-tanh", "linear-elu", "linear-softplus", "deep"])
def test_layers_in_float32(level, layers):
    compare(level, layers, dtype="float32")


@pytest.mark.parametrize("loss", cases.LOSSES)
def test_losses(level, loss):
    compare(level, loss=loss)


@pytest.mark.parametrize("loss", cases.LOSSES)
def test_losses_with_sample_weights(level, loss):
    compare(level, loss=loss, sample_weight=np.linspace(0, 2, 40))


@pytest.mark.parametrize("optimizer", cases.OPTIMIZERS)
def test_optimizers(level, optimizer):
    compare(level, optimizer=cases.OPTIMIZERS[optimizer]())


@pytest.mark.parametrize("schedule", cases.SCHEDULES)
def test_schedules(level, schedule):
    compare(level, schedule=cases.SCHEDULES[schedule]()[0])


@pytest.mark.parametrize("strategy", ["alternating", "weighted:ratio=0.5", "weighted:factors=0/1/1"])
def test_strategies(level, strategy):
    compare(
        level, [Linear(5, "tanh"), Linear(4, "relu")], strategy=strategy, optimizer=xbnet.AdamW(0.02, weight_decay=0.3)
    )


def test_penalties_and_clipping_per_replica(level):
    compare(level, l2=[0, 1e-3, 1e-2], l1=[1e-3, 0, 1e-3], clip_norm=[0.1, 10, 0.3])


@pytest.mark.parametrize("batch_size", [1, 7, 40, None])
def test_sizes_of_batches(level, batch_size):
    compare(level, "deep" if batch_size != 1 else "linear-tanh", batch_size=batch_size)


@pytest.mark.parametrize("width", [1, 2, 33, 65, 130])
def test_widths(level, width):
    """Layouts, kinds of products and their last rows and columns."""
    compare(level, [Linear(width, "tanh"), Residual("relu", n_hidden=width + 1)], batch_size=20)


@pytest.mark.parametrize("batch_size", range(1, 8))
def test_batches_as_long_as_layers_are_wide(level, batch_size):
    """Nothing may be taken for a batch because of its size: not weights (3, 6) where B = 3."""
    compare(level, [Linear(3, "tanh"), Linear(6, "tanh"), Residual("gelu", n_hidden=2)], batch_size=batch_size)


def test_each_replica_in_its_own_order(level):
    layers = [Linear(6, "tanh"), Dropout(0.3), BatchNorm()]
    seeds = [np.random.SeedSequence(s) for s in (5, 6, 7)]
    compare(level, layers, rng=seeds)


# -- samples that come in other ways ------------------------------------------------------------------------------------


def test_validation(level):
    """In batches, the last one shorter; with weights of its own."""
    parts = [xbnet.Part(*cases.samples(n=n, seed=n)) for n in (40, 37)]
    nets = compare(level, "deep", data=xbnet.Dataset("two parts", *parts), patience=2)
    x = parts[1].x
    np.testing.assert_allclose(nets[0].predict_proba(x), nets[1].predict_proba(x), rtol=1e-10)


def test_data_that_stay_on_the_host(level):
    compare(level, device_memory=1500, replicas=1)


def test_sparse_samples(level):
    """As estimators train on them: each batch becomes dense when its turn comes."""
    sparse = pytest.importorskip("scipy.sparse")
    x, y = cases.samples(n=40)
    parts = [SimpleNamespace(x=SparseRows(sparse.csr_array(np.where(x > 0, x, 0))), y=y) for _ in "tv"]
    ends = []
    for one in (level, "eager"):
        net = cases.network("deep", replicas=3)
        samples = Samples("sparse", "classification", cases.N_CLASSES, *parts)
        recipe = Recipe(epochs=3, batch_size=16, execution=one)
        trainer = Trainer(net, xbnet.SoftmaxCrossEntropy(), xbnet.Adam(0.02), samples, recipe)
        while not trainer.done:
            trainer.run_epoch()
        ends.append((net.theta, trainer.history["val_loss"], trainer.finish().execution))
    np.testing.assert_allclose(ends[0][0], ends[1][0], rtol=RTOL[level].get("float64", 0), atol=1e-11)
    np.testing.assert_allclose(ends[0][1], ends[1][1], rtol=1e-10)
    assert [execution for *_, execution in ends] == [level, "eager"]


@pytest.mark.parametrize("replicas", [1, 3])
def test_images_that_are_mirrored(level, replicas):
    x = np.random.default_rng(0).normal(size=(40, 24))
    data = xbnet.Dataset("images", xbnet.Part(x, np.arange(40) % cases.N_CLASSES), image_shape=(2, 3, 4))
    compare(level, data=data, flip=0.5, replicas=replicas, network={"n_inputs": 24})


# -- the same bits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_member_ends_in_the_bits_of_the_network_alone(any_level, dtype):
    R, rates = 5, [0.1, 0.05, 0.2, 0.01, 0.02]
    layers = [Linear(40, "tanh"), BatchNorm(), Dropout([0.1, 0.2, 0.3, 0.4, 0.5]), Residual("gelu"), Linear(70, "relu")]
    settings = {"l2": [0, 0.1, 0, 0.01, 0], "clip_norm": [1, 2, 0.1, 4, 5]}
    stack = cases.network(layers, replicas=R, dtype=dtype)
    train(stack, any_level, optimizer=xbnet.Adam(rates), rng=None, **settings)
    for r, seed in enumerate(xbnet.replica_seeds(0, R)):
        layers[2] = Dropout(0.1 * (r + 1))
        alone = cases.network(layers, dtype=dtype, rng=[seed])
        mine = {key: values[r] for key, values in settings.items()}
        train(alone, any_level, optimizer=xbnet.Adam(rates[r]), rng=None, **mine)
        np.testing.assert_array_equal(stack.theta[r], alone.theta[0])
        np.testing.assert_array_equal(stack.state[r], alone.state[0])


def test_a_resumed_run_ends_in_the_bits_of_one_that_was_not_interrupted(any_level, tmp_path):
    nets = [cases.network("deep", replicas=2) for _ in range(3)]
    settings = {"optimizer": xbnet.Adam(0.02), "l2": 1e-3}
    train(nets[0], any_level, epochs=5, **settings)
    train(nets[1], any_level, epochs=2, checkpoint=tmp_path, checkpoint_every=1, **settings)
    history = train(nets[2], any_level, epochs=5, checkpoint=tmp_path, resume=True, **settings)
    assert history.execution == any_level
    np.testing.assert_array_equal(nets[2].theta, nets[0].theta)
    np.testing.assert_array_equal(nets[2].state, nets[0].state)


def test_a_diverging_replica_is_noticed_in_the_same_epoch(level):
    ends = []
    for one in (level, "eager"):
        net = cases.network([Linear(6, "tanh")], replicas=3)
        with np.errstate(all="ignore"):
            history = train(net, one, loss="mse", optimizer=xbnet.SGD([0.1, 1e100, 0.1]), epochs=6)
        ends.append((history.status, np.isfinite(history["train_loss"]).tolist(), np.isfinite(net.theta).all()))
    assert ends[0] == ends[1]
    assert ends[0][0][1] == "diverged"


# -- layers of a user's own -----------------------------------------------------------------------------------------------


class Scale(xbnet.Layer):
    """y = x g, by operations of `xp` and `ops` alone."""

    replayable = True

    def parameters(self):
        return (xbnet.nn.parameters.ParameterSpec("g", (1, self.n_inputs), xbnet.nn.initializers.ones),)

    def buffers(self):
        return {"y": ("B", self.n_inputs)}

    def scratch(self):
        return {"work": ("B", self.n_inputs)}

    def forward(self, x, training):
        self.x = x
        return self.xp.multiply(x, self.g, out=self.y)

    def backward(self, dy, dx):
        self.xp.multiply(dy, self.x, out=self.work)
        self.ops.batch_sum(self.work, self.dg)
        if dx is not None:
            self.xp.multiply(dy, self.g, out=dx)


class Arctan(Scale):
    replayable = True

    def forward(self, x, training):
        self.xp.arctan(x, out=self.work)
        return super().forward(self.work, training)


class Unsaid(Scale):
    """Derived, and says nothing of itself."""


def test_a_layer_of_operations_runs_unchanged(level):
    compare(level, [Linear(5, "tanh"), Scale()])


class Averaging(Scale):
    """Does more than array operations, counts, and gives an array of its own each time."""

    calls = 0

    def forward(self, x, training):
        self.calls += 1
        self.x = x
        return x * self.g + np.float64(self.streams[0].random()).astype(x.dtype)

    def bind(self, streams):
        self.streams = streams


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("layer", [Arctan, Unsaid, Averaging])
def test_what_the_machine_does_not_know_is_called_back(level, layer, replicas):
    compare(
        level,
        [Linear(5, "tanh"), Dropout(0.3), layer(), Dropout(0.2), BatchNorm(), Linear(4, "relu")],
        replicas=replicas,
    )


class OwnLoss(xbnet.SoftmaxCrossEntropy):
    """Says nothing of itself."""


class OwnRule(xbnet.Adam):
    """Says nothing of itself."""


def test_losses_and_optimizers_of_a_users_own_are_called_back(level):
    x, y = cases.samples("classification", 40)
    for loss, rule in (
        (OwnLoss(), xbnet.SGD(0.1)),
        ("cross_entropy", OwnRule(0.02)),
        (OwnLoss(label_smoothing=0.1), OwnRule(0.02)),
    ):
        nets = [cases.network("deep", replicas=2) for _ in range(2)]
        for net, one in zip(nets, (level, "eager"), strict=True):
            history = xbnet.fit(
                net,
                loss,
                rule,
                (x, y),
                epochs=3,
                batch_size=16,
                rng=1,
                l2=1e-3,
                clip_norm=1,
                execution=one,
                progress=False,
            )
            assert history.execution == one
        np.testing.assert_allclose(nets[0].theta, nets[1].theta, rtol=1e-11, atol=1e-11)
