"""Event files for TensorBoard (extra ``tensorboard``)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, reason
from ..files import make_folder
from ..history import PER_REPLICA


@contextmanager
def event_writer(folder: str | Path | None) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """Yield an `on_epoch` for `fit` that writes each epoch's figures to event files in `folder`.

    A figure is the scalar "train_loss" of one network, or "train_loss/REPLICA" of a stack, prefixed by "stage-N/" in
    the stages that a strategy trains first. None in, None out.

    Raises
    ------
    ConfigError
        tensorboardX is not installed, or the files can't be written.
    """
    if folder is None:
        yield None
        return
    try:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar
    except ImportError:
        raise ConfigError("TensorBoard's event files need tensorboardX: pip install tensorboardX") from None
    # Not its SummaryWriter: that writes in a thread of its own, which loses epochs when the process is killed, and
    # what it could not write.
    writer = EventsWriter(str(make_folder(folder, "--tensorboard") / "events"))

    def write(record: dict[str, Any]) -> None:
        stage = f"stage-{record['stage']}/" if "stage" in record else ""
        now, events = time.time(), []
        for name in PER_REPLICA:
            values = record[name]
            for r in np.flatnonzero(np.isfinite(values)):
                tag = stage + (name if len(values) == 1 else f"{name}/{r}")
                events.append(Event(wall_time=now, summary=scalar(tag, float(values[r])), step=record["epoch"]))
        try:
            for event in events:
                writer.write_event(event)
            writer.flush()
        except OSError as error:
            raise ConfigError(f"--tensorboard {folder}: can't be written ({reason(error)}); leave it out") from None

    try:
        yield write
    finally:
        with suppress(OSError):  # each epoch is on the disk already, or `write` said why not
            writer.close()
