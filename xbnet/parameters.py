"""All that a stack has learnt in one array: theta (R, P), a row per replica, a view per layer's block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import ConfigError
from .initializers import Initializer, zeros


@dataclass(frozen=True)
class ParameterSpec:
    """One block of a replica's row.

    Attributes
    ----------
    name
        Within its layer ("W"); within a network "LAYER.NAME" ("0.W").
    shape
        Without the replica axis, e.g. (I, O).
    initializer
        How it starts.
    is_weight
        Weights take part in penalties and weight decay; biases, gains and offsets never do.
    """

    name: str
    shape: tuple[int, ...]
    initializer: Initializer = zeros
    is_weight: bool = False

    @property
    def size(self) -> int:
        """Entries of one replica."""
        return math.prod(self.shape)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Initial values of one replica, of shape `shape`."""
        values = np.asarray(self.initializer(rng, self.shape))
        if values.shape != self.shape:
            raise ConfigError(f"initializer of {self.name}: expected values of shape {self.shape}, got {values.shape}")
        return values


def carve(rows: Any, specs: Sequence[ParameterSpec]) -> dict[str, Any]:
    """Views (R, *spec.shape) into `rows` (R, P), in the order of `specs`; nothing is copied."""
    views, start = {}, 0
    for spec in specs:
        stop = start + spec.size
        views[spec.name] = rows[:, start:stop].reshape(rows.shape[0], *spec.shape)
        start = stop
    return views


def layout(specs: Sequence[ParameterSpec]) -> tuple[ParameterSpec, ...]:
    """The order of blocks in theta: all weights first, then the rest, each in layer order.

    So "all weights" is one slice ``theta[:, :n_weights]``, and a penalty or a decay is one operation on it.
    """
    return tuple(sorted(specs, key=lambda spec: not spec.is_weight))


def block_slices(specs: Sequence[ParameterSpec]) -> dict[str, slice]:
    """Where each block lies in a replica's row."""
    slices, start = {}, 0
    for spec in specs:
        slices[spec.name] = slice(start, start + spec.size)
        start += spec.size
    return slices
