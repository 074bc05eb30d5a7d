"""Scores on the validation part after an epoch, as by `score`: of each member, and of all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import _check_sample_weight, _num_samples

from ..backends.arrays import ArrayLike, Rows
from ..errors import ConfigError
from ..nn.outputs import LINKS

if TYPE_CHECKING:
    from .base import XBEstimator


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
        After each epoch every member's score (R,); NaN for those that have left, and where only `together` counts.
    kept
        The trainer's `Kept`, for `together`; whoever makes the trainer hands it in.
    together
        The score of the members as one: those that still train as they are, those that have left with the weights that
        they keep.
    """

    def __init__(self, estimators: Sequence[Any], y: Sequence[Any], w: Sequence[Any], X: Rows | None = None):
        self.estimators, self.y, self.w, self.X = estimators, y, w, X
        self.link, self.decide_together, self.decide = LINKS[estimators[0]._loss().links[estimators[0]._task]]
        self.together = np.nan
        watched = bool(estimators[0].early_stopping) and estimators[0].early_stopping != "loss"
        self.each = X is None or len(y) == 1 or watched  # else nobody asks for the score of each member
        self.curve: list[np.ndarray] = []
        self.kept: Any = None
        self._values: Any = None
        self._training = np.arange(len(y))

    def __call__(self, outputs: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The scores (R',) of the members `rows` by their outputs (R', N, O); NaN where these are not finite."""
        scores = np.full(len(rows), np.nan)
        for i, r in enumerate(rows if self.each else ()):
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
        e, mean = self.estimators[0], self._values.mean(axis=0)
        return float(e._score_of(self.y[0], e._predictions(self.decide_together(mean)), self.w[0]))


def counted_rows(weight: ArrayLike | None, y: ArrayLike) -> np.ndarray | None:
    """The rows (n,) of weight > 0 that a schema is learned from; None: all. Weights < 0 or NaN are a ValueError."""
    if weight is None or np.asarray(weight).shape != (_num_samples(y),):
        return None  # the same for all, or refused where X is checked
    return np.flatnonzero(_check_sample_weight(weight, y, dtype=np.float64, ensure_non_negative=True))


def split_off(e: XBEstimator, X: Rows, y: np.ndarray, w: np.ndarray | None) -> tuple[Any, Any, Any, Any]:
    """X, y, weights and a validation part of an estimator, as scikit-learn splits it off; the same when it goes on."""
    stream = e._random_state
    if e._split_state is None:
        e._split_state = stream.get_state()
    else:
        stream = np.random.RandomState()
        stream.set_state(e._split_state)
    arrays = (X, y) if w is None else (X, y, w)
    stratify = y if e._task == "multilabel" and y.ndim == 1 else None  # two classes only, as scikit-learn does
    parts = train_test_split(*arrays, random_state=stream, test_size=e.validation_fraction, stratify=stratify)
    train, val = parts[::2], parts[1::2]
    if val[0].shape[0] < 2:
        raise ConfigError(
            f"{type(e).__name__}: the validation set is too small; raise validation_fraction or give X_val"
        )
    return (*train, None, (*val, None)) if w is None else (*train, val)


def weighted_mean(values: np.ndarray, w: np.ndarray | None) -> float:
    """Return the mean of (N,), with weights (N,) or without."""
    return float(np.average(values, weights=w))


def _average(values: np.ndarray, w: np.ndarray | None) -> np.ndarray:
    """Means of columns as `numpy.average` has them, in a third of its time where all weigh the same."""
    return np.add.reduce(values) / len(values) if w is None else np.average(values, axis=0, weights=w)


def r_squared(y: np.ndarray, predicted: np.ndarray, w: np.ndarray | None) -> float:
    """R^2 of (N,) or (N, O), the plain mean over outputs; 1 or 0 for an output whose targets are all the same."""
    y, predicted = (np.asarray(a, float).reshape(len(y), -1) for a in (y, predicted))
    error, off = y - predicted, y - _average(y, w)
    residual, spread = _average(error * error, w), _average(off * off, w)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.where(spread > 0, 1 - residual / spread, np.where(residual > 0, 0.0, 1.0))
    return float(scores.mean())
