"""A progress bar on stderr or in a notebook, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .notebook import in_notebook


def is_shown(show: bool | None) -> bool:
    """Return `show`; for None, whether a bar can be seen: on a terminal and in a notebook."""
    return (sys.stderr.isatty() or in_notebook()) if show is None else show


def new_bar(**settings: Any) -> Any:
    """A tqdm bar with these settings: a widget in a notebook that has ipywidgets, else text on stderr."""
    if in_notebook() and _has_widgets():
        from tqdm.notebook import tqdm as bar
    else:
        from tqdm import tqdm as bar
    return bar(file=sys.stderr, leave=False, **settings)


def _has_widgets() -> bool:
    from importlib.util import find_spec

    return find_spec("ipywidgets") is not None


@contextmanager
def progress_bar(show: bool | None, *, total: int, unit: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function to call with each epoch's record; see `is_shown` for `show`."""
    if not is_shown(show):
        yield lambda record: None
        return
    with new_bar(total=total, unit=unit) as bar:

        def advance(record: dict[str, Any]) -> None:
            bar.set_postfix_str(_summary(record), refresh=False)
            bar.update()

        yield advance


def _summary(record: dict[str, Any]) -> str:
    """Best values over the stack, those that exist."""
    words = []
    for name, best in (("train_loss", np.nanmin), ("val_accuracy", np.nanmax), ("val_r2", np.nanmax)):
        if not np.isnan(record[name]).all():
            words.append(f"{name} {best(record[name]):.4f}")
    return ", ".join(words)
