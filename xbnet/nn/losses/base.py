"""The base class of losses: a value per example, and the gradient of their mean.

A loss is bound to a network (`bind`), then called with a batch::

    values = loss(logits, labels, dlogits)

`values (R, B)` are the plain per-example losses. `dlogits (R, B, C)` is overwritten by the gradient of the weighted
mean ``sum_b w_b values_b / sum_b w_b`` of each replica (all w_b = 1: divided by B, never by R).

Labels are integers (R or 1, B), or targets (R or 1, B, C) of the network's dtype.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ...backends.arrays import Array, ArrayLike
from ...errors import ConfigError, ShapeError, expect_shape
from ..buffers import Workspace
from ..class_weights import balanced_weights, checked_weights, expect_numbers
from .arrays import LossArrays

if TYPE_CHECKING:
    from ..network import Network


class Loss(LossArrays):
    """The base class of losses: targets from labels, weights, and the sums that become an epoch's figures.

    Parameters
    ----------
    class_weight
        (C,) weights >= 0: an example counts as much as its class says. Needs integer labels. "balanced": all classes
        count the same, by the labels that are trained on, see `balanced_weights`.

    Raises
    ------
    ConfigError
        `class_weight` is no list of numbers >= 0, or all of them are 0.

    Examples
    --------
    >>> Loss(class_weight=[1, 5])  # a mistake in class 1 counts five times; derived classes say what a mistake costs
    Loss(class_weight=[1.0, 5.0])
    """

    links: dict[str, str]
    """Task -> the network's link, see `outputs.LINKS`."""

    def __init__(self, *, class_weight: ArrayLike | None = None):
        self.class_weight: Any = None if class_weight is None else checked_weights(self.name, class_weight)

    def bind(self, network: Network, task: str = "classification") -> Self:
        """Make a copy that serves one network for one task.

        Parameters
        ----------
        network
            The network whose backend, dtype, R and C it gets.
        task
            "classification", "multilabel" or "regression".

        Returns
        -------
        Loss

        Raises
        ------
        ConfigError, ShapeError
            The loss can't serve the task, or class_weight is for another one or has not C entries.
        """
        link = self.link_for(task)
        if self.class_weight is not None and task != "classification":
            raise ConfigError(f"{self.name}: class_weight needs integer labels, got {task} targets; use sample_weight")
        expect_numbers(self.name, self.class_weight)
        bound = copy.copy(self)
        bound.task, bound.link = task, link
        bound.xp, bound.ops = network.backend.xp, network.backend.ops
        bound.replicas, bound.n_outputs = network.replicas, network.n_outputs
        bound.answers = network.layers[-1].answers
        bound._floats = Workspace(bound.xp, network.dtype, bound.replicas)
        bound._integers = Workspace(bound.xp, np.dtype(np.intp), bound.replicas)
        bound._flags = Workspace(bound.xp, np.dtype(bool), bound.replicas)
        bound._eye = network.backend.asarray(np.eye(bound.n_outputs), network.dtype)
        bound.tiny, bound._lowest = (float(getattr(np.finfo(network.dtype), name)) for name in ("tiny", "min"))
        bound.class_weights = None
        if self.class_weight is not None:
            expect_shape(self.name, "class_weight", self.class_weight, C=bound.n_outputs)
            weights = np.minimum(self.class_weight, np.finfo(network.dtype).max)
            bound.class_weights = network.backend.asarray(weights, network.dtype)
        bound._shape, bound._arrays = None, {}
        bound._prepare(network)
        return bound

    def balanced_by(self, labels: Any, n_classes: int) -> Any:
        """Compute the class weights "balanced" from labels.

        Parameters
        ----------
        labels
            (N,) integers.
        n_classes
            C.

        Returns
        -------
        Loss
            With numbers for the class weights "balanced"; any other loss is returned unchanged.
        """
        if not isinstance(self.class_weight, str) or np.ndim(labels) != 1:
            return self
        twin = copy.copy(self)
        twin.class_weight = balanced_weights(labels, n_classes)
        return twin

    def link_for(self, task: str) -> str:
        """Name the output function for a task.

        Parameters
        ----------
        task
            "classification", "multilabel" or "regression".

        Returns
        -------
        str
            See `outputs.LINKS`.

        Raises
        ------
        ConfigError
            The loss can't serve the task.
        """
        if task not in self.links:
            hint = "; targets of floats are a regression: take mse, or y.astype(int) where they are labels"
            raise ConfigError(
                f"{self.name}: can't be used for {task}; it serves {', '.join(self.links)}"
                + (hint if task == "regression" else "")
            )
        return self.links[task]

    def select(self, index: np.ndarray) -> Loss:
        """Copy the loss for index (replicas), to be bound again; overridden where a setting is a value per replica."""
        return copy.copy(self)

    def _prepare(self, network: Network) -> None:
        """Put the loss's own settings on the device."""

    def __call__(
        self,
        logits: Array,
        labels: Array,
        dlogits: Array | None = None,
        sample_weight: Array | None = None,
        *,
        sums: Array | None = None,
    ) -> Array:
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
        sums
            (R, 3, 1), overwritten by the batch's sums of w * value, w * hit and w, which `summed` is from then on;
            None: memory of its own. A hit is 1 where the most probable class is the label; for multi-label targets the
            share of classes that are decided right; NaN for regression.
        """
        if logits.shape != self._shape:
            self.use(logits)
        if labels.shape not in self._label_shapes:
            self._refuse("labels", labels, self._label_shapes)
        if sample_weight is not None and sample_weight.shape not in self._leading:
            self._refuse("sample_weight", sample_weight, self._leading)
        self.weighted = sample_weight is not None or self.class_weights is not None
        self.summed = self._sums if sums is None else sums
        if self._members is not None:
            logits, labels, dlogits, sample_weight = self._members.rows(self.xp, logits, labels, dlogits, sample_weight)
        self.ops.loss(self, logits, labels, dlogits, sample_weight, self.summed)
        return self.values

    def evaluate(
        self, logits: Array, labels: Array, dlogits: Array | None, sample_weight: Array | None, sums: Array
    ) -> None:
        """Write `values`, `sums` and the gradient of the weighted mean; a kernel may replace it.

        Parameters
        ----------
        logits, labels, dlogits, sample_weight
            As in a call.
        sums
            (R, 3, 1), overwritten, see `sums`.
        """
        self._weigh(labels, sample_weight)
        self._evaluate(logits, labels, dlogits)
        if dlogits is not None:
            self._scale(dlogits)
        self.ops.bmm(self.report, self.w, sums)

    def _refuse(self, name: str, array: Array, shapes: set[tuple[int, ...]]) -> None:
        wanted = " or ".join(map(str, sorted(shapes)))
        raise ShapeError(f"{self.name}: expected {name} {wanted} for {self.task}, got {tuple(array.shape)}")

    def _evaluate(self, logits: Array, labels: Array, dlogits: Array | None) -> None:
        """Write `values`, hits and the per-example gradient."""
        raise NotImplementedError(f"{type(self).__name__}._evaluate")

    def _weigh(self, labels: Array, sample_weight: Array | None) -> None:
        """The batch's weights: ones, or sample_weight times the classes' weights."""
        if not self.weighted:
            self.w = self._ones
            return
        leading = labels.shape[0] if sample_weight is None else max(labels.shape[0], sample_weight.shape[0])
        self.w = self.weights["weights"][:leading]
        flat = self.w.reshape(leading, self._batch)
        if self.class_weights is None:
            self.xp.copyto(flat, 1.0 if sample_weight is None else sample_weight)
        elif sample_weight is None:
            self.ops.gather(self.class_weights, labels, flat)
        else:
            drawn = self.weights["fractions"][: labels.shape[0]].reshape(labels.shape[0], self._batch)
            self.xp.multiply(self.ops.gather(self.class_weights, labels, drawn), sample_weight, out=flat)

    def _scale(self, dlogits: Array) -> None:
        """From per-example gradients to the gradient of the weighted mean."""
        xp = self.xp
        if not self.weighted:
            xp.multiply(dlogits, self._share, out=dlogits)
            return
        leading = self.w.shape[0]
        total, divisor = self.s[:leading, :1], self.m[:leading, :1]
        self.ops.batch_sum(self.w, total)
        xp.maximum(total, self.tiny, out=divisor)  # a batch whose weights are all 0 has the gradient 0, not 0 / 0
        fractions = xp.divide(self.w, divisor, out=self.weights["fractions"][:leading])
        xp.multiply(dlogits, fractions, out=dlogits)

    def spread(self, targets: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
        """Return the mean loss of the best constant prediction; one minus a loss's share of it is R2.

        Parameters
        ----------
        targets
            (N, O) of a regression.
        sample_weight
            (N,), or None.

        Returns
        -------
        float
            NaN: the loss has no such value.
        """
        return float("nan")

    def _target_rows(self, labels: Array) -> Array:
        """Targets (R or 1, B, C) from integer labels."""
        if len(labels.shape) == 3:
            return labels
        return self.ops.gather(self._eye, labels, self.targets[: labels.shape[0]])

    def _count_hits(self, labels: Array) -> None:
        """From `predicted` (R, B)."""
        self.xp.equal(self.predicted, labels, out=self._match)
        self.xp.copyto(self._hits, self._match)

    def config(self) -> dict[str, Any]:
        """The arguments that recreate this loss."""
        return {} if self.class_weight is None else {"class_weight": np.asarray(self.class_weight).tolist()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config().items())})"
