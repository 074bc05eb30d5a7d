"""Loss and accuracy of every replica on data that it does not train on."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigError, DataError, expect_shape
from ..nn.losses import Loss, get_loss
from ..nn.network import Network
from .batches import InOrder
from .samples import check_weights
from .streaming import place


def means(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loss and accuracy (R,) from sums (S, R, 3) of w * value, w * hit, w; NaN where all weights are 0."""
    total = sums.sum(axis=0)
    return total[:, 0] / total[:, 2], total[:, 1] / total[:, 2]


def sum_batches(network: Network, bound: Loss, batches: InOrder, sums: Any, outputs: np.ndarray | None = None) -> None:
    """Write each batch's sums of a bound loss to sums (S, R, 3, 1), on the device.

    `outputs` (R, N, O) on the host are filled if wanted, which waits for the device in each batch.

    How samples are cut into batches decides how sums round. So it must not depend on R: `fit` validates in batches
    of the training's size (which needs no memory beyond the training's), `evaluate` in batches of a fixed size.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # seen: a product raises the flag, and all is finite
        for s, (x, y, w) in enumerate(batches):
            logits = network.forward(x)
            bound(logits, y, None, w, sums=sums[s])
            if outputs is not None:
                outputs[:, s * batches.batch_size :][:, : logits.shape[1]] = network.backend.to_host(logits)


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
    with network._lock:  # see `run_rows`
        sum_batches(network, bound, batches, sums)
    with np.errstate(invalid="ignore"):
        values = means(network.backend.to_host(sums)[..., 0].astype(float))
    return dict(zip(("loss", "accuracy"), values, strict=True))


def check_samples(network: Network, loss: Loss, x: Any, y: Any, sample_weight: Any) -> tuple[str, Any, Any, Any]:
    """The task that targets `y` and `loss` are for, and x, y, sample_weight as arrays. Unlike in training, no class
    has to occur.
    """
    if not isinstance(network, Network):
        raise ConfigError(f"evaluate: expected a Network, got {type(network).__name__}")
    x, y = np.asarray(x), np.asarray(y)
    expect_shape("evaluate", "x", x, N=None, I=network.n_inputs)
    for name, array in (("x", x), ("y", y)):
        if array.dtype.kind not in "fiub" or not np.all(np.isfinite(array)):
            raise DataError(f"evaluate: expected {name} to hold finite numbers")
    if not len(x):
        raise DataError("evaluate: expected at least one sample, got none")
    if y.ndim == 1 and y.dtype.kind in "iub":
        task, C, y = "classification", network.n_outputs, y.astype(np.intp)
        expect_shape("evaluate", "y", y, N=len(x))
        if y.min() < 0 or y.max() >= C:
            raise DataError(f"evaluate: expected labels in [0, {C}), got {y.min()} to {y.max()}")
    else:
        task, y = "multilabel" if "multilabel" in loss.links else "regression", y[:, None] if y.ndim == 1 else y
        expect_shape("evaluate", "y", y, N=len(x), C=network.n_outputs)
    if sample_weight is not None:
        sample_weight = check_weights("evaluate", sample_weight, len(x))
    return task, x, y, sample_weight
