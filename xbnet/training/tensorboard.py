"""Event files for TensorBoard (extra ``tensorboard``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..history import PER_REPLICA


@contextmanager
def event_writer(folder: str | Path | None) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """What `fit` takes as `on_epoch`: writes each epoch's figures to event files in `folder`.

    A figure is the scalar "train_loss" of one network, or "train_loss/REPLICA" of a stack, behind "stage-N/" in
    the stages that a strategy trains first. None in, None out.

    Raises
    ------
    ConfigError
        tensorboardX is not installed.
    """
    if folder is None:
        yield None
        return
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise ConfigError("TensorBoard's event files need tensorboardX: pip install tensorboardX") from None
    with SummaryWriter(str(folder)) as writer:

        def write(record: dict[str, Any]) -> None:
            stage = f"stage-{record['stage']}/" if "stage" in record else ""
            for name in PER_REPLICA:
                values = record[name]
                for r in np.flatnonzero(np.isfinite(values)):
                    tag = stage + (name if len(values) == 1 else f"{name}/{r}")
                    writer.add_scalar(tag, float(values[r]), record["epoch"])

        yield write
