"""The hot loop: a training step per batch."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

from ..backends.replay import Calls, play
from ..nn.losses import Loss
from ..nn.network import Network
from ..optim.optimizers import Optimizer
from ..optim.penalties import BoundPenalty
from ..optim.strategies import Turn
from .batches import Batch


class Steps:
    """Takes the steps of a run while the same replicas are alive.

    Parameters
    ----------
    network
        R live replicas.
    loss, penalty
        Bound to it.
    clip
        (R, 1), the largest norms of the gradient, or None.
    norm
        (R, 1, 1), overwritten by those of the last step, before clipping.
    """

    def __init__(self, network: Network, loss: Loss, penalty: Any, clip: Any, norm: Any):
        xp, R = network.backend.xp, network.replicas
        self.network, self.loss, self.penalty, self.clip, self.norm = network, loss, penalty, clip, norm
        self._parts = xp.zeros((R, min(64, -(-network.n_parameters // 1024))), dtype=network.dtype)
        self._scale = xp.zeros((R, 1), dtype=network.dtype)

    def take(self, optimizer: Optimizer, batches: Iterable[Batch], sums: Any, turn: Turn | None = None) -> None:
        """A step per batch, whose sums go to sums (S, R, 3, 1).

        Once all that a step does is on tapes, those are joined: batches that come in the same arrays are trained on by
        playing it all at once, a seventh quicker for a small network.
        """
        last, joins = len(sums) - 1, bool(self.network.backend.prepared) and turn is None and self.clip is None
        joined, calls = None, []
        for s, batch in enumerate(batches):
            if batch is joined and s < last:
                optimizer.aim()
                play(calls)
                optimizer.skip(1)
                self.loss.sums(sums[s])
                continue
            self._take(optimizer, batch, sums[s], turn, s == last)
            if joins and joined is None and (calls := self._join(optimizer, batch)):
                joined = batch

    def _take(self, optimizer: Optimizer, batch: Batch, sums: Any, turn: Turn | None, is_last: bool) -> None:
        net, loss, penalty, (x, y, w) = self.network, self.loss, self.penalty, batch
        bias = loss.takes_bias(net)
        logits = net.forward(x, training=True, last_bias=bias is None)
        loss(logits, y, net.output_gradient, w, sums=sums, bias=bias)
        net.backward()
        if optimizer.fused and turn is None and type(penalty) is BoundPenalty:
            self._update_fused(optimizer, wants_norm=is_last)
            return
        if penalty.active:
            penalty.add_gradient(loss)
        if turn is not None:
            turn.weigh()
        if self.clip is not None:
            self._clip()
        elif is_last:
            self._gradient_norm()
        optimizer.step()
        if turn is not None:
            turn.hold()

    def _join(self, optimizer: Optimizer, batch: Batch) -> Calls:
        """What a step of this batch, which was the last one, plays from tapes; nothing where a part is not on one."""
        (x, y, w), tape = batch, self.network.tape
        if w is not None or tape is None or tape.x is not x or not tape.training:
            return []
        parts = [tape.forward, self.loss.taped(tape.logits, y), tape.backward or [], optimizer.taped]
        if self.penalty.active:
            parts.insert(3, self.penalty.taped(self.loss))
        return list(chain(*parts)) if all(parts) else []

    def _update_fused(self, optimizer: Optimizer, wants_norm: bool) -> None:
        """Penalties, clipping and the optimizer's rule in one pass over theta; `grad` stays without the penalties'."""
        net, fused, parts = self.network, optimizer.fused, None
        columns: tuple[Any, Any] = self.penalty.columns
        if self.clip is not None or wants_norm:
            parts = fused.square_sums(net.theta, net.grad, net.n_weights, *columns, self._parts)
        optimizer.step(*columns, self.clip, parts)
        if wants_norm:
            net.backend.ops.row_sum(self._parts[:, None, :], self.norm)
            net.backend.xp.sqrt(self.norm, out=self.norm)

    def _gradient_norm(self) -> Any:
        """Each replica's norm, (R, 1, 1)."""
        grad = self.network.grad[:, None, :]
        self.network.backend.ops.bmm_nt(grad, grad, self.norm)
        return self.network.backend.xp.sqrt(self.norm, out=self.norm)

    def _clip(self) -> None:
        """Scale gradients that are longer than the limit down to it."""
        xp, grad = self.network.backend.xp, self.network.grad
        xp.maximum(self._gradient_norm()[:, 0], self.clip, out=self._scale)
        xp.divide(self.clip, self._scale, out=self._scale)
        xp.multiply(grad, self._scale, out=grad)
