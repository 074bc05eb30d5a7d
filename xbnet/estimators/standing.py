"""Where the fits of a halving stand between two rungs, so that they go on in stacks of those that are left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..history import PER_REPLICA, History
from ..training.trainer import Trainer
from .validation import Validation


@dataclass(frozen=True, eq=False)
class Standing:
    """A replica of a stack that has trained to a rung.

    Attributes
    ----------
    trainer
        The stack's, which trains no further.
    replica
        Which of its R.
    """

    trainer: Trainer
    replica: int

    @property
    def epochs(self) -> int:
        """How many there were."""
        return len(self.trainer.history)

    @property
    def trains(self) -> bool:
        """Whether it has neither diverged nor lost its patience."""
        return self.replica in self.trainer.rows


def go_on(trainer: Trainer, standings: Sequence[Standing]) -> None:
    """Let the replicas of a fresh trainer go on from these, in their order; all have trained equally long."""
    stacks: dict[int, list[int]] = {}
    for r, standing in enumerate(standings):
        stacks.setdefault(id(standing.trainer), []).append(r)
    chosen = [np.array([standings[r].replica for r in members]) for members in stacks.values()]
    back = np.argsort([r for members in stacks.values() for r in members])
    olds = [standings[members[0]].trainer for members in stacks.values()]
    states = [
        old.state(history=False).take(np.searchsorted(old.rows, rows)) for old, rows in zip(olds, chosen, strict=True)
    ]
    trainer.restore(states[0].append(states[1:]).take(back))
    trainer.history = joined([old.history for old in olds], chosen, back)
    trainer.history.execution = trainer.execution.name
    curves = zip(*map(_curve, olds), strict=True)
    _curve(trainer).extend(_all(epoch, chosen, back) for epoch in curves)


def _curve(trainer: Trainer) -> list[np.ndarray]:
    """Scores (R,) of its validation after each epoch; of one without, it is empty."""
    return trainer.scorer.curve if isinstance(trainer.scorer, Validation) else []


def _all(arrays: Sequence[np.ndarray], rows: Sequence[np.ndarray], back: np.ndarray) -> np.ndarray:
    """The rows of each array, in the order `back`."""
    return np.concatenate([array[which] for array, which in zip(arrays, rows, strict=True)])[back]


def joined(histories: Sequence[History], rows: Sequence[np.ndarray], back: np.ndarray) -> History:
    """That of the rows of each, all of as many epochs, in the order `back`."""
    found = History(len(back))
    for epoch in zip(*(history.records for history in histories), strict=True):
        figures = {name: _all([record[name] for record in epoch], rows, back) for name in PER_REPLICA}
        found.records.append(epoch[0] | figures)
    found.best_epoch = _all([history.best_epoch for history in histories], rows, back)
    return found
