"""The compiled machine: the same numbers as step by step up to rounding, and the same bits alone, in a stack, and resumed."""

import numpy as np
import pytest

import xbnet
from tests.support import cases
from tests.support.errors import refuses
from xbnet import BatchNorm, Dropout, Linear, Residual

pytest.importorskip("numba")

TOLERANCE = {"float64": 1e-11, "float32": 2e-4}


def train(net, execution="compiled", *, loss="cross_entropy", optimizer=None, task=None, n=40, epochs=3, **settings):
    """Train on the table's samples; the history."""
    loss, task = cases.LOSSES[loss]()[0], task or cases.LOSSES[loss]()[1]
    x, y = cases.samples(task, n)
    settings = {"batch_size": 16, "rng": 1} | settings
    return xbnet.fit(
        net, loss, optimizer or xbnet.SGD(0.1), (x, y), epochs=epochs, execution=execution, progress=False, **settings
    )


def compare(layers="linear-tanh", *, dtype="float64", replicas=3, n_outputs=cases.N_CLASSES, **settings):
    """Train two equal networks, by the machine and one call after the other."""
    nets = [cases.network(layers, dtype=dtype, replicas=replicas, n_outputs=n_outputs) for _ in range(2)]
    first, second = (train(net, level, **settings) for net, level in zip(nets, ("compiled", "eager"), strict=True))
    assert (first.execution, second.execution) == ("compiled", "eager")
    assert not np.array_equal(nets[0].theta, cases.network(layers, dtype=dtype, replicas=replicas).theta), "no step"
    rtol = TOLERANCE[dtype]
    np.testing.assert_allclose(nets[0].theta, nets[1].theta, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(nets[0].state, nets[1].state, rtol=rtol, atol=rtol)
    for name in ("train_loss", "train_accuracy", "grad_norm"):
        np.testing.assert_allclose(first[name], second[name], rtol=rtol, atol=rtol, err_msg=name)


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("layers", cases.LAYERS)
def test_layers(layers, replicas):
    compare(layers, replicas=replicas)


@pytest.mark.parametrize("layers", ["linear-tanh", "linear-elu", "linear-softplus", "deep"])
def test_layers_in_float32(layers):
    compare(layers, dtype="float32")


@pytest.mark.parametrize("loss", cases.LOSSES)
def test_losses(loss):
    compare(loss=loss)


@pytest.mark.parametrize("loss", cases.LOSSES)
def test_losses_with_sample_weights(loss):
    compare(loss=loss, sample_weight=np.linspace(0, 2, 40))


@pytest.mark.parametrize("optimizer", cases.OPTIMIZERS)
def test_optimizers(optimizer):
    compare(optimizer=cases.OPTIMIZERS[optimizer]())


@pytest.mark.parametrize("schedule", cases.SCHEDULES)
def test_schedules(schedule):
    compare(schedule=cases.SCHEDULES[schedule]()[0])


@pytest.mark.parametrize("strategy", ["alternating", "weighted:ratio=0.5", "weighted:factors=0/1/1"])
def test_strategies(strategy):
    compare([Linear(5, "tanh"), Linear(4, "relu")], strategy=strategy, optimizer=xbnet.AdamW(0.02, weight_decay=0.3))


def test_penalties_and_clipping_per_replica():
    compare(l2=[0, 1e-3, 1e-2], l1=[1e-3, 0, 1e-3], clip_norm=[0.1, 10, 0.3])


@pytest.mark.parametrize("batch_size", [1, 7, 40, None])
def test_sizes_of_batches(batch_size):
    compare("deep" if batch_size != 1 else "linear-tanh", batch_size=batch_size)


@pytest.mark.parametrize("width", [1, 2, 33, 65, 130])
def test_widths(width):
    """Layouts, kinds of products and their last rows and columns."""
    compare([Linear(width, "tanh"), Residual("relu", n_hidden=width + 1)], batch_size=20)


@pytest.mark.parametrize("batch_size", range(1, 8))
def test_batches_as_long_as_layers_are_wide(batch_size):
    """Nothing may be taken for a batch because of its size: not weights (3, 6) where B = 3."""
    compare([Linear(3, "tanh"), Linear(6, "tanh"), Residual("gelu", n_hidden=2)], batch_size=batch_size)


def test_each_replica_in_its_own_order():
    layers = [Linear(6, "tanh"), Dropout(0.3), BatchNorm()]
    seeds = [np.random.SeedSequence(s) for s in (5, 6, 7)]
    compare(layers, rng=seeds)


# -- the same bits ---------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[1, 2, 5])
def threads(request, monkeypatch):
    """However little there is to do."""
    monkeypatch.setattr("xbnet.backends.machine.threads.WORTH_A_THREAD", 1)
    monkeypatch.setattr("xbnet.backends.machine.threads.count_cores", lambda: request.param)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_member_ends_in_the_bits_of_the_network_alone(threads, dtype):
    R, rates = 5, [0.1, 0.05, 0.2, 0.01, 0.02]
    layers = [Linear(40, "tanh"), BatchNorm(), Dropout([0.1, 0.2, 0.3, 0.4, 0.5]), Residual("gelu"), Linear(70, "relu")]
    settings = {"l2": [0, 0.1, 0, 0.01, 0], "clip_norm": [1, 2, 0.1, 4, 5]}
    stack = cases.network(layers, replicas=R, dtype=dtype)
    train(stack, optimizer=xbnet.Adam(rates), rng=None, **settings)
    for r, seed in enumerate(xbnet.replica_seeds(0, R)):
        layers[2] = Dropout(0.1 * (r + 1))
        alone = cases.network(layers, dtype=dtype, rng=[seed])
        mine = {key: values[r] for key, values in settings.items()}
        train(alone, optimizer=xbnet.Adam(rates[r]), rng=None, **mine)
        np.testing.assert_array_equal(stack.theta[r], alone.theta[0])
        np.testing.assert_array_equal(stack.state[r], alone.state[0])


def test_a_resumed_run_ends_in_the_bits_of_one_that_was_not_interrupted(tmp_path):
    nets = [cases.network("deep", replicas=2) for _ in range(3)]
    settings = {"optimizer": xbnet.Adam(0.02), "l2": 1e-3}
    train(nets[0], epochs=5, **settings)
    train(nets[1], epochs=2, checkpoint=tmp_path, checkpoint_every=1, **settings)
    history = train(nets[2], epochs=5, checkpoint=tmp_path, resume=True, **settings)
    assert history.execution == "compiled"
    np.testing.assert_array_equal(nets[2].theta, nets[0].theta)
    np.testing.assert_array_equal(nets[2].state, nets[0].state)


def test_stretches_change_nothing(monkeypatch):
    """Epochs that are played some steps at a time."""
    nets = [cases.network("deep", replicas=2) for _ in range(2)]
    train(nets[0], batch_size=3)
    monkeypatch.setattr("xbnet.training.execution.programs.AT_ONCE", 1)
    train(nets[1], batch_size=3)
    np.testing.assert_array_equal(nets[0].theta, nets[1].theta)


def test_a_diverging_replica_is_noticed_in_the_same_epoch():
    ends = []
    for level in ("compiled", "eager"):
        net = cases.network([Linear(6, "tanh")], replicas=3)
        with np.errstate(all="ignore"):
            history = train(net, level, loss="mse", optimizer=xbnet.SGD([0.1, 1e100, 0.1]), epochs=6)
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


def test_a_layer_of_operations_runs_unchanged():
    compare([Linear(5, "tanh"), Scale()])


class NewArrays(Scale):
    replayable = True

    def forward(self, x, training):
        return super().forward(self.xp.tanh(x), training)


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
def test_what_the_machine_does_not_know_is_called_back(layer, replicas):
    compare([Linear(5, "tanh"), Dropout(0.3), layer(), Dropout(0.2), BatchNorm(), Linear(4, "relu")], replicas=replicas)


class OwnLoss(xbnet.SoftmaxCrossEntropy):
    """Says nothing of itself."""


class OwnRule(xbnet.Adam):
    """Says nothing of itself."""



def test_losses_and_optimizers_of_a_users_own_are_called_back():
    x, y = cases.samples("classification", 40)
    for loss, rule in ((OwnLoss(), xbnet.SGD(0.1)), ("cross_entropy", OwnRule(0.02)), (OwnLoss(label_smoothing=0.1), OwnRule(0.02))):
        nets = [cases.network("deep", replicas=2) for _ in range(2)]
        for net, level in zip(nets, ("compiled", "eager"), strict=True):
            history = xbnet.fit(
                net, loss, rule, (x, y), epochs=3, batch_size=16, rng=1, l2=1e-3, clip_norm=1, execution=level, progress=False
            )
            assert history.execution == level
        np.testing.assert_allclose(nets[0].theta, nets[1].theta, rtol=1e-11, atol=1e-11)


def test_a_layer_that_is_not_what_it_says_is_refused_in_one_line():
    reason = "xp.tanh without out= gives a new array"
    with refuses(xbnet.ConfigError, f"fit: execution 'compiled' is not possible: {reason}; use 'auto'"):
        train(cases.network([Linear(5, "tanh"), NewArrays()]))


def test_without_numba_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("xbnet.backends.machine.load.find_spec", lambda name: None)
    reason = "numba is missing; install it with: pip install numba"
    with refuses(xbnet.ConfigError, f"fit: execution 'compiled' is not possible: {reason}; use 'auto'"):
        train(cases.network())


def test_a_cache_that_fails_is_said_and_fails_no_run(monkeypatch):
    from xbnet.backends.machine import entries, load

    def broken(*arguments):
        if arguments[-1]:
            raise OSError("no space left")
        return whole(*arguments)

    whole = entries.make_play
    monkeypatch.setattr(entries, "make_play", broken)
    monkeypatch.setattr(load, "_keeps", True)
    monkeypatch.setattr(load, "_loaded", {})
    net = cases.network()
    with pytest.warns(UserWarning, match=r"^the compiled machine is not kept on disk \(no space left\)"):
        machine = load.machine(net.dtype)
    assert not load._keeps
    monkeypatch.setattr(load, "_keeps", True)
    machine.prepare({0})
    assert machine.entries[0]
