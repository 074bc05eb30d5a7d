"""The things that belong to a network in a file: the names of its classes and inputs, and how rows become inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..datasets import Dataset, Scaler, Schema
from ..errors import DataError
from ..nn.network import Network
from .networks import SCALARS
from .tensorfile import Tensors


def about_inputs(data: Dataset, preparation: Scaler | None = None) -> dict[str, Any]:
    """Describe a data set for `save`: its schema, or else classes, features, and how the inputs were scaled.

    Parameters
    ----------
    data
        Data set that the network was trained on.
    preparation
        How inputs were scaled after they had left the data set, which then has none of its own.
    """
    if data.schema is None:
        return {"classes": data.classes, "features": data.features, "preparation": preparation or data.preparation}
    if preparation is None or data.schema.scaler is not None:
        return {"classes": data.classes, "schema": data.schema}
    return {"classes": data.classes, "schema": data.schema.scaled(preparation)}


def target_scale_of(schema: Schema | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and scale (O,) of the targets that are learned as ``(y - mean) / scale``; None: as they are."""
    target = None if schema is None else schema.target
    if target is None or target.mean is None or target.scale is None:
        return None
    return np.array(target.mean), np.array(target.scale)


def put_targets_back(network: Network, data: Dataset) -> None:
    """Let the last layer answer in the units of targets that were scaled; where a schema is kept, that does it."""
    if data.schema is None or data.schema.target is None:
        put_back(network, data.target_scale)


def put_back(network: Network, targets: Scaler | None) -> None:
    """Let the last layer answer in the units of targets before they were scaled; None: they were not."""
    if targets is None:
        return
    last, asarray = network.layers[-1], network.backend.asarray
    mean, scale = (asarray(values, network.dtype) for values in (targets.mean, targets.scale))
    last.W[...] *= scale
    last.b[...] *= scale
    last.b[...] += mean


def restore_classes(file: Tensors, network: Network) -> tuple[Any, ...] | None:
    """The classes (C,), if the file has any."""
    classes = file.description.get("classes")
    if classes is None:
        return None
    file.require(
        isinstance(classes, list) and len(classes) == network.n_outputs and all(type(c) in SCALARS for c in classes),
        f"there is a class per output, C={network.n_outputs}",
    )
    return tuple(classes)


def restore_features(file: Tensors, network: Network) -> tuple[str, ...] | None:
    """The names of the inputs (I,), if the file has any."""
    names = file.description.get("features")
    if names is None:
        return None
    right = isinstance(names, list) and len(names) == network.n_inputs and all(type(name) is str for name in names)
    file.require(right, f"there is a name per input, I={network.n_inputs}")
    return tuple(names)


def restore_schema(file: Tensors, network: Network) -> Schema | None:
    """The schema, if the file has one."""
    kept = file.description.get("schema")
    if kept is None:
        return None
    try:
        schema = Schema.from_json(kept)
    except ValueError as error:
        raise DataError(f"{file.source}: expected that its schema is right: {error}; save it again") from None
    file.require(schema.n_inputs == network.n_inputs, f"its schema makes the network's inputs, I={network.n_inputs}")
    target = schema.target
    if target is not None:
        n = len(target.classes or target.names)
        file.require(n == network.n_outputs, f"its schema's target has the network's outputs, {network.n_outputs}")
    file.require("preparation.mean" not in file.arrays, "it has a schema or a preparation, not both")
    return schema


def restore_preparation(file: Tensors, network: Network) -> Scaler | None:
    """How inputs are scaled, if the file says so."""
    prefix, n = "preparation.", network.n_inputs
    kept = {name.removeprefix(prefix): array for name, array in file.arrays.items() if name.startswith(prefix)}
    if not kept:
        return None
    Q = len(kept["quantiles"]) if np.ndim(kept.get("quantiles", 0)) else 0
    parts = {name: file.tensor(prefix + name, float, (Q, n) if name == "quantiles" else (n,)) for name in kept}
    try:
        return Scaler.of_arrays(parts)
    except ValueError as error:
        raise DataError(f"{file.source}: expected that {error}; save it again") from None
