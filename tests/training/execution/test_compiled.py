"""The compiled machine by itself: threads, where its code is kept, what it refuses, and when "auto" takes it."""

import _thread
import multiprocessing
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

import xbnet
from tests.support import cases
from tests.support.errors import refuses
from tests.training.execution.test_levels import Arctan, Scale, Unsaid, train
from xbnet import BatchNorm, Dropout, Linear, Residual
from xbnet.backends.machine import load

pytest.importorskip("numba")


class NewArrays(Scale):
    replayable = True

    def forward(self, x, training):
        return super().forward(self.xp.tanh(x), training)


@pytest.fixture(params=[1, 2, 5])
def threads(request, monkeypatch):
    """However little there is to do."""
    monkeypatch.setattr("xbnet.backends.machine.threads.WORTH_A_THREAD", 1)
    monkeypatch.setattr("xbnet.backends.machine.threads.count_cores", lambda: request.param)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_on_any_number_of_threads_a_member_ends_in_the_bits_of_the_network_alone(threads, dtype):
    R, rates = 5, [0.1, 0.05, 0.2, 0.01, 0.02]
    layers = [Linear(40, "tanh"), BatchNorm(), Dropout([0.1, 0.2, 0.3, 0.4, 0.5]), Residual("gelu"), Linear(70, "relu")]
    settings = {"l2": [0, 0.1, 0, 0.01, 0], "clip_norm": [1, 2, 0.1, 4, 5]}
    stack = cases.network(layers, replicas=R, dtype=dtype)
    train(stack, "compiled", optimizer=xbnet.Adam(rates), rng=None, **settings)
    for r, seed in enumerate(xbnet.replica_seeds(0, R)):
        layers[2] = Dropout(0.1 * (r + 1))
        alone = cases.network(layers, dtype=dtype, rng=[seed])
        mine = {key: values[r] for key, values in settings.items()}
        train(alone, "compiled", optimizer=xbnet.Adam(rates[r]), rng=None, **mine)
        np.testing.assert_array_equal(stack.theta[r], alone.theta[0])
        np.testing.assert_array_equal(stack.state[r], alone.state[0])


@pytest.mark.parametrize("row", ["periodic", "piecewise", "mixed-columns", "embedding", "members"])
def test_replicas_that_see_the_same_batch_do_not_write_over_each_other(row, monkeypatch):
    """What is made of a batch that all see may have one place: in validation, and in predictions."""
    monkeypatch.setattr("xbnet.backends.machine.threads.WORTH_A_THREAD", 1)
    rng = np.random.default_rng(0)
    x, y = rng.integers(-1, 5, (4000, 4)).astype("float32"), rng.integers(0, cases.N_CLASSES, 4000)
    data = xbnet.Dataset("same", xbnet.Part(x[:60], y[:60]), xbnet.Part(x, y))
    found = []
    for cores in (1, 4, 4):
        monkeypatch.setattr("xbnet.backends.machine.threads.count_cores", lambda cores=cores: cores)
        net = cases.network(row, replicas=6, dtype="float32")
        history = xbnet.fit(net, "cross_entropy", "sgd", data, epochs=4, batch_size=16, execution="compiled")
        found.append([history["val_loss"], net.predict_proba(x)])
    for other in found[1:]:
        np.testing.assert_array_equal(other[0], found[0][0])
        np.testing.assert_array_equal(other[1], found[0][1])


def test_stretches_change_nothing(monkeypatch):
    """Epochs that are played some steps at a time."""
    nets = [cases.network("deep", replicas=2) for _ in range(2)]
    train(nets[0], "compiled", batch_size=3)
    monkeypatch.setattr("xbnet.training.execution.programs.AT_ONCE", 1)
    train(nets[1], "compiled", batch_size=3)
    np.testing.assert_array_equal(nets[0].theta, nets[1].theta)


def test_a_layer_that_is_not_what_it_says_is_refused_in_one_line():
    reason = "xp.tanh without out= gives a new array"
    with refuses(xbnet.ConfigError, f"fit: execution 'compiled' is not possible: {reason}; use 'auto'"):
        train(cases.network([Linear(5, "tanh"), NewArrays()]), "compiled")


def test_calls_between_layers_whose_buffers_share_memory_are_refused():
    """Of a shared layer's output and gradient there are two shapes, and the next replica's would be written over."""

    class Own(xbnet.SoftmaxCrossEntropy):
        pass

    reason = "parts that have to be called, between layers that see an array in two shapes"
    network = cases.network([Linear(6, "tanh"), xbnet.SharedLinear(5, "tanh", members=3)], replicas=2)
    with refuses(xbnet.ConfigError, f"fit: execution 'compiled' is not possible: {reason}; use 'auto'"):
        train(network, "compiled", loss=Own(), task="classification")


def test_without_numba_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("xbnet.backends.machine.load.find_spec", lambda name: None)
    reason = "numba is missing; install it with: pip install numba"
    with refuses(xbnet.ConfigError, f"fit: execution 'compiled' is not possible: {reason}; use 'auto'"):
        train(cases.network(), "compiled")


def test_a_cache_that_fails_is_said_and_fails_no_run(monkeypatch):
    from xbnet.backends.machine import entries

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


# -- threads, processes, interrupts ---------------------------------------------------------------------------------------


def wide(**more):
    """A network whose program is cut into shares."""
    return cases.network([Linear(300, "relu"), Residual("tanh", n_hidden=150)], n_inputs=80, dtype="float32", **more)


def wide_samples():
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 80)).astype(np.float32), rng.integers(0, cases.N_CLASSES, 300)


def test_several_threads_that_play_one_replica_end_in_the_same_bits(threads):
    nets = [wide(), wide(replicas=3, rng=[xbnet.replica_seeds(0, 1)[0]] * 3)]
    for net in nets:
        train(net, "compiled", data=wide_samples(), batch_size=128, rng=[xbnet.replica_seeds(1, 1)[0]] * net.replicas)
    plain = wide()
    train(plain, "eager", data=wide_samples(), batch_size=128, rng=[xbnet.replica_seeds(1, 1)[0]])
    assert zlib.crc32(nets[0].theta) == BITS.setdefault("wide", zlib.crc32(nets[0].theta)), "for 1, 2 and 5 threads"
    for row in nets[1].theta:
        np.testing.assert_array_equal(row, nets[0].theta[0])
    np.testing.assert_allclose(nets[0].theta, plain.theta, rtol=1e-3, atol=1e-5)


BITS: dict[str, int] = {}


def test_threads_that_can_not_be_started_are_done_without(threads, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    nets = [wide(), wide()]
    train(nets[0], "compiled", data=wide_samples(), batch_size=128)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    train(nets[1], "compiled", data=wide_samples(), batch_size=128)
    np.testing.assert_array_equal(nets[0].theta, nets[1].theta)


def test_networks_that_are_trained_side_by_side_in_threads():
    nets = [wide() for _ in range(4)]
    workers = [
        threading.Thread(target=train, args=(net, "compiled"), kwargs={"data": wide_samples(), "batch_size": 128})
        for net in nets
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for net in nets[1:]:
        np.testing.assert_array_equal(net.theta, nets[0].theta)


def _train_and_send(pipe):
    net = wide()
    train(net, "compiled", data=wide_samples(), batch_size=128)
    pipe.send(net.theta)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_another_process_ends_in_the_same_bits(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    net = wide()
    train(net, "compiled", data=wide_samples(), batch_size=128)
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    process = context.Process(target=_train_and_send, args=(there,))
    process.start()
    assert here.poll(120)
    np.testing.assert_array_equal(here.recv(), net.theta)
    process.join()


def test_an_interrupt_ends_the_run_and_all_threads(threads):
    net, before = wide(replicas=2), threading.active_count()
    timer = threading.Timer(0.3, _thread.interrupt_main)

    def run():
        timer.start()  # not before: on a busy machine it may come at once
        train(net, "compiled", data=wide_samples(), batch_size=128, epochs=10**6)

    with pytest.raises(KeyboardInterrupt):
        run()
    timer.join()
    # The machine's own threads end with the run; those of a test before may only now have gone.
    deadline = time.monotonic() + 60
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
    train(net, "compiled", data=wide_samples(), batch_size=128, epochs=1)


def test_a_sweep_takes_the_level_as_a_whole(monkeypatch):
    """However it is cut into stacks, and whoever trains them."""
    pytest.importorskip("sklearn")
    monkeypatch.setattr("xbnet.sweeps.engine.LONG_ENOUGH", 0.0)
    x, y = cases.samples(n=40)
    space = {"lr": [0.01, 0.1, 0.2], "hidden": [[6]]}
    tables = [
        xbnet.sweep(space, (x, y), seeds=2, epochs=2, executor=executor, workers=workers, progress=False)
        for executor, workers in (("threads", 1), ("threads", 2), ("processes", 2))
    ]
    assert [table.program.execution for table in tables] == ["compiled"] * 3
    for column in ("train_loss", "epochs"):
        for table in tables[1:]:
            np.testing.assert_array_equal(table.column(column), tables[0].column(column))


# -- when "auto" takes it ---------------------------------------------------------------------------------------------------


def test_auto_takes_it_for_a_long_job():
    net = cases.network()
    assert train(net, "auto", epochs=2).execution == "replay"
    net = cases.network(replicas=100)
    history = train(net, "auto", epochs=10**4, on_epoch=lambda record: len(record) and record["epoch"] == 2)
    assert history.execution == "compiled"
    assert net.compiled


@pytest.mark.parametrize("layer", [Unsaid, Arctan])
def test_auto_leaves_it_where_steps_have_to_be_taken_one_by_one(layer):
    net = cases.network([Linear(5, "tanh"), layer()], replicas=100)
    assert train(net, "auto", epochs=10**4, on_epoch=lambda record: record["epoch"] == 2).execution == "replay"


def test_a_stack_that_gets_narrow_stays_with_its_level():
    net = cases.network(replicas=3)
    history = train(net, "compiled", optimizer=xbnet.SGD([0.1, 1e30, 0.1]), loss="mse", epochs=4)
    assert history.status[1] == "diverged"
    assert history.execution == "compiled"


def test_predictions_of_a_network_that_the_machine_has_trained():
    """By the machine, in chunks and one by one; for a layer that has to be called back as on other levels."""
    x = cases.samples(n=700)[0]
    for layers in ("deep", [Linear(5, "tanh"), Unsaid()]):
        net = cases.network(layers, replicas=3)
        train(net, "compiled")
        by_machine, rows = net.predict_proba(x), [net.predict_proba(row[None]) for row in x[:3]]
        assert net.compiled
        net.compiled = False
        np.testing.assert_allclose(by_machine, net.predict_proba(x), rtol=1e-12)
        np.testing.assert_allclose(np.concatenate(rows, axis=1), by_machine[:, :3], rtol=1e-12)
        alone = net.select([1])
        alone.compiled = net.compiled = True
        np.testing.assert_array_equal(alone.predict_proba(x), net.predict_proba(x)[1])


def test_where_code_is_kept_and_how_much():
    about = load.describe_machine()
    assert about["why_not"] is None
    assert Path(about["cache"]).is_dir()
    assert about["bytes"] > 10_000
