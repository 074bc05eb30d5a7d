"""Layers: each one's forward and backward in a file of its own."""

from .base import BATCH, Layer
from .dropout import Dropout
from .linear import Linear
from .normalization import BatchNorm, LayerNorm
from .residual import Residual
from .tables import TABLE_LAYERS

LAYERS = {layer.__name__: layer for layer in (Linear, Residual, Dropout, BatchNorm, LayerNorm, *TABLE_LAYERS)}

__all__ = ["BATCH", "LAYERS", "BatchNorm", "Dropout", "Layer", "LayerNorm", "Linear", "Residual"]
