"""Losses: a value per example, and the gradient of their mean beside it.

A loss is bound to a network (`bind`), then called with a batch::

    values = loss(logits, labels, dlogits)

`values (R, B)` are the plain per-example losses. `dlogits (R, B, C)` is overwritten by the gradient of the weighted
mean ``sum_b w_b values_b / sum_b w_b`` of each replica (all w_b = 1: divided by B, never by R).

Labels are integers (R or 1, B), or targets (R or 1, B, C) of the network's dtype.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from .activations import softplus
from .errors import ConfigError, expect_shape, unknown_name
from .replicas import replica_values, select_values
from .workspace import Workspace


class Loss:
    """What all losses share: targets from labels, weights, and the sums that become an epoch's figures.

    Parameters
    ----------
    class_weight
        (C,) weights >= 0: an example counts as much as its class says. Needs integer labels.
    """

    name = ""
    links: dict[str, str]
    """Task -> the network's link, see `links.LINKS`."""
    _batch = -1

    # Set by `bind`:
    task: str
    link: str
    xp: Any
    linalg: Any
    replicas: int
    n_outputs: int
    _floats: Workspace
    _integers: Workspace
    _flags: Workspace
    _eye: Any
    _class_weight: Any

    if TYPE_CHECKING:  # arrays are set by `_use`

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, *, class_weight: Any = None):
        self.class_weight = None if class_weight is None else np.asarray(class_weight, dtype=float)
        if self.class_weight is not None and (self.class_weight.ndim != 1 or not np.all(self.class_weight >= 0)):
            raise ConfigError(f"{self.name}: expected class_weight (C,) with values >= 0, got {class_weight!r}")

    def bind(self, network: Any, task: str = "classification") -> Any:
        """A copy that serves this network (its backend, dtype, R and C) for one task.

        Raises
        ------
        ConfigError
            The loss can't serve the task, or class_weight has not C entries.
        """
        if task not in self.links:
            raise ConfigError(f"{self.name}: can't be used for {task}; it serves {', '.join(self.links)}")
        bound = copy.copy(self)
        bound.task, bound.link = task, self.links[task]
        bound.xp, bound.linalg = network.backend.xp, network.backend.linalg
        bound.replicas, bound.n_outputs = network.replicas, network.n_outputs
        bound._floats = Workspace(bound.xp, network.dtype, bound.replicas)
        bound._integers = Workspace(bound.xp, np.dtype(np.intp), bound.replicas)
        bound._flags = Workspace(bound.xp, np.dtype(bool), bound.replicas)
        bound._eye = network.backend.asarray(np.eye(bound.n_outputs), network.dtype)
        bound._class_weight = None
        if self.class_weight is not None:
            expect_shape(self.name, "class_weight", self.class_weight, C=bound.n_outputs)
            bound._class_weight = network.backend.asarray(self.class_weight, network.dtype)
        bound._batch = -1
        bound._prepare(network)
        return bound

    def select(self, index: np.ndarray) -> Loss:
        """A copy for the replicas `index`, to be bound anew; overridden where a setting is one value per replica."""
        return copy.copy(self)

    def _prepare(self, network: Any) -> None:
        """Put the loss's own settings on the device."""

    def _use(self, B: int) -> None:
        """Arrays for batches of B rows."""
        if not hasattr(self, "replicas"):
            raise ConfigError(f"{self.name}: expected a loss that is bound to a network; call loss.bind(network) first")
        R, C = self.replicas, self.n_outputs
        rows, column = (B, C), (B, 1)
        floats = {"targets": rows, "e": rows, "work0": rows, "work1": rows, "m": column, "s": column, "picked": column}
        for name, array in self._floats.carve({n: (n, s) for n, s in floats.items()}).items():
            setattr(self, name, array)
        self.weights = self._floats.carve({"weights": ("weights", column), "fractions": ("fractions", column)})
        self.predicted, self._index = self._integers.carve({n: (n, (B,)) for n in ("predicted", "index")}).values()
        self._match = self._flags.carve({"match": ("match", (B,))})["match"]
        # Three rows per replica: values, hits, ones; so one product with the weights sums all three.
        self.report = self._floats.carve({"report": ("report", (3, B))})["report"]
        self.values, self._hits = self.report[:, 0], self.report[:, 1]
        self.values_column = self.values.reshape(R, B, 1)
        self._hits.fill(float("nan"))
        self.report[:, 2].fill(1.0)
        self._ones = self.xp.ones((1, B, 1), dtype=self.report.dtype)
        self._batch = B

    def __call__(self, logits: Any, labels: Any, dlogits: Any = None, sample_weight: Any = None) -> Any:
        """Values (R, B) of a batch; see the module's text.

        Parameters
        ----------
        logits
            (R, B, C).
        labels
            (R or 1, B) integers in [0, C), or (R or 1, B, C) targets.
        dlogits
            (R, B, C), overwritten; None: not wanted.
        sample_weight
            (R or 1, B), >= 0.
        """
        if logits.shape[1] != self._batch:
            self._use(logits.shape[1])
        self._weigh(labels, sample_weight)
        self._evaluate(logits, labels, dlogits)
        if dlogits is not None:
            self._scale(dlogits)
        return self.values

    def _evaluate(self, logits: Any, labels: Any, dlogits: Any) -> None:
        """Write `values`, hits and the per-example gradient."""
        raise NotImplementedError(f"{type(self).__name__}._evaluate")

    def _weigh(self, labels: Any, sample_weight: Any) -> None:
        """The batch's weights: ones, or sample_weight times the classes' weights."""
        self.weighted = sample_weight is not None or self._class_weight is not None
        if not self.weighted:
            self.w = self._ones
            return
        leading = labels.shape[0] if sample_weight is None else max(labels.shape[0], sample_weight.shape[0])
        self.w = self.weights["weights"][:leading]
        flat = self.w.reshape(leading, self._batch)
        if self._class_weight is None:
            self.xp.copyto(flat, sample_weight)
            return
        drawn = self.weights["fractions"][: labels.shape[0]].reshape(labels.shape[0], self._batch)
        self.linalg.gather(self._class_weight, labels, drawn)
        if sample_weight is None:
            self.xp.copyto(flat, drawn)
        else:
            self.xp.multiply(drawn, sample_weight, out=flat)

    def _scale(self, dlogits: Any) -> None:
        """From per-example gradients to the gradient of the weighted mean."""
        xp = self.xp
        if not self.weighted:
            xp.multiply(dlogits, 1 / self._batch, out=dlogits)
            return
        leading = self.w.shape[0]
        total, fractions = self.s[:leading, :1], self.weights["fractions"][:leading]
        self.linalg.batch_sum(self.w, total)
        xp.divide(self.w, total, out=fractions)
        xp.multiply(dlogits, fractions, out=dlogits)

    def sums(self, out: Any) -> Any:
        """Out (R, 3, 1) = sums over the last batch of w * value, w * hit, w.

        A hit is 1 where the most probable class is the label; for multi-label targets the share of classes that
        are decided right; NaN for regression.
        """
        return self.linalg.bmm(self.report, self.w, out)

    def _target_rows(self, labels: Any) -> Any:
        """Targets (R or 1, B, C) from integer labels."""
        if len(labels.shape) == 3:
            return labels
        return self.linalg.gather(self._eye, labels, self.targets[: labels.shape[0]])

    def _count_hits(self, labels: Any) -> None:
        """From `predicted` (R, B)."""
        self.xp.equal(self.predicted, labels, out=self._match)
        self.xp.copyto(self._hits, self._match)

    def config(self) -> dict[str, Any]:
        """The arguments that make this loss anew."""
        return {} if self.class_weight is None else {"class_weight": self.class_weight.tolist()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config().items())})"


class SoftmaxCrossEntropy(Loss):
    """-sum_c t_c log p_c with p = softmax(logits), by log-sum-exp; its gradient is p - t.

    Parameters
    ----------
    class_weight
        See `Loss`.
    label_smoothing
        e in [0, 1), a number or one per replica: t = (1 - e) onehot(label) + e / C (Szegedy et al. 2016).
    """

    name = "cross_entropy"
    links = {"classification": "softmax"}  # noqa: RUF012

    def __init__(self, *, class_weight: Any = None, label_smoothing: Any = 0.0):
        super().__init__(class_weight=class_weight)
        smoothing = np.asarray(label_smoothing, dtype=float)
        if not np.all((smoothing >= 0) & (smoothing < 1)):
            raise ConfigError(f"{self.name}: expected label_smoothing in [0, 1), got {label_smoothing!r}")
        self.label_smoothing = label_smoothing
        self._smooth = bool(np.any(smoothing > 0))

    def _prepare(self, network: Any) -> None:
        smoothing = replica_values(f"{self.name}.label_smoothing", self.label_smoothing, self.replicas)
        to_column = lambda v: network.per_replica(self.name, v)[:, :, None]  # noqa: E731
        self._keep, self._floor = to_column(1 - smoothing), to_column(smoothing / self.n_outputs)

    def select(self, index: np.ndarray) -> SoftmaxCrossEntropy:
        twin = copy.copy(self)
        twin.label_smoothing = select_values(self.label_smoothing, index)
        return twin

    def _evaluate(self, logits: Any, labels: Any, dlogits: Any) -> None:
        xp, linalg = self.xp, self.linalg
        linalg.row_max(logits, self.m, self.predicted, self._index)
        z = xp.subtract(logits, self.m, out=self.work0)
        xp.exp(z, out=self.e)
        linalg.row_sum(self.e, self.s)
        targets = self._target_rows(labels)
        if self._smooth:
            targets = xp.multiply(targets, self._keep, out=self.targets)
            xp.add(targets, self._floor, out=targets)
        if dlogits is not None:
            xp.divide(self.e, self.s, out=dlogits)
            xp.subtract(dlogits, targets, out=dlogits)
        xp.multiply(z, targets, out=z)
        linalg.row_sum(z, self.picked)
        xp.log(self.s, out=self.m)
        xp.subtract(self.m, self.picked, out=self.values_column)
        self._count_hits(labels)

    def config(self) -> dict[str, Any]:
        smoothing = np.asarray(self.label_smoothing).tolist()
        return super().config() | ({"label_smoothing": smoothing} if self._smooth else {})


class BinaryCrossEntropy(Loss):
    """Mean over classes of -t log p - (1 - t) log(1 - p) with p = sigmoid(logit): softplus(z) - t z.

    Each class is a yes-or-no question of its own. Integer labels mean one-hot targets; targets (R or 1, B, C) of
    0 and 1 may say yes to several classes. The gradient is (p - t) / C.
    """

    name = "binary_cross_entropy"
    links = {"classification": "sigmoid", "multilabel": "multilabel"}  # noqa: RUF012

    def _evaluate(self, logits: Any, labels: Any, dlogits: Any) -> None:
        xp, linalg, z = self.xp, self.linalg, logits
        targets = self._target_rows(labels)
        softplus(xp, z, self.e, (self.work0,))
        if dlogits is not None:
            xp.subtract(z, self.e, out=dlogits)  # log p
            xp.exp(dlogits, out=dlogits)
            xp.subtract(dlogits, targets, out=dlogits)
            xp.multiply(dlogits, 1 / self.n_outputs, out=dlogits)
        xp.multiply(z, targets, out=self.work0)
        xp.subtract(self.e, self.work0, out=self.e)
        linalg.row_sum(self.e, self.s)
        xp.multiply(self.s, 1 / self.n_outputs, out=self.values_column)
        if self.task == "multilabel":
            self._count_decisions(z, targets)
        else:
            linalg.row_max(z, self.m, self.predicted, self._index)
            self._count_hits(labels)

    def _count_decisions(self, z: Any, targets: Any) -> None:
        """The share of classes with p >= 1/2 just where t = 1."""
        xp, decisions = self.xp, self._decisions(z)
        xp.greater_equal(z, 0.0, out=decisions)
        xp.copyto(self.work0, decisions)
        xp.equal(self.work0, targets, out=decisions)
        xp.copyto(self.work0, decisions)
        self.linalg.row_sum(self.work0, self.s)
        xp.multiply(self.s.reshape(self._hits.shape), 1 / self.n_outputs, out=self._hits)

    def _decisions(self, z: Any) -> Any:
        return self._flags.carve({"decisions": ("decisions", z.shape[1:])})["decisions"]


class MeanSquaredError(Loss):
    """Mean over outputs of (y - t)^2; its gradient is 2 (y - t) / O. Integer labels mean one-hot targets."""

    name = "mse"
    links = {"regression": "identity", "classification": "scores"}  # noqa: RUF012

    def _evaluate(self, logits: Any, labels: Any, dlogits: Any) -> None:
        xp, linalg = self.xp, self.linalg
        difference = xp.subtract(logits, self._target_rows(labels), out=self.e)
        if dlogits is not None:
            xp.multiply(difference, 2 / self.n_outputs, out=dlogits)
        xp.multiply(difference, difference, out=self.work0)
        linalg.row_sum(self.work0, self.s)
        xp.multiply(self.s, 1 / self.n_outputs, out=self.values_column)
        if self.task == "classification":
            linalg.row_max(logits, self.m, self.predicted, self._index)
            self._count_hits(labels)


LOSSES: dict[str, type[Loss]] = {
    loss.name: loss for loss in (SoftmaxCrossEntropy, BinaryCrossEntropy, MeanSquaredError)
}


def get_loss(loss: str | Loss) -> Loss:
    """The loss of that name with its default settings; a `Loss` is returned as it is."""
    if isinstance(loss, Loss):
        return loss
    if loss not in LOSSES:
        raise unknown_name("loss", "loss", loss, LOSSES)
    return LOSSES[loss]()
