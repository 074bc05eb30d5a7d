"""How a sweep's members get trained: planned, cut into chunks, run on workers, kept as they end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ..backends.backend import get_backend
from ..backends.blas import one_blas_thread
from ..files import make_folder, only_one
from ..parsing import parse_bytes, whole
from .board import Board, show_progress
from .build import Program, make_trainer
from .chunk import Outcome
from .climb import Climb
from .executors import Workers, open_workers, outcomes, visible_devices
from .fingerprint import fingerprint
from .footprint import Footprint, footprint, free_bytes
from .halving import Bracket, Halving, network_epochs
from .paused import Paused
from .plan import Chunk, Member, Plan, bucket_of, make_plan
from .result import SweepResult
from .store import Store
from .wire import listen


class Scheduler(Protocol):
    """What decides, whenever a chunk has ended, which chunks begin and who leaves."""

    def next(self) -> tuple[list[Chunk], list[Outcome]]:
        """The chunks to start now, and what those give that have just left."""

    def ended(self, chunk: Chunk, outcome: Outcome) -> None:
        """Take note of a chunk's outcome."""


class AllToTheEnd:
    """Every chunk once."""

    def __init__(self, chunks: Iterable[Chunk]):
        self._left = list(chunks)

    def next(self) -> tuple[list[Chunk], list[Outcome]]:
        """All of them, at first."""
        chunks, self._left = self._left, []
        return chunks, []

    def ended(self, chunk: Chunk, outcome: Outcome) -> None:
        """Nothing follows."""


def run_members(
    program: Program,
    members: Sequence[Member],
    *,
    halving: Halving | None = None,
    brackets: Sequence[Bracket] = (),
    executor: Any = None,
    workers: int | None = None,
    memory: Any = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
) -> SweepResult:
    """Train members; the arguments are those of `sweep`."""
    device = get_backend(program.backend)
    if workers is not None:
        workers = whole("sweep", "workers", workers)
    budget = free_bytes(device) // 2 if memory is None else parse_bytes("sweep: memory", memory)
    costs, sizes, monitor = _probe(program, members)
    program = replace(program, monitor=monitor)
    devices = visible_devices(device.count())
    found: list[Outcome] = []
    paused: list[Paused] = []
    by_index = {member.index: member for member in members}
    with ExitStack() as held:
        store = None
        if out is not None:
            held.enter_context(only_one(make_folder(out)))
            store = Store(out, fingerprint(program, members, (halving, brackets)), resume=resume)
            found += store.read(sizes, program.dtype)
            done = {index for outcome in found for index in outcome.members}
            paused += store.read_paused(lambda indices: make_trainer(program, [by_index[i] for i in indices]), done)
        done = {index for outcome in found for index in outcome.members}
        left = [member for member in members if member.index not in done]
        where = held.enter_context(open_workers(executor, workers, on_cpu=device.name == "numpy", devices=devices))

        def plan(chosen: Sequence[Member]) -> Plan:
            return make_plan(
                chosen,
                program.pool,
                workers=where.count,
                budget=budget if where.local or memory is not None else budget * max(1, len(devices)),
                footprint=lambda member: costs[bucket_of(member, program.pool)],
            )

        whole_plan = plan(left)
        scheduler: Scheduler = AllToTheEnd(whole_plan.chunks)
        if halving is not None:
            cut = lambda chosen: plan(chosen).chunks  # noqa: E731
            scheduler = Climb(members, brackets, halving, monitor, cut, where.count, found, paused)
        if where.local:
            held.enter_context(one_blas_thread())  # each chunk does, but so threads don't come and go between them
        total = sum(member.settings["epochs"] for member in left)
        if halving is not None:
            total = network_epochs(brackets, halving.factor, len(members) // max(1, len(_configurations(members))))
        board = held.enter_context(show_progress(progress, whole_plan, monitor, len(done), total))
        for outcome in train(program, scheduler, where, board, store, by_index):
            found.append(outcome)
        if store is not None:
            store.forget_paused()
    return SweepResult(program, members, found, brackets)


def train(
    program: Program,
    scheduler: Scheduler,
    where: Workers,
    board: Board,
    store: Store | None,
    by_index: dict[int, Member],
) -> Iterable[Outcome]:
    """What becomes of the members, as they end: all that the scheduler lets train."""
    chunks: deque[Chunk] = deque()

    def keep(outcome: Outcome) -> None:
        if store is not None and outcome.members:
            store.append([by_index[index] for index in outcome.members], outcome)

    def go_on() -> Iterable[Outcome]:
        more, left = scheduler.next()
        chunks.extend(more)
        for outcome in left:
            keep(outcome)
            yield outcome

    with ExitStack() as held:
        hears = not where.local and board.bar is not None
        wire = held.enter_context(listen(where.host, board.pulse)) if hears else None
        try:
            yield from go_on()
            for chunk, outcome in outcomes(where, program, chunks, board.run, wire):
                board.ended(chunk, outcome)
                keep(outcome)
                if store is not None and outcome.paused is not None:
                    store.pause(outcome.paused)
                scheduler.ended(chunk, outcome)
                if outcome.members:
                    yield outcome
                yield from go_on()
        except BaseException:
            board.stopped = True  # chunks in threads end with their epoch
            raise


def _configurations(members: Sequence[Member]) -> set[int]:
    return {member.configuration for member in members}


def _probe(
    program: Program, members: Sequence[Member]
) -> tuple[dict[tuple, Footprint], Callable[[int], tuple[int, int]], str]:
    """What a network of each bucket costs, the sizes of a member's theta and state, and the monitored figure.

    Complains where settings don't fit together.
    """
    costs: dict[tuple, Footprint] = {}
    shapes: dict[tuple, tuple[int, int]] = {}
    monitor = ""
    for member in members:
        bucket = bucket_of(member, program.pool)
        if bucket not in costs:
            trainer = make_trainer(program, [member])
            costs[bucket], monitor = footprint(trainer), trainer.monitor
            shapes[bucket] = trainer.network.theta.shape[1], trainer.network.state.shape[1]
    by_index = {member.index: member for member in members}
    return costs, lambda index: shapes[bucket_of(by_index[index], program.pool)], monitor
