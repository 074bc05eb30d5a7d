"""Softmax and binary cross-entropy."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from ...backends.arrays import Array, ArrayLike
from ...errors import ConfigError
from ...replicas import PerReplica, numbers, replica_values, select_values
from ..activations import softplus
from .base import Loss

if TYPE_CHECKING:
    from ..network import Network


class SoftmaxCrossEntropy(Loss):
    """-sum_c t_c log p_c with p = softmax(logits), by log-sum-exp; its gradient is p - t.

    Parameters
    ----------
    class_weight
        See `Loss`.
    label_smoothing
        e in [0, 1), a number or one per replica: t = (1 - e) onehot(label) + e / C (Szegedy et al. 2016).

    Raises
    ------
    ConfigError
        `class_weight` or `label_smoothing` out of range.

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([xbnet.Linear(4, initializer="zeros")], n_inputs=2)  # knows nothing of four classes
    >>> xbnet.evaluate(network, SoftmaxCrossEntropy(), [[1.0, 2.0]], [3])["loss"].round(4)  # log 4
    array([1.3863])
    """

    name = "cross_entropy"
    links = {"classification": "softmax"}  # noqa: RUF012
    replayable = True
    kernel = "softmax_cross_entropy"

    def __init__(self, *, class_weight: ArrayLike | None = None, label_smoothing: PerReplica = 0.0):
        super().__init__(class_weight=class_weight)
        smoothing = numbers(f"{self.name}.label_smoothing", label_smoothing)
        if not np.all((smoothing >= 0) & (smoothing < 1)):
            raise ConfigError(f"{self.name}: expected label_smoothing in [0, 1), got {label_smoothing!r}")
        self.label_smoothing = label_smoothing
        self.smooths = bool(np.any(smoothing > 0))

    def _prepare(self, network: Network) -> None:
        smoothing = replica_values(f"{self.name}.label_smoothing", self.label_smoothing, self.replicas)
        self.keep = network.per_replica(self.name, 1 - smoothing)[:, :, None]
        self.floor = network.per_replica(self.name, smoothing / self.n_outputs)[:, :, None]

    def select(self, index: np.ndarray) -> SoftmaxCrossEntropy:
        twin = copy.copy(self)
        twin.label_smoothing = select_values(self.label_smoothing, index)
        return twin

    def _evaluate(self, logits: Array, labels: Array, dlogits: Array | None) -> None:
        xp, ops = self.xp, self.ops
        ops.row_max(logits, self.m, self.predicted, self._index)
        below = xp.subtract(logits, self.m, out=self.e)
        z = xp.maximum(below, self._lowest, out=self.work0)  # 0 times -infinity would not be 0
        xp.exp(z, out=self.e)
        ops.row_sum(self.e, self.s)
        targets = self._target_rows(labels)
        if self.smooths:
            targets = xp.multiply(targets, self.keep, out=self.targets)
            xp.add(targets, self.floor, out=targets)
        if dlogits is not None:
            xp.divide(self.e, self.s, out=dlogits)
            xp.subtract(dlogits, targets, out=dlogits)
        xp.multiply(z, targets, out=z)
        ops.row_sum(z, self.picked)
        xp.log(self.s, out=self.m)
        xp.subtract(self.m, self.picked, out=self.values_column)
        self._count_hits(labels)

    def config(self) -> dict[str, Any]:
        smoothing = np.asarray(self.label_smoothing).tolist()
        return super().config() | ({"label_smoothing": smoothing} if self.smooths else {})


class BinaryCrossEntropy(Loss):
    """Mean over classes of -t log p - (1 - t) log(1 - p) with p = sigmoid(logit): softplus(z) - t z.

    Each class is a yes-or-no question of its own. Integer labels mean one-hot targets; targets (R or 1, B, C) of
    0 and 1 may say yes to several classes. The gradient is (p - t) / C.

    Parameters
    ----------
    class_weight
        See `Loss`.

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([xbnet.Linear(3, initializer="zeros")], n_inputs=2)
    >>> found = xbnet.evaluate(network, BinaryCrossEntropy(), [[1.0, 2.0]], [[1, 0, 1]])  # two classes of three
    >>> found["loss"].round(4)  # log 2
    array([0.6931])
    """

    name = "binary_cross_entropy"
    links = {"classification": "sigmoid", "multilabel": "multilabel"}  # noqa: RUF012
    replayable = True

    def _evaluate(self, logits: Array, labels: Array, dlogits: Array | None) -> None:
        xp, ops, z = self.xp, self.ops, logits
        targets = self._target_rows(labels)
        softplus(xp, z, self.e, (self.work0,))
        if dlogits is not None:
            xp.subtract(z, self.e, out=dlogits)  # log p
            xp.exp(dlogits, out=dlogits)
            xp.subtract(dlogits, targets, out=dlogits)
            xp.multiply(dlogits, 1 / self.n_outputs, out=dlogits)
        xp.multiply(z, targets, out=self.work0)
        xp.subtract(self.e, self.work0, out=self.e)
        ops.row_sum(self.e, self.s)
        xp.multiply(self.s, 1 / self.n_outputs, out=self.values_column)
        if self.task == "multilabel":
            self._count_decisions(z, targets)
        else:
            ops.row_max(z, self.m, self.predicted, self._index)
            self._count_hits(labels)

    def _count_decisions(self, z: Array, targets: Array) -> None:
        """The share of classes with p >= 1/2 just where t = 1."""
        xp, decisions = self.xp, self._decisions(z)
        xp.greater_equal(z, 0.0, out=decisions)
        xp.copyto(self.work0, decisions)
        xp.equal(self.work0, targets, out=decisions)
        xp.copyto(self.work0, decisions)
        self.ops.row_sum(self.work0, self.s)
        xp.multiply(self.s.reshape(self._hits.shape), 1 / self.n_outputs, out=self._hits)

    def _decisions(self, z: Array) -> Array:
        return self._flags.carve({"decisions": ("decisions", z.shape[1:])})["decisions"]
