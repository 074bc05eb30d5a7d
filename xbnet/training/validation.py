"""What `fit` says of each epoch: loss and accuracy of every replica, on data that it does not train on too."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial, reduce

import numpy as np

from ..backends.arrays import Array, ArrayLike
from ..backends.replay import Replays
from ..datasets import Part
from ..nn.losses import Loss
from ..nn.network import Network
from .batches import Batch, InOrder, each_once
from .samples import Samples

FINITE_AT_ONCE = 1 << 14
"""Weights of all replicas together that are asked at once whether they are finite."""


def means(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loss and accuracy (R,) from sums (S, R, 3) of w * value, w * hit, w; NaN where all weights are 0."""
    total = sums.sum(axis=0)
    return total[:, 0] / total[:, 2], total[:, 1] / total[:, 2]


def not_finite(theta: Array) -> Array:
    """(R,) NaN where some of a replica's weights are not finite, else 0; some columns at a time, to save memory."""
    # 0 times infinity is NaN. For `isfinite` and `all` CuPy would compile a kernel from headers of CUDA's toolkit.
    width = max(1, FINITE_AT_ONCE // len(theta))
    parts = [(theta[:, i : i + width] * 0.0).sum(axis=1) for i in range(0, max(1, theta.shape[1]), width)]
    return reduce(operator.add, parts)


def spreads(loss: Loss, samples: Samples, replicas: int) -> dict[str, np.ndarray]:
    """The loss (R,) of the best constant answer to each replica's own rows of a regression, by part; else NaN."""
    parts = {"train": (samples.train, samples.sample_weight, samples.train_rows)}
    held = samples.val if samples.train_rows is None else samples.train  # what is validated on
    if samples.validated and held is not None:
        parts["val"] = held, samples.val_weight, samples.val_rows

    def spread(some: Part, w: ArrayLike | None, mine: slice | np.ndarray) -> float:
        weights = None if w is None else np.asarray(w, float)[mine]
        counts = samples.task == "regression" and (weights is None or weights.any())
        return loss.spread(some.y[mine], weights) if counts else np.nan

    with np.errstate(over="ignore", invalid="ignore"):
        return {
            part: np.array(each_once(partial(spread, some, w), [slice(None)] * replicas if rows is None else rows))
            for part, (some, w, rows) in parts.items()
        }


class Evaluation:
    """A network's loss on batches, again and again.

    How samples are cut into batches decides how sums round. So it must not depend on R: `fit` validates in batches
    of the training's size (which needs no memory beyond the training's), `evaluate` in batches of a fixed size.

    Parameters
    ----------
    network
        R replicas.
    loss
        Bound to it.
    batches
        Batches of the samples.
    """

    def __init__(self, network: Network, loss: Loss, batches: InOrder):
        # The loss lies in a dict of its own: `vars(self)` as its place would be a cycle, and a narrowed stack's buffers
        # would stay until Python looks for cycles.
        self.network, self._parts, self.batches = network, {"loss": loss}, batches
        places = [*((network.layers, k) for k in range(len(network.layers))), (self._parts, "loss")]
        self._replays = Replays(places, network.backend.specialized if batches.stay else {})
        self._sums = network.backend.xp.zeros((network.replicas, 3, 1), dtype=network.dtype)

    @property
    def loss(self) -> Loss:
        """The loss that is bound to the network."""
        return self._parts["loss"]

    def run(self, sums: Array, keep: Callable[[slice, np.ndarray], object] | None = None) -> None:
        """Write each batch's sums to sums (S, R, 3, 1), on the device.

        `keep` is called with which rows a batch holds and their outputs (R, B, O) on the host, which waits for the
        device.
        """
        network, replays = self.network, self._replays
        with np.errstate(over="ignore", invalid="ignore"):  # seen: a product raises the flag, and all is finite
            for s, batch in enumerate(self.batches):
                n = batch.x.shape[1]
                place = self._sums if replays.active else sums[s]  # records write to one place
                logits = replays.run(n, network.use(n), self._forward, batch, place)
                if place is self._sums:
                    network.backend.xp.copyto(sums[s], place)
                if keep is not None:
                    start = s * self.batches.batch_size
                    keep(slice(start, start + n), network.backend.to_host(logits))

    def _forward(self, batch: Batch, sums: Array) -> Array:
        x, y, w = batch
        logits = self.network.forward(x)
        self._parts["loss"](logits, y, None, w, sums=sums)
        return logits
