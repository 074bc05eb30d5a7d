"""Networks in files: safetensors with JSON metadata. Nothing in a file is ever executed.

A file holds the tensors ``theta (R, P)`` and ``state (R, S)`` as the network has them, ``preparation.mean`` and
``preparation.scale (I,)`` where the inputs were standardized, and ``history.FIGURE`` where a history was given. Its
metadata describe the network; they are checked against the tensors before anything of their size is allocated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..backends.backend import Backend
from ..datasets import Standardizer
from ..errors import ConfigError, DataError
from ..history import History
from ..nn.layers import LAYERS, Layer
from ..nn.network import Network
from ..nn.outputs import LINKS
from .histories import pack_history, unpack_history
from .tensorfile import Tensors, read_tensors, write_tensors

KIND = "network"
RUN_FILES = ("model.safetensors", "best.safetensors")
"""What `xbnet train --out` and `xbnet sweep --out` call the model that they keep."""
SCALARS = (str, int, float, bool)


@dataclass(eq=False)
class Model:
    """A network from a file, with what belongs to it.

    Attributes
    ----------
    network
        Ready to predict, or to be trained further: its random streams go on where they were.
    classes
        Names in the order of the outputs; None if it has none.
    preparation
        What must be done to inputs first; None: nothing.
    history
        How it was trained; None if it was not saved. Times are not kept: `seconds` are 0.
    version
        Of the xbnet that wrote the file.
    features
        Names of the inputs; None if they have none.
    """

    network: Network
    classes: tuple[Any, ...] | None
    preparation: Standardizer | None
    history: History | None
    version: str
    features: tuple[str, ...] | None = None


def save(
    network: Network,
    path: str | Path,
    *,
    classes: Any = None,
    preparation: Standardizer | None = None,
    history: History | None = None,
    features: Any = None,
) -> None:
    """Write a network to a file, in one piece: nobody ever sees half of it.

    Parameters
    ----------
    network
        R networks.
    path
        The file, e.g. "model.safetensors"; replaced if it exists.
    classes
        (C,) names or numbers of the classes.
    preparation
        How the inputs were standardized, e.g. ``data.preparation``.
    history
        What `fit` returned; its times are left out, so that equal runs leave equal files.
    features
        (I,) names of the inputs: `xbnet predict` then finds the columns of a table by them.

    Raises
    ------
    ConfigError
        Classes, names, preparation or history are not this network's; a setting of a layer is neither a number, a text
        nor a list of these; or the file can't be written.
    """
    if not isinstance(network, Network):
        raise ConfigError(f"save: expected a Network, got {type(network).__name__}")
    tensors = {"theta": network.backend.to_host(network.theta), "state": network.backend.to_host(network.state)}
    if preparation is not None:
        _expect_number("mean per input, I", network.n_inputs, np.size(preparation.mean), "of preparation")
        tensors |= {"preparation.mean": preparation.mean, "preparation.scale": preparation.scale}
    description = describe_network(network)
    if classes is not None:
        description["classes"] = _plain("save: classes", list(classes))
        _expect_number("class per output, C", network.n_outputs, len(description["classes"]), "classes")
    if features is not None:
        description["features"] = [str(name) for name in features]
        _expect_number("name per input, I", network.n_inputs, len(description["features"]), "features")
    if history is not None:
        _expect_number("history per replica, R", network.replicas, history.replicas, "in it")
        figures, description["history"] = pack_history(history, times=False)  # so equal runs leave equal bytes
        tensors |= figures
    write_tensors(path, KIND, tensors, description)


def _expect_number(what: str, expected: int, got: int, of: str) -> None:
    """Refuse what `load_model` would refuse, while there is nothing lost."""
    if got != expected:
        raise ConfigError(f"save: expected a {what}={expected}, got {got} {of}")


def load(path: str | Path, backend: str | Backend = "numpy", *, custom: Mapping[str, Any] | None = None) -> Network:
    """The network of a file that `save` wrote.

    Parameters
    ----------
    path
        The file, or the folder of a run that has one.
    backend
        Where the network shall live; any backend reads what any other wrote.
    custom
        Name -> object, for layers and activations of your own: a class derived from `Layer` under its name, an
        `Activation` under its `name`.

    Returns
    -------
    Network

    Raises
    ------
    DataError
        The file is missing, damaged, of another version, or its parts contradict each other.

    See Also
    --------
    load_model : the same with classes, preparation and history.
    """
    return load_model(path, backend, custom=custom).network


def load_model(path: str | Path, backend: str | Backend = "numpy", *, custom: Mapping[str, Any] | None = None) -> Model:
    """What `save` wrote, with classes, preparation and history; see `load`."""
    if custom is not None and not isinstance(custom, Mapping):
        raise ConfigError(f"load: expected custom to be {{name: object}}, got {type(custom).__name__}")
    file = read_tensors(file_of(path), KIND)
    with file.reading():
        network = restore_network(file, backend, custom or {})
        description = file.description
        return Model(
            network,
            _restore_classes(file, network),
            _restore_preparation(file, network),
            None if "history" not in description else unpack_history(file, description["history"], network.replicas),
            file.version,
            _restore_features(file, network),
        )


def file_of(path: str | Path) -> Path:
    """The model's file: `path`, or the one in the folder of a run.

    Raises
    ------
    DataError
        The folder has none.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    found = [file for name in RUN_FILES if (file := path / name).is_file()]
    if not found:
        raise DataError(f"{path}: is a folder; expected {' or '.join(RUN_FILES)} in it, or a file that xbnet saved")
    return found[0]


# -- the network ---------------------------------------------------------------------------------------------------


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
        "seeds": [[_plain("seed", seed.entropy), list(seed.spawn_key)] for seed in network.seeds],
        "streams": [generator_state(generator) for generator in network.streams],
    }


def _settings(layer: Layer) -> dict[str, Any]:
    """A layer's `config`; initial values are in the past, so a function that drew them is left out."""
    config = {k: None if k == "initializer" and callable(v) else v for k, v in layer.config().items()}
    return {k: _plain(f"save: {type(layer).__name__}.{k}", v) for k, v in config.items()}


def _plain(where: str, value: Any) -> Any:
    """A value as JSON has it."""
    value = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
    if value is None or isinstance(value, SCALARS):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(where, item) for item in value]
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
        raise DataError(f"{file.source}: has a layer {name!r} that xbnet has not; hand its class to load(custom=...)")
    try:
        return kind(**{k: custom[v] if isinstance(v, str) and v in custom else v for k, v in config.items()})
    except ConfigError as error:
        raise DataError(f"{file.source}: {error}; own objects are handed to load(custom=...)") from error


def _check_sizes(file: Tensors, layers: list[Layer], n_inputs: Any, replicas: Any) -> None:
    """Compare the sizes of theta and state with the layers', before arrays of these sizes are made."""
    for name, value in (("n_inputs", n_inputs), ("replicas", replicas)):
        right = type(value) is int and 0 < value < 2**31
        file.require(right, f"{name} is a whole number in [1, 2^31), got {value!r}")
    width, n_parameters, n_state = n_inputs, 0, 0
    for layer in layers:
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


# -- what belongs to it --------------------------------------------------------------------------------------------


def _restore_classes(file: Tensors, network: Network) -> tuple[Any, ...] | None:
    classes = file.description.get("classes")
    if classes is None:
        return None
    file.require(
        isinstance(classes, list) and len(classes) == network.n_outputs and all(type(c) in SCALARS for c in classes),
        f"there is a class per output, C={network.n_outputs}",
    )
    return tuple(classes)


def _restore_features(file: Tensors, network: Network) -> tuple[str, ...] | None:
    names = file.description.get("features")
    if names is None:
        return None
    right = isinstance(names, list) and len(names) == network.n_inputs and all(type(name) is str for name in names)
    file.require(right, f"there is a name per input, I={network.n_inputs}")
    return tuple(names)


def _restore_preparation(file: Tensors, network: Network) -> Standardizer | None:
    if "preparation.mean" not in file.arrays:
        return None
    mean, scale = (file.tensor(f"preparation.{name}", float, (network.n_inputs,)) for name in ("mean", "scale"))
    right = np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all()
    file.require(bool(right), "preparation has finite means and scales > 0")
    return Standardizer(mean, scale)


__all__ = ["Model", "load", "load_model", "save"]
