"""Worker processes of this machine: they end with the one that started them, whatever that one dies of."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from types import FrameType


class _Here(threading.local):
    """What this thread does, for a signal's handler in it: whether it starts a worker, and the signal that has come."""

    starting = False
    number = 0


_here = _Here()
_environment = threading.Lock()


class Worker(SpawnProcess):
    """A process that Ctrl-C leaves to the one that started it, and whose start SIGTERM doesn't cut in two.

    Else it would print a traceback of its own, or that it was never told what to do.
    """

    def start(self) -> None:
        """Start it; a SIGTERM that comes meanwhile ends it afterwards."""
        _here.starting = True
        try:
            with _ctrl_c_blocked():
                super().start()
        except BaseException:  # a Ctrl-C that was held back: the pool will not hear of this worker
            if self.pid is not None:
                self.kill()
                self.join()
            raise
        finally:
            _here.starting = False
            if _here.number:
                end(_here.number)


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Hold SIGINT back from this thread; a process that is started meanwhile never gets one."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Spawn(SpawnContext):
    """Starts workers. Not by fork: BLAS's own threads would be missing, and hold locks that nobody gives back."""

    Process = Worker


def end(number: int) -> NoReturn:
    """End all workers and this process, at once: waiting for a worker in the middle of its result would never end."""
    try:
        for child in multiprocessing.active_children():
            if isinstance(child, Worker):
                child.kill()  # those that still import don't look at their parent yet
    finally:
        os._exit(128 + number)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let SIGTERM end the workers and this process, with code 143, where nobody has a handler of their own.

    No exception is raised, for one in a finalizer would be lost. Nothing needs to be put away: what a sweep keeps is
    whole after each chunk, and the next one removes temporary files.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        _here.number = number
        if not _here.starting:
            end(number)

    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def open_pool(count: int, devices: Sequence[str]) -> ProcessPoolExecutor:
    """Return a pool of `count` processes that share the `devices`."""
    _start_quiet_tracker()
    context = Spawn()
    free: Any = context.SimpleQueue() if devices else None
    for i in range(count if devices else 0):
        free.put(devices[i % len(devices)])
    return ProcessPoolExecutor(count, mp_context=context, initializer=start_worker, initargs=(free,))


def _start_quiet_tracker() -> None:
    """Start the process by which Python removes a killed program's semaphores, without its complaint about them."""
    if os.name != "posix":
        return
    from multiprocessing import resource_tracker

    with _environment:
        before = os.environ.get("PYTHONWARNINGS")
        os.environ["PYTHONWARNINGS"] = ",".join([*([before] if before else []), "ignore:resource_tracker"])
        try:
            resource_tracker.ensure_running()
        finally:
            if before is None:
                del os.environ["PYTHONWARNINGS"]
            else:
                os.environ["PYTHONWARNINGS"] = before


def break_off(pool: Executor) -> None:
    """End a pool's workers now, whatever they do; their chunks end with `BrokenProcessPool`.

    Python has no public way. The thread that reads results would wait for the rest of one that a worker has begun to
    send, for this process could write to their pipe, too: it closes that end.
    """
    for worker in _workers(pool):
        worker.kill()
    results = getattr(pool, "_result_queue", None)
    if results is not None:
        results._writer.close()


def check(pool: Executor) -> None:
    """Break a pool off of whose workers one has died: it does not notice if that one was sending a result."""
    if any(worker.exitcode is not None for worker in _workers(pool)):
        break_off(pool)


def _workers(pool: Executor) -> list[Worker]:
    return list((getattr(pool, "_processes", None) or {}).values())


def start_worker(free: Any = None) -> None:
    """In a new process: end with the one that started it, and of the `free` devices see only the next.

    A process that was killed can't end its workers, which would wait for its chunks forever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be blocked
    if free is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = free.get()  # before any is asked for
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    from multiprocessing import connection, parent_process

    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
