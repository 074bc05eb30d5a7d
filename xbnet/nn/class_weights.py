"""Weights of classes, as losses take them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigError

BALANCED = "balanced"


def balanced_weights(labels: Any, n_classes: int) -> np.ndarray:
    """Weights (C,) by which all classes count the same: N / (C * count of the class), as in scikit-learn.

    Parameters
    ----------
    labels
        (N,) integers in [0, C).
    n_classes
        C; a class without a label gets N / C.

    Examples
    --------
    >>> balanced_weights([0, 0, 0, 1], 2)
    array([0.66666667, 2.        ])
    """
    counts = np.bincount(np.asarray(labels), minlength=n_classes)
    return len(np.asarray(labels)) / (n_classes * np.maximum(counts, 1))


def checked_weights(name: str, class_weight: Any) -> np.ndarray | str:
    """Weights (C,) as a user gives them to the loss `name`, or "balanced".

    Raises
    ------
    ConfigError
        They are something else.
    """
    if isinstance(class_weight, str) and class_weight == BALANCED:
        return BALANCED
    try:
        weights = np.asarray(class_weight, dtype=float)
    except (TypeError, ValueError):
        weights = np.empty(0)
    if weights.ndim != 1 or not np.all(np.isfinite(weights) & (weights >= 0)) or not weights.sum() > 0:
        raise ConfigError(
            f"{name}: expected class_weight (C,) with values >= 0 and one > 0, or {BALANCED!r}, got {class_weight!r}"
        )
    return weights


def expect_numbers(name: str, class_weight: np.ndarray | str | None) -> None:
    """Raise where the weights are still "balanced"."""
    if isinstance(class_weight, str):
        raise ConfigError(f"{name}: class_weight={BALANCED!r} needs the labels: call loss.balanced_by first")
