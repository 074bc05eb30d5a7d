"""`join`: the members of a stack as one wide network."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigError
from ..nn.layers import Dropout, Layer, Linear
from ..nn.layers.tables import Embedding, PeriodicEmbedding, PiecewiseLinearEmbedding
from ..nn.layers.tables.columnwise import ColumnEmbedding, runs
from ..nn.network import Network

NUMBERS = (PeriodicEmbedding, PiecewiseLinearEmbedding)


def can_join(layers: list[Layer]) -> bool:
    """Whether networks of these built layers may be joined: what is not linear is of each value alone, or a table."""
    others = list(layers)
    n_shared = float("inf")  # so many of the next layer's inputs, from the first, are the same for all members
    for kinds in (Embedding, NUMBERS):
        first: Any = others[0] if len(others) > 1 else None
        if isinstance(first, kinds) and first.dim is not None:
            if n_shared < 1 + (first.n_all - 1 if first.columns is None else max(first.columns)):
                return False
            others, n_shared = others[1:], first.n_rest
    return all(type(layer) in (Linear, Dropout) for layer in others)


def join(network: Network) -> Network:
    """One network whose output is the mean of the outputs of all R.

    The hidden layers are side by side, each with the weights of its member and none between two members; the last
    layer takes the mean. So a regression's value is the mean of the members' values, and a probability is, up to a
    constant, the geometric mean of their probabilities.

    Parameters
    ----------
    network
        R networks of `Linear` and `Dropout` layers, in front of which there may be an `Embedding` of codes, and then
        an embedding of numbers; it stays as it is.

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
        raise ConfigError(f"join: expected embeddings of inputs, and layers of Linear and Dropout, got {kinds}")
    R, layers = network.replicas, [_wide(layer, network, k) for k, layer in enumerate(network.layers)]
    joined = Network(
        layers, network.n_inputs, backend=network.backend, dtype=network.dtype, rng=[network.seeds[0]]
    )  # fmt: skip
    places = [np.arange(network.n_inputs)] * R  # of each member's values among those of all
    last = _last(network)
    for k, (layer, wide) in enumerate(zip(network.layers, joined.layers, strict=True)):
        if isinstance(layer, ColumnEmbedding) and isinstance(wide, ColumnEmbedding):
            places = _fill_embedding(layer, wide, places)
        elif isinstance(layer, Linear) and isinstance(wide, Linear):
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
    if isinstance(layer, PiecewiseLinearEmbedding):
        return PiecewiseLinearEmbedding(layer.bins, R * layer.D, activation=layer.activation, columns=layer.columns)
    if isinstance(layer, PeriodicEmbedding):
        more: dict[str, Any] = {"sigma": layer.sigma, "phase": layer.phase, "direct": layer.direct}
        more |= {"n_frequencies": R * layer.n_frequencies, "activation": layer.activation, "columns": layer.columns}
        return PeriodicEmbedding(R * layer.D + layer.direct, **more)
    if isinstance(layer, Linear):
        width = layer.n_outputs * (1 if k == _last(network) else R)
        return Linear(width, layer.activation, initializer=layer.initializer)
    assert isinstance(layer, Dropout)
    return Dropout(float(np.asarray(layer.rate, float).mean()))  # it acts in training only


def _fill(layer: Linear, wide: Linear, places: list[np.ndarray], is_last: bool) -> list[np.ndarray]:
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


def _fill_embedding(layer: ColumnEmbedding, wide: ColumnEmbedding, places: list[np.ndarray]) -> list[np.ndarray]:
    """Put the members' vectors of D numbers side by side, for each column; where the outputs of each member are."""
    R, D, n = len(places), layer.D, layer.n_inputs
    columns = np.arange(layer.n_all) if layer.columns is None else np.array(layer.columns)
    rest = np.setdiff1d(np.arange(layer.n_all), columns)
    vectors = np.arange(n)[:, None] * R * D + np.arange(D)
    direct = wide.n_rest + n * R * D + np.arange(n if layer.direct else 0)  # the same for all members
    wide.W[...] = 0
    found = []
    for r, inputs in enumerate(places):
        at = vectors.ravel() + r * D
        codes = np.arange(layer.n_codes)
        if isinstance(layer, PeriodicEmbedding) and isinstance(wide, PeriodicEmbedding):
            codes = _fill_frequencies(layer, wide, r)
        wide.W[0, codes, r * D : (r + 1) * D] = layer.W[r]
        if layer.has_bias:
            wide.b[0, 0, at] = layer.b[r, 0]
        passed = inputs[rest]
        passed = passed - np.searchsorted(np.sort(columns), passed)
        found.append(np.concatenate([passed, wide.n_rest + at, direct]))
    return found


def _fill_frequencies(layer: PeriodicEmbedding, wide: PeriodicEmbedding, r: int) -> np.ndarray:
    """Put the frequencies and phases of member r among those of all; where its codes are."""
    k, K = layer.n_frequencies, wide.n_frequencies
    blocks = np.arange(layer.n_codes // k)  # of each column one, or of its cosines one and of its sines one
    codes = (blocks[:, None] * K + r * k + np.arange(k)).ravel()
    wide.f[0, 0, (np.arange(layer.n_inputs)[:, None] * K + r * k + np.arange(k)).ravel()] = layer.f[r, 0]
    if layer.phase:
        wide.shift[0, 0, codes] = layer.shift[r, 0]
    return codes
