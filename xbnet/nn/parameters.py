"""All that a stack has learnt in one array: theta (R, P), a row per replica, a view per layer's block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from ..backends.arrays import Array, DTypeLike
from ..errors import ConfigError
from ..replicas import stream
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
    layer
        Within a network the number of its layer, from 0; the network sets it.

    Examples
    --------
    >>> spec = ParameterSpec("gain", (1, 4))
    >>> spec.size, spec.draw(np.random.default_rng(0))
    (4, array([[0., 0., 0., 0.]]))
    """

    name: str
    shape: tuple[int, ...]
    initializer: Initializer = zeros
    is_weight: bool = False
    layer: int = 0

    @property
    def size(self) -> int:
        """Entries of one replica."""
        return math.prod(self.shape)

    def draw(self, rng: np.random.Generator, dtype: DTypeLike = float) -> np.ndarray:
        """Draw initial values of one replica.

        Parameters
        ----------
        rng
            The replica's generator.
        dtype
            Type of the values.

        Returns
        -------
        numpy.ndarray
            Of shape `shape`.

        Raises
        ------
        ConfigError
            The initializer returned another shape, or values that are not finite in this type.
        """
        with np.errstate(over="ignore"):
            try:
                values = np.asarray(self.initializer(rng, self.shape)).astype(dtype)
            except OverflowError:  # the range itself is too wide
                values = np.full(self.shape, np.inf)
        if not np.isfinite(values).all():
            raise ConfigError(
                f"initializer of {self.name}: expected values that {np.dtype(dtype)} can hold, got some that are "
                "infinite or nan; take a smaller one"
            )
        if values.shape != self.shape:
            raise ConfigError(f"initializer of {self.name}: expected values of shape {self.shape}, got {values.shape}")
        return values


def carve(rows: Array, specs: Sequence[ParameterSpec]) -> dict[str, Any]:
    """Views (R, *spec.shape) into `rows` (R, P), in the order of `specs`; nothing is copied."""
    slices = block_slices(specs)
    return {spec.name: rows[:, slices[spec.name]].reshape(rows.shape[0], *spec.shape) for spec in specs}


def layout(specs: Sequence[ParameterSpec]) -> tuple[ParameterSpec, ...]:
    """The order of blocks in theta: all weights first, then the rest, each in layer order.

    So "all weights" is one slice ``theta[:, :n_weights]``, and a penalty or a decay is one operation on it.
    """
    return tuple(sorted(specs, key=lambda spec: not spec.is_weight))


def block_slices(specs: Sequence[ParameterSpec]) -> dict[str, slice]:
    """Where each block is in a replica's row."""
    ends = accumulate(spec.size for spec in specs)
    return {spec.name: slice(end - spec.size, end) for spec, end in zip(specs, ends, strict=True)}


def draw_rows(
    specs: Sequence[ParameterSpec],
    state_specs: Sequence[ParameterSpec],
    seeds: Sequence[np.random.SeedSequence],
    dtype: DTypeLike,
) -> tuple[np.ndarray, np.ndarray]:
    """Initial theta (R, P) and state (R, S) on the host: blocks in layer order, each replica from its own stream."""
    theta, state = (np.zeros((len(seeds), sum(s.size for s in blocks)), dtype) for blocks in (specs, state_specs))
    views = carve(theta, specs) | carve(state, state_specs)
    for r, seed in enumerate(seeds):
        rng = stream(seed, "init")
        for spec in (*sorted(specs, key=lambda spec: spec.layer), *state_specs):
            views[spec.name][r] = spec.draw(rng, dtype)
    return theta, state
