"""Rounding, measured: the same computation with every intermediate array moved by a unit in the last place.

A layer amplifies such moves as it amplifies its own roundings, so what they do to f and to its gradient is what
rounding may have done (Vignes, "Discrete stochastic arithmetic for validating results of numerical software", 2004).
What stays the same under so small a move shows on a short line instead: differences of high order of a smooth function
vanish there, and what is left is rounding (More & Wild, "Estimating computational noise", 2011).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..layers import Layer
from ..network import Network


class Shaker:
    """Moves theta, x, what passes between the layers of a network, and what they keep; it changes the network for that.

    Attributes
    ----------
    size
        Every number moves by up to this share of itself; 0: nothing does.
    inside
        What a layer keeps from forward to backward moves too.
    """

    def __init__(self, network: Network):
        self.network, self.size, self.inside = network, 0.0, False
        self.rng = np.random.default_rng(0)
        for layer in network.layers:
            layer.forward = self._forward(layer, layer.forward)  # type: ignore[method-assign]
            layer.backward = self._backward(layer.backward)  # type: ignore[method-assign]

    def moved(self, array: Any) -> Any:
        """The array with every number moved; the array itself if nothing moves."""
        if not self.size:
            return array
        factors = 1 + self.rng.uniform(-self.size, self.size, array.shape)
        return array * self.network.backend.asarray(factors, self.network.dtype)

    def _forward(self, layer: Layer, forward: Any) -> Any:
        def moving(x: Any, training: bool) -> Any:
            y = forward(x, training)
            if self.size and self.inside:
                for name in layer.buffers():
                    kept = getattr(layer, name)
                    kept[...] = self.moved(kept)
            return self.moved(y)

        return moving

    def _backward(self, backward: Any) -> Any:
        return lambda dy, dx: backward(self.moved(dy), dx)


def noise_of_line(f: np.ndarray) -> np.ndarray:
    """The standard deviation of rounding in values f (n, ...) at n equal steps on a short line, (...).

    The largest estimate by differences of order k = 3 and 4, each sqrt(gamma_k mean((diff_k f)^2)) with
    gamma_k = (k!)^2 / (2k)!  (More & Wild 2011, equation 2.5).
    """
    estimates = [
        math.factorial(k) / math.sqrt(math.factorial(2 * k)) * np.sqrt(np.mean(np.diff(f, k, axis=0) ** 2, axis=0))
        for k in (3, 4)
    ]
    return np.max(estimates, axis=0)
