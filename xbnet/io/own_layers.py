"""Layers of a user's own in files and exports: what would be lost of them, and what belongs to another class."""

from __future__ import annotations

from ..nn.layers import Layer
from ..nn.layers.base import arguments_of


def forgotten_arguments(layer: Layer) -> list[str]:
    """Arguments of a layer's class that `config` leaves out, for it belongs to a class that knows nothing of them."""
    kind = type(layer)
    made, told = (next(k for k, c in enumerate(kind.__mro__) if name in vars(c)) for name in ("__init__", "config"))
    return [name for name in arguments_of(kind) if name not in layer.config()] if made < told else []


def describes_forward(layer: Layer, method: str) -> bool:
    """Whether a method belongs to the `forward` that the layer has: a class that overrides only one has another."""
    kind = type(layer)
    owners = [next(c for c in kind.__mro__ if name in vars(c)) for name in ("forward", method)]
    return owners[0] is owners[1]
