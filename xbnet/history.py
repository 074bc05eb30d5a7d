"""The record of a training run: one record per epoch, each figure per replica."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ConfigError, DivergenceError, unknown_name
from .files import write_text
from .notebook import heading, picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

PER_REPLICA = (
    "lr",
    "train_loss",
    "train_cost",
    "train_accuracy",
    "train_r2",
    "val_loss",
    "val_cost",
    "val_accuracy",
    "val_r2",
    "grad_norm",
)
"""Figures of an epoch that are (R,). Losses are means over examples while training went on; `cost` adds the penalty
at the epoch's end; `accuracy` is there for classes, `r2` for a regression: the share of the targets' variance that is
explained, 1 at most and 0 for the best constant; `grad_norm` is that of the epoch's last step, before clipping."""

MORE_IS_BETTER = ("accuracy", "r2")
"""How the names of figures end of which the largest is the best; of all others it is the least."""


class History:
    """Records of the epochs of one run.

    Attributes
    ----------
    replicas
        R.
    records
        One dict per epoch: "epoch" (from 1), "seconds", "samples_per_second" (of all replicas together), and the
        figures of `PER_REPLICA` as float64 (R,); NaN where there is no such figure or the replica had left.
    status
        Per replica: "finished" (ran all epochs), "stopped" (patience was over, or a callback said so) or "diverged".
    best_epoch
        (R,) integers: the epoch with the best monitored figure, 0 before the first.
    stages
        Histories of the trainings that a strategy did before the first epoch, see `Layerwise`.
    execution
        How the steps were run: "eager", "replay", "compiled", "graph" or "persistent", see `execution`.

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([xbnet.Linear(5)], n_inputs=5, replicas=2, rng=0)
    >>> history = xbnet.fit(network, "cross_entropy", "sgd", xbnet.load_dataset("gmm"), epochs=3, rng=0)
    >>> history["val_accuracy"].shape, history.status  # epochs, networks
    ((3, 2), ['finished', 'finished'])
    """

    def __init__(self, replicas: int):
        self.replicas = replicas
        self.records: list[dict[str, Any]] = []
        self.status = ["running"] * replicas
        self.best_epoch = np.zeros(replicas, dtype=int)
        self.stages: list[History] = []
        self.execution = "eager"

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, name: str) -> np.ndarray:
        """All epochs of one figure: (E,) for one replica and for whole-run figures, else (E, R).

        Raises
        ------
        ConfigError
            There is no such figure.
        """
        if self.records and name not in self.records[0]:
            raise unknown_name("history", "figure", name, self.records[0])
        values = np.asarray([record[name] for record in self.records])
        return values[:, 0] if values.ndim == 2 and self.replicas == 1 else values

    def add(self, figures: dict[str, np.ndarray], rows: np.ndarray, samples: int, seconds: float) -> dict[str, Any]:
        """Add the record of an epoch, and return it.

        Parameters
        ----------
        figures
            Of `PER_REPLICA`, (n,) each, for the n replicas `rows` that still train.
        rows
            (n,) which ones, in ascending order.
        samples
            How many each of them has trained on.
        seconds
            How long that took.

        Returns
        -------
        dict
            See `records`.
        """
        empty = np.full((len(PER_REPLICA), self.replicas), np.nan)
        record: dict[str, Any] = {"epoch": len(self) + 1} | dict(zip(PER_REPLICA, empty, strict=True))
        where = slice(None) if len(rows) == self.replicas else rows  # a quarter of the time of an array of all
        for name in figures:
            if name in PER_REPLICA:
                record[name][where] = figures[name]
        record |= {"seconds": seconds, "samples_per_second": samples * len(rows) / seconds}
        self.records.append(record)
        return record

    def at_best(self, name: str) -> np.ndarray:
        """Return a figure at each replica's best epoch.

        Parameters
        ----------
        name
            A figure of the records, such as "val_accuracy".

        Returns
        -------
        numpy.ndarray
            (R,); NaN for a replica without a best epoch, which `np.nanargmax` passes over.
        """
        found = np.full(self.replicas, np.nan)
        for r, epoch in enumerate(self.best_epoch):
            if epoch:
                found[r] = self.records[epoch - 1][name][r]
        return found

    def keys(self) -> list[str]:
        """Names of the figures that every epoch has."""
        return list(self.records[0]) if self.records else ["epoch", *PER_REPLICA, "seconds", "samples_per_second"]

    def to_pandas(self) -> DataFrame:
        """The records as a `pandas.DataFrame`: a row per epoch, for a stack a row per epoch and replica.

        Raises
        ------
        ConfigError
            pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ConfigError("history: to_pandas needs pandas; install it with: pip install pandas") from None
        rows = [
            {"epoch": record["epoch"], "replica": r}
            | {key: value[r] if isinstance(value, np.ndarray) else value for key, value in record.items()}
            for record in self.records
            for r in range(self.replicas)
        ]
        table = pandas.DataFrame(rows, columns=["replica", *self.keys()])
        return (
            table.drop(columns="replica").set_index("epoch")
            if self.replicas == 1
            else table.set_index(["epoch", "replica"])
        )

    @property
    def seconds(self) -> float:
        """Seconds spent in all epochs."""
        return float(sum(record["seconds"] for record in self.records))

    def mean(self) -> History:
        """The history of all replicas together, as one: means of the figures of those that were still training.

        Its best epoch is the one with the least mean loss, of validation where there is one; it was "stopped" if all
        replicas were that have not diverged.
        """
        one = History(1)
        one.records = [dict(record) for record in self.records]
        for name in PER_REPLICA if self.records else ():
            values = np.array([record[name] for record in self.records])
            there = np.isfinite(values)
            counts = there.sum(axis=1, keepdims=True)
            means = np.where(there, values, 0.0).sum(axis=1, keepdims=True) / np.where(counts, counts, np.nan)
            for record, mean in zip(one.records, means, strict=True):
                record[name] = mean
        good = {status for status in self.status if status != "diverged"} or {"diverged"}
        one.status = [good.pop() if len(good) == 1 else "finished"]
        for name in ("train_loss", "val_loss"):
            losses = np.array([record[name][0] for record in one.records])
            if np.isfinite(losses).any():
                one.best_epoch[0] = 1 + int(np.nanargmin(losses))
        one.stages, one.execution = [stage.mean() for stage in self.stages], self.execution
        return one

    def lines(self) -> Iterator[str]:
        """JSON Lines, one per epoch; numbers for one replica, lists for a stack, null for NaN."""
        for record in self.records:
            yield json.dumps({key: plain(value, self.replicas) for key, value in record.items()})

    def to_jsonl(self, path: str | Path) -> None:
        """Write a line of JSON per epoch to a file, in one piece.

        Parameters
        ----------
        path
            The file; an old one is replaced.
        """
        write_text(path, "".join(line + "\n" for line in self.lines()))

    def plot(self, log: bool = False) -> Figure:
        """Plot loss and accuracy (for a regression: R2) by epoch; see `plots.learning_curves`.

        Parameters
        ----------
        log
            Whether the axis of the loss is logarithmic.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from .plots import learning_curves

        return learning_curves(self, log=log)

    def __repr__(self) -> str:
        return f"History({_count(len(self), 'epoch')}, {_count(self.replicas, 'replica')}, {self.seconds:.1f} s)"

    def _repr_html_(self) -> str:
        if not self.records:
            return heading(repr(self))
        return heading(repr(self)) + picture(self.plot(), "loss and accuracy by epoch")


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def plain(value: object, replicas: int = 1) -> Any:
    """A value as JSON has it: arrays as lists (a single replica's as a number), NaN and infinity as None."""
    if isinstance(value, np.ndarray):
        items = [plain(v) for v in value.tolist()]
        return items[0] if replicas == 1 and len(items) == 1 else items
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def divergence(history: History, sums: np.ndarray, lr: np.ndarray) -> DivergenceError:
    """Return the error of a run whose replicas all diverged, by the last epoch's sums (S, R, 3) and rates (S, R)."""
    bad = ~np.isfinite(sums[:, :, 0])
    step = int(bad.any(axis=1).argmax()) if bad.any() else len(sums) - 1
    what = "loss became nan" if np.isnan(sums[step, bad[step].argmax(), 0]) else "loss became infinite"
    what = what if bad.any() else "weights became nan or infinite"
    error = DivergenceError(
        f"fit: the {what} in epoch {len(history)}, "
        f"step {step + 1} of {len(sums)} (learning rate {lr[step].max():g}); try a smaller learning rate, "
        "clip_norm, or standardized inputs; the last good weights are kept"
    )
    error.history = history
    return error
