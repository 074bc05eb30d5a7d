"""Callbacks of `fit`: objects whose `on_epoch` is called with each epoch's record.

A callback of your own needs nothing else: ``on_epoch(record)``, and a truthy answer stops the run. If it has a method
`close`, that is called when the run is over, by an error too.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, reason, unknown_name
from ..files import place
from ..history import MORE_IS_BETTER, PER_REPLICA
from ..parsing import number, whole
from .tensorboard import event_writer

Wish = Callable[[dict[str, Any]], bool]
"""From a record to whether the run is to stop."""


@contextmanager
def call_all(callbacks: Sequence[Any] | None, on_epoch: Callable[[dict[str, Any]], Any] | None) -> Iterator[Wish]:
    """A function that hands a record to every callback and to `on_epoch`, and says whether one of them wants to stop.

    Raises
    ------
    ConfigError
        One of the callbacks has no method `on_epoch`.
    """
    callbacks = [] if callbacks is None else callbacks
    if not isinstance(callbacks, (list, tuple)):
        raise ConfigError(f"fit: expected callbacks as a list, got {type(callbacks).__name__}")
    for i, callback in enumerate(callbacks):
        if isinstance(callback, type):
            raise ConfigError(f"fit: expected callbacks[{i}] to be an object, got the class {callback.__name__} itself")
        if not callable(getattr(callback, "on_epoch", None)):
            hint = "; a function goes to on_epoch=" if callable(callback) else ""
            raise ConfigError(
                f"fit: expected callbacks[{i}] to have a method on_epoch(record), got {type(callback).__name__}{hint}"
            )
    calls = [callback.on_epoch for callback in callbacks] + ([] if on_epoch is None else [on_epoch])
    with ExitStack() as stack:
        for callback in callbacks:
            if callable(getattr(callback, "close", None)):
                stack.callback(callback.close)
        yield lambda record: sum(bool(call(record)) for call in calls) > 0  # all of them are called


class StopAt:
    """Stop once a figure is good enough: for every network of a stack that still trains, or for the first of them.

    Parameters
    ----------
    figure
        A name in `History`, such as "val_accuracy".
    value
        Accuracies and R2 have to reach it from below, all other figures from above.
    first
        Whether one network is enough.

    Raises
    ------
    ConfigError
        There is no such figure, or `value` is no number.

    Examples
    --------
    >>> import xbnet
    >>> data = xbnet.load_dataset("gmm")
    >>> network = xbnet.Network([xbnet.Linear(10, "tanh"), xbnet.Linear(5)], data.n_inputs, rng=0)
    >>> history = xbnet.fit(
    ...     network, "cross_entropy", xbnet.Adam(0.01), data, epochs=50, rng=0, callbacks=[StopAt("val_accuracy", 0.9)]
    ... )
    >>> history.status, len(history) < 50
    (['stopped'], True)
    """

    def __init__(self, figure: str, value: float, *, first: bool = False):
        if figure not in PER_REPLICA:
            raise unknown_name("StopAt", "figure", figure, PER_REPLICA)
        self.figure, self.value, self.first = figure, number("StopAt", "value", value), first

    def on_epoch(self, record: dict[str, Any]) -> bool:
        """Decide whether the run stops.

        Parameters
        ----------
        record
            The epoch's figures.

        Returns
        -------
        bool
            Whether it is good enough.
        """
        figures = record[self.figure]
        figures = figures[~np.isnan(figures)]  # of those that have left there is none
        reached = figures >= self.value if self.figure.endswith(MORE_IS_BETTER) else figures <= self.value
        return bool(len(reached)) and bool(reached.any() if self.first else reached.all())


class TimeLimit:
    """Stop with the epoch in which `seconds` are over, counted from the beginning of the first epoch that it sees.

    Parameters
    ----------
    seconds
        > 0.

    Raises
    ------
    ConfigError
        `seconds` is no number > 0.

    Examples
    --------
    >>> TimeLimit(60).on_epoch({"seconds": 59.0}), TimeLimit(60).on_epoch({"seconds": 61.0})
    (False, True)
    """

    def __init__(self, seconds: float):
        self.seconds = number("TimeLimit", "seconds", seconds, "(0, inf)")
        self._began: float | None = None

    def on_epoch(self, record: dict[str, Any]) -> bool:
        """Decide whether the run stops.

        Parameters
        ----------
        record
            The epoch's figures.

        Returns
        -------
        bool
            Whether the time is over.
        """
        now = time.perf_counter()
        if self._began is None:
            self._began = now - record["seconds"]
        return now - self._began >= self.seconds

    def close(self) -> None:
        """The next run has the full time again."""
        self._began = None


class CSVLog:
    """Write the figures of each epoch to a CSV file, as the epoch ends: a row per network.

    Parameters
    ----------
    path
        The file. A run that begins with its first epoch replaces it, one that is resumed goes on with it.

    Examples
    --------
    >>> import tempfile, xbnet
    >>> network = xbnet.Network([xbnet.Linear(5)], n_inputs=5, replicas=2, rng=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "log.csv")
    ...     history = xbnet.fit(network, "mse", "sgd", "gmm", epochs=3, batch_size=1000, callbacks=[CSVLog(path)])
    ...     lines = path.read_text().splitlines()
    >>> len(lines), lines[0][:26]
    (7, 'stage,epoch,replica,lr,tra')
    """

    def __init__(self, path: str | Path):
        self.path, self._begun = place(path), False

    def on_epoch(self, record: dict[str, Any]) -> None:
        """Append the epoch's rows.

        Parameters
        ----------
        record
            The epoch's figures.
        """
        begins = not self._begun and record["epoch"] == 1 and record.get("stage", 1) == 1
        columns = ["stage", "epoch", "replica", *PER_REPLICA, "seconds"]
        try:
            with open(self.path, "w" if begins else "a", newline="", encoding="utf-8") as file:
                rows = csv.writer(file)
                if begins or not file.tell():
                    rows.writerow(columns)
                for r in range(len(record["lr"])):
                    figures = ["" if np.isnan(record[name][r]) else float(record[name][r]) for name in PER_REPLICA]
                    rows.writerow([record.get("stage", ""), record["epoch"], r, *figures, record["seconds"]])
        except OSError as error:
            raise ConfigError(f"CSVLog: {self.path} can't be written ({reason(error)}); name another file") from None
        self._begun = True

    def close(self) -> None:
        """The next run starts again."""
        self._begun = False


class TensorBoard:
    """Write the figures of each epoch to event files for TensorBoard (extra ``tensorboard``).

    Parameters
    ----------
    folder
        Made with the first epoch.

    Raises
    ------
    ConfigError
        With the first epoch: tensorboardX is not installed, or the files can't be written.

    Examples
    --------
    >>> callbacks = [TensorBoard("runs/first"), TimeLimit(600)]
    """

    def __init__(self, folder: str | Path):
        self.folder, self._open = place(folder), ExitStack()
        self._write: Any = None

    def on_epoch(self, record: dict[str, Any]) -> None:
        """Write the epoch's figures.

        Parameters
        ----------
        record
            The epoch's figures.
        """
        if self._write is None:
            self._write = self._open.enter_context(event_writer(self.folder))
        self._write(record)

    def close(self) -> None:
        """Close the files."""
        self._open.close()
        self._write = None


class PrintEpochs:
    """Print a line for each epoch, or each of `every`: losses and, where there is one, accuracy or R2.

    Parameters
    ----------
    every
        Epochs from line to line, >= 1.

    Raises
    ------
    ConfigError
        `every` is no whole number >= 1.

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([xbnet.Linear(5)], n_inputs=5, rng=0)
    >>> history = xbnet.fit(
    ...     network, "cross_entropy", "sgd", "gmm", epochs=4, batch_size=1000, callbacks=[PrintEpochs(every=2)]
    ... )
    epoch 2: train_loss ..., train_accuracy ..., val_loss ..., val_accuracy ...
    epoch 4: train_loss ..., train_accuracy ..., val_loss ..., val_accuracy ...
    """

    figures = ("train_loss", "train_accuracy", "train_r2", "val_loss", "val_accuracy", "val_r2")

    def __init__(self, every: int = 1):
        self.every = whole("PrintEpochs", "every", every)

    def on_epoch(self, record: dict[str, Any]) -> None:
        """Print it; of a stack the median over the networks.

        Parameters
        ----------
        record
            The epoch's figures.
        """
        if record["epoch"] % self.every:
            return
        shown = {name: record[name] for name in self.figures if not np.isnan(record[name]).all()}
        figures = ", ".join(f"{name} {np.nanmedian(values):.4f}" for name, values in shown.items())
        stage = f"stage {record['stage']}, " if "stage" in record else ""
        print(f"{stage}epoch {record['epoch']}: {figures}")
