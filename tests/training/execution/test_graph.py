"""Chunks of steps as graphs: what is captured once and replayed ends in the bits of what runs call by call."""

import numpy as np
import pytest

import xbnet
from tests.support.devices import capturing
from tests.support.errors import refuses
from xbnet import ConfigError, Dropout, LayerNorm, Linear, Network, Residual, XBClassifier, XbnetError, fit
from xbnet.replicas import replica_seeds
from xbnet.training.batches import Resident
from xbnet.training.execution import graph

R, INPUTS, C, N = 3, 5, 4, 151
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(N, INPUTS)), RNG.integers(0, C, N)


def train(
    execution="graph",
    layers=None,
    optimizer=None,
    *,
    replicas=R,
    capturable=True,
    kernels=False,
    data=(X, Y),
    nets=None,
    **more,
):
    """76 steps an epoch, the last with one sample: three chunks of 25, which is 75."""
    backend = capturing.backend(capturable, kernels)
    layers = layers or [Linear(6, "tanh"), Linear(C)]
    net = Network(layers, INPUTS, replicas=replicas, rng=1, dtype="float64", backend=backend)
    nets is None or nets.append(net)
    common = {"epochs": 3, "batch_size": 2, "rng": 2, "progress": False, "loss": "cross_entropy"} | more
    history = fit(net, common.pop("loss"), optimizer or xbnet.SGD(0.1), data, execution=execution, **common)
    return net, history, backend.xp


def assert_same(one, two):
    np.testing.assert_array_equal(one[0].theta, two[0].theta)
    np.testing.assert_array_equal(one[0].state, two[0].state)
    assert one[1].status == two[1].status
    for name in one[1].records[0]:
        if name not in ("seconds", "samples_per_second"):
            np.testing.assert_array_equal(one[1][name], two[1][name], err_msg=name)


SEED, OTHER = replica_seeds(3, 2)
RUNS = {
    "plain": {},
    "adam": {"optimizer": xbnet.Adam([0.01, 0.02, 0.03]), "schedule": "cosine"},
    "adamw": {"optimizer": xbnet.AdamW(0.01), "schedule": "exponential:gamma=0.5"},
    "costs": {"l2": [0.1, 0.2, 0.3], "l1": 0.01, "clip_norm": [0.1, 0.2, 0.3], "sample_weight": RNG.random(N)},
    "layers": {"layers": [Linear(6, "gelu"), LayerNorm(), Residual(), Linear(C)]},
    "loss": {"loss": xbnet.SoftmaxCrossEntropy(class_weight=[1, 2, 3, 4], label_smoothing=0.1)},
    "orders": {"rng": [SEED, OTHER, SEED]},
    "one order": {"rng": [SEED] * 3},
    "kernels": {"kernels": True, "optimizer": xbnet.Adam([0.01, 0.02, 0.03]), "clip_norm": 0.2, "l2": 0.01},
    "one network": {"replicas": 1},
}


@pytest.mark.parametrize("name", RUNS)
def test_replay_equals_eager_bit_for_bit(name):
    found = train("graph", **RUNS[name])
    assert_same(found, train("eager", **RUNS[name]))
    assert found[1].execution == "graph"
    assert (found[2].captures, found[2].launches) == (1, 3 * 3 - 1), "the first chunk of all makes the buffers"


@pytest.mark.parametrize(
    ("batch_size", "chunks", "steps"), [(2, 3, 25), (3, 2, 25), (5, 1, 30), (50, 1, 3), (60, 1, 2), (4, 2, 18)]
)
def test_chunks_share_an_epoch_evenly(batch_size, chunks, steps):
    """At most 32 steps each; what is left over, and the last step, run one by one."""
    run = {"batch_size": batch_size, "optimizer": xbnet.Momentum(0.05)}
    found = train("graph", **run)
    assert found[2].launches == 3 * chunks - 1
    assert -(-N // batch_size) - chunks * steps in (1, 2)
    assert_same(found, train("eager", **run))


def test_when_replicas_leave_the_rest_is_captured_anew():
    data = xbnet.Dataset("small", xbnet.Part(X, Y), val=xbnet.Part(X[:40], Y[:40]))
    run = {"data": data, "patience": 2, "epochs": 14, "optimizer": xbnet.SGD([0.01, 1e200, 0.5])}
    with np.errstate(all="ignore"):
        found, expected = train("graph", **run), train("eager", **run)
    assert_same(found, expected)
    assert "stopped" in found[1].status
    assert found[2].captures >= 2


def test_memory_that_steps_were_captured_with_is_kept():
    """Larger batches in between make the network ask for larger buffers, and let go of the old ones."""
    larger = np.tile(X, (4, 1))

    def run(level):
        nets = []

        def predict(record):
            nets[0].predict_proba(larger)

        return train(level, nets=nets, on_epoch=predict)

    assert_same(run("graph"), run("eager"))


class Forgetful(xbnet.SGD):
    """Multiplies by a number of the host that every step changes."""

    name = "forgetful"

    def update(self, theta, grad, lr):
        self.xp.multiply(grad, 0.1 / (1 + self.steps % 7), out=self.work)
        self.xp.subtract(theta, self.work, out=theta)


def test_a_number_of_the_host_would_show():
    """So that the tests above are worth something: in a replay it is what it was when the steps were captured."""
    (mine, *_), (plain, *_) = (train(level, optimizer=Forgetful()) for level in ("graph", "eager"))
    assert not np.array_equal(mine.theta, plain.theta)


def test_hyper_parameters_of_later_epochs_are_copied_in(monkeypatch):
    """Without the copy the replay would go on with the columns that it was captured with."""
    run = {"optimizer": xbnet.SGD(0.1), "schedule": "exponential:gamma=0.1"}
    expected = train("eager", **run)
    run_chunk = graph.Graph._run_chunk

    def without_copy(self, trainer):
        self.table[...] = 0.1
        run_chunk(self, trainer)

    monkeypatch.setattr(graph.Graph, "_run_chunk", without_copy)
    assert not np.array_equal(train("graph", **run)[0].theta, expected[0].theta)


# -- what must not be captured -----------------------------------------------------------------------------------------


class Wasteful(Linear):
    """Asks for memory in each step, and gives it back."""

    replayable = True

    def forward(self, x, training):
        out = super().forward(x, training)
        self.xp.add(out, out)
        return out


def test_a_step_that_allocates_is_refused():
    line = "fit: the steps could not be captured (a step asks for 288 bytes of memory); use execution='eager'"
    with refuses(XbnetError, line):
        train("graph", [Wasteful(6, "tanh"), Linear(C)])


def test_where_any_level_will_do_it_is_run_step_by_step():
    line = r"^the steps could not be captured \(a step asks for 288 bytes of memory\); they are run one by one$"
    with pytest.warns(UserWarning, match=line):
        found = train("auto", [Wasteful(6, "tanh"), Linear(C)], xbnet.Adam(0.01))
    assert found[1].execution == "eager"
    assert (found[2].captures, found[2].launches) == (1, 0)
    assert_same(found, train("eager", [Linear(6, "tanh"), Linear(C)], xbnet.Adam(0.01)))


def test_what_breaks_a_capture_is_told_and_not_what_follows_from_it(monkeypatch):
    end_capture = capturing.Stream.end_capture

    def invalidated(self):
        end_capture(self)
        raise RuntimeError("cudaErrorStreamCaptureInvalidated")

    monkeypatch.setattr(capturing.Stream, "end_capture", invalidated)
    with pytest.raises(XbnetError, match="a step asks for 288 bytes of memory"):
        train("graph", [Wasteful(6, "tanh"), Linear(C)])
    with pytest.raises(XbnetError, match="cudaErrorStreamCaptureInvalidated"):
        train("graph")


@pytest.mark.parametrize("forgotten", ["before", "after"])
def test_a_stream_that_does_not_wait_would_show(monkeypatch, forgotten):
    wait_event = capturing.Stream.wait_event

    def wait(self, event):
        own = self is not self.device.streams[0]
        if own != (forgotten == "before"):
            wait_event(self, event)

    monkeypatch.setattr(capturing.Stream, "wait_event", wait)
    with pytest.raises(AssertionError, match="two streams work without an order"):
        train("graph")


class Own(Linear):
    """Who knows what it does."""


WHY_NOT = {
    "products": ({"capturable": False}, "the backend's products can't be captured"),
    "masks": ({"layers": [Linear(3), Dropout(0.1), Linear(C)]}, "Dropout draws random numbers on the host"),
    "own": ({"layers": [Own(3), Linear(C)]}, "Own does more in a step than array operations"),
    "strategy": ({"strategy": "alternating"}, "strategy 'alternating' changes the gradient from epoch to epoch"),
    "short": ({"batch_size": 76}, "an epoch has only 2 steps"),
    "whole": ({"batch_size": None}, "an epoch has only 1 step"),
}


@pytest.mark.parametrize("name", WHY_NOT)
def test_what_it_cant_do_is_told_and_left_to_the_plain_text(name):
    more, reason = WHY_NOT[name]
    if name == "strategy":
        more = more | {"layers": [Linear(3), Linear(C)]}
    with refuses(ConfigError, f"fit: execution 'graph' is not possible: {reason}; use 'auto'"):
        train("graph", **more)
    assert train("auto", **more)[1].execution == "eager"


def test_streamed_data_are_not_captured(monkeypatch):
    monkeypatch.setattr(Resident, "streamed", True)
    line = "fit: execution 'graph' is not possible: the samples don't all lie on the device; use 'auto'"
    with refuses(ConfigError, line):
        train("graph")


def test_auto_takes_the_graph_where_the_kernel_is_not_possible():
    assert train("auto")[1].execution == "graph"


def test_on_numpy_there_are_no_graphs():
    with refuses(ConfigError, "fit: execution 'graph' is not possible: backend 'numpy' captures no graphs; use 'auto'"):
        fit(Network([Linear(C)], INPUTS), "cross_entropy", "sgd", (X, Y), execution="graph")


def test_the_real_cupy_knows_what_is_asked_of_it():
    cupy = pytest.importorskip("cupy")
    assert all(callable(getattr(cupy.cuda.Stream, name)) for name in ("begin_capture", "end_capture", "__enter__"))
    assert callable(cupy.cuda.Graph.launch)
    assert callable(cupy.cuda.using_allocator)
    assert {"record", "wait_event"} <= set(dir(cupy.cuda.Stream))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("weights", [None, np.linspace(0, 2, N)], ids=["plain", "weighted"])
@pytest.mark.parametrize("kernels", [False, True], ids=["reference", "kernels"])
def test_an_estimator_counts_its_penalty_in_graphs_too(kernels, weights):
    """Its penalty is a mean over the rows of an epoch, whoever has run them."""
    found = []
    for backend in (capturing.backend(kernels=kernels), "numpy"):
        model = XBClassifier(
            (6,), alpha=0.1, batch_size=4, max_iter=4, random_state=0, dtype="float64", n_members=2, backend=backend
        )
        model.fit(X, Y, sample_weight=weights)
        found.append([model.loss_curve_, model.predict_proba(X)])
        if backend != "numpy":
            assert backend.xp.captures == 1
            assert backend.xp.launches == 4 * 2 - 1
    for here, there in zip(*found, strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-12)
