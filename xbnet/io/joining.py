"""`join`: the members of a stack as one wide network."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigError
from ..nn.layers import Dropout, Layer, Linear
from ..nn.network import Network


def can_join(layers: list[Layer]) -> bool:
    """Whether networks of these layers may be joined: what is not linear acts on each value alone."""
    return all(type(layer) in (Linear, Dropout) for layer in layers)


def join(network: Network) -> Network:
    """One network whose output is the mean of the outputs of all R.

    The hidden layers are side by side, each with the weights of its member and none between two members; the last
    layer takes the mean. So a regression's value is the mean of the members' values, and a probability is, up to a
    constant, the geometric mean of their probabilities.

    Parameters
    ----------
    network
        R networks of `Linear` and `Dropout` layers; it stays as it is.

    Returns
    -------
    Network
        A network of one replica, on the same backend.

    Raises
    ------
    ConfigError
        It has other layers.

    Examples
    --------
    >>> from xbnet import Linear, Network
    >>> stack = Network([Linear(8, "tanh"), Linear(3)], n_inputs=2, replicas=4, rng=0)
    >>> one = join(stack)
    >>> one.layers
    [Linear(n_outputs=32, activation='tanh'), Linear(n_outputs=3)]
    >>> x = np.ones((1, 5, 2), "float32")
    >>> bool(np.allclose(one.forward(x)[0], stack.forward(x).mean(axis=0), atol=1e-6))
    True
    """
    if not can_join(network.layers):
        kinds = ", ".join(sorted({type(layer).__name__ for layer in network.layers}))
        raise ConfigError(f"join: expected layers of Linear and Dropout alone, got {kinds}")
    R, linear = network.replicas, [layer for layer in network.layers if isinstance(layer, Linear)]
    last = linear[-1]
    layers: list[Layer] = []
    for layer in network.layers:
        if isinstance(layer, Linear):
            width = layer.n_outputs if layer is last else R * layer.n_outputs
            layers.append(Linear(width, layer.activation, initializer=layer.initializer))
        else:
            layers.append(Dropout(float(np.asarray(layer.rate, float).mean())))  # it acts in training only
    joined = Network(
        layers, network.n_inputs, backend=network.backend, dtype=network.dtype, rng=[network.seeds[0]]
    )  # fmt: skip
    for layer, wide in zip(linear, (one for one in joined.layers if isinstance(one, Linear)), strict=True):
        _fill(layer, wide, R, first=layer is linear[0], last=layer is last)
    joined.link = network.link
    return joined


def _fill(layer: Any, wide: Any, R: int, first: bool, last: bool) -> None:
    """Put the members' weights (R, I, O) and biases (R, 1, O) where they belong in the wide layer."""
    I, O = layer.W.shape[-2:]  # noqa: E741 - the legend's letters
    W, b = layer.W.reshape(R, I, O), layer.b.reshape(R, O)
    wide.W[...] = 0
    share = 1 / R if last else 1.0
    for r in range(R):
        rows = slice(None) if first else slice(r * I, (r + 1) * I)
        columns = slice(None) if last else slice(r * O, (r + 1) * O)
        wide.W[0, rows, columns] += W[r] * share
        wide.b[0, 0, columns] += b[r] * share
