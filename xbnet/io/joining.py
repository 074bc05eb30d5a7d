"""`join`: the members of a stack as one wide network."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigError
from ..nn.layers import Dropout, Layer, Linear
from ..nn.layers.tables import Embedding
from ..nn.layers.tables.columnwise import runs
from ..nn.network import Network


def can_join(layers: list[Layer]) -> bool:
    """Whether networks of these layers may be joined: what is not linear acts on each value alone, or looks it up."""
    embeds = len(layers) > 1 and type(layers[0]) is Embedding and layers[0].dim is not None
    return all(type(layer) in (Linear, Dropout) for layer in layers[embeds:])


def join(network: Network) -> Network:
    """One network whose output is the mean of the outputs of all R.

    The hidden layers are side by side, each with the weights of its member and none between two members; the last
    layer takes the mean. So a regression's value is the mean of the members' values, and a probability is, up to a
    constant, the geometric mean of their probabilities.

    Parameters
    ----------
    network
        R networks of `Linear` and `Dropout` layers, the first may be an `Embedding`; it stays as it is.

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
        raise ConfigError(f"join: expected layers of Linear and Dropout, the first may be an Embedding, got {kinds}")
    R, layers = network.replicas, [_wide(layer, network, k) for k, layer in enumerate(network.layers)]
    joined = Network(
        layers, network.n_inputs, backend=network.backend, dtype=network.dtype, rng=[network.seeds[0]]
    )  # fmt: skip
    places = [np.arange(network.n_inputs)] * R  # of each member's values among those of all
    last = _last(network)
    for k, (layer, wide) in enumerate(zip(network.layers, joined.layers, strict=True)):
        if isinstance(layer, Embedding):
            places = _fill_tables(layer, wide, R)
        elif isinstance(layer, Linear):
            places = _fill(layer, wide, places, is_last=k == last)
    joined.link = network.link
    return joined


def _last(network: Network) -> int:
    """The number of the last layer that has weights: the mean is taken there."""
    return max(k for k, layer in enumerate(network.layers) if isinstance(layer, Linear))


def _wide(layer: Layer, network: Network, k: int) -> Layer:
    """The layer that stands for all members'."""
    R = network.replicas
    if isinstance(layer, Embedding):
        return Embedding(layer.n_categories, R * layer.D, columns=layer.columns, initializer=layer.initializer)
    if isinstance(layer, Linear):
        width = layer.n_outputs * (1 if k == _last(network) else R)
        return Linear(width, layer.activation, initializer=layer.initializer)
    assert isinstance(layer, Dropout)
    return Dropout(float(np.asarray(layer.rate, float).mean()))  # it acts in training only


def _fill(layer: Any, wide: Any, places: list[np.ndarray], is_last: bool) -> list[np.ndarray]:
    """Put the members' weights (R, I, O) and biases (R, 1, O) where they belong; where their outputs are."""
    R, O = len(places), layer.n_outputs  # noqa: E741 - the legend's letters
    wide.W[...] = 0
    found = [np.arange(O) + (0 if is_last else r * O) for r in range(R)]
    for r, (inputs, outputs) in enumerate(zip(places, found, strict=True)):
        share, columns = (1 / R if is_last else 1.0), slice(outputs[0], outputs[-1] + 1)
        wide.b[0, 0, columns] += layer.b[r, 0] * share
        for i, rows in runs(inputs.tolist()):
            wide.W[0, rows, columns] += layer.W[r, i] * share
    return found


def _fill_tables(layer: Embedding, wide: Any, R: int) -> list[np.ndarray]:
    """Put the members' tables (R, K, D) side by side; where the outputs of each are."""
    D = layer.D
    rest, embedded = np.arange(layer.n_rest), np.arange(layer.n_inputs)[:, None] * R * D + np.arange(D)
    for r in range(R):
        wide.W[0, :, r * D : (r + 1) * D] = layer.W[r]
    return [np.concatenate([rest, layer.n_rest + r * D + embedded.ravel()]) for r in range(R)]
