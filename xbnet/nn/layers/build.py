"""A list of layers becomes a network's: copies that are checked, their sizes, their blocks, and their memory."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ...errors import ConfigError
from ..parameters import ParameterSpec, layout
from .base import BATCH, Layer, arguments_of

MOST_LAYERS = 10_000
"""Largest number of layers: a step of this many small ones takes a second, and nobody would train a deeper network."""


def copy_layers(layers: Iterable[Layer]) -> list[Layer]:
    """Copies of layers, checked."""
    if not isinstance(layers, Iterable):
        raise ConfigError(f"Network: expected a list of layers, got {layers!r}")
    copies = []
    for layer in layers:
        if not isinstance(layer, Layer):
            raise ConfigError(f"Network: expected layers such as xbnet.Linear(10), got {layer!r}")
        copies.append(copy.copy(layer))
    if not copies:
        raise ConfigError("Network: expected at least one layer, got none")
    if len(copies) > MOST_LAYERS:
        raise ConfigError(f"Network: expected at most {MOST_LAYERS:,} layers, got {len(copies):,}")
    return copies


def buffer_shapes(layers: Sequence[Layer], B: int) -> dict[tuple[int, str], tuple[str, tuple[int, ...]]]:
    """Return the buffers of a network for B rows: (layer, buffer) -> its slot of memory, and its shape without R."""
    shapes = {}
    for k, layer in enumerate(layers):
        named = [(name, f"{k}.{name}", shape) for name, shape in layer.buffers().items()]
        named += [(name, f"scratch{i}", shape) for i, (name, shape) in enumerate(layer.scratch().items())]
        for name, slot, shape in named:
            shapes[k, name] = slot, tuple(B if size == BATCH else int(size) for size in shape)
    return shapes


Blocks = tuple[ParameterSpec, ...]


def build_layers(layers: Sequence[Layer], n_inputs: int) -> tuple[Blocks, Blocks, int]:
    """Fix the sizes of layers for inputs (..., I): their blocks of theta and of state, and the number of outputs O."""
    width, specs, state_specs = n_inputs, [], []
    for k, layer in enumerate(layers):
        layer.build(width)
        _check_names(layer)
        if layer.answers > 1 and k + 1 < len(layers):
            raise ConfigError(f"Network: expected {type(layer).__name__} as the last layer, got it as number {k}")
        width = layer.n_outputs
        specs += [replace(spec, name=f"{k}.{spec.name}", layer=k) for spec in layer.parameters()]
        state_specs += [replace(spec, name=f"{k}.{spec.name}", layer=k) for spec in layer.state()]
    return layout(specs), tuple(state_specs), width // layer.answers


def _check_names(layer: Layer) -> None:
    """Raise where two things that a layer states, or one of them and its class, have the same name."""
    parameters = [spec.name for spec in layer.parameters()]
    names = [*parameters, *(f"d{name}" for name in parameters), *(spec.name for spec in layer.state())]
    names += [*layer.buffers(), *layer.scratch(), *layer.hyper()]
    taken = {*dir(type(layer)), *arguments_of(type(layer))}
    twice = [name for name in names if name in taken or names.count(name) > 1]
    if twice:
        raise ConfigError(f"{type(layer).__name__}: expected names that differ, got {twice[0]!r} twice; rename one")
