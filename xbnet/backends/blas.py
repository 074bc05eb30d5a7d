"""Holding BLAS to one thread: products round otherwise on two, and stacks run side by side as it is.

Two sorts of BLAS exist: those with one number of threads for the process (OpenBLAS with its own threads, MKL, BLIS),
and those where each thread has a number of its own (whatever runs on OpenMP). So every thread that trains a chunk holds
for itself, and what belongs to the process is given back when the last holder is gone.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Holders:
    """How many there are in this process, and how many threads each BLAS had before them."""

    def __init__(self) -> None:
        self.lock, self.count, self.before = threading.Lock(), 0, {}  # type: ignore[var-annotated]

    def renew_lock(self) -> None:
        """For a child of a fork: the thread that held the lock is not in it."""
        self.lock = threading.Lock()


_holders = _Holders()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_holders.renew_lock)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let every BLAS of this process compute on one thread, at least in this thread of Python.

    May be nested, and held by several threads at once: the last to leave gives the threads back. Whatever another
    thread asks of `threadpoolctl` meanwhile holds until the next one enters, and counts as what to give back; only a
    number of one can't be distinguished from what is held, and doesn't.

    Warns
    -----
    RuntimeWarning
        A BLAS goes on computing on several threads: results may then differ from those on one in the last bits.

    Examples
    --------
    >>> with one_blas_thread():
    ...     pass
    """
    own: list[tuple[Any, int]] = []  # of this thread alone
    with _holders.lock:
        _holders.count += 1
        for library in libraries():
            threads = library.num_threads
            if not threads or threads == 1:
                continue
            if _per_thread(library):
                own.append((library, threads))
            else:
                _holders.before[library.filepath] = threads
            ask_for_threads(library, 1)
            if library.get_num_threads() != 1:
                warnings.warn(
                    f"{library.internal_api} {library.version} can't be held to one thread and computes on "
                    f"{library.get_num_threads()}: results may differ in their last bits; set OPENBLAS_NUM_THREADS, "
                    "MKL_NUM_THREADS or BLIS_NUM_THREADS to 1",
                    RuntimeWarning,
                    stacklevel=3,
                )
    try:
        yield
    finally:
        with _holders.lock:
            _holders.count -= 1
            for library, threads in own:
                ask_for_threads(library, threads)
            if not _holders.count:
                for library in libraries():
                    threads = _holders.before.pop(library.filepath, None)
                    if threads is not None and library.get_num_threads() == 1:
                        ask_for_threads(library, threads)


def is_held() -> bool:
    """Whether BLAS is limited to one thread: then stacks run side by side, and each shall take one core."""
    return _holders.count > 0


def blas_threads() -> int:
    """The largest number of threads that a BLAS of this process uses."""
    return max((library.num_threads or 1 for library in libraries()), default=1)


def describe_blas() -> list[dict[str, Any]]:
    """Name, version, kernels, threading layer and number of threads of NumPy's BLAS.

    That is the one that NumPy brought along, or else whatever is loaded.
    """
    found = libraries()
    return [
        {
            "name": library.internal_api,
            "version": library.version,
            "kernels": getattr(library, "architecture", None),
            "threading": getattr(library, "threading_layer", None),
            "threads": library.num_threads,
        }
        for library in [one for one in found if "numpy" in one.filepath] or found
    ]


def libraries() -> list[Any]:
    """Return threadpoolctl's description of each BLAS that is loaded now."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


def _per_thread(library: Any) -> bool:
    """Whether each thread of Python has a number of its own."""
    return getattr(library, "threading_layer", None) == "openmp"


def ask_for_threads(library: Any, threads: int) -> None:
    """Ask a BLAS for a number of threads.

    From 3.7 on threadpoolctl lets OpenBLAS's number be set only by the thread that set it first, and does nothing for
    others; nobody owns it before and after this.
    """
    disown = getattr(library, "clear_controlling_thread", lambda force: None)
    disown(force=True)
    library.set_num_threads(threads)
    disown(force=True)
