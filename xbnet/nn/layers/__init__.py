"""Layers: each one's forward and backward in a file of its own."""

from .base import (
    BATCH,
    MOST_LAYERS,
    Layer,
    buffer_shapes,
    check_names,
    copy_layers,
    describes_forward,
    forgotten_arguments,
)
from .dropout import Dropout
from .linear import Linear
from .normalization import BatchNorm, LayerNorm
from .residual import Residual
from .tables import TABLE_LAYERS
from .tables.member_outputs import MemberOutputs
from .tables.members import Members, SharedLinear
from .tables.scale import Parametric, PReLU, Scale

LAYERS = {layer.__name__: layer for layer in (Linear, Residual, Dropout, BatchNorm, LayerNorm, *TABLE_LAYERS)}

__all__ = [
    "BATCH",
    "LAYERS",
    "MOST_LAYERS",
    "BatchNorm",
    "Dropout",
    "Layer",
    "LayerNorm",
    "Linear",
    "MemberOutputs",
    "Members",
    "PReLU",
    "Parametric",
    "Residual",
    "Scale",
    "SharedLinear",
    "buffer_shapes",
    "check_names",
    "copy_layers",
    "describes_forward",
    "forgotten_arguments",
]
