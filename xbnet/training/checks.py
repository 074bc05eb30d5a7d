"""Checks at the boundary of training: do network, loss, data and settings fit together?"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..datasets import Dataset, Part
from ..errors import ConfigError, DataError, expect_shape
from ..history import PER_REPLICA
from ..nn.losses import Loss
from ..nn.network import Network
from ..parsing import whole
from ..replicas import numbers


def check_data(data: Any, where: str = "fit") -> Dataset:
    """A `Dataset`; a pair (x, y) becomes one without a validation part."""
    if isinstance(data, Dataset):
        return data
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return Dataset("arrays", Part(np.asarray(data[0]), np.asarray(data[1])))
    raise DataError(f"{where}: expected data to be a Dataset or (x, y), got {type(data).__name__}; see load_dataset")


def check_weights(where: str, sample_weight: Any, n: int) -> np.ndarray:
    """Weights (N,) of samples, as float64."""
    try:
        weights = np.asarray(sample_weight, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"{where}: expected sample_weight to hold numbers, got {sample_weight!r}") from None
    expect_shape(where, "sample_weight", weights, N=n)
    if not np.all((weights >= 0) & np.isfinite(weights)) or not weights.sum() > 0:
        raise ConfigError(f"{where}: expected sample_weight >= 0 with at least one > 0")
    return weights


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
    if not isinstance(network, Network):
        raise ConfigError(f"fit: expected a Network, got {type(network).__name__}")
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        if value is not None or name == "epochs":
            whole("fit", name, value)
    for part in (data.train, data.val):
        if part is not None:
            expect_shape("fit", f"x of {data.name}", part.x, N=None, I=network.n_inputs)
    if batch_size is not None and batch_size > n:
        raise ConfigError(
            f"fit: expected batch_size <= {n}, the number of training samples, got {batch_size}; None takes them all"
        )
    if data.n_outputs != network.n_outputs:
        raise ConfigError(
            f"fit: expected a network with {data.n_outputs} outputs for {data.name} ({data.task}), "
            f"got {network.n_outputs}; set the last layer to Linear({data.n_outputs})"
        )
    if clip_norm is not None and not np.all(numbers("clip_norm", clip_norm) > 0):
        raise ConfigError(f"fit: expected clip_norm > 0, got {clip_norm!r}; None does not clip")
    if sample_weight is not None:
        check_weights("fit", sample_weight, len(data.train.x))
    other = "accuracy" if data.task == "regression" else "r2"
    monitored = [n for n in PER_REPLICA if n.startswith(("train", "val")) and not n.endswith(other)]
    if monitor is None:
        return "val_loss" if validated else "train_loss"
    if monitor not in monitored or (monitor.startswith("val") and not validated):
        allowed = [name for name in monitored if validated or not name.startswith("val")]
        raise ConfigError(f"fit: expected monitor to be one of {', '.join(allowed)}, got {monitor!r}")
    return monitor
