"""The states of a training run in a folder: a run that is killed and resumed ends in the same bits.

A state is taken between two epochs and holds all that the rest of the run depends on: theta and statistics of every
replica, the optimizer's slots and step count, the random streams of orders and masks, the schedule's memory, early
stopping's counters and the kept weights, which replicas are still training, and the history. Stages that a strategy
trains first are runs of their own, in folders ``stage-1``, ``stage-2``, ... next to the files of the run.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, DataError, Interrupted
from ..files import make_folder, only_one, target_of
from ..io.networks import describe_network
from ..io.tensorfile import Tensors, read_tensors, write_tensors
from ..parsing import whole
from .conditions import compare_conditions, conditions
from .state import State, states_of
from .trainer import Trainer

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
        self.folder = target_of(folder, "checkpoint")

    def files(self) -> list[Path]:
        """Newest first."""
        return sorted(self.folder.glob("epoch-*.safetensors"), reverse=True)

    def write(self, trainer: Trainer, settings: dict[str, Any]) -> None:
        """Keep the trainer's state; older files than the last good one go once it is safely there."""
        make_folder(self.folder, "checkpoint")
        tensors, description = trainer.state().pack()
        path = self.folder / f"epoch-{len(trainer.history):08d}.safetensors"
        about = {"settings": settings, "conditions": conditions(trainer), "epochs": trainer.recipe.epochs}
        write_tensors(path, KIND, tensors, {**about, **description})
        for old in self.files()[KEPT_FILES:]:
            old.unlink(missing_ok=True)

    def restore(self, trainer: Trainer, settings: dict[str, Any]) -> bool:
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
                resume_from(trainer, kept, settings)
                compare_conditions(path, kept.description.get("conditions"), conditions(trainer))
                return True
            except DataError as error:
                logging.getLogger("xbnet").warning("%s; trying the checkpoint before it", error)
                first = first or error
        if first is not None:
            raise first
        return False


def resume_from(trainer: Trainer, kept: Tensors, settings: dict[str, Any]) -> None:
    """Let a fresh trainer go on from a file's state. Everything is checked before anything is changed.

    Raises
    ------
    DataError
        The state contradicts itself or the trainer.
    ConfigError
        The state was made with other settings than `settings`.
    """
    with kept.reading():
        _compare(kept, settings)
        _compare_epochs(kept, trainer)
        trainer.restore(State.unpack(kept, trainer.state()))


def has_begun(folder: str | Path | None, resume: bool) -> bool:
    """Whether the run in `folder` has come to its own epochs, after the stages that its strategy trains first.

    Raises
    ------
    ConfigError
        There is a run, and nobody wants to resume it.
    """
    if folder is None:
        return False
    checkpoints = Checkpoints(folder)
    files = checkpoints.files()
    if not resume and (files or any(checkpoints.folder.glob("stage-*/epoch-*.safetensors"))):
        raise ConfigError(f"fit: {folder} holds the checkpoints of a run; resume it, or choose another folder")
    return bool(files)


@contextmanager
def keep_checkpoints(
    trainer: Trainer, folder: str | Path | None, every: int | None, resume: bool, stage: int = 0
) -> Iterator[Callable[[], None]]:
    """Yield the function that `fit` calls after each epoch; see its `checkpoint`, `checkpoint_every` and `resume`.

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
        checkpoints, every = Checkpoints(checkpoints.folder / f"stage-{stage}"), every or trainer.recipe.epochs
    with only_one(make_folder(folder, "checkpoint")), deferred_interrupt() as interrupted:
        if resume:
            checkpoints.restore(trainer, settings)

        def after_epoch() -> None:
            epoch = len(trainer.history)
            if interrupted() or (every is not None and (trainer.done or epoch % every == 0)):
                checkpoints.write(trainer, settings)
            if interrupted():
                of = f" of stage {stage}" if stage else ""
                raise Interrupted(f"interrupted after epoch {epoch}{of}; the run can be resumed from {folder}")

        yield after_epoch
    with suppress(OSError):  # a run that kept nothing leaves no empty folder
        target_of(folder).rmdir()


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


def describe_settings(trainer: Trainer) -> dict[str, Any]:
    """Return the settings that must be the same when a run goes on: all that decide the bits, so not `epochs`."""
    network = describe_network(trainer.network)
    to_host, crc = trainer.network.backend.to_host, 0
    for part in filter(None, (trainer.train, trainer.val)):
        for array in (part.x, part.y, part.w):
            crc = zlib.crc32(b"" if array is None else np.ascontiguousarray(to_host(array)).view(np.uint8).data, crc)
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):  # values per replica: all of them, in all digits
        parts = {"loss": repr(trainer.asked_loss), "optimizer": repr(trainer.optimizer)}
    return {
        **{name: network[name] for name in ("layers", "n_inputs", "replicas", "dtype", "seeds")},
        **parts,
        **trainer.recipe.describe(),
        "order": states_of(trainer.shuffles),
        "data": f"{trainer.train.n} training samples with checksum {crc:08x}",
    }


def _compare(kept: Tensors, settings: dict[str, Any]) -> None:
    before = kept.description["settings"]
    for name, value in settings.items():
        if before[name] != value:
            shown = "another one" if name in ("seeds", "order") else f"{before[name]}, got {value}"
            raise ConfigError(f"resume: {kept.source} was made with {name} = {shown}; resume with the same settings")


def _compare_epochs(kept: Tensors, trainer: Trainer) -> None:
    """Refuse fewer epochs than the run has trained; say where more would have had other rates from the start."""
    done, before, now = kept.description["history"]["epochs"], kept.description["epochs"], trainer.recipe.epochs
    if now < done:
        raise ConfigError(f"resume: {kept.source} has {done} epochs done, got epochs={now}; give {done} or more")
    past = np.arange(done)[:, None] + 0.5
    schedule = trainer.schedule
    if now != before and not np.array_equal(schedule.factors(past, before), schedule.factors(past, now)):
        logging.getLogger("xbnet").warning(
            "resume: the schedule goes by the number of epochs, and that was %d: the first %d epochs had other rates "
            "than in a run of %d", before, done, now,
        )  # fmt: skip
