"""Data larger than the device: the same bits as from resident data, and copies that nobody overtakes."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbnet
from tests.support import cases
from tests.support.chance import examples
from tests.support.devices.fake_cupy import Array, Cupy
from tests.support.errors import refuses
from xbnet import ConfigError, get_backend
from xbnet.training.batches import InOrder, Resident, Shuffled
from xbnet.training.recipe import Recipe
from xbnet.training.samples import Samples
from xbnet.training.streaming import CudaLane, Streamed, place
from xbnet.training.trainer import Trainer

NUMPY = get_backend()
ROW = cases.N_INPUTS * 4 + 8  # bytes of a float32 sample and its label


def samples(n, seed=0, targets=False, weighted=True):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, 3)) if targets else rng.integers(0, 3, n)
    return rng.normal(size=(n, cases.N_INPUTS)), y, rng.random(n) if weighted else None


def both(arrays, budget):
    return Resident(NUMPY, np.float32, *arrays), Streamed(NUMPY, np.float32, *arrays, budget=budget)


def epochs(data, B, streams, n=2):
    batches = Shuffled(NUMPY, data, B, streams)
    return [[np.array(a) for a in batch if a is not None] for _ in range(n) for batch in batches.epoch()]


def assert_same(these, those):
    assert len(these) == len(those)
    for this, that in zip(these, those, strict=True):
        for a, b in zip(this, that, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@settings(max_examples=examples(20), deadline=None)
@given(
    n=st.integers(1, 40), B=st.integers(1, 12), chunks=st.integers(1, 4), orders=st.integers(1, 3), replicas=st.integers(1, 4),
    targets=st.booleans(), weighted=st.booleans(), subsets=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_batches_are_those_of_resident_data(n, B, chunks, orders, replicas, targets, weighted, subsets, seed):
    B = min(B, n)
    arrays = samples(n, seed, targets, weighted)
    resident, streamed = both(arrays, 2 * chunks * orders * B * 60)
    if subsets:
        rows = [np.random.default_rng(s).permutation(n)[: max(B, n // 2)] for s in range(2)]
        resident, streamed = (data.subsets([rows[r % 2] for r in range(replicas)]) for data in (resident, streamed))
        orders = 2 * orders
        streamed.budget *= 2
    found = []
    for data in (resident, streamed):
        shared = [np.random.default_rng([seed, u]) for u in range(orders)]
        found.append(epochs(data, B, [shared[r % orders] for r in range(replicas)]))
        in_order = InOrder(NUMPY, data, B)
        found[-1] += [[np.array(a) for a in batch if a is not None] for _ in "ab" for batch in in_order]
    assert_same(*found)


def fit(backend="numpy", device_memory=None, replicas=3, data=None, **more):
    net = cases.network("deep", replicas=replicas, backend=backend, dtype="float32")
    x, y = cases.samples(n=300)
    x_val, y_val = cases.samples(n=41, seed=9)
    data = data or xbnet.Dataset("tiny", xbnet.Part(x, y), val=xbnet.Part(x_val, y_val))
    settings = {"epochs": 3, "batch_size": 8, "device_memory": device_memory} | more
    history = xbnet.fit(net, "cross_entropy", "adam", data, **settings)
    figures = [history[name] for name in xbnet.history.PER_REPLICA]
    host = net.backend.to_host
    return [host(net.theta), host(net.state), *figures, np.array(history.status), history.best_epoch]


SETTINGS = {
    "separate orders": {},
    "one network": {"replicas": 1},
    "weights": {"sample_weight": np.linspace(0, 1, 300)},
    "stopping": {"patience": 1, "epochs": 8, "monitor": "val_accuracy"},
    "strategy": {"strategy": "alternating"},
    "clipping": {"clip_norm": 0.5, "l2": 0.01},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_fit_gives_the_same_bits(name, monkeypatch):
    chunks = []
    parts = Streamed.parts
    monkeypatch.setattr(Streamed, "parts", lambda self, *a: chunks.append(self.n) or parts(self, *a))
    whole = fit(**SETTINGS[name])
    assert not chunks
    streamed = fit(device_memory=4 * 3 * 8 * (ROW + 4), **SETTINGS[name])
    assert set(chunks) == {300, 41}
    for a, b in zip(whole, streamed, strict=True):
        np.testing.assert_array_equal(a, b)


def test_folds_are_streamed_too():
    x, y = cases.samples(n=60)
    found = []
    for memory in (None, 2 * 2 * 8 * ROW):
        net = cases.network(replicas=2, dtype="float32")
        trainer = Trainer(
            net,
            xbnet.SoftmaxCrossEntropy(),
            xbnet.SGD(0.1),
            Samples.of(
                xbnet.Dataset("tiny", xbnet.Part(x, y)),
                train_rows=[np.arange(20), np.arange(10, 30)],
                val_rows=[np.arange(20, 30), np.arange(10)],
            ),
            Recipe(epochs=2, batch_size=8, device_memory=memory),
            rng=0,
        )
        assert trainer.train.streamed == trainer.val.streamed == (memory is not None)
        while not trainer.done:
            trainer.run_epoch()
        found.append([net.theta, trainer.finish()["val_loss"]])
    assert_same(*found)


def test_evaluate_gives_the_same_bits():
    net = cases.network(dtype="float32")
    x, y = cases.samples(n=1000)
    here, there = (xbnet.evaluate(net, "cross_entropy", x, y, device_memory=m) for m in (None, 2000))
    for key in here:
        np.testing.assert_array_equal(here[key], there[key])


def test_what_fits_is_resident():
    parts = [samples(30, weighted=False), samples(10, weighted=False)]
    placed = lambda memory: [part.streamed for part in place("fit", NUMPY, np.float32, parts, memory)]  # noqa: E731
    assert placed(None) == placed(40 * ROW) == placed("1 MB") == [False, False]
    assert placed(40 * ROW - 1) == [True, True]


def test_too_little_memory_is_an_error():
    with refuses(
        ConfigError,
        "device_memory: two batches of 8 rows for 3 orders take 1.15 kB, and 500 B are there for this part of the data; "
        "take smaller batches or more memory",
    ):
        fit(device_memory=1000)
    line = (
        "fit: device_memory: expected bytes, a number or text like '500 MB' or '2 GiB' "
        "(B, kB, MB, GB, TB; KiB, MiB, GiB, TiB), got 'much'"
    )
    with refuses(ConfigError, line):
        fit(device_memory="much")


@pytest.mark.parametrize("level", ["graph", "persistent"])
def test_streamed_samples_are_trained_on_eagerly(level):
    reason = {"graph": "backend 'numpy' captures no graphs", "persistent": "backend 'numpy' runs no kernels"}[level]
    with refuses(ConfigError, f"fit: execution {level!r} is not possible: {reason}; use 'auto'"):
        fit(device_memory=4 * 3 * 8 * (ROW + 4), execution=level)


# -- pinned memory, streams and events ---------------------------------------------------------------------------------


def device():
    cupy = Cupy()

    def to_device(host, dtype=None):
        return np.array(host, dtype).view(Array)

    return SimpleNamespace(name="stand-in", cuda=True, xp=cupy, library=cupy, asarray=to_device)


def stream_through(n=50, B=4, chunk=2, epochs=2):
    """The rows that arrive when each chunk is read as it comes, and the races that were found."""
    backend, arrays = device(), samples(n)
    data = Streamed(backend, np.float32, *arrays, budget=2 * chunk * B * (ROW + 4))
    found = []
    for seed in range(epochs):
        order = np.random.default_rng(seed).permutation(n)[None]
        arrived = []
        for part, positions in data.parts(order, B):
            for index in positions:
                for array in part:
                    backend.xp.cuda.work_on(array)
                arrived.append(part.x[index[0]])
        np.testing.assert_array_equal(np.concatenate(arrived), arrays[0].astype(np.float32)[order[0]])
        found.append(len(positions))
    return backend.xp.cuda.clocks


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_copies_and_work_never_meet(chunk):
    clocks = stream_through(chunk=chunk)
    assert len(clocks.accesses) > 50
    assert not clocks.races


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("join", lambda self, sent: None),  # work does not wait for the copy
        ("wait", lambda self, sent: None),  # pinned memory is filled while it is still being copied
        ("mark", lambda self: CudaLane._event(self, self.stream)),  # a copy does not wait for the work before it
    ],
)
def test_the_stand_in_would_find_a_race(monkeypatch, name, broken):
    monkeypatch.setattr(CudaLane, name, broken)
    assert stream_through().races


def test_the_real_cupy_knows_what_is_asked_of_it():
    cupy = pytest.importorskip("cupy")
    for name in ("Stream", "Event", "alloc_pinned_memory", "get_current_stream"):
        assert callable(getattr(cupy.cuda, name))
    for name in ("wait_event", "synchronize"):
        assert callable(getattr(cupy.cuda.Stream, name))
    for name in ("record", "synchronize"):
        assert callable(getattr(cupy.cuda.Event, name))
