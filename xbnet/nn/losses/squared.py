"""Squared error."""

from __future__ import annotations

import numpy as np

from ...backends.arrays import Array
from .base import Loss


class MeanSquaredError(Loss):
    """Mean over outputs of (y - t)^2; its gradient is 2 (y - t) / O. Integer labels mean one-hot targets.

    Parameters
    ----------
    class_weight
        See `Loss`.

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([xbnet.Linear(1, initializer="ones")], n_inputs=2)
    >>> xbnet.evaluate(network, MeanSquaredError(), [[1.0, 2.0]], [5.0])["loss"]
    array([4.])
    """

    name = "mse"
    links = {"regression": "identity", "classification": "scores"}  # noqa: RUF012
    replayable = True

    def spread(self, targets: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
        """The variance of the targets, a mean over outputs."""
        targets = np.asarray(targets, float)
        mean = np.average(targets, axis=0, weights=sample_weight)
        return float(np.average(np.square(targets - mean), axis=0, weights=sample_weight).mean())

    def _evaluate(self, logits: Array, labels: Array, dlogits: Array | None) -> None:
        xp, ops = self.xp, self.ops
        difference = xp.subtract(logits, self._target_rows(labels), out=self.e)
        if dlogits is not None:
            xp.multiply(difference, 2 / self.n_outputs, out=dlogits)
        xp.multiply(difference, difference, out=self.work0)
        ops.row_sum(self.work0, self.s)
        xp.multiply(self.s, 1 / self.n_outputs, out=self.values_column)
        if self.task == "classification":
            ops.row_max(logits, self.m, self.predicted, self._index)
            self._count_hits(labels)
