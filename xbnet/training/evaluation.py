"""Loss and accuracy of every replica on data that it does not train on."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..backends.replay import Replays
from ..nn.losses import Loss, get_loss
from ..nn.network import Network
from .batches import Batch, InOrder
from .checks import check_samples
from .streaming import place


def means(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loss and accuracy (R,) from sums (S, R, 3) of w * value, w * hit, w; NaN where all weights are 0."""
    total = sums.sum(axis=0)
    return total[:, 0] / total[:, 2], total[:, 1] / total[:, 2]


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
        Of the samples.
    """

    def __init__(self, network: Network, loss: Loss, batches: InOrder):
        self.network, self.loss, self.batches = network, loss, batches
        places = [*((network.layers, k) for k in range(len(network.layers))), (vars(self), "loss")]
        self._replays = Replays(places, network.backend.specialized if batches.stay else {})
        self._sums = network.backend.xp.zeros((network.replicas, 3, 1), dtype=network.dtype)

    def run(self, sums: Any, outputs: np.ndarray | None = None) -> None:
        """Write each batch's sums to sums (S, R, 3, 1), on the device.

        `outputs` (R, N, O) on the host are filled if wanted, which waits for the device in each batch.
        """
        network, B, replays = self.network, self.batches.batch_size, self._replays
        with np.errstate(over="ignore", invalid="ignore"):  # seen: a product raises the flag, and all is finite
            for s, batch in enumerate(self.batches):
                n = batch.x.shape[1]
                place = self._sums if replays.active else sums[s]  # records write to one place
                logits = replays.run(n, partial(self._forward, batch, place), network.use(n))
                if place is self._sums:
                    network.backend.xp.copyto(sums[s], place)
                if outputs is not None:
                    outputs[:, s * B :][:, :n] = network.backend.to_host(logits)

    def _forward(self, batch: Batch, sums: Any) -> Any:
        x, y, w = batch
        logits = self.network.forward(x)
        self.loss(logits, y, None, w, sums=sums)
        return logits


def evaluate(
    network: Network, loss: str | Loss, x: Any, y: Any, sample_weight: Any = None, *, device_memory: Any = None
) -> dict[str, np.ndarray]:
    """Mean loss and accuracy of every replica on host data.

    Parameters
    ----------
    network
        R networks.
    loss
        A loss or its name.
    x, y
        (N, I), and (N,) labels or (N, C) targets.
    sample_weight
        (N,) or None.
    device_memory
        See `fit`.

    Returns
    -------
    dict
        "loss" and "accuracy", each (R,) float64; accuracy is NaN for regression.
    """
    settings = get_loss(loss)
    task, x, y, sample_weight = check_samples(network, settings, x, y, sample_weight)
    bound = settings.bind(network, task)
    samples, rows = [(x, y, sample_weight)], network.chunk_rows
    (part,) = place("evaluate", network.backend, network.dtype, samples, device_memory, least=rows)
    batches = InOrder(network.backend, part, min(rows, part.n))
    sums = network.backend.xp.zeros((batches.steps, network.replicas, 3, 1), dtype=network.dtype)
    with network.exclusive():
        Evaluation(network, bound, batches).run(sums)
    with np.errstate(invalid="ignore"):
        values = means(network.backend.to_host(sums)[..., 0].astype(float))
    return dict(zip(("loss", "accuracy"), values, strict=True))
