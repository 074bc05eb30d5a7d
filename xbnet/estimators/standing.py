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
        The stack's: the replica goes on in another one, from the state that this one ended with.
    replica
        Which of its R.
    """

    trainer: Trainer
    replica: int

    @property
    def epochs(self) -> int:
        """Epochs that the stack has trained; a replica that has stopped may have had fewer."""
        return len(self.trainer.history)

    @property
    def can_go_on(self) -> bool:
        """Whether it has neither diverged nor lost its patience."""
        return self.replica in self.trainer.rows


def go_on(trainer: Trainer, standings: Sequence[Standing]) -> None:
    """Let the replicas of a fresh trainer go on from these, in their order; all have trained equally long."""
    stacks: dict[int, list[int]] = {}
    for r, standing in enumerate(standings):
        stacks.setdefault(id(standing.trainer), []).append(r)
    olds = [standings[members[0]].trainer for members in stacks.values()]
    rows = [np.array([standings[r].replica for r in members]) for members in stacks.values()]
    order = np.argsort([r for members in stacks.values() for r in members])
    states = [
        old.state(history=False).take(np.searchsorted(old.rows, own)) for old, own in zip(olds, rows, strict=True)
    ]
    trainer.restore(states[0].append(states[1:]).take(order))
    trainer.history = joined([old.history for old in olds], rows, order)
    trainer.history.execution = trainer.execution.name
    curves = zip(*map(_curve, olds), strict=True)
    _curve(trainer).extend(_gathered(epoch, rows, order) for epoch in curves)


def joined(histories: Sequence[History], rows: Sequence[np.ndarray], order: np.ndarray) -> History:
    """The history of the rows of each, all of as many epochs; seconds and samples per second are those of the first."""
    found = History(len(order))
    for epoch in zip(*(history.records for history in histories), strict=True):
        figures = {name: _gathered([record[name] for record in epoch], rows, order) for name in PER_REPLICA}
        found.records.append(epoch[0] | figures)
    found.best_epoch = _gathered([history.best_epoch for history in histories], rows, order)
    return found


def _gathered(arrays: Sequence[np.ndarray], rows: Sequence[np.ndarray], order: np.ndarray) -> np.ndarray:
    """The rows of each array, one after the other, and then in this order."""
    return np.concatenate([array[own] for array, own in zip(arrays, rows, strict=True)])[order]


def _curve(trainer: Trainer) -> list[np.ndarray]:
    """Scores (R,) of its validation after each epoch; of one without, it is empty."""
    return trainer.scorer.curve if isinstance(trainer.scorer, Validation) else []
