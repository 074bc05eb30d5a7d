"""Threads that play a program: each takes replicas, or all of them play one replica together.

Whatever the number of threads, every number is computed by the same instructions in the same order: replicas know
nothing of each other, and the lines of a wide network's program are cut into shares, whoever takes them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from ..blas import ask_for_threads, is_held, libraries
from .load import blas_address, count_cores
from .program import Program
from .views import address

WORTH_A_THREAD = 1 << 20
"""Multiplications that a thread has to do, at least: to begin one takes as long as a small share of them."""

NOBODY_COMES = 1 << 40
"""Number added to the count by which threads meet, so that no thread waits any more."""


def play(
    program: Program, machine: Any, addresses: tuple, replicas: int, steps: int, own: Any = None,
    lines: slice = slice(None),
) -> None:  # fmt: skip
    """Play this many steps of all replicas on as many threads as pay; see `Program.play`."""
    work = replicas * steps * program.work
    cores = 1 if is_held() or work < 2 * WORTH_A_THREAD else count_cores()
    threads = max(1, min(cores, work // WORTH_A_THREAD))
    one_by_one = replicas == 1 or program.alone
    together = program.shared and (threads > replicas or one_by_one)
    if threads == 1 or (one_by_one and not together):
        with _single_blas(program):
            program.play(machine, addresses, steps, 0, replicas, own=own, lines=lines)
        return
    if together:
        counter, own = np.zeros(8, np.int64), own or program.memory()

        def part(rank: int, count: int) -> None:
            team = rank, count, address(counter)
            program.play(machine, addresses, steps, 0, replicas, team, own, lines)

        with _single_blas(program):
            _start(part, threads, lambda: counter.__iadd__(NOBODY_COMES))
        return

    def some(rank: int, count: int) -> None:
        cuts = [replicas * k // count for k in range(count + 1)]
        program.play(machine, addresses, steps, *list(pairwise(cuts))[rank], own=own, lines=lines)

    with _single_blas(program):
        _start(some, min(threads, replicas), lambda: None)


def _start(part: Callable[[int, int], None], threads: int, give_up: Callable[[], Any]) -> None:
    """Let this many threads, of which this is one, do ``part(rank, count)``, or fewer, where no more can be started."""
    go, count, others = threading.Event(), [0], []
    failed: list[BaseException] = []

    def other(rank: int) -> None:
        go.wait()
        try:
            if count[0]:
                part(rank, count[0])
        except BaseException as error:
            failed.append(error)
            give_up()

    finished = False
    try:
        for rank in range(1, threads):
            thread = threading.Thread(target=other, args=(rank,), daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads are to be had
                break
            others.append(thread)
        count[0] = 1 + len(others)
        go.set()
        part(0, count[0])
        finished = True
    finally:
        if not finished:
            give_up()
            go.set()
        _join(others)
    if failed:
        raise failed[0]


def _join(others: list[threading.Thread]) -> None:
    """Wait for all of them, an interrupt or not: they write to the arrays of this run."""
    interrupt: BaseException | None = None
    for thread in others:
        while thread.is_alive():
            try:
                thread.join()
            except BaseException as error:
                interrupt = error
    if interrupt is not None:
        raise interrupt


_single = threading.Lock(), [0], [1]  # how many want one thread of SciPy's BLAS, and how many threads it had before
if hasattr(os, "register_at_fork"):  # whoever holds the lock is not in the child, and would never give it back
    os.register_at_fork(
        before=_single[0].acquire, after_in_parent=_single[0].release, after_in_child=_single[0].release
    )


@cache
def _scipy_blas() -> list[Any]:
    """Return threadpoolctl's description of the BLAS that the machine calls."""
    blas_address("sgemm")  # loads it
    found = libraries()
    return [one for one in found if "scipy" in one.filepath] or found


@contextmanager
def _single_blas(program: Program) -> Iterator[None]:
    """Hold the BLAS that the machine calls to one thread: its own threads share the products."""
    if not program.uses_blas:
        yield
        return
    lock, count, before = _single
    with lock:
        count[0] += 1
        if count[0] == 1:
            before[:] = [one.get_num_threads() for one in _scipy_blas()]
            for one, threads in zip(_scipy_blas(), before, strict=True):
                if threads != 1:
                    ask_for_threads(one, 1)
    try:
        yield
    finally:
        with lock:
            count[0] -= 1
            if not count[0] and not is_held():
                for one, threads in zip(_scipy_blas(), before, strict=True):
                    if threads != 1:
                        ask_for_threads(one, threads)
