"""Clusters of other projects as `concurrent.futures` executors: Dask and Ray."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from ..errors import BackendError, XbnetError, printable, reason
from .wire import own_address

WITHOUT_WORKERS = 60.0
"""Seconds for which a sweep waits for a Dask scheduler's first worker, or for the next where all have gone."""
CONNECT = 20
"""Seconds in which a Dask scheduler has to answer."""


class LostCluster(XbnetError):
    """The cluster is gone in mid-sweep; what has ended is kept."""

    exit_code = 1

    def __init__(self, what: str, cure: str = "go on from what out= has kept with resume (xbnet sweep --resume DIR)"):
        super().__init__(f"sweep: {what}; {cure}")
        self.what = what

    def gone_on(self, command: str) -> LostCluster:
        """The same, with the command that goes on."""
        return LostCluster(self.what, f"go on with: {command}")


class DaskExecutor(Executor):
    """A Dask client as an executor, whose tasks survive that the worker with their result dies before it is fetched.

    Dask's own, `Client.get_executor`, ends with a TypeError then (distributed 2026.8.0).
    """

    def __init__(self, client: Any, address: str):
        self.client, self.address = client, address
        self._tasks: dict[Future, Any] = {}  # Dask forgets a task that nobody refers to
        self._last_seen = time.monotonic()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Run ``fn(*args, **kwargs)`` on some worker; those that join later take their share of what waits."""
        found: Future = Future()
        task = self._tasks[found] = self.client.submit(fn, *args, pure=False, **kwargs)
        found.add_done_callback(self._forget)
        task.add_done_callback(
            lambda task: threading.Thread(target=_fetch, args=(task, found), daemon=True).start()
        )  # Dask has one thread for all callbacks, and this one may wait for a task to run again
        return found

    def share(self, value: object) -> object:
        """Something that `submit` takes in the value's place, so that it travels to the cluster once, not per task.

        It is the result of a task, not scattered: if all workers that hold it die, the scheduler makes it again.
        """
        return self.client.submit(_itself, value, pure=False)

    def _forget(self, found: Future) -> None:
        task = self._tasks.pop(found, None)
        if task is not None and found.cancelled():
            with suppress(Exception):  # the scheduler may be gone
                task.cancel()

    def check(self) -> None:
        """Raise `LostCluster` where there is no scheduler any more, or no worker for a long time."""
        deadline = time.monotonic() + 2 * CONNECT
        while self.client.status == "connecting" and time.monotonic() < deadline:  # the client tries again by itself
            time.sleep(0.1)
        try:
            if self.client.status != "running":
                raise OSError(self.client.status)
            workers = self.client.scheduler_info()["workers"]
        except (OSError, TimeoutError):
            raise LostCluster(f"the Dask scheduler at {self.address} is gone") from None
        now = time.monotonic()
        if workers:
            self._last_seen = now
        elif now - self._last_seen > WITHOUT_WORKERS:
            gone = f"the Dask scheduler at {self.address} has had no worker for {WITHOUT_WORKERS:.0f} s"
            raise LostCluster(f"{gone}; start `dask worker {self.address}`")


def _itself(value: object) -> object:
    return value


def _fetch(task: Any, found: Future) -> None:
    """Hand a task's result on; where it is lost, the scheduler runs the task again, and this waits."""
    try:
        result = task.result()
    except BaseException as error:
        if not found.done():
            found.set_exception(error)
    else:
        if not found.done():
            found.set_result(result)


@contextmanager
def dask_executor(
    address: str, workers: int | None, devices: Sequence[str], at_once: int
) -> Iterator[tuple[DaskExecutor, int, str]]:
    """The executor of a Dask cluster, how many chunks it runs at once, and this machine's address for its workers.

    Parameters
    ----------
    address
        Address of a scheduler; "local" or nothing starts a cluster on this machine.
    workers
        How many there are, or will be; None: those that are there now.
    devices
        On CUDA a local cluster has a worker for each.
    at_once
        Workers of a local cluster where nothing else says how many.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise BackendError("sweep: Dask is not installed; install it with: pip install distributed") from None
    cluster: Any = nullcontext()
    local = address in ("", "local")
    if local:
        make, count = (_cuda_cluster(), len(devices)) if devices else (LocalCluster, at_once)
        _expect_descriptors(workers or count)
        # Any free port: with None the scheduler still serves its pages, at 8787, and warns where that is taken.
        cluster = make(n_workers=workers or count, threads_per_worker=1, dashboard_address=":0")
    with cluster:
        try:
            client: Any = Client(cluster if local else address, timeout=CONNECT)
        except (OSError, ValueError, TimeoutError) as error:
            where = f"sweep: no Dask scheduler answers at {printable(address)}"
            raise BackendError(f"{where} ({reason(error, 100)}); is it running?") from None
        with client:
            count = workers or sum(client.nthreads().values())
            if count < 1:
                raise BackendError(
                    f"sweep: the Dask scheduler at {address} has no workers; start `dask worker {address}`, or say how "
                    "many will come: workers=N (--workers N)"
                )
            # A worker without xbnet would close itself at its first chunk, and the sweep wait forever.
            has_it = client.run(lambda: __import__("importlib.util").util.find_spec("xbnet") is not None)
            without = [worker for worker, has in has_it.items() if not has]
            if without:
                raise BackendError(f"sweep: the Dask worker {without[0]} has no xbnet; install it there")
            yield DaskExecutor(client, client.scheduler.address), count, own_address(client.scheduler.address)


def _expect_descriptors(workers: int) -> None:
    """Refuse a local cluster that would run out of file descriptors: Dask prints pages then, or waits forever."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limit, needed = resource.getrlimit(resource.RLIMIT_NOFILE)[0], 32 + 12 * workers
    if 0 <= limit < needed:  # distributed 2026.8.0: 32 open with one worker, and 10 for each further one
        raise BackendError(
            f"sweep: expected {needed} file descriptors for a Dask cluster of {workers} on this machine, got {limit} "
            "(ulimit -n); raise the limit or take fewer workers"
        )


def _cuda_cluster() -> Any:
    try:
        from dask_cuda import LocalCUDACluster
    except ImportError:
        raise BackendError(
            "sweep: a local Dask cluster on CUDA needs dask-cuda; install it with: pip install dask-cuda, "
            "or take --executor processes"
        ) from None
    return LocalCUDACluster


class RayExecutor(Executor):
    """A Ray cluster as an executor; a task whose worker or machine dies is run again by Ray."""

    def __init__(self, ray: Any):
        self._run = ray.remote(max_retries=3)(_call)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Run ``fn(*args, **kwargs)`` in some process of the cluster."""
        found: Future = Future()
        self._run.remote(fn, args, kwargs).future().add_done_callback(lambda done: _hand_on(done, found))
        return found


def _call(fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    return fn(*args, **kwargs)


def _hand_on(done: Future, found: Future) -> None:
    """Hand on a Ray task's result, or the exception that the task itself raised, without Ray's pages around it."""
    error = done.exception()
    if found.done():
        return
    if error is None:
        found.set_result(done.result())
    else:
        found.set_exception(getattr(error, "cause", None) or error)


@contextmanager
def ray_executor(address: str, workers: int | None) -> Iterator[tuple[Executor, int, str]]:
    """The executor of a Ray cluster, as `dask_executor`; without an address one on this machine."""
    try:
        import ray
    except ImportError:
        raise BackendError("sweep: Ray is not installed; install it with: pip install ray") from None
    started = not ray.is_initialized()
    if started:
        try:
            ray.init(address or "local", num_cpus=None if address else workers, log_to_driver=False, logging_level=40)
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = f"sweep: no Ray cluster answers at {printable(address)}"
            raise BackendError(f"{where} ({reason(error, 100)}); is it running?") from None
        except Exception as error:  # a node of its own that does not start is no more than an Exception to Ray
            raise BackendError(f"sweep: no Ray cluster can be started here ({reason(error)})") from None
    try:
        yield RayExecutor(ray), workers or int(ray.cluster_resources()["CPU"]), ray.util.get_node_ip_address()
    finally:
        if started:
            ray.shutdown()
