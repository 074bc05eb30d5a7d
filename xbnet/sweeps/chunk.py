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
from ..history import MORE_IS_BETTER, PER_REPLICA
from .build import Program, make_trainer
from .paused import Curves, Paused, pause
from .plan import Member

FIGURES = ("train_loss", "train_accuracy", "train_r2", "val_loss", "val_accuracy", "val_r2")
"""Figures of the table: each at the member's best epoch."""

OUTCOME = ("status", "last_epoch", "best_epoch", "score", *FIGURES, "seconds")
"""Columns of the table that training fills."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of training some members, on the host; row r belongs to ``members[r]``.

    Attributes
    ----------
    members
        Indices of those whose training is over.
    rows
        Per member: status, last_epoch, best_epoch, score, figures, seconds.
    theta, state
        (R, P) and (R, S): the weights and statistics that each member ends with.
    curves
        Figure -> (E, R), NaN after a member has left.
    paused
        The chunk's members with epochs left, or None.
    """

    members: tuple[int, ...]
    rows: tuple[dict[str, Any], ...]
    theta: np.ndarray
    state: np.ndarray
    curves: Curves
    paused: Paused | None = None


@dataclass(frozen=True)
class Pulse:
    """A sign of life from a chunk after each epoch.

    Attributes
    ----------
    chunk, since
        Index of its first member, and the number of epochs it had trained when the chunk began.
    alive
        Members still training.
    done
        Epochs that its members have trained or skipped, in all.
    steps
        Steps of all its members so far.
    best
        The best score so far.
    """

    chunk: int
    since: int
    alive: int
    done: int
    steps: int
    best: float


def run_chunk(
    program: Program,
    members: Sequence[Member],
    pulse: Callable[[Pulse], bool] | None = None,
    epochs: int | None = None,
    paused: Paused | None = None,
) -> Outcome | None:
    """Train a stack of members, with BLAS held to one thread.

    Parameters
    ----------
    program
        Settings that all chunks share.
    members
        Members of one bucket.
    pulse
        Called after each epoch; a false answer gives the chunk up.
    epochs
        How many to train; None: to the end. No member goes beyond its own last epoch.
    paused
        Where those members are that have trained before.

    Returns
    -------
    Outcome
        None for a chunk that was given up.
    """
    started = time.perf_counter()
    R, steps, best = len(members), 0, np.inf
    indices = [member.index for member in members]
    with one_blas_thread():
        trainer = make_trainer(program, members, paused)
        since, left = int(trainer.ages[0]), trainer.recipe.epochs - int(trainer.ages.max())
        most = left if epochs is None else min(epochs, left)
        try:
            for epoch in range(1, most + 1):
                steps += trainer.batches.steps * len(trainer.rows)
                trainer.run_epoch()
                alive = len(trainer.rows)
                best = min(best, trainer.stopping.best.min(initial=np.inf))
                done = epoch * alive + most * (R - alive)
                shown = trainer.stopping.sign * best if np.isfinite(best) else float("nan")
                if pulse is not None and not pulse(Pulse(indices[0], since, alive, done, steps, shown)):
                    return None
                if not alive:
                    break
        except DivergenceError:
            pass  # of the last of them: their statuses say so
        seconds = np.full(R, (time.perf_counter() - started) / R)
        curves = {name: np.array([record[name] for record in trainer.history.records]) for name in PER_REPLICA}
        if paused is not None:
            curves, seconds = _continued(curves, seconds, indices, paused)
        waiting = pause(trainer, indices, curves, seconds)
        trainer.finish()
    network, over = trainer.network, [r for r in range(R) if waiting is None or indices[r] not in waiting.members]
    to_host, history = network.backend.to_host, trainer.history
    return Outcome(
        tuple(indices[r] for r in over),
        tuple(
            table_figures(history.status[r], _of(curves, r), int(history.best_epoch[r]), trainer.monitor, seconds[r])
            for r in over
        ),
        np.array(to_host(network.theta))[over],
        np.array(to_host(network.state))[over],
        {name: curve[:, over] for name, curve in curves.items()},
        waiting,
    )


def _continued(
    curves: Curves, seconds: np.ndarray, indices: Sequence[int], paused: Paused
) -> tuple[Curves, np.ndarray]:
    """Curves and seconds, appended to those of the paused members' earlier epochs."""
    place = {index: r for r, index in enumerate(indices)}
    ages, E = np.zeros(len(indices), int), len(curves["lr"])
    before = [place[index] for index in paused.members]
    ages[before] = paused.ages
    whole = {name: np.full((ages.max() + E, len(indices)), np.nan) for name in curves}
    for name, curve in whole.items():
        curve[: len(paused.curves[name]), before] = paused.curves[name]
        for r, age in enumerate(ages):
            curve[age : age + E, r] = curves[name][:, r]
    seconds = seconds.copy()
    seconds[before] += paused.seconds
    return whole, seconds


def run_chunk_elsewhere(
    program: Program,
    members: Sequence[Member],
    wire: Any = None,
    epochs: int | None = None,
    paused: Paused | None = None,
) -> Outcome | None:
    """`run_chunk` in a worker of any kind; signs of life go by `wire`, see `wire.Wire`."""
    with nullcontext() if wire is None else wire.sender() as pulse:
        return run_chunk(program, members, pulse, epochs, paused)


def sign(monitor: str) -> float:
    """+1 where more is better, -1 where less is."""
    return 1.0 if monitor.endswith(MORE_IS_BETTER) else -1.0


def pruned(paused: Paused, monitor: str) -> Outcome:
    """Return the outcome of members that are trained no more, though they have epochs left."""
    rows = [
        table_figures("pruned", _of(paused.curves, r), int(paused.best_epoch[r]), monitor, paused.seconds[r])
        for r in range(len(paused.members))
    ]
    return Outcome(paused.members, tuple(rows), *paused.state.kept, paused.curves)


def _of(curves: Curves, r: int) -> dict[str, np.ndarray]:
    """Those of one member, (E,)."""
    return {name: curve[:, r] for name, curve in curves.items()}


def table_figures(
    status: str, curves: dict[str, np.ndarray], best: int, monitor: str, seconds: float
) -> dict[str, Any]:
    """The table's figures of one member, by its curves (E,) and its best epoch."""
    at_best = {name: float(curves[name][best - 1]) if best else float("nan") for name in (*FIGURES, monitor)}
    score = float("nan") if status == "diverged" else at_best[monitor]
    last = int(np.isfinite(curves["lr"]).sum())
    counts = {"status": status, "last_epoch": last, "best_epoch": best, "score": score}
    return counts | {name: at_best[name] for name in FIGURES} | {"seconds": float(seconds)}
