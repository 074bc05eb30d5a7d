"""A model as plain NumPy arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...files import write_with
from ..models import Model


def to_npz(model: Model, path: str | Path) -> None:
    """Write every block under its name: "0.W" (I, O), "0.b" (1, O), ..., with R in front for a stack.

    Beside them: "classes" and "preparation.mean", "preparation.scale" (I,), where the model has them, and "layers",
    the layers as text.
    """
    network = model.network
    blocks = {**network.parameters, **network.statistics}
    arrays = {name: network.backend.to_host(block) for name, block in blocks.items()}
    if network.replicas == 1:
        arrays = {name: array[0] for name, array in arrays.items()}
    arrays["layers"] = np.array([repr(layer) for layer in network.layers])
    if model.classes is not None:
        arrays["classes"] = np.array(model.classes)
    if model.preparation is not None:
        arrays |= {"preparation.mean": model.preparation.mean, "preparation.scale": model.preparation.scale}
    write_with(path, lambda stream: np.savez(stream, **arrays))  # type: ignore[arg-type]
