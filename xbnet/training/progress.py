"""A progress bar on stderr, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def progress_bar(show: bool | None, *, total: int, unit: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function to call with each epoch's record; None shows it where stderr is a terminal."""
    if not (sys.stderr.isatty() if show is None else show):
        yield lambda record: None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=unit, file=sys.stderr, leave=False) as bar:

        def advance(record: dict[str, Any]) -> None:
            bar.set_postfix_str(_summary(record), refresh=False)
            bar.update()

        yield advance


def _summary(record: dict[str, Any]) -> str:
    """Best values over the stack, those that exist."""
    words = []
    for name, best in (("train_loss", np.nanmin), ("val_accuracy", np.nanmax)):
        if not np.isnan(record[name]).all():
            words.append(f"{name} {best(record[name]):.4f}")
    return ", ".join(words)
