"""How a sweep's members get trained: planned, cut into chunks, run on workers, kept as they end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ..backends.backend import get_backend
from ..backends.blas import one_blas_thread
from ..backends.machine.load import why_not
from ..backends.memory import free_bytes
from ..errors import ConfigError
from ..files import make_folder, only_one
from ..parsing import parse_bytes, whole
from ..training.execution.compiled import LONG_ENOUGH, has_program, saves
from .about import About
from .board import Board, show_progress
from .build import Program, make_trainer
from .chunk import Outcome
from .climb import Climb
from .executors import Workers, open_workers, outcomes, visible_devices
from .fingerprint import fingerprint
from .footprint import Footprint, footprint
from .halving import Bracket, Halving, network_epochs
from .paused import Paused
from .plan import Chunk, Member, Plan, bucket_of, make_plan
from .result import SweepResult
from .store import Store
from .trials import Sampling, Trials
from .wire import listen


class Scheduler(Protocol):
    """An object that decides, whenever a chunk has ended, which chunks begin and who leaves.

    Attributes
    ----------
    spares
        Whether the epochs of those that leave were planned, so that the progress bar has to count them.
    """

    spares: bool

    def next(self) -> tuple[list[Chunk], list[Outcome]]:
        """The chunks to start now, and what those give that have just left."""

    def ended(self, chunk: Chunk, outcome: Outcome) -> None:
        """Take note of a chunk's outcome."""


class AllToTheEnd:
    """Every chunk once."""

    spares = False

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
    members: list[Member],
    *,
    halving: Halving | None = None,
    brackets: Sequence[Bracket] = (),
    sampling: Sampling | None = None,
    executor: Any = None,
    workers: int | None = None,
    memory: Any = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
) -> SweepResult:
    """Train members; the arguments are those of `sweep`. With a sampler they are examples of what it will propose."""
    device = get_backend(program.backend)
    if workers is not None:
        workers = whole("sweep", "workers", workers)
    budget = free_bytes(device) // 2 if memory is None else parse_bytes("sweep: memory", memory)
    if program.execution == "compiled" and (reason := why_not()):
        raise ConfigError(f"sweep: execution 'compiled' is not possible: {reason}; use 'auto'")
    probe = Probe(program)
    for member in members:
        probe.look(member)
    level = program.execution
    if level == "auto" and device.name == "numpy":
        level = "compiled" if probe.compiled_pays(members) else "replay"
    program = replace(program, monitor=probe.monitor, execution=level)
    about = (halving, brackets) if sampling is None else (halving, brackets, sampling.describe())
    signature = fingerprint(program, members, about)
    everyone = [] if sampling is not None else members
    by_index = {member.index: member for member in everyone}
    devices = visible_devices(device.count())
    found: list[Outcome] = []
    paused: list[Paused] = []
    asked: list[dict[str, Any]] = []

    def announce(new: Sequence[Member]) -> None:
        everyone.extend(new)
        by_index.update({member.index: member for member in new})

    with ExitStack() as held:
        store = None
        if out is not None:
            held.enter_context(only_one(make_folder(out)))
            count = len(members) if sampling is None else len(members) * sampling.count
            store = Store(out, signature, program, About.of(program, count, brackets), resume=resume)
        if store is not None and resume:
            if sampling is not None:
                asked = store.read_trials()
                for number, params in enumerate(asked):
                    announce(sampling.networks(number, params))
            found += store.read(lambda index: probe.sizes(by_index[index]), program.dtype)
            done = {index for outcome in found for index in outcome.members}
            paused += store.read_paused(lambda indices: make_trainer(program, [by_index[i] for i in indices]), done)
        done = {index for outcome in found for index in outcome.members}
        left = [member for member in everyone if member.index not in done]
        where = held.enter_context(open_workers(executor, workers, on_cpu=device.name == "numpy", devices=devices))

        def plan(chosen: Sequence[Member], parts: int | None = None) -> Plan:
            return make_plan(
                chosen,
                program.pool,
                workers=where.count,
                budget=budget if where.local or memory is not None else budget * max(1, len(devices)),
                footprint=probe.cost,
                parts=parts,
            )

        def cut(chosen: Sequence[Member], parts: int | None = None) -> Sequence[Chunk]:
            return plan(chosen, parts).chunks

        first = plan(left if sampling is None else members)
        about_it: Any = first
        scheduler: Scheduler = AllToTheEnd(first.chunks)
        total = sum(member.settings["epochs"] for member in left)
        if sampling is not None:
            start = (found, paused, asked)
            note = None if store is None else store.note_trial
            scheduler = Trials(sampling, brackets, probe.monitor, cut, where.count, announce, note, *start)
            total = sampling.count * sampling.each * members[0].settings["epochs"]
            about_it = f"{sampling.count} trials, {sampling.at_once} networks at a time"
        elif halving is not None:
            scheduler = Climb(members, brackets, halving, probe.monitor, cut, where.count, found, paused)
            configurations = sum(len(bracket.configurations) for bracket in brackets)
            total = network_epochs(brackets, halving.factor, len(members) // configurations)
        if where.local:
            held.enter_context(one_blas_thread())  # each chunk does, but so threads don't come and go between them
        board = held.enter_context(show_progress(progress, about_it, probe.monitor, len(done), total))
        for outcome in train(program, scheduler, where, board, store, by_index):
            found.append(outcome)
        if store is not None:
            store.forget_paused()
    return SweepResult(program, everyone, found, brackets, None if sampling is None else sampling.study)


def train(
    program: Program,
    scheduler: Scheduler,
    where: Workers,
    board: Board,
    store: Store | None,
    by_index: dict[int, Member],
) -> Iterable[Outcome]:
    """Yield the outcomes of the members, as they end: all that the scheduler lets train."""
    chunks: deque[Chunk] = deque()

    def keep(outcome: Outcome) -> None:
        if store is not None and outcome.members:
            store.append([by_index[index] for index in outcome.members], outcome)

    def go_on() -> Iterable[Outcome]:
        more, left = scheduler.next()
        chunks.extend(more)
        for outcome in left:
            keep(outcome)
            if scheduler.spares:
                epochs = (by_index[index].settings["epochs"] for index in outcome.members)
                board.spare(sum(epochs) - sum(row["last_epoch"] for row in outcome.rows))
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


class Probe:
    """The costs of a network of each bucket, found by making one; complains where settings don't fit together.

    Attributes
    ----------
    monitor
        The monitored figure, once a member was looked at.
    """

    def __init__(self, program: Program):
        self._program, self.monitor = program, ""
        self._known: dict[tuple, tuple[Footprint, tuple[int, int]]] = {}
        self._saved: dict[tuple, tuple[float, float]] = {}

    def look(self, member: Member) -> tuple[Footprint, tuple[int, int]]:
        """Cost, and the sizes of theta and state."""
        bucket = bucket_of(member, self._program.pool)
        if bucket not in self._known:
            trainer = make_trainer(self._program, [member])
            self.monitor = trainer.monitor
            sizes = trainer.network.theta.shape[1], trainer.network.state.shape[1]
            self._known[bucket] = footprint(trainer), sizes
            self._saved[bucket] = saves(trainer, 0), saves(trainer, 1) - saves(trainer, 0)
        return self._known[bucket]

    def compiled_pays(self, members: Iterable[Member]) -> bool:
        """Whether the compiled machine saves enough for all of them together, each bucket in one stack."""
        buckets: dict[tuple, list[Member]] = {}
        for member in members:
            buckets.setdefault(bucket_of(member, self._program.pool), []).append(member)
        saved = {bucket: self._saved[bucket][0] + len(of) * self._saved[bucket][1] for bucket, of in buckets.items()}
        if why_not() is not None or sum(saved.values()) <= LONG_ENOUGH:
            return False
        return all(has_program(make_trainer(self._program, of[:1])) for of in buckets.values())  # of one level all

    def cost(self, member: Member) -> Footprint:
        """Return the cost of each network like this one."""
        return self.look(member)[0]

    def sizes(self, member: Member) -> tuple[int, int]:
        """Its numbers of parameters and of statistics."""
        return self.look(member)[1]
