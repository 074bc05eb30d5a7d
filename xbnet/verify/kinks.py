"""Kinks: the points at which an activation's derivative, or that of |W|, jumps.

On either side of a kink f is smooth, and across it no Taylor test can hold. So every step of a test says whether it
crossed one, and is left out if it did; and a test begins at a point that is not on one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..backends.arrays import Array
from ..backends.ops import Ops
from ..nn.activations import Activation
from ..nn.network import Network


class Kinks:
    """Watches what goes into the activations with kinks of a network, which it changes for that.

    Parameters
    ----------
    network
        Its layers' attributes that are an `Activation` with kinks are replaced by watched ones.
    with_weights
        The weights themselves have a kink at 0, as under an L1 penalty.
    """

    def __init__(self, network: Network, with_weights: bool):
        self.network, self.with_weights = network, with_weights
        self._inputs: list[tuple[str, float, Any]] = []  # of the current forward: name, kink, input - kink
        self._sides: list[Any] = []  # at the base point
        self.watching = with_weights
        self._names: dict[int, str] = {}
        for k, layer in enumerate(network.layers):
            for name, value in list(vars(layer).items()):
                if isinstance(value, Activation) and value.kinks:
                    watched = self._watched(f"{k}.{name} ({value.name})", value)
                    setattr(layer, name, watched)
                    self._names[id(watched)] = f"{k}.{name} ({value.name})"
                    self.watching = True
            if self._names:
                vars(layer)["ops"] = WatchedOps(layer.ops, self)

    def _watched(self, name: str, activation: Activation) -> Activation:
        def forward(xp: Any, z: Any, out: Any, work: Any) -> None:
            self._inputs += [(name, kink, z - kink) for kink in activation.kinks]
            activation.forward(xp, z, out, work)

        return replace(activation, forward=forward)

    def bias_activation(
        self, ops: Ops, activation: Activation, z: Array, b: Array, out: Array, work: tuple[Array, Array]
    ) -> Array:
        """See `Ops`. What one kernel does never calls the activation's forward: its input is noted here."""
        name, noted = self._names.get(id(activation)), len(self._inputs)
        before = z + b if name and out is z and b is not None else z
        result = ops.bias_activation(activation, z, b, out, work)
        if name and len(self._inputs) == noted:
            self._inputs += [(name, kink, before - kink) for kink in activation.kinks]
        return result

    def begin(self) -> None:
        """Call before a forward."""
        self._inputs = []
        if self.with_weights:
            weights = self.network.theta[:, None, : self.network.n_weights]
            self._inputs.append(("weights (l1)", 0.0, weights + 0.0))

    def mark(self) -> None:
        """Take the last forward as the base point."""
        self._sides = [z > 0 for _, _, z in self._inputs]

    def crossed(self) -> np.ndarray:
        """(R,): whether any input is on the other side of a kink than at the base point."""
        out = np.zeros(self.network.replicas, bool)
        xp = self.network.backend.library
        for (_, _, z), side in zip(self._inputs, self._sides, strict=True):
            out |= self._host(xp.any(xp.not_equal(z > 0, side), axis=(1, 2)))
        return out

    def inputs(self) -> list[tuple[str, np.ndarray]]:
        """Return the inputs of the last forward: name, and host (R or 1, B, H) signed distances from the kink."""
        return [(name, self._host(z).astype(float)) for name, _, z in self._inputs]

    def _host(self, array: Any) -> np.ndarray:
        return self.network.backend.to_host(array)


class WatchedOps:
    """A layer's operations, of which one may compute an activation without calling it."""

    def __init__(self, ops: Ops, kinks: Kinks):
        self._ops, self._kinks = ops, kinks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ops, name)

    def bias_activation(
        self, activation: Activation, z: Array, b: Array, out: Array, work: tuple[Array, Array]
    ) -> Array:
        """See `Ops`."""
        return self._kinks.bias_activation(self._ops, activation, z, b, out, work)


def margins(here: list[tuple[str, np.ndarray]], moved: list[tuple[str, np.ndarray]], replicas: int) -> np.ndarray:
    """The smallest distance of an input from its kink, relative to the inputs' size, (R,); infinite without kinks.

    Inputs that a small random move of all parameters and x leaves as they are don't count: what dropout has set to
    0 sits on a kink, and stays there.
    """
    smallest = np.full(replicas, np.inf)
    for (_, z), (_, other) in zip(here, moved, strict=True):
        size = np.sqrt(np.mean(z * z, axis=(1, 2), keepdims=True)) + np.finfo(float).tiny
        distance = np.where(z == other, np.inf, np.abs(z) / size)
        smallest = np.minimum(smallest, distance.min(axis=(1, 2)))
    return smallest
