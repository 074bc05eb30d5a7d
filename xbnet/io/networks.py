"""A `Network` in a file of tensors: its layers as JSON, and the states of its random streams."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..backends.backend import Backend
from ..errors import ConfigError, DataError
from ..nn.layers import LAYERS, Layer, forgotten_arguments
from ..nn.layers.tables.columnwise import ColumnEmbedding
from ..nn.network import Network
from ..nn.outputs import LINKS
from .tensorfile import Tensors

SCALARS = (str, int, float, bool)
FEW_INPUTS = 10_000
"""So many inputs an embedding of a file may have however few numbers come with them."""


def describe_network(network: Network) -> dict[str, Any]:
    """All of a network but its numbers, as JSON has it."""
    return {
        "layers": [[type(layer).__name__, _settings(layer)] for layer in network.layers],
        "n_inputs": network.n_inputs,
        "replicas": network.replicas,
        "dtype": network.dtype.name,
        "link": network.link,
        "blocks": [[spec.name, list(spec.shape)] for spec in network.specs],
        "state_blocks": [[spec.name, list(spec.shape)] for spec in network.state_specs],
        "seeds": [[plain("seed", seed.entropy), list(seed.spawn_key)] for seed in network.seeds],
        "streams": [generator_state(generator) for generator in network.streams],
    }


def _settings(layer: Layer) -> dict[str, Any]:
    """A layer's `config`; initial values are in the past, so a function that drew them is left out."""
    for name in forgotten_arguments(layer):
        raise ConfigError(
            f"save: {type(layer).__name__}: its argument {name!r} would be lost; keep it as `self.{name}`, "
            "or return it from `config`"
        )
    config = {k: None if k == "initializer" and callable(v) else v for k, v in layer.config().items()}
    return {k: plain(f"save: {type(layer).__name__}.{k}", v) for k, v in config.items()}


def plain(where: str, value: object) -> Any:
    """A value as JSON has it."""
    value = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
    if value is None or isinstance(value, SCALARS):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(where, item) for item in value]
    raise ConfigError(f"{where}: expected numbers, texts or lists of these, got {value!r}; `config` may return a name")


def restore_network(file: Tensors, backend: str | Backend, custom: Mapping[str, Any]) -> Network:
    """The network that `describe_network` described, with the numbers of the file."""
    d = file.description
    layers = [_restore_layer(file, name, config, custom) for name, config in d["layers"]]
    n_inputs, replicas, dtype = d["n_inputs"], d["replicas"], np.dtype(d["dtype"])
    _check_sizes(file, layers, n_inputs, replicas)
    seeds = [np.random.SeedSequence(entropy, spawn_key=tuple(key)) for entropy, key in d["seeds"]]
    file.require(d["link"] in LINKS, f"link {d['link']!r} is one of {', '.join(LINKS)}")
    file.require(len(seeds) == len(d["streams"]) == replicas, "there is a seed and a stream per replica")
    network = Network(layers, n_inputs, replicas=replicas, backend=backend, dtype=dtype, rng=seeds)
    for name, specs in (("blocks", network.specs), ("state_blocks", network.state_specs)):
        file.require(
            d[name] == [[s.name, list(s.shape)] for s in specs],
            f"{name} are in the order that this version has; load it with the version that wrote it",
        )
    theta, state = (file.tensor(name, dtype, file.shape(name)) for name in ("theta", "state"))
    network.theta[...] = network.backend.asarray(theta)
    network.state[...] = network.backend.asarray(state)
    network.link = d["link"]
    for generator, kept in zip(network.streams, d["streams"], strict=True):
        set_generator_state(generator, kept)
    return network


def _restore_layer(file: Tensors, name: Any, config: Any, custom: Mapping[str, Any]) -> Layer:
    kind = custom.get(name, LAYERS.get(name))
    if not (isinstance(kind, type) and issubclass(kind, Layer)):
        raise DataError(
            f"{file.source}: has a layer {name!r} that xbnet does not have; pass its class to load(custom=...)"
        )
    try:
        return kind(**{k: custom[v] if isinstance(v, str) and v in custom else v for k, v in config.items()})
    except ConfigError as error:
        raise DataError(f"{file.source}: {error}; pass your own objects to load(custom=...)") from error


def _check_sizes(file: Tensors, layers: list[Layer], n_inputs: Any, replicas: Any) -> None:
    """Compare the sizes of theta and state with the layers', before arrays of these sizes are made."""
    for name, value in (("n_inputs", n_inputs), ("replicas", replicas)):
        right = type(value) is int and 0 < value < 2**31
        file.require(right, f"{name} is a whole number in [1, 2^31), got {value!r}")
    width, n_parameters, n_state = n_inputs, 0, 0
    for layer in layers:
        if isinstance(layer, ColumnEmbedding):  # it keeps something for each input, and each brings numbers
            most = FEW_INPUTS + math.prod(file.shape("theta"))
            file.require(width <= most, f"an embedding has no more inputs than there are numbers, got {width:,}")
        layer.build(width)
        width = layer.n_outputs
        n_parameters += sum(spec.size for spec in layer.parameters())
        n_state += sum(spec.size for spec in layer.state())
    for name, size in (("theta", n_parameters), ("state", n_state)):
        shape = file.shape(name)
        file.require(shape == (replicas, size), f"{name} has the layers' shape {(replicas, size)}, got {shape}")


def generator_state(generator: Any) -> dict[str, Any]:
    """The state of a NumPy generator (or of what stands for one) as JSON has it."""
    return dict(getattr(generator, "bit_generator", generator).state)


def set_generator_state(generator: Any, state: dict[str, Any]) -> None:
    """Let a generator go on from a `generator_state`."""
    getattr(generator, "bit_generator", generator).state = state
