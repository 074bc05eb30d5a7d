"""Wherever chunks run, and whoever dies, the table is the same."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info

import xbnet
from xbnet.sweep import board, executors, run
from xbnet.sweep import chunk as chunk_module
from xbnet.sweep.build import Program

from .conftest import assert_same_table, make_data

SPACE = {"lr": [0.01, 0.1, 1.0], "l2": [0, 0.01], "hidden": [(5,), (4, 3)]}
FIXED = {"seeds": 2, "epochs": 4, "patience": 2}
PACKAGE = str(Path(xbnet.__file__).parents[1])


@pytest.fixture(scope="module")
def expected(data):
    return xbnet.sweep(SPACE, data, workers=1, **FIXED)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_threads_and_processes_give_the_same_table(data, expected, kind):
    assert_same_table(expected, xbnet.sweep(SPACE, data, executor=kind, workers=2, **FIXED))


def test_any_executor_serves(data, expected):
    class Lazy(Executor):
        """Runs a chunk when it is submitted."""

        def submit(self, function, /, *arguments, **keywords):
            future = Future()
            future.set_result(function(*arguments, **keywords))
            return future

    assert_same_table(expected, xbnet.sweep(SPACE, data, executor=Lazy(), **FIXED))
    with ThreadPoolExecutor(3) as pool:
        assert_same_table(expected, xbnet.sweep(SPACE, data, executor=pool, **FIXED))


def test_blas_is_held_to_one_thread_and_given_back(data, monkeypatch):
    before = [library["num_threads"] for library in threadpool_info()]
    seen = []
    monkeypatch.setattr(
        board,
        "run_chunk",
        lambda *a: (
            seen.append([i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"])
            or chunk_module.run_chunk(*a)
        ),
    )
    xbnet.sweep({"lr": [0.1, 0.2]}, data, epochs=1)
    assert seen
    assert all(set(counts) == {1} for counts in seen)
    assert [library["num_threads"] for library in threadpool_info()] == before


def test_an_error_in_a_chunk_is_raised_as_it_is(data, monkeypatch):
    def broken(*arguments):
        raise xbnet.BackendError("no such device")

    monkeypatch.setattr(board, "run_chunk", broken)
    with pytest.raises(xbnet.BackendError, match=r"^no such device$"):
        xbnet.sweep({"lr": [0.1, 0.2]}, data, epochs=1)


def test_an_interrupt_ends_the_chunks_that_run(data, monkeypatch):
    monkeypatch.setattr(run, "outcomes", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        xbnet.sweep({"lr": [0.1, 0.2]}, data, epochs=1)


@pytest.mark.parametrize(
    ("executor", "line"),
    [
        ("thread", "sweep: unknown executor 'thread'; did you mean 'threads'? known are dask, processes, threads"),
    ],
)
def test_an_unknown_executor_is_one_line(data, executor, line):
    with pytest.raises(xbnet.ConfigError) as caught:
        xbnet.sweep({"lr": [0.1]}, data, executor=executor)
    assert str(caught.value) == line


# -- death -------------------------------------------------------------------------------------------------------------


def dies_once(program, members, home):
    """In place of `run_chunk_elsewhere`: the first chunk to come by kills its process."""
    try:
        os.close(os.open(os.environ["XBNET_TEST_DEATH"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return chunk_module.run_chunk(program, members)
    os.kill(os.getpid(), signal.SIGKILL)


def dies_always(program, members, home):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_process_that_dies_costs_its_chunk_only(data, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("XBNET_TEST_DEATH", str(tmp_path / "dead"))
    monkeypatch.setattr(executors, "run_chunk_elsewhere", dies_once)
    assert_same_table(expected, xbnet.sweep(SPACE, data, executor="processes", workers=2, **FIXED))
    assert (tmp_path / "dead").exists()


@pytest.mark.slow
def test_processes_that_die_again_and_again_end_the_sweep(data, monkeypatch):
    monkeypatch.setattr(executors, "run_chunk_elsewhere", dies_always)
    with pytest.raises(xbnet.XbnetError, match=r"^sweep: workers died 3 times and no chunk ended in between; is there"):
        xbnet.sweep({"lr": [0.1]}, data, executor="processes", workers=1, epochs=1)


def test_a_pool_of_the_user_that_breaks_is_one_line(data, monkeypatch):
    monkeypatch.setattr(executors, "run_chunk_elsewhere", dies_always)
    with (
        ProcessPoolExecutor(1) as pool,
        pytest.raises(xbnet.XbnetError, match=r"^sweep: a worker died, and with it the executor that was handed in"),
    ):
        xbnet.sweep({"lr": [0.1]}, data, executor=pool, epochs=1)


# -- Dask and MPI ------------------------------------------------------------------------------------------------------


def test_without_dask_the_line_says_what_to_install(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(xbnet.BackendError, match=r"^sweep: Dask is not installed; install it with: pip install 'xbnet"):
        xbnet.sweep({"lr": [0.1]}, data, executor="dask")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_dask_on_this_machine(data, expected):
    pytest.importorskip("distributed")
    assert_same_table(expected, xbnet.sweep(SPACE, data, executor="dask", workers=2, **FIXED))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_one_of_two_dask_workers_is_killed_in_mid_sweep(tmp_path):
    distributed = pytest.importorskip("distributed")
    data = make_data(3000, 300)
    space, fixed = {"lr": [0.001 * 2**i for i in range(12)], "hidden": [(8,), (9,), (10,)]}, {"epochs": 25}
    expected = xbnet.sweep(space, data, **fixed)
    command = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        quiet = {
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "cwd": tmp_path,
            "env": os.environ | {"PYTHONPATH": PACKAGE},
        }
        workers = [subprocess.Popen([*command, address], **quiet) for _ in range(2)]
        try:
            with distributed.Client(address) as client:
                client.wait_for_workers(2, timeout=60)
            lines = tmp_path / "out" / "results.jsonl"
            killed = []

            def kill():
                while not lines.exists():
                    time.sleep(0.01)
                workers[0].send_signal(signal.SIGKILL)
                killed.append(len(lines.read_text().splitlines()))

            killer = threading.Thread(target=kill, daemon=True)
            killer.start()
            result = xbnet.sweep(
                space, data, executor=f"dask:{address}", memory=2_000_000, out=tmp_path / "out", **fixed
            )
            killer.join(timeout=10)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
    assert killed
    assert killed[0] < len(expected)  # it did die in mid-sweep
    assert_same_table(expected, result)


@pytest.mark.filterwarnings("ignore")
def test_an_address_where_no_dask_is(data, monkeypatch):
    distributed = pytest.importorskip("distributed")

    def nobody(*arguments, **settings):
        raise OSError("timed out")

    monkeypatch.setattr(distributed, "Client", nobody)
    with pytest.raises(
        xbnet.BackendError, match=r"^sweep: no Dask scheduler answers at tcp://nobody:1 \(timed out\); is"
    ):
        xbnet.sweep({"lr": [0.1]}, data, executor="dask:tcp://nobody:1")


def test_mpi(data, expected):
    mpi = pytest.importorskip("mpi4py.futures")
    with mpi.MPIPoolExecutor(2) as pool:
        assert_same_table(expected, xbnet.sweep(SPACE, data, executor=pool, **FIXED))


def test_a_program_travels(data):
    """What goes to a worker is plain data: no open files, no threads."""
    import pickle

    result = xbnet.sweep({"lr": [0.1]}, data, epochs=1)
    twin = pickle.loads(pickle.dumps(result.program))
    assert isinstance(twin, Program)
