"""Losses: a value per example, and the gradient of their mean."""

from __future__ import annotations

from ...errors import unknown_name
from .base import Loss
from .cross_entropy import BinaryCrossEntropy, SoftmaxCrossEntropy
from .squared import MeanSquaredError

LOSSES: dict[str, type[Loss]] = {
    loss.name: loss for loss in (SoftmaxCrossEntropy, BinaryCrossEntropy, MeanSquaredError)
}

DEFAULT_LOSSES = {"classification": "cross_entropy", "multilabel": "binary_cross_entropy", "regression": "mse"}
"""Task -> the loss that suits it."""


def get_loss(loss: str | Loss) -> Loss:
    """The loss of that name with its default settings.

    Parameters
    ----------
    loss
        A key of `LOSSES`; a `Loss` is returned as it is.

    Returns
    -------
    Loss
        Not bound to a network yet.

    Raises
    ------
    ConfigError
        There is no loss of that name.

    Examples
    --------
    >>> get_loss("cross_entropy")
    SoftmaxCrossEntropy()
    """
    if isinstance(loss, Loss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise unknown_name("loss", "loss", loss, LOSSES)
    return LOSSES[loss]()


__all__ = [
    "DEFAULT_LOSSES",
    "LOSSES",
    "BinaryCrossEntropy",
    "Loss",
    "MeanSquaredError",
    "SoftmaxCrossEntropy",
    "get_loss",
]
