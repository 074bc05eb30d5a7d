"""A loss where the last layer gives k answers for each row, see `MemberOutputs`: it takes every answer as a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...backends.arrays import Array, Namespace

if TYPE_CHECKING:
    from .base import Loss


class MemberRows:
    """Arrays in which labels and weights are repeated for k members, and the shapes that a loss is given.

    Parameters
    ----------
    loss
        Bound.
    R, B, k
        The shape of the batch, and the members.
    """

    def __init__(self, loss: Loss, R: int, B: int, k: int):
        self.k, self.C, self.R, self.B = k, loss.n_outputs, R, B
        labelled = loss.task == "classification"
        more = () if labelled else (self.C,)
        space = loss._integers if labelled else loss._floats
        self.labels = space.carve({"labels": ("member labels", (B, k, *more))})["labels"]
        self.weights = loss._floats.carve({"weights": ("member weights", (B, k))})["weights"]

    def attributes(self) -> dict[str, Any]:
        """What the loss has for logits (R, B, k C)."""
        leading = {(1, self.B), (self.R, self.B)}
        more = self.labels.shape[3:]
        shapes = {(*rows, *more) for rows in leading}
        found = {"_shape": (self.R, self.B, self.k * self.C), "_leading": leading, "_label_shapes": shapes}
        return {**found, "_members": self}

    def rows(
        self, xp: Namespace, logits: Array, labels: Array, dlogits: Array | None, sample_weight: Array | None
    ) -> tuple[Array, Array, Array | None, Array | None]:
        """Logits and their gradient (R, B k, C), labels and weights with B k rows."""
        y = self._repeated(xp, labels, self.labels)
        w = None if sample_weight is None else self._repeated(xp, sample_weight, self.weights)
        shape = (self.R, self.B * self.k, self.C)
        return logits.reshape(shape), y, None if dlogits is None else dlogits.reshape(shape), w

    def _repeated(self, xp: Namespace, array: Array, out: Array) -> Array:
        """An array (L, B, ...) with each row k times, in memory (L, B, k, ...)."""
        L, B, *more = array.shape
        for j in range(self.k):
            xp.copyto(out[:L, :, j], array)
        return out[:L].reshape(L, B * self.k, *more)
