"""What a loss is: a value per example, and the gradient of their mean beside it.

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

from ..errors import ConfigError, ShapeError, expect_shape
from ..workspace import Workspace


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
    _shape: Any = None

    # Set by `bind`:
    task: str
    link: str
    xp: Any
    linalg: Any
    _plain: Any  # linalg for arrays that are others at every step
    replicas: int
    n_outputs: int
    _floats: Workspace
    _integers: Workspace
    _flags: Workspace
    _eye: Any
    _class_weight: Any
    _tiny: float

    if TYPE_CHECKING:  # arrays are set by `_use`

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, *, class_weight: Any = None):
        self.class_weight = None if class_weight is None else self._check_weights(class_weight)

    def _check_weights(self, class_weight: Any) -> np.ndarray:
        try:
            weights = np.asarray(class_weight, dtype=float)
        except (TypeError, ValueError):
            weights = np.empty(0)
        if weights.ndim != 1 or not np.all(np.isfinite(weights) & (weights >= 0)) or not weights.sum() > 0:
            raise ConfigError(
                f"{self.name}: expected class_weight (C,) with values >= 0 and one > 0, got {class_weight!r}"
            )
        return weights

    def bind(self, network: Any, task: str = "classification") -> Any:
        """A copy that serves this network (its backend, dtype, R and C) for one task.

        Raises
        ------
        ConfigError, ShapeError
            The loss can't serve the task, or class_weight is for another one or has not C entries.
        """
        if task not in self.links:
            raise ConfigError(f"{self.name}: can't be used for {task}; it serves {', '.join(self.links)}")
        if self.class_weight is not None and task != "classification":
            raise ConfigError(f"{self.name}: class_weight needs integer labels, got {task} targets; use sample_weight")
        bound = copy.copy(self)
        bound.task, bound.link = task, self.links[task]
        bound.xp, bound.linalg = network.backend.xp, network.backend.linalg_for_buffers()
        bound._plain = network.backend.linalg
        bound.replicas, bound.n_outputs = network.replicas, network.n_outputs
        bound._floats = Workspace(bound.xp, network.dtype, bound.replicas)
        bound._integers = Workspace(bound.xp, np.dtype(np.intp), bound.replicas)
        bound._flags = Workspace(bound.xp, np.dtype(bool), bound.replicas)
        bound._eye = network.backend.asarray(np.eye(bound.n_outputs), network.dtype)
        bound._tiny = float(np.finfo(network.dtype).tiny)
        bound._class_weight = None
        if self.class_weight is not None:
            expect_shape(self.name, "class_weight", self.class_weight, C=bound.n_outputs)
            bound._class_weight = network.backend.asarray(self.class_weight, network.dtype)
        bound._shape = None
        bound._prepare(network)
        return bound

    def select(self, index: np.ndarray) -> Loss:
        """A copy for the replicas `index`, to be bound anew; overridden where a setting is one value per replica."""
        return copy.copy(self)

    def _prepare(self, network: Any) -> None:
        """Put the loss's own settings on the device."""

    def _use(self, logits: Any) -> None:
        """Arrays for logits of this shape."""
        if not hasattr(self, "replicas"):
            raise ConfigError(f"{self.name}: expected a loss that is bound to a network; call loss.bind(network) first")
        expect_shape(self.name, "logits", logits, R=self.replicas, B=None, C=self.n_outputs)
        R, B, C = logits.shape
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
        self._shape, self._batch = logits.shape, B
        self._leading = {(1, B), (R, B)}
        self._label_shapes = self._leading if self.task == "classification" else {(1, B, C), (R, B, C)}

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
        if logits.shape != self._shape:
            self._use(logits)
        if labels.shape not in self._label_shapes:
            self._refuse("labels", labels, self._label_shapes)
        self._weigh(labels, sample_weight)
        self._evaluate(logits, labels, dlogits)
        if dlogits is not None:
            self._scale(dlogits)
        return self.values

    def _refuse(self, name: str, array: Any, shapes: set) -> None:
        wanted = " or ".join(map(str, sorted(shapes)))
        raise ShapeError(f"{self.name}: expected {name} {wanted} for {self.task}, got {tuple(array.shape)}")

    def _evaluate(self, logits: Any, labels: Any, dlogits: Any) -> None:
        """Write `values`, hits and the per-example gradient."""
        raise NotImplementedError(f"{type(self).__name__}._evaluate")

    def _weigh(self, labels: Any, sample_weight: Any) -> None:
        """The batch's weights: ones, or sample_weight times the classes' weights."""
        self.weighted = sample_weight is not None or self._class_weight is not None
        if not self.weighted:
            self.w = self._ones
            return
        if sample_weight is not None and sample_weight.shape not in self._leading:
            self._refuse("sample_weight", sample_weight, self._leading)
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
        total, divisor = self.s[:leading, :1], self.m[:leading, :1]
        self._plain.batch_sum(self.w, total)
        xp.maximum(total, self._tiny, out=divisor)  # a batch whose weights are all 0 has the gradient 0, not 0 / 0
        fractions = xp.divide(self.w, divisor, out=self.weights["fractions"][:leading])
        xp.multiply(dlogits, fractions, out=dlogits)

    def sums(self, out: Any) -> Any:
        """Write the last batch's sums of w * value, w * hit and w to out (R, 3, 1).

        A hit is 1 where the most probable class is the label; for multi-label targets the share of classes that
        are decided right; NaN for regression.
        """
        return self._plain.bmm(self.report, self.w, out)

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
