"""Where chunks run: this process's threads, other processes, a cluster, MPI: any `concurrent.futures.Executor`."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from concurrent.futures import ThreadPoolExecutor as Threads
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..errors import XbnetError, unknown_name
from .build import Program
from .chunk import Outcome, run_chunk_elsewhere
from .cluster import dask_executor, ray_executor
from .plan import Chunk
from .processes import break_off, check, ending_at_once, open_pool
from .wire import Wire

ATTEMPTS = 3
"""How often workers may die without any chunk ending in between: it is then likely the work that kills them."""

KINDS = ("threads", "processes", "dask", "ray")
CHECK = 2.0
"""Seconds between two looks at whether a cluster still has workers."""


@dataclass
class Workers:
    """Where chunks run.

    Attributes
    ----------
    executor
        In use now.
    count
        Chunks that run at once.
    local
        Whether they run in this process.
    renew
        Recreates the executor after its workers died; None where it is the user's own, or heals itself.
    check
        Raises where chunks would be waited for in vain, for nobody is left to run them.
    host
        The address under which workers reach this process.
    share
        Makes of what all chunks need, samples above all, what stands for it in each: it is sent to the workers once.
    """

    executor: Executor
    count: int
    local: bool
    renew: Callable[[], Executor] | None = None
    check: Callable[[], None] = lambda: None
    host: str = "127.0.0.1"
    share: Callable[[Any], Any] = lambda program: program


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_devices(count: int) -> list[str]:
    """Return the `count` CUDA devices that this process sees, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return ([name.strip() for name in named.split(",")] if named else [str(i) for i in range(count)])[:count]


@contextmanager
def open_workers(executor: Any, workers: int | None, *, on_cpu: bool, devices: Sequence[str] = ()) -> Iterator[Workers]:
    """The workers that `executor` asks for; those that are made here end here.

    On CUDA `devices` are shared out among processes: by default there is one for each.
    """
    if isinstance(executor, Executor):
        count = workers or _size(executor)
        yield Workers(executor, count, isinstance(executor, Threads))
        return
    kind, _, address = str(executor or "threads").partition(":")
    if kind == "dask":
        with dask_executor(address, workers, devices, cores()) as (cluster, count, host):
            yield Workers(cluster, count, False, check=cluster.check, host=host, share=cluster.share)
        return
    if kind == "ray":
        with ray_executor(address, workers) as (cluster, count, host):
            yield Workers(cluster, count, False, host=host)
        return
    if kind not in KINDS:
        raise unknown_name("sweep", "executor", executor, KINDS)
    in_threads = kind == "threads"
    at_once = cores() if on_cpu else 1 if in_threads else max(1, len(devices))  # a device runs one stack at a time
    count = workers or at_once
    if kind == "threads":
        threads = Threads(count)
        try:
            yield Workers(threads, count, True)
        finally:
            threads.shutdown(wait=True, cancel_futures=True)
        return
    with ending_at_once():
        opened = Workers(open_pool(count, devices), count, False, lambda: open_pool(count, devices))
        opened.check = lambda: check(opened.executor)
        try:
            yield opened
        except BaseException:
            break_off(opened.executor)
            raise
        finally:
            opened.executor.shutdown(wait=True, cancel_futures=True)


def _size(executor: Executor) -> int:
    """How many workers an executor has, where it says so."""
    count = getattr(executor, "_max_workers", None) or getattr(executor, "num_workers", None)
    client = getattr(executor, "_client", None)
    if count is None and client is not None and hasattr(client, "nthreads"):
        count = sum(client.nthreads().values())
    return int(count or cores())


def outcomes(
    workers: Workers,
    program: Program,
    chunks: deque[Chunk],
    run_local: Callable[..., Outcome | None],
    wire: Wire | None = None,
) -> Iterator[tuple[Chunk, Outcome]]:
    """Each chunk with its outcome, as they end. A chunk whose worker died runs again.

    Parameters
    ----------
    workers
        Where.
    program
        Settings that all chunks share.
    chunks
        In the order in which they shall start; they are taken from it. Whoever is handed an outcome may put more in.
    run_local
        Function that runs a chunk ``(program, members)`` in this process.
    wire
        Address to which chunks in other processes send signs of life.

    Raises
    ------
    XbnetError
        A chunk raised it; or its workers died several times.
    """
    deaths, shared = 0, workers.share(program)

    def submit(chunk: Chunk) -> Future:
        run, how = (run_local, ()) if workers.local else (run_chunk_elsewhere, (wire,))
        more = () if chunk.epochs is None and chunk.paused is None else (chunk.epochs, chunk.paused)
        try:
            return workers.executor.submit(run, shared, chunk.members, *how, *more)
        except BrokenExecutor as error:  # a worker died since: as if it had died in this chunk
            died: Future = Future()
            died.set_exception(error)
            return died

    running: dict[Future, Chunk] = {}
    try:
        while chunks or running:
            while chunks:
                chunk = chunks.popleft()
                running[submit(chunk)] = chunk
            done, _ = wait(running, timeout=CHECK, return_when=FIRST_COMPLETED)
            if not done:
                workers.check()
                continue
            again: list[Chunk] = []
            death: BaseException | None = None
            for future in sorted(done, key=lambda future: future.exception() is not None):  # keep first what ended well
                chunk = running.pop(future)
                error = future.exception()
                if error is None:
                    outcome = future.result()
                    if outcome is not None:
                        deaths = 0
                        yield chunk, outcome
                elif _worker_died(error):
                    again.append(chunk)
                    death = error
                else:
                    raise error
            if death is None:
                continue
            workers.check()
            deaths += 1
            if deaths >= ATTEMPTS:
                raise XbnetError(
                    f"sweep: workers died {ATTEMPTS} times and no chunk ended in between; is there too little memory? "
                    "give a smaller memory=, or fewer workers="
                ) from death
            if workers.renew is not None:  # one death breaks a whole pool; the others' chunks are innocent
                again += running.values()
                running.clear()
                workers.executor.shutdown(wait=False, cancel_futures=True)
                workers.executor = workers.renew()
            elif isinstance(death, BrokenExecutor):
                raise XbnetError(
                    "sweep: a worker died, and with it the executor that was passed; finished chunks are kept where "
                    "out= says: go on from there with resume"
                ) from death
            running |= {submit(chunk): chunk for chunk in again}
    finally:
        for future in running:
            future.cancel()


def _worker_died(error: BaseException) -> bool:
    """Whether an error says that a worker is gone, not that the work went wrong."""
    dask = {"KilledWorker", "CommClosedError", "FutureCancelledError"}  # by name: both are extras
    ray = {"WorkerCrashedError", "NodeDiedError", "OutOfMemoryError"}
    return isinstance(error, BrokenExecutor) or any(kind.__name__ in dask | ray for kind in type(error).__mro__)
