"""A model as plain NumPy arrays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ...datasets import Scaler
from ...files import write_with
from ...nn.network import Network
from ..ensembles import Ensemble
from ..models import Model


def to_npz(model: Model | Ensemble, path: str | Path) -> None:
    """Write every block under its name: "0.W" (I, O), "0.b" (1, O), ..., with R in front for a stack.

    Beside them: "classes", "features", "preparation.mean" and "preparation.scale" (I,), and "schema", a JSON text as
    `Schema.to_json` makes it, where the model has them; and "layers", the layers as text. Of an ensemble all but the
    classes, features and schema have "member M." in front.
    """
    arrays: dict[str, np.ndarray] = {}
    if isinstance(model, Ensemble):
        for m, (network, preparation) in enumerate(model.members()):
            arrays |= {f"member {m}.{name}": array for name, array in _blocks(network, preparation).items()}
    else:
        arrays |= _blocks(model.network, model.preparation)
    if model.classes is not None:
        arrays["classes"] = np.array(model.classes)
    if model.features is not None:
        arrays["features"] = np.array(model.features)
    if model.schema is not None:
        arrays["schema"] = np.array(json.dumps(model.schema.to_json()))
    write_with(path, lambda stream: np.savez(stream, **arrays))  # type: ignore[arg-type]


def _blocks(network: Network, preparation: Scaler | None) -> dict[str, np.ndarray]:
    """Return the arrays of a network: name -> values."""
    blocks = {**network.parameters, **network.statistics}
    arrays = {name: network.backend.to_host(block) for name, block in blocks.items()}
    if network.replicas == 1:
        arrays = {name: array[0] for name, array in arrays.items()}
    arrays["layers"] = np.array([repr(layer) for layer in network.layers])
    if preparation is not None:
        arrays |= {f"preparation.{name}": part for name, part in preparation.arrays().items()}
    return arrays
