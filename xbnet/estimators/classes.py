"""A classifier's targets: what kinds there are, as the loss takes them, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from ..errors import ConfigError
from ..nn.losses import Loss, SoftmaxCrossEntropy, get_loss
from .rules import SummedBinaryCrossEntropy
from .validation import weighted_mean


class Classes:
    """The part of `XBClassifier` that knows its classes."""

    loss: Any
    dtype: Any
    class_weight: Any

    def _learn_targets(self, y: np.ndarray) -> None:
        check_classification_targets(y)
        kind = "one label per row" if y.ndim == 1 else type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ConfigError("XBClassifier: expected y (N,) or (N, C) of 0 and 1, got several multi-class targets")
        if kind == "multilabel-indicator":
            self.classes_, self._flags = np.arange(y.shape[1]), True
            self._task, self.n_outputs_ = "multilabel", y.shape[1]
            return
        self.classes_, self._flags = np.unique(y), False  # one label per row, not a flag per class
        C = len(self.classes_)
        if self.loss == "auto" and C <= 2:  # one yes-or-no output
            self._task, self.n_outputs_ = "multilabel", 1
        else:
            self._task, self.n_outputs_ = "classification", C

    def _encode(self, y: np.ndarray) -> np.ndarray:
        if y.ndim == 2:
            if y.shape[1] != self.n_outputs_ or self._task != "multilabel":
                raise ConfigError(f"XBClassifier: expected y with the {len(self.classes_)} classes of the first fit")
            return np.asarray(y, self.dtype)
        labels = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1)
        unknown = self.classes_[labels] != y
        if unknown.any():
            names = np.unique(y[unknown]).tolist()[:5]
            raise ConfigError(f"XBClassifier: `y` has classes not in `self.classes_`: {names}")
        if self._task == "multilabel":
            return labels[:, None].astype(self.dtype)
        return labels

    def _weigh(self, y: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        if self.class_weight is None:
            return sample_weight
        weights = compute_sample_weight(self.class_weight, y)
        return weights if sample_weight is None else weights * sample_weight

    def _loss(self) -> Loss:
        if self.loss != "auto":
            return get_loss(self.loss)
        return SoftmaxCrossEntropy() if self._task == "classification" else SummedBinaryCrossEntropy()

    def _predictions(self, decisions: np.ndarray) -> np.ndarray:
        if self._task == "multilabel":
            if self._flags:
                return decisions
            decisions = np.minimum(decisions[:, 0], len(self.classes_) - 1)
        return self.classes_[decisions]

    def _score_of(self, y: np.ndarray, predicted: np.ndarray, w: np.ndarray | None) -> float:
        hits = predicted == y
        return weighted_mean(hits if hits.ndim == 1 else hits.all(axis=1), w)
