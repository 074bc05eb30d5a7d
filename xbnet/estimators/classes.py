"""A classifier's targets: what kinds there are, as the loss takes them, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from scipy.special import logsumexp
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

from ..backends.arrays import ArrayLike, Rows
from ..errors import ConfigError
from ..nn.losses import Loss, SoftmaxCrossEntropy, get_loss
from ..nn.network import Network
from ..nn.outputs import LINKS, LOGARITHMS
from .namespace import back_to
from .rules import SummedBinaryCrossEntropy
from .together import Place
from .validation import weighted_mean


class Classes:
    """The part of `XBClassifier` that knows its classes."""

    loss: Any
    dtype: Any
    class_weight: Any
    _network: Network | Place
    _run: Callable[..., np.ndarray]
    _now: Callable[[], Self]
    predict: Callable[..., np.ndarray]

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

    def score(self, X: Rows, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy on X (N, I) and y (N,); of multi-label targets (N, C) all of a row's have to be right."""
        fitted = "_network" in vars(self) and not self._flags
        if fitted and type(y) is np.ndarray and y.ndim == 1 and len(y) and sample_weight is None:
            predicted = self.predict(X) if y.dtype.kind == self.classes_.dtype.kind in "biuU" else None
            alike = type(predicted) is np.ndarray and predicted.shape == y.shape
            if alike and np.asarray(predicted).dtype.kind == y.dtype.kind:  # a tenth of the time of all checks
                return float(np.average(predicted == y))
        return super().score(X, y, sample_weight)  # type: ignore[misc]

    def _probabilities(self, X: Rows, table: dict[str, Any], method: str) -> np.ndarray:
        """Return the probabilities of every member (N, C) or (R, N, C), by the functions of logits in `table`."""
        check_is_fitted(self)
        if self._network.link not in LOGARITHMS:
            raise ConfigError("XBClassifier: a squared error gives scores, not probabilities; use a cross-entropy")
        finish = table[self._network.link]
        if self._flags or self.n_outputs_ > 1:
            return self._run(finish, X, method)
        if len(self.classes_) == 1:
            return self._run(lambda z: finish(np.full_like(z, np.inf)), X, method)
        # The logit of "no" is minus that of "yes": 1 - p would lose the digits of small probabilities.
        return self._run(lambda z: finish(np.concatenate([-z, z], axis=-1)), X, method)

    def predict_proba(self, X: Rows) -> np.ndarray:
        """Predict the probabilities (N, C) for X (N, I), or for a table; for multi-label targets each class's own."""
        p = self._now()._probabilities(X, {link: f[0] for link, f in LINKS.items()}, "predict_proba")
        return back_to(p.mean(axis=0) if p.ndim == 3 else p, X)

    def predict_log_proba(self, X: Rows) -> np.ndarray:
        """Logarithms of `predict_proba` for X (N, I), from the logits: finite where a probability underflows."""
        logs = self._now()._probabilities(X, LOGARITHMS, "predict_log_proba")
        return back_to(logsumexp(logs, axis=0) - np.log(logs.dtype.type(len(logs))) if logs.ndim == 3 else logs, X)
