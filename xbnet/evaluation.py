"""Loss and accuracy of every replica on data that it does not train on."""

from __future__ import annotations

from typing import Any

import numpy as np

from .batches import InOrder, Resident
from .checks import check_samples
from .losses import Loss, get_loss
from .network import EVALUATION_ROWS, Network


def means(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loss and accuracy (R,) from sums (S, R, 3) of w * value, w * hit, w."""
    total = sums.sum(axis=0)
    return total[:, 0] / total[:, 2], total[:, 1] / total[:, 2]


def evaluate_batches(network: Network, bound: Loss, batches: InOrder) -> tuple[np.ndarray, np.ndarray]:
    """Loss and accuracy (R,) of a bound loss, with one host read.

    How samples are cut into batches decides how sums round. So it must not depend on R: `fit` validates in batches
    of the training's size (which needs no memory beyond the training's), `evaluate` in batches of a fixed size.
    """
    sums = network.backend.xp.zeros((batches.steps, network.replicas, 3, 1), dtype=network.dtype)
    for s, (x, y, w) in enumerate(batches):
        bound(network.forward(x), y, None, w)
        bound.sums(sums[s])
    return means(network.backend.to_host(sums)[..., 0].astype(float))


def evaluate(network: Network, loss: str | Loss, x: Any, y: Any, sample_weight: Any = None) -> dict[str, np.ndarray]:
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

    Returns
    -------
    dict
        "loss" and "accuracy", each (R,) float64; accuracy is NaN for regression.
    """
    settings = get_loss(loss)
    task, x, y, sample_weight = check_samples(network, settings, x, y, sample_weight)
    bound = settings.bind(network, task)
    part = Resident(network.backend, network.dtype, x, y, sample_weight)
    values = evaluate_batches(network, bound, InOrder(network.backend, part, min(EVALUATION_ROWS, part.n)))
    return dict(zip(("loss", "accuracy"), values, strict=True))
