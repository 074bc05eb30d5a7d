"""Checks at the boundary of training: do network, loss, data and settings fit together?"""

from __future__ import annotations

from typing import Any

import numpy as np

from .datasets import Dataset, Part
from .errors import ConfigError, DataError, expect_shape
from .history import PER_REPLICA
from .losses import Loss
from .network import Network


def check_data(data: Any) -> Dataset:
    """A `Dataset`; a pair (x, y) becomes one without a validation part."""
    if isinstance(data, Dataset):
        return data
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return Dataset("arrays", Part(np.asarray(data[0]), np.asarray(data[1])))
    raise DataError(f"fit: expected data to be a Dataset or (x, y), got {type(data).__name__}; see load_dataset")


def check_fit(
    network: Network,
    loss: Loss,
    data: Dataset,
    epochs: Any,
    batch_size: Any,
    clip_norm: Any,
    patience: Any,
    monitor: str | None,
    sample_weight: Any,
    *,
    n: int,
    validated: bool,
) -> str:
    """Raise where something does not fit; otherwise the figure to monitor.

    Each replica trains on `n` samples, and may be `validated` on others.
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        if value is None and name != "epochs":
            continue
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ConfigError(f"fit: expected {name} to be a whole number >= 1, got {value!r}")
    for part in (data.train, data.val):
        if part is not None:
            expect_shape("fit", f"x of {data.name}", part.x, N=len(part.x), I=network.n_inputs)
    if batch_size is not None and batch_size > n:
        raise ConfigError(
            f"fit: expected batch_size <= {n}, the number of training samples, got {batch_size}; None takes them all"
        )
    if data.n_outputs != network.n_outputs:
        raise ConfigError(
            f"fit: expected a network with {data.n_outputs} outputs for {data.name} ({data.task}), "
            f"got {network.n_outputs}; set the last layer to Linear({data.n_outputs})"
        )
    if loss.class_weight is not None and data.task != "classification":
        raise ConfigError(f"fit: class_weight needs integer labels, got {data.task} targets; use sample_weight")
    if clip_norm is not None and not np.all(np.asarray(clip_norm, dtype=float) > 0):
        raise ConfigError(f"fit: expected clip_norm > 0, got {clip_norm!r}; None does not clip")
    if sample_weight is not None:
        weights = np.asarray(sample_weight, dtype=float)
        expect_shape("fit", "sample_weight", weights, N=len(data.train.x))
        if not np.all(weights >= 0) or not weights.sum() > 0:
            raise ConfigError("fit: expected sample_weight >= 0 with at least one > 0")
    monitored = [name for name in PER_REPLICA if name.startswith(("train", "val"))]
    if monitor is None:
        return "val_loss" if validated else "train_loss"
    if monitor not in monitored or (monitor.startswith("val") and not validated):
        allowed = [name for name in monitored if validated or not name.startswith("val")]
        raise ConfigError(f"fit: expected monitor to be one of {', '.join(allowed)}, got {monitor!r}")
    return monitor
