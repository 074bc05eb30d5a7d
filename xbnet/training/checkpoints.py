"""The state of a training run, in memory or in a folder: a run that is killed and resumed ends in the same bits.

A state is taken between two epochs and holds all that the rest of the run depends on: theta and statistics of every
replica, the optimizer's slots and step count, the random streams of orders and masks, the schedule's memory, early
stopping's counters and the kept weights, which replicas are still training, and the history. Stages that a strategy
trains first are runs of their own, in folders ``stage-1``, ``stage-2``, ... beside the files of the run.
"""

from __future__ import annotations

import copy
import logging
import signal
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, DataError
from ..io.histories import pack_history, unpack_history
from ..io.models import describe_network, generator_state, set_generator_state
from ..io.tensorfile import Tensors, read_tensors, write_tensors
from ..parsing import whole
from .conditions import compare_conditions, conditions

KIND = "training state"
KEPT_FILES = 2
"""The newest state and the one before it, should the newest be damaged."""


class Checkpoints:
    """States of one run, or of one of the stages before it, in a folder: one file per epoch that was kept.

    Parameters
    ----------
    folder
        Made when the first one is written.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def files(self) -> list[Path]:
        """Newest first."""
        return sorted(self.folder.glob("epoch-*.safetensors"), reverse=True)

    def write(self, trainer: Any, settings: dict[str, Any]) -> None:
        """Keep the trainer's state; older files than the last good one go once it is safely there."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"checkpoint {self.folder}: can't be made ({error.strerror}); choose another") from None
        tensors, description = pack(trainer)
        path = self.folder / f"epoch-{len(trainer.history):08d}.safetensors"
        write_tensors(path, KIND, tensors, {"settings": settings, "conditions": conditions(trainer), **description})
        leftovers = list(self.folder.glob(".epoch-*.safetensors.*"))  # of a process that was killed while writing
        for old in [*self.files()[KEPT_FILES:], *leftovers]:
            old.unlink(missing_ok=True)

    def restore(self, trainer: Any, settings: dict[str, Any]) -> bool:
        """Let the trainer go on from the newest file that is whole; whether there was one.

        Raises
        ------
        DataError
            There are files, and all are damaged.
        ConfigError
            The run in the folder has other settings or data.
        """
        first: DataError | None = None
        for path in self.files():
            try:
                kept = read_tensors(path, KIND)
                unpack(trainer, kept, settings)
                compare_conditions(path, kept.description.get("conditions"), conditions(trainer))
                return True
            except DataError as error:
                logging.getLogger("xbnet").warning("%s; trying the checkpoint before it", error)
                first = first or error
        if first is not None:
            raise first
        return False


def has_begun(folder: str | Path | None, resume: bool) -> bool:
    """Whether the run in `folder` has come to its own epochs, behind the stages that its strategy trains first.

    Raises
    ------
    ConfigError
        There is a run, and nobody wants to resume it.
    """
    if folder is None:
        return False
    files = Checkpoints(folder).files()
    if not resume and (files or any(Path(folder).glob("stage-*/epoch-*.safetensors"))):
        raise ConfigError(f"fit: {folder} holds the checkpoints of a run; resume it, or choose another folder")
    return bool(files)


@contextmanager
def keep_checkpoints(
    trainer: Any, folder: str | Path | None, every: int | None, resume: bool, stage: int = 0
) -> Iterator[Callable[[], None]]:
    """What `fit` calls after each epoch; see its `checkpoint`, `checkpoint_every` and `resume`.

    A stage, from 1, has a folder of its own within `folder`, and is kept at its end in any case: the run can't go on
    without.
    """
    if every is not None:
        every = whole("fit", "checkpoint_every", every)
    if folder is None:
        if every is not None or resume:
            raise ConfigError("fit: checkpoint_every and resume need checkpoint=FOLDER")
        yield lambda: None
        return
    checkpoints, settings = Checkpoints(folder), describe_settings(trainer)
    if stage:
        checkpoints, every = Checkpoints(Path(folder) / f"stage-{stage}"), every or trainer.epochs
    if resume:
        checkpoints.restore(trainer, settings)
    with deferred_interrupt() as interrupted:

        def after_epoch() -> None:
            epoch = len(trainer.history)
            if interrupted() or (every is not None and (trainer.done or epoch % every == 0)):
                checkpoints.write(trainer, settings)
            if interrupted():
                of = f" of stage {stage}" if stage else ""
                raise KeyboardInterrupt(f"interrupted after epoch {epoch}{of}; the run can be resumed from {folder}")

        yield after_epoch


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Note the first Ctrl-C instead of raising it; a second one raises at once.

    Only the main thread can, and only where Python handles Ctrl-C: a process that ignores it goes on to do so.
    """
    caught: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    if not main or not callable(signal.getsignal(signal.SIGINT)):
        yield lambda: False
        return

    def note(number: int, frame: Any) -> None:
        if caught:
            raise KeyboardInterrupt("interrupted twice, within an epoch")
        caught.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(caught)
    finally:
        signal.signal(signal.SIGINT, before)


def describe_settings(trainer: Any) -> dict[str, Any]:
    """What must be the same when a run goes on. More epochs may follow; all else decides the bits."""
    network = describe_network(trainer.network)
    to_host, crc = trainer.network.backend.to_host, 0
    for part in filter(None, (trainer.train, trainer.val)):
        for array in (part.x, part.y, part.w):
            crc = zlib.crc32(b"" if array is None else np.ascontiguousarray(to_host(array)).view(np.uint8).data, crc)
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):  # values per replica: all of them, in all digits
        described = {
            "loss": repr(trainer.loss_settings),
            "optimizer": repr(trainer.optimizer),
            "schedule": repr(trainer.schedule),
            "penalty": repr([trainer.penalty_settings.l2, trainer.penalty_settings.l1]),
            "clip_norm": repr(trainer.clip_norm),
        }
    return {
        **{name: network[name] for name in ("layers", "n_inputs", "replicas", "dtype", "seeds")},
        **described,
        "patience": repr(trainer.patience),
        "monitor": trainer.monitor,
        "strategy": repr(trainer.strategy),
        "flip": repr(trainer.flips and trainer.flips.probability),
        "batch_size": trainer.batch_size,
        "order": [generator_state(generator) for generator in trainer.shuffles],
        "data": f"{trainer.train.n} training samples with checksum {crc:08x}",
    }


def pack(trainer: Any, history: bool = True) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """A trainer's state between two epochs: host tensors, and a description that JSON can hold.

    Without its `history` where somebody else keeps that.
    """
    to_host, live = trainer.network.backend.to_host, trainer.live
    arrays = {"theta": trainer.network.theta, "state": trainer.network.state}
    if len(trainer.rows):
        arrays |= {"live.theta": live.theta, "live.state": live.state}
        arrays |= dict(zip(("kept.theta", "kept.state"), trainer.kept.of(trainer.rows), strict=True))
        arrays |= {f"optimizer.{slot}": trainer.optimizer.state[slot] for slot in trainer.optimizer.slots}
    tensors = {name: np.array(to_host(array)) for name, array in arrays.items()}
    tensors["rows"] = trainer.rows.astype(np.int64)
    if len(trainer.rows):
        n = len(trainer.rows)
        tensors |= {"best": trainer.best, "waited": trainer.waited.astype(np.int64)}
        schedule = trainer.schedule.state()
        tensors |= {f"schedule.{k}": np.broadcast_to(np.asarray(v, float), n).copy() for k, v in schedule.items()}
    description: dict[str, Any] = {}
    if history:
        figures, description["history"] = pack_history(trainer.history)
        tensors |= figures
    return tensors, description | {
        "steps": trainer.optimizer.steps,
        "orders": [generator_state(generator) for generator in trainer.shuffles],
        "streams": [generator_state(generator) for generator in trainer.network.streams],
    }


def unpack(trainer: Any, kept: Tensors, settings: dict[str, Any] | None = None) -> None:
    """Let a fresh trainer go on from a state of `pack`. Everything is checked before anything is changed.

    Raises
    ------
    DataError
        The state contradicts itself or the trainer.
    ConfigError
        The state was made with other settings than `settings`.
    """
    with kept.reading():
        if settings is not None:
            _compare(kept, settings)
        plan = _Plan(trainer, kept)
    plan.apply(trainer)


def _compare(kept: Tensors, settings: dict[str, Any]) -> None:
    before = kept.description["settings"]
    for name, value in settings.items():
        if before[name] != value:
            shown = "another one" if name in ("seeds", "order") else f"{before[name]}, got {value}"
            raise ConfigError(f"resume: {kept.source} was made with {name} = {shown}; resume with the same settings")


class _Plan:
    """A state, read and checked against the trainer that will take it over."""

    def __init__(self, trainer: Any, kept: Tensors):
        network, d = trainer.network, kept.description
        self.dtype, R = network.dtype, network.replicas
        self.history = unpack_history(kept, d["history"], R) if "history" in d else trainer.history
        rows = kept.tensor("rows", np.int64, kept.shape("rows"))
        right = rows.ndim == 1 and bool(np.all(np.diff(rows) > 0) and np.all((rows >= 0) & (rows < R)))
        kept.require(right, f"rows are replicas of {R}, in order")
        self.rows, n = rows.astype(int), len(rows)
        theta, state = network.theta.shape[1], network.state.shape[1]
        self.network = [kept.tensor("theta", self.dtype, (R, theta)), kept.tensor("state", self.dtype, (R, state))]
        self.live, self.kept = (
            [kept.tensor(f"{w}.theta", self.dtype, (n, theta)), kept.tensor(f"{w}.state", self.dtype, (n, state))]
            if n
            else []
            for w in ("live", "kept")
        )
        slots = trainer.optimizer.slots if n else ()
        self.slots = {slot: kept.tensor(f"optimizer.{slot}", self.dtype, (n, theta)) for slot in slots}
        self.schedule = {k: kept.tensor(f"schedule.{k}", float, (n,)) for k in trainer.schedule.state()} if n else {}
        self.best = kept.tensor("best", float, (n,)) if n else np.zeros(0)
        self.waited = kept.tensor("waited", np.int64, (n,)) if n else np.zeros(0, np.int64)
        self.steps = d["steps"]
        kept.require(type(self.steps) is int and 0 <= self.steps < 2**53, "steps is a number of steps")
        self.orders, self.streams = d["orders"], d["streams"]
        kept.require(len(self.streams) == R, "there is a stream of masks per replica")
        kept.require(n == 0 or len(self.orders) == n, "there is a stream of orders per replica")
        for generator, found in zip(network.streams, self.streams, strict=True):
            set_generator_state(copy.deepcopy(generator), found)
        for found in self.orders:
            set_generator_state(copy.deepcopy(trainer.shuffles[0]), found)

    def apply(self, trainer: Any) -> None:
        network, backend = trainer.network, trainer.network.backend
        trainer.history = self.history
        for generator, found in zip(network.streams, self.streams, strict=True):
            set_generator_state(generator, found)
        if len(self.rows) < network.replicas:
            trainer.narrow(self.rows)
        network.theta[...], network.state[...] = (backend.asarray(array) for array in self.network)
        if not len(self.rows):
            return
        trainer.live.theta[...], trainer.live.state[...] = (backend.asarray(array) for array in self.live)
        trainer.kept.restore(self.rows, *map(backend.asarray, self.kept))
        for slot, array in self.slots.items():
            trainer.optimizer.state[slot][...] = backend.asarray(array)
        trainer.optimizer.steps = self.steps
        trainer.best, trainer.waited = self.best.copy(), self.waited.astype(int)
        trainer.schedule.restore(self.schedule)
        for generator, found in zip(trainer.shuffles, self.orders, strict=True):
            set_generator_state(generator, found)
