"""Scores on the validation part after an epoch, as by `score`: of each member, and of all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backends.arrays import Rows
from ..nn.outputs import LINKS


class Validation:
    """Scores members by their outputs; a `Trainer` calls it after each epoch.

    Parameters
    ----------
    estimators
        Each member's: knows how outputs become predictions, and what a score is.
    y, w
        For each member, targets (N,) or (N, O) as the user gave them, and weights (N,) or None.
    X
        (N, I), which all members share: then `together` is kept up to date.

    Attributes
    ----------
    curve
        After each epoch every member's score (R,); NaN for those that have left.
    kept
        The trainer's `Kept`, for `together`; whoever makes the trainer hands it in.
    together
        The score of the members as one: those that still train as they are, those that have left with the weights that
        they keep.
    """

    def __init__(self, estimators: Sequence[Any], y: Sequence[Any], w: Sequence[Any], X: Rows | None = None):
        self.estimators, self.y, self.w, self.X = estimators, y, w, X
        self.link, _, self.decide = LINKS[estimators[0]._loss().links[estimators[0]._task]]
        self.together = np.nan
        self.curve: list[np.ndarray] = []
        self.kept: Any = None
        self._values: Any = None
        self._training = np.arange(len(y))

    def __call__(self, outputs: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The scores (R',) of the members `rows` by their outputs (R', N, O); NaN where these are not finite."""
        scores = np.full(len(rows), np.nan)
        for i, r in enumerate(rows):
            if np.isfinite(outputs[i]).all():
                e = self.estimators[r]
                scores[i] = e._score_of(self.y[r], e._predictions(self.decide(outputs[i])), self.w[r])
        self.curve.append(np.full(len(self.y), np.nan))
        self.curve[-1][rows] = scores
        if self.X is not None:
            self.together = float(scores[0]) if len(self.y) == 1 else self._score_together(outputs, rows)
        return scores

    def _score_together(self, outputs: np.ndarray, rows: np.ndarray) -> float:
        if self._values is None:
            self._values = np.zeros((len(self.y), *outputs.shape[1:]), outputs.dtype)
        for r in set(self._training.tolist()) - set(rows.tolist()):
            self._values[r] = self.kept.network_of(r).predict_proba(self.X)
        self._training, self._values[rows] = rows, self.link(outputs)
        return self.estimators[0]._score_members(self.y[0], self._values, self.w[0])


def weighted_mean(values: np.ndarray, w: np.ndarray | None) -> float:
    """Return the mean of (N,), with weights (N,) or without."""
    return float(np.average(values, weights=w))


def r_squared(y: np.ndarray, predicted: np.ndarray, w: np.ndarray | None) -> float:
    """R^2 of (N,) or (N, O), the plain mean over outputs; 1 or 0 for an output whose targets are all the same."""
    y, predicted = (np.asarray(a, float).reshape(len(y), -1) for a in (y, predicted))
    residual = np.average((y - predicted) ** 2, axis=0, weights=w)
    spread = np.average((y - np.average(y, axis=0, weights=w)) ** 2, axis=0, weights=w)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.where(spread > 0, 1 - residual / spread, np.where(residual > 0, 0.0, 1.0))
    return float(scores.mean())
