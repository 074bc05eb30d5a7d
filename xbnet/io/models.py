"""Networks in files: safetensors with JSON metadata. Nothing in a file is ever executed.

A file holds the tensors ``theta (R, P)`` and ``state (R, S)`` as the network has them, ``preparation.mean``,
``preparation.scale (I,)`` and what else a `Scaler` has where the inputs were scaled, and ``history.FIGURE`` where a
history was given. Its metadata describe the network; they are checked against the tensors before anything of their size
is allocated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..backends.arrays import Rows
from ..backends.backend import Backend
from ..datasets import Scaler, Schema
from ..errors import ConfigError
from ..history import History
from ..nn.network import Network
from .about import restore_classes, restore_features, restore_preparation, restore_schema, target_scale_of
from .folders import file_of
from .histories import pack_history, unpack_history
from .networks import describe_network, plain, restore_network
from .spread import HasMembers
from .tensorfile import read_tensors, write_tensors

KIND = "network"


@dataclass(eq=False)
class Model(HasMembers):
    """A network from a file, with its classes, schema and history.

    Attributes
    ----------
    network
        Ready to predict, or to be trained further: its random streams go on where they were.
    classes
        Names in the order of the outputs; None if it has none.
    preparation
        The scaler of the inputs; None: there is none.
    history
        How it was trained; None if it was not saved. Times are not kept: `seconds` are 0.
    version
        The version of xbnet that wrote the file.
    features
        Names of the inputs; None if they have none.
    schema
        How the rows of a table become inputs, and what is learned of them; None: it was trained on arrays. It does
        what a preparation does.

    Examples
    --------
    >>> import tempfile, xbnet
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(xbnet.Network([xbnet.Linear(2)], 3), f"{folder}/m.safetensors", classes=["no", "yes"])
    ...     load_model(f"{folder}/m.safetensors").classes
    ('no', 'yes')
    """

    network: Network
    classes: tuple[Any, ...] | None
    preparation: Scaler | None
    history: History | None
    version: str
    features: tuple[str, ...] | None = None
    schema: Schema | None = None

    @property
    def target_scale(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Mean and scale (O,) of the targets that the network learned as ``(y - mean) / scale``; None: as they are."""
        return target_scale_of(self.schema)

    @property
    def n_inputs(self) -> int:
        """I."""
        return self.network.n_inputs

    @property
    def n_outputs(self) -> int:
        """C, or O of a regression."""
        return self.network.n_outputs

    @property
    def link(self) -> str:
        """Name of the function that turns outputs into predictions, see `outputs.LINKS`."""
        return self.network.link

    @property
    def size(self) -> int:
        """Networks in it, whose answers are averaged."""
        return self.network.replicas

    def member(self, index: int) -> Model:
        """Make the same model with the network index (from 0) alone."""
        return replace(self, network=self.network.select([index]), history=None)

    def members(self) -> list[tuple[Network, Scaler | None]]:
        """Each network by itself, and the scaler of its inputs after the schema, if there is one."""
        return [(self.network.select([r]), self.preparation) for r in range(self.size)]

    def stacks(self) -> list[tuple[Network, Scaler | None]]:
        """All networks together."""
        return [(self.network, self.preparation)]

    @property
    def scales(self) -> bool:
        """Whether inputs are scaled before the network sees them."""
        return self.preparation is not None or (self.schema is not None and self.schema.scaler is not None)

    def predict_proba(self, x: Rows) -> np.ndarray:
        """Probabilities (N, C), or values (N, O) in the targets' units, for rows as the user has them.

        Parameters
        ----------
        x
            (N, I) inputs that are not prepared yet; for a model with a schema, a table: a path, a DataFrame, or a
            mapping of names to columns.

        Returns
        -------
        array
            Means over the replicas, if there are several.
        """
        return self.from_encoded(np.asarray(x) if self.schema is None else self.schema.encode(x))

    def from_encoded(self, x: np.ndarray) -> np.ndarray:
        """Return `predict_proba` for inputs x (N, I) that the schema, if there is one, has encoded."""
        return self.outputs(x if self.preparation is None else self.preparation(x))

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Return `predict_proba` for inputs x (N, I) that are prepared."""
        values = self.network.predict_proba(x)
        values = values.mean(axis=0) if values.ndim == 3 else values
        if self.target_scale is None:
            return values
        mean, scale = self.target_scale
        return values * scale + mean


def save(
    network: Network,
    path: str | Path,
    *,
    classes: Sequence[Any] | None = None,
    preparation: Scaler | None = None,
    history: History | None = None,
    features: Sequence[str] | None = None,
    schema: Schema | None = None,
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
        How the inputs were scaled, e.g. ``data.preparation``.
    history
        The result of `fit`; its times are left out, so that equal runs write equal files.
    features
        (I,) names of the inputs: `xbnet predict` then finds the columns of a table by them.
    schema
        How a table becomes the inputs, e.g. ``data.schema``; it says what classes, features and preparation say.

    Raises
    ------
    ConfigError
        Classes, names, preparation or history are not this network's; a setting of a layer is neither a number, a text
        nor a list of these; or the file can't be written.

    Examples
    --------
    >>> import tempfile, xbnet
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(xbnet.Network([xbnet.Linear(2)], 3), f"{folder}/m.safetensors")
    ...     load(f"{folder}/m.safetensors").n_parameters
    8
    """
    if not isinstance(network, Network):
        raise ConfigError(f"save: expected a Network, got {type(network).__name__}")
    with network.exclusive():  # not in the middle of an epoch
        tensors = {"theta": network.backend.to_host(network.theta).copy()}
        tensors["state"] = network.backend.to_host(network.state).copy()
        description = describe_network(network)
    if preparation is not None:
        _expect_number("mean per input, I", network.n_inputs, np.size(preparation.mean), "of preparation")
        tensors |= {f"preparation.{name}": part for name, part in preparation.arrays().items()}
    if schema is not None:
        if preparation is not None:
            raise ConfigError("save: expected a schema or a preparation, got both; a schema scales by itself")
        _expect_number("schema with as many inputs, I", network.n_inputs, schema.n_inputs, "in it")
        description["schema"] = schema.to_json()
        features = schema.input_names
        if classes is None and schema.target is not None:
            classes = schema.target.classes
    if classes is not None:
        description["classes"] = plain("save: classes", list(classes))
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
        Where the network is put; any backend reads the files of any other.
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

    Examples
    --------
    >>> import tempfile, xbnet
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(xbnet.Network([xbnet.Linear(2)], 3), f"{folder}/m.safetensors")
    ...     load(f"{folder}/m.safetensors").n_outputs
    2
    """
    return load_model(path, backend, custom=custom).network


def load_model(path: str | Path, backend: str | Backend = "numpy", *, custom: Mapping[str, Any] | None = None) -> Model:
    """A file that `save` wrote, with classes, preparation, history and schema.

    Parameters
    ----------
    path, backend, custom
        See `load`, as for errors and an example.

    Returns
    -------
    Model

    Examples
    --------
    >>> load_model("missing.safetensors")
    Traceback (most recent call last):
    xbnet.errors.DataError: missing.safetensors: ...
    """
    if custom is not None and not isinstance(custom, Mapping):
        raise ConfigError(f"load: expected custom to be {{name: object}}, got {type(custom).__name__}")
    file = read_tensors(file_of(path), KIND)
    with file.reading():
        network = restore_network(file, backend, custom or {})
        description = file.description
        return Model(
            network,
            restore_classes(file, network),
            restore_preparation(file, network),
            None if "history" not in description else unpack_history(file, description["history"], network.replicas),
            file.version,
            restore_features(file, network),
            restore_schema(file, network),
        )


__all__ = ["Model", "load", "load_model", "save"]
