"""A second implementation of the losses, in float64: values, gradients by the outputs, and their mean."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...nn.losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from ...nn.network import Network
from ...replicas import replica_values


class Told(NamedTuple):
    """The reference's result for a batch.

    Attributes
    ----------
    values, weights
        (R, B) the loss of each sample, and how much it counts; (R, B k) of k members' answers.
    gradient
        (R, B, C) or (R, B, k C), of the weighted mean by the outputs.
    size
        As the gradient, of the numbers whose difference the gradient is: rounding is relative to them.
    """

    values: np.ndarray
    weights: np.ndarray
    gradient: np.ndarray
    size: np.ndarray


class Cost:
    """The mean of a loss over a batch, sum_b w_b loss_b / sum_b w_b, and its gradient by the outputs.

    Parameters
    ----------
    loss
        A loss of the library, implemented again here; any other is trusted (`gradient_test` proves it).
    task
        "classification", "multilabel" or "regression".
    network
        With R replicas, in float64.
    """

    def __init__(self, loss: Loss, task: str, network: Network):
        self.loss, self.task, self.replicas, self.C = loss, task, network.replicas, network.n_outputs
        known = type(loss) in (SoftmaxCrossEntropy, BinaryCrossEntropy, MeanSquaredError)
        self.own = None if known else loss.bind(network, task)

    def __call__(self, outputs: np.ndarray, y: np.ndarray, w: np.ndarray | None) -> Told:
        """Evaluate outputs (R, B, C) for labels (R, B) or targets (R, B, C), and weights (R, B) of the samples.

        Outputs (R, B, k C) are k members' answers to each sample: B k samples with the labels and weights of theirs.
        """
        gradient = np.empty_like(outputs)
        values = None if self.own is None else np.array(self.own(outputs, y, gradient, w))
        k = outputs.shape[2] // self.C
        answers, y = outputs.reshape(len(outputs), -1, self.C), np.repeat(y, k, axis=1)
        weights = np.ones(answers.shape[:2]) if w is None else np.repeat(w, k, axis=1)
        if self.loss.class_weight is not None:
            weights = weights * np.asarray(self.loss.class_weight)[y]
        if values is not None:
            return Told(values, weights, gradient, np.abs(gradient))
        values, slopes, size = self._each(answers, np.eye(self.C)[y] if y.ndim == 2 else y)
        total = weights.sum(axis=1, keepdims=True)
        share = np.where(total > 0, weights / np.where(total > 0, total, 1.0), 0.0)[:, :, None]
        return Told(values, weights, *((part * share).reshape(outputs.shape) for part in (slopes, size)))

    def _each(self, z: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values (R, B), gradients and sizes (R, B, C) of single samples."""
        if isinstance(self.loss, SoftmaxCrossEntropy):
            e = replica_values("label_smoothing", self.loss.label_smoothing, self.replicas)[:, None, None]
            t = (1 - e) * t + e / self.C  # Szegedy et al. 2016, section 7
            shifted = z - z.max(axis=2, keepdims=True)
            log_p = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
            p = np.exp(log_p)
            return -(t * log_p).sum(axis=2), p - t, p + t
        if isinstance(self.loss, BinaryCrossEntropy):
            log_p, log_q = -np.logaddexp(0.0, -z), -np.logaddexp(0.0, z)  # of yes, and of no
            p = np.exp(log_p)
            return -(t * log_p + (1 - t) * log_q).mean(axis=2), (p - t) / self.C, (p + t) / self.C
        return ((z - t) ** 2).mean(axis=2), 2 * (z - t) / self.C, 2 * (abs(z) + abs(t)) / self.C
