"""What stands between a sweep and a cluster, with stand-ins for the cluster; `test_executors` has the real ones."""

import sys
from collections import deque
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

import xbnet
from tests.support.errors import refuses
from xbnet.sweeps import cluster
from xbnet.sweeps.cluster import DaskExecutor, LostCluster, RayExecutor
from xbnet.sweeps.executors import Workers, outcomes
from xbnet.sweeps.plan import Chunk


class Client:
    """A Dask client whose tasks are done as soon as they are submitted."""

    def __init__(self, result=7, workers=1):
        self.sent = []
        self.status, self.result, self.workers = "running", result, dict.fromkeys(range(workers))

    def submit(self, fn, *args, pure):
        assert not pure
        self.sent.append(args)
        task = SimpleNamespace(result=self.give, cancel=lambda: None)
        task.add_done_callback = lambda call: call(task)
        return task

    def give(self):
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    def scheduler_info(self):
        if isinstance(self.workers, BaseException):
            raise self.workers
        return {"workers": self.workers}


def test_results_and_errors_come_through():
    assert DaskExecutor(Client(), "tcp://a:1").submit(print, 1).result(5) == 7
    with pytest.raises(ZeroDivisionError):
        DaskExecutor(Client(ZeroDivisionError()), "tcp://a:1").submit(print).result(5)


def test_the_samples_travel_once():
    client, program, chunks = Client(), object(), deque(Chunk((i,), 1.0) for i in range(3))
    executor = DaskExecutor(client, "tcp://a:1")
    workers = Workers(executor, 2, False, share=executor.share)
    assert len(list(outcomes(workers, program, chunks, None))) == 3
    assert [program in args for args in client.sent] == [True, False, False, False]


def test_a_cluster_without_anybody_is_one_line(monkeypatch):
    client = Client()
    executor = DaskExecutor(client, "tcp://a:1")
    executor.check()
    client.workers = {}
    executor.check()  # they may come back
    monkeypatch.setattr(cluster, "WITHOUT_WORKERS", -1.0)
    cure = "go on from what out= has kept with resume (xbnet sweep --resume DIR)"
    gone = "sweep: the Dask scheduler at tcp://a:1 has had no worker for -1 s; start `dask worker tcp://a:1`"
    with refuses(LostCluster, f"{gone}; {cure}"):
        executor.check()
    for lost in (OSError("no route"), TimeoutError()):
        client.workers = lost
        with refuses(LostCluster, f"sweep: the Dask scheduler at tcp://a:1 is gone; {cure}"):
            executor.check()
    client.status = "closed"
    with pytest.raises(LostCluster) as caught:
        executor.check()
    assert str(caught.value.gone_on("xbnet sweep --resume runs/a")).endswith(
        "is gone; go on with: xbnet sweep --resume runs/a"
    )


def test_a_sweep_that_waits_looks_after_its_cluster(data, monkeypatch):
    """Nothing ends, and nobody is there: the sweep does not wait for ever."""
    from contextlib import contextmanager

    from xbnet.sweeps import executors

    class Never(cluster.Executor):
        def submit(self, fn, /, *args, **kwargs):
            return Future()

        def share(self, value):
            return value

        def check(self):
            raise LostCluster("the cluster is gone")

    @contextmanager
    def never(*arguments):
        yield Never(), 1, "127.0.0.1"

    monkeypatch.setattr(executors, "dask_executor", never)
    monkeypatch.setattr(executors, "CHECK", 0.01)
    with pytest.raises(LostCluster, match="^sweep: the cluster is gone; go on from what out= has kept"):
        xbnet.sweep({"lr": [0.1]}, data, executor="dask:tcp://a:1", epochs=1)


def test_ray_hands_on_what_the_task_raised():
    class Cause(Exception):
        cause = ValueError("its own")

    def remote(fn, args, kwargs):
        future: Future = Future()
        future.set_exception(Cause()) if args == (0,) else future.set_result(fn(*args))
        return SimpleNamespace(future=lambda: future)

    ray = SimpleNamespace(remote=lambda **options: lambda fn: SimpleNamespace(remote=remote))
    executor = RayExecutor(ray)
    assert executor.submit(abs, -3).result(1) == 3
    with pytest.raises(ValueError, match="its own"):
        executor.submit(abs, 0).result(1)


def test_a_local_cluster_with_too_few_descriptors_is_one_line(data, monkeypatch):
    pytest.importorskip("distributed")
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (20, 1024))
    line = (
        "sweep: expected 56 file descriptors for a Dask cluster of 2 on this machine, got 20 (ulimit -n); "
        "raise the limit or take fewer workers"
    )
    with refuses(xbnet.BackendError, line):
        xbnet.sweep({"lr": [0.1]}, data, executor="dask", workers=2)


def test_a_ray_that_does_not_start_is_one_line(data, monkeypatch):
    def init(*address, **settings):
        raise Exception("The current node timed out during startup.\nSee the logs.")  # Ray's own class, too

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False, init=init))
    line = "sweep: no Ray cluster can be started here (The current node timed out during startup.)"
    with refuses(xbnet.BackendError, line):
        xbnet.sweep({"lr": [0.1]}, data, executor="ray")


def test_without_ray_the_line_says_what_to_install(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with refuses(xbnet.BackendError, "sweep: Ray is not installed; install it with: pip install ray"):
        xbnet.sweep({"lr": [0.1]}, data, executor="ray")
