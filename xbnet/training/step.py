"""One training step: forward, loss, backward, and the update of theta."""

from __future__ import annotations

from collections.abc import Iterable

from ..backends.arrays import Array
from ..backends.parts import StepPart
from ..nn.losses import Loss
from ..nn.network import Network
from ..optim.optimizer import Optimizer
from ..optim.penalties import AnyBoundPenalty
from ..optim.stages import GradientMask
from .batches import Batch


class BoundStep(StepPart):
    """A step of a network's training, made of parts that are bound to it.

    Parameters
    ----------
    network
        R replicas.
    loss, optimizer, penalty
        Bound to it.
    clip
        (R, 1), the largest norms of the gradient, or None.
    norm
        (R, 1, 1), overwritten by the norm of the gradient before clipping, where that is wanted.

    Attributes
    ----------
    mask
        Factor on the gradient by the strategy; None: no factor.
    """

    replayable = True

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        penalty: AnyBoundPenalty,
        clip: Array | None,
        norm: Array,
    ):
        xp, R = network.backend.xp, network.replicas
        self.network, self.xp, self.ops = network, xp, network.backend.ops
        self.loss, self.optimizer, self.penalty = loss, optimizer, penalty
        self.mask: GradientMask | None = None
        self.clip, self.norm = clip, norm
        self._scale = xp.zeros((R, 1), dtype=network.dtype)

    def run(self, batch: Batch, columns: Array, sums: Array, wants_norm: bool = False) -> Array:
        """Train on a batch: the loss of each sample (R, B), before the step.

        Parameters
        ----------
        batch
            Arrays of the network's backend.
        columns
            (K, R, 1), the optimizer's hyper-parameters for this step, see `Optimizer.columns`.
        sums
            (R, 3, 1), overwritten by the loss's sums.
        wants_norm
            Whether the gradient's norm is wanted.
        """
        network, (x, y, w) = self.network, batch
        logits = network.forward(x, training=True)
        values = self.loss(logits, y, network.output_gradient, w, sums=sums)
        network.backward()
        self.ops.update(self, columns, wants_norm)  # a kernel, or the method below
        return values

    def update(self, columns: Array, wants_norm: bool) -> None:
        """From the gradient of the loss to the new theta."""
        if self.penalty.active:
            self.penalty.add_gradient(self.loss)
        if self.mask is not None:
            self.mask.weigh()
        if self.clip is not None:
            self._clip(self.clip)
        elif wants_norm:
            self._gradient_norm()
        self.ops.apply(self.optimizer, columns)
        if self.mask is not None:
            self.mask.hold()

    def _gradient_norm(self) -> Array:
        """The norm of each replica's gradient, (R, 1, 1)."""
        grad = self.network.grad[:, None, :]
        self.ops.bmm_nt(grad, grad, self.norm)
        return self.xp.sqrt(self.norm, out=self.norm)

    def _clip(self, limit: Array) -> None:
        """Scale gradients that are longer than limit (R, 1) down to it."""
        xp, grad = self.xp, self.network.grad
        xp.maximum(self._gradient_norm()[:, 0], limit, out=self._scale)
        xp.divide(limit, self._scale, out=self._scale)
        xp.multiply(grad, self._scale, out=grad)

    def run_all(self, batches: Iterable[Batch], columns: Array, sums: Array) -> None:
        """A step per batch, one call after the other, by columns (K, S, R, 1); their sums go to sums (S, R, 3, 1)."""
        last = len(sums) - 1
        for s, batch in enumerate(batches):
            self.run(batch, columns[:, s], sums[s], s == last)
