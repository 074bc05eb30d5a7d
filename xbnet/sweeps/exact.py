"""The contract of stacks: a member equals the same network trained alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..backends.backend import get_backend
from ..errors import ConfigError
from .chunk import Outcome, pruned, run_chunk
from .result import SweepResult

TOLERANCE = 1e-3
"""Relative, on backends other than NumPy: their batched products may round otherwise than single ones."""


def assert_replica_equal(
    result: SweepResult, members: int | Sequence[int] | None = None, *, tolerance: float | None = None
) -> None:
    """Train members again, each alone, and compare weights, statistics, status, best epoch and learning curves.

    Parameters
    ----------
    result
        The result of a sweep, however it was stacked, cut and executed.
    members
        Indices; None: all of them.
    tolerance
        Relative. By default 0 on NumPy: equal bits, with BLAS on one thread as in the sweep. (0 and -0 count as
        equal. The figures of the epoch in which a network diverged are not compared: others in the stack may have a
        penalty, whose 0 times infinity makes NaN of its weights.) Elsewhere `TOLERANCE`. With a tolerance, status
        and best epoch are not compared.

    Raises
    ------
    AssertionError
        A member differs; the message names it and the difference.
    ConfigError
        There is no such member.

    Examples
    --------
    >>> import xbnet
    >>> result = xbnet.sweep({"lr": [0.1, 0.01]}, xbnet.load_dataset("gmm"), seeds=1, epochs=1, batch_size=1000)
    >>> assert_replica_equal(result, 1)
    """
    if not isinstance(result, SweepResult):
        raise ConfigError(f"assert_replica_equal: expected the result of a sweep, got {type(result).__name__}")
    if tolerance is None:
        tolerance = 0.0 if get_backend(result.program.backend).name == "numpy" else TOLERANCE
    indices = range(len(result)) if members is None else np.atleast_1d(members).tolist()
    for index in indices:
        outcome, r = result.place(index)
        alone = train_alone(result, index)
        for name, stacked, solo in _pairs(outcome, r, alone):
            _compare(f"member {index}: {name}", np.asarray(stacked), np.asarray(solo), tolerance)
        if not tolerance:
            for name in ("status", "last_epoch", "best_epoch"):
                stacked, solo = outcome.rows[r][name], alone.rows[0][name]
                assert stacked == solo, f"member {index}: {name} is {stacked} in the stack, {solo} alone"


def train_alone(result: SweepResult, index: int) -> Outcome:
    """Train a member alone; one that was pruned is trained no longer than it was."""
    outcome, r = result.place(index)
    was_pruned = outcome.rows[r]["status"] == "pruned"
    epochs = outcome.rows[r]["last_epoch"] if was_pruned else None
    alone = run_chunk(result.program, [result.members[index]], None, epochs)
    assert alone is not None
    return alone if alone.paused is None else pruned(alone.paused, result.monitor)


def _pairs(outcome: Outcome, r: int, alone: Outcome):
    """Name, array in the stack, array alone."""
    yield "weights", outcome.theta[r], alone.theta[0]
    yield "statistics", outcome.state[r], alone.state[0]
    row = alone.rows[0]
    epochs = row["last_epoch"] - (row["status"] == "diverged")
    for name, curve in alone.curves.items():
        yield name, outcome.curves[name][:epochs, r], curve[:epochs, 0]


def _compare(what: str, stacked: np.ndarray, solo: np.ndarray, tolerance: float) -> None:
    if not tolerance:
        different = np.flatnonzero((stacked != solo) & ~(np.isnan(stacked) & np.isnan(solo)))
        assert not len(different), (
            f"{what}: {len(different)} of {stacked.size} numbers differ between the stack and alone, the first "
            f"at {different[0]}: {stacked[different[0]]!r} and {solo[different[0]]!r}"
        )
        return
    scale = max(1.0, float(np.nanmax(np.abs(solo), initial=0.0)))
    gap = float(np.nanmax(np.abs(stacked - solo), initial=0.0)) / scale
    assert gap <= tolerance, f"{what}: differs by {gap:.2g} between the stack and alone, more than {tolerance:.2g}"
