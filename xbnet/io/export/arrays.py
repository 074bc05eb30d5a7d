"""A model as plain NumPy arrays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ...files import write_with
from ..models import Model


def to_npz(model: Model, path: str | Path) -> None:
    """Write every block under its name: "0.W" (I, O), "0.b" (1, O), ..., with R in front for a stack.

    Beside them: "classes", "features", "preparation.mean" and "preparation.scale" (I,), and "schema", a JSON text as
    `Schema.to_json` makes it, where the model has them; and "layers", the layers as text.
    """
    network = model.network
    blocks = {**network.parameters, **network.statistics}
    arrays = {name: network.backend.to_host(block) for name, block in blocks.items()}
    if network.replicas == 1:
        arrays = {name: array[0] for name, array in arrays.items()}
    arrays["layers"] = np.array([repr(layer) for layer in network.layers])
    if model.classes is not None:
        arrays["classes"] = np.array(model.classes)
    if model.features is not None:
        arrays["features"] = np.array(model.features)
    if model.schema is not None:
        arrays["schema"] = np.array(json.dumps(model.schema.to_json()))
    if model.preparation is not None:
        arrays |= {"preparation.mean": model.preparation.mean, "preparation.scale": model.preparation.scale}
    write_with(path, lambda stream: np.savez(stream, **arrays))  # type: ignore[arg-type]
