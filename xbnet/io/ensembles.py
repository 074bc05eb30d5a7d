"""Networks that answer together, perhaps of different shapes, in one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..backends.backend import Backend
from ..datasets import Scaler, Schema
from ..errors import ConfigError
from ..nn.network import Network
from ..nn.outputs import LINKS
from ..notebook import heading, table
from ..version import __version__
from .about import restore_classes, restore_features, restore_preparation, restore_schema, target_scale_of
from .folders import file_of
from .models import Model, load_model
from .networks import describe_network, plain, restore_network
from .spread import HasMembers
from .tensorfile import Tensors, kind_of, read_tensors, write_tensors

KIND = "ensemble"


@dataclass(frozen=True, eq=False)
class Ensemble(HasMembers):
    """Networks that answer together: the mean of their probabilities, or of their values.

    Attributes
    ----------
    networks
        Each for one network, all for the same inputs and outputs.
    preparations
        The scaler of each network's inputs, which acts after the schema if there is one; or None.
    classes, features, schema
        The same as a `Model`'s.
    version
        The version of xbnet that wrote the file.

    Examples
    --------
    >>> import xbnet
    >>> result = xbnet.sweep({"lr": [0.1, 0.3, 1.0]}, "gmm", epochs=1)
    >>> committee = result.ensemble(2)
    >>> committee.predict_proba([[0.0, 0.0, 0.0, 0.0, 0.0]]).shape
    (1, 5)
    """

    networks: tuple[Network, ...]
    preparations: tuple[Scaler | None, ...]
    classes: tuple[Any, ...] | None = None
    features: tuple[str, ...] | None = None
    schema: Schema | None = None
    version: str = __version__

    def __post_init__(self) -> None:
        shapes = {(network.n_inputs, network.n_outputs, network.link) for network in self.networks}
        if len(shapes) != 1 or any(network.replicas != 1 for network in self.networks):
            raise ConfigError("Ensemble: expected single networks for the same inputs, outputs and task")
        if len(self.preparations) != len(self.networks):
            raise ConfigError(
                f"Ensemble: expected a preparation or None per network, {len(self.networks)}, "
                f"got {len(self.preparations)}"
            )

    def __repr__(self) -> str:
        return f"Ensemble({len(self.networks)} networks)"

    def _repr_html_(self) -> str:
        rows = [(i, *summary(network)) for i, network in enumerate(self.networks)]
        return heading(repr(self)) + table(("member", "layers", "inputs", "outputs", "parameters"), rows)

    @property
    def n_inputs(self) -> int:
        """I."""
        return self.networks[0].n_inputs

    @property
    def n_outputs(self) -> int:
        """C, or O of a regression."""
        return self.networks[0].n_outputs

    @property
    def link(self) -> str:
        """Name of the function that turns outputs into predictions, see `outputs.LINKS`."""
        return self.networks[0].link

    @property
    def target_scale(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The same as a `Model`'s."""
        return target_scale_of(self.schema)

    @property
    def size(self) -> int:
        """Networks in it."""
        return len(self.networks)

    def members(self) -> list[tuple[Network, Scaler | None]]:
        """Each network, and the scaler of its inputs after the schema, if there is one."""
        return list(zip(self.networks, self.preparations, strict=True))

    stacks = members

    def member(self, index: int) -> Model:
        """Return one of the networks by itself.

        Parameters
        ----------
        index
            From 0.

        Returns
        -------
        Model
        """
        network, preparation = self.members()[index]
        if self.schema is None:
            return Model(network, self.classes, preparation, None, self.version, self.features)
        schema = self.schema if preparation is None else self.schema.scaled(preparation)
        return Model(network, self.classes, None, None, self.version, self.features, schema)

    def predict_proba(self, x: Any) -> np.ndarray:
        """Probabilities (N, C), or values (N, O) in the targets' units, for rows as the user has them.

        Parameters
        ----------
        x
            (N, I) inputs that are not prepared yet; where there is a schema, a table as in `Model.predict_proba`.

        Returns
        -------
        numpy.ndarray
            (N, C), or (N, O): means over the members.
        """
        return self.from_encoded(np.asarray(x) if self.schema is None else self.schema.encode(x))

    def from_encoded(self, x: np.ndarray) -> np.ndarray:
        """Return the same as `predict_proba`, for inputs that the schema has encoded, if there is one.

        Parameters
        ----------
        x
            (N, I).

        Returns
        -------
        numpy.ndarray
            (N, C) or (N, O), float64.
        """
        total = np.zeros(())
        for network, preparation in self.members():
            total = total + network.predict_proba(x if preparation is None else preparation(x)).astype(float)
        mean = total / self.size
        return mean if self.target_scale is None else mean * self.target_scale[1] + self.target_scale[0]

    outputs = from_encoded  # its inputs are prepared by each of the networks

    def predict(self, x: Any) -> np.ndarray:
        """Predict labels, or the values of a regression.

        Parameters
        ----------
        x
            Rows as the user has them: (N, I), or a table with the schema's columns.

        Returns
        -------
        numpy.ndarray
            Classes' numbers (N,), or values (N, O).
        """
        return LINKS[self.link][1](self.predict_proba(x))

    def save(self, path: str | Path) -> None:
        """Write all of it to one file, which `Ensemble.load`, `xbnet predict` and `xbnet export` read.

        Parameters
        ----------
        path
            The file; an old one is replaced, in one piece.

        Raises
        ------
        ConfigError
            A setting of a layer is neither a number, a text nor a list of these; or the file can't be written.
        """
        tensors: dict[str, np.ndarray] = {}
        for i, (network, preparation) in enumerate(self.members()):
            for name in ("theta", "state"):
                tensors[f"{i}.{name}"] = network.backend.to_host(getattr(network, name)).copy()
            if preparation is not None:
                tensors |= {f"{i}.preparation.{name}": part for name, part in preparation.arrays().items()}
        about: dict[str, Any] = {"networks": [describe_network(network) for network in self.networks]}
        if self.classes is not None:
            about["classes"] = plain("save: classes", list(self.classes))
        if self.features is not None:
            about["features"] = list(self.features)
        if self.schema is not None:
            about["schema"] = self.schema.to_json()
        write_tensors(path, KIND, tensors, about)

    @staticmethod
    def load(
        path: str | Path, backend: str | Backend = "numpy", *, custom: Mapping[str, Any] | None = None
    ) -> Ensemble:
        """Read an ensemble that `save` wrote.

        Parameters
        ----------
        path
            The file.
        backend
            Where the networks live; any backend reads the files of any other.
        custom
            Classes of your own layers: name -> class.

        Returns
        -------
        Ensemble

        Raises
        ------
        DataError
            The file is missing, damaged, of another version, or its parts contradict each other.
        """
        file = read_tensors(path, KIND)
        with file.reading():
            members = [
                _member(file, i, one, backend, custom or {}) for i, one in enumerate(file.description["networks"])
            ]
            file.require(len(members) > 0, "there is at least one network in it")
            networks, preparations = zip(*members, strict=True)
            first = networks[0]
            shapes = {(n.n_inputs, n.n_outputs, n.link, n.replicas) for n in networks}
            file.require(len(shapes) == 1 and first.replicas == 1, "its networks serve the same task")
            return Ensemble(
                networks,
                preparations,
                restore_classes(file, first),
                restore_features(file, first),
                restore_schema(file, first),
                file.version,
            )


def _member(file: Tensors, i: int, about: Any, backend: Any, custom: Mapping[str, Any]) -> tuple[Any, Any]:
    """A network of the file, and its preparation."""
    prefix = f"{i}."
    arrays = {name[len(prefix) :]: array for name, array in file.arrays.items() if name.startswith(prefix)}
    own = Tensors(file.source, arrays, dict(about))
    network = restore_network(own, backend, custom)
    return network, restore_preparation(own, network)


def load_any(path: str | Path, backend: str | Backend = "numpy") -> Model | Ensemble:
    """The model or the ensemble in a file, or the model in the folder of a run."""
    path = file_of(path)
    return Ensemble.load(path, backend) if kind_of(path) == KIND else load_model(path, backend)


def chosen(model: Model | Ensemble, member: int | None) -> Model | Ensemble:
    """One member of a stack or an ensemble; None: all of them.

    Raises
    ------
    ConfigError
        There is no such member.
    """
    if member is None:
        return model
    if not 0 <= member < model.size:
        raise ConfigError(f"--replica {member}: the model has {model.size}, counted from 0")
    return model.member(member)


def summary(network: Network) -> tuple[str, int, int, int]:
    """Return a table's entries about a network: layers, inputs, outputs, parameters."""
    layers = " ".join(f"{type(layer).__name__}({layer.n_outputs})" for layer in network.layers)
    return layers, network.n_inputs, network.n_outputs, network.n_parameters
