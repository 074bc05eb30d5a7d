"""Losses: a value per example, and the gradient of their mean."""

from __future__ import annotations

from ...parsing import choose
from .base import Loss
from .cross_entropy import BinaryCrossEntropy, SoftmaxCrossEntropy
from .squared import MeanSquaredError

LOSSES: dict[str, type[Loss]] = {k.name: k for k in (SoftmaxCrossEntropy, BinaryCrossEntropy, MeanSquaredError)}

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
    return loss if isinstance(loss, Loss) else choose("loss", loss, LOSSES)()


__all__ = [
    "DEFAULT_LOSSES",
    "LOSSES",
    "BinaryCrossEntropy",
    "Loss",
    "MeanSquaredError",
    "SoftmaxCrossEntropy",
    "get_loss",
]
