"""Training one chunk, in whatever thread, process or machine it lands."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backends.blas import one_blas_thread
from ..errors import DivergenceError
from ..history import MORE_IS_BETTER, PER_REPLICA, History
from .build import Program, make_trainer
from .plan import Member

FIGURES = ("train_loss", "train_accuracy", "train_r2", "val_loss", "val_accuracy", "val_r2")
"""Figures of the table: each at the member's best epoch."""

OUTCOME = ("status", "last_epoch", "best_epoch", "score", *FIGURES, "seconds")
"""Columns of the table that training fills."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What training some members gave, on the host; row r belongs to ``members[r]``.

    Attributes
    ----------
    members
        Indices.
    rows
        Per member: status, last_epoch, best_epoch, score, figures, seconds.
    theta, state
        (R, P) and (R, S): the weights and statistics that each member ends with.
    curves
        Figure -> (E, R), NaN after a member has left.
    """

    members: tuple[int, ...]
    rows: tuple[dict[str, Any], ...]
    theta: np.ndarray
    state: np.ndarray
    curves: dict[str, np.ndarray]


@dataclass(frozen=True)
class Pulse:
    """A sign of life from a chunk after each epoch.

    Attributes
    ----------
    chunk
        Index of its first member.
    alive
        Members still training.
    done
        Epochs that its members have behind them, or have been spared, all together.
    steps
        Steps of all its members so far.
    best
        The best score so far.
    """

    chunk: int
    alive: int
    done: int
    steps: int
    best: float


def run_chunk(
    program: Program, members: Sequence[Member], pulse: Callable[[Pulse], bool] | None = None
) -> Outcome | None:
    """Train a stack of members, with BLAS held to one thread.

    Parameters
    ----------
    program
        What all chunks have in common.
    members
        Of one bucket.
    pulse
        Called after each epoch; a false answer gives the chunk up.

    Returns
    -------
    Outcome
        None for a chunk that was given up.
    """
    started = time.perf_counter()
    R, steps = len(members), 0
    with one_blas_thread():
        trainer = make_trainer(program, members)
        try:
            while not trainer.done:
                steps += trainer.batches.steps * len(trainer.rows)
                trainer.run_epoch()
                alive = len(trainer.rows)
                done = len(trainer.history) * alive + trainer.recipe.epochs * (R - alive)
                best = _best(trainer.history, trainer.monitor)
                if pulse is not None and not pulse(Pulse(members[0].index, alive, done, steps, best)):
                    return None
            history = trainer.finish()
        except DivergenceError as error:
            history = error.history
    network = trainer.network
    seconds = (time.perf_counter() - started) / R
    rows = [_row(history, trainer.monitor, r) | {"seconds": seconds} for r in range(R)]
    to_host = network.backend.to_host
    return Outcome(
        tuple(member.index for member in members),
        tuple(rows),
        np.array(to_host(network.theta)),
        np.array(to_host(network.state)),
        {name: np.array([record[name] for record in history.records]) for name in PER_REPLICA},
    )


def run_chunk_elsewhere(program: Program, members: Sequence[Member], wire: Any = None) -> Outcome | None:
    """`run_chunk` in a worker of any kind; signs of life go by `wire`, see `wire.Wire`."""
    with nullcontext() if wire is None else wire.sender() as pulse:
        return run_chunk(program, members, pulse)


def sign(monitor: str) -> float:
    """+1 where more is better, -1 where less is."""
    return 1.0 if monitor.endswith(MORE_IS_BETTER) else -1.0


def _best(history: History, monitor: str) -> float:
    """The best monitored figure so far, over all members."""
    values = history.at_best(monitor)
    known = values[np.isfinite(values)]
    return float(sign(monitor) * (sign(monitor) * known).max()) if len(known) else float("nan")


def _row(history: History, monitor: str, r: int) -> dict[str, Any]:
    """The table's figures of one member."""
    best = int(history.best_epoch[r])
    last = sum(bool(np.isfinite(record["lr"][r])) for record in history.records)
    at_best = {name: float(history.records[best - 1][name][r]) if best else float("nan") for name in FIGURES}
    status = history.status[r]
    score = float("nan") if status == "diverged" or not best else float(history.records[best - 1][monitor][r])
    return {"status": status, "last_epoch": last, "best_epoch": best, "score": score} | at_best
