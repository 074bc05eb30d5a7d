"""A model as a PyTorch `state_dict`, and the text of the module that loads it. PyTorch itself is not needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.normal import LEAST
from ...datasets.tables.values import MISSING
from ...errors import ConfigError
from ...files import write_bytes
from ...nn.activations import Activation
from ...nn.layers import describes_forward
from ...nn.network import Network
from ..ensembles import Ensemble
from ..models import Model
from .torch_text import SCALING, TEXTS

ACTIVATIONS = {
    "identity": "nn.Identity()",
    "relu": "nn.ReLU()",
    "leaky_relu": "nn.LeakyReLU(0.01)",
    "elu": "nn.ELU()",
    "gelu": 'nn.GELU("tanh")',
    "silu": "nn.SiLU()",
    "sigmoid": "nn.Sigmoid()",
    "tanh": "nn.Tanh()",
    "softplus": "nn.Softplus()",
    "selu": "nn.SELU()",
    "mish": "nn.Mish()",
}
AFTERWARDS = {
    "softmax": "torch.softmax(model(x), -1)",
    "sigmoid": "torch.softmax(nn.functional.logsigmoid(model(x)), -1)",
    "multilabel": "torch.sigmoid(model(x))",
    "scores": "model(x)",
    "identity": "model(x)",
    "exp": "torch.exp(model(x))",
}


def to_torch(model: Model | Ensemble, path: str | Path) -> str:
    """Write the `state_dict` of one replica to a safetensors file; of a model with a schema, that is in its metadata.

    Returns
    -------
    str
        Python text that defines `model`, to which the file belongs. It takes a tensor (N, I); with a schema, a mapping
        of the columns' names to their values.

    Raises
    ------
    ConfigError
        There are several replicas, or a layer or activation of the user's own.
    """
    from safetensors.numpy import save

    if isinstance(model, Ensemble) or model.size > 1:
        raise ConfigError(f"export: the model has {model.size} networks; choose one with --replica, or write .onnx")
    network = model.network
    modules = _Modules(network)
    about = {"format": "pt"}
    if model.schema is not None:
        about["schema"] = json.dumps(model.schema.to_json())
        modules.add("Encode(SCHEMA['columns'])")
    elif model.preparation is not None:
        parts = {"clip": np.zeros(network.n_inputs), "quantiles": np.zeros((0, network.n_inputs))}
        parts |= model.preparation.arrays()
        modules.add(f"Prepare({network.n_inputs}, {len(parts['quantiles'])})", **parts)
    for layer in network.layers:
        if not describes_forward(layer, "to_torch"):
            raise ConfigError(f"export: the layer {layer!r} is your own; give it `to_torch`")
        layer.to_torch(modules)
    if model.target_scale is not None:
        mean, scale = model.target_scale
        modules.add(f"PutBack({network.n_outputs})", mean=mean, scale=scale)
    write_bytes(path, save(modules.state, about))
    return _definition(model, modules.modules, path)


class _Modules:
    """A module while it grows: texts of its parts, and its `state_dict`."""

    def __init__(self, network: Network):
        self.to_host = network.backend.to_host
        self.modules: list[str] = []
        self.state: dict[str, np.ndarray] = {}

    def add(self, module: str, **arrays: Any) -> None:
        for name, array in arrays.items():
            host = self.to_host(array) if not np.isscalar(array) else np.array(array)
            self.state[f"{len(self.modules)}.{name.replace('__', '.')}"] = np.ascontiguousarray(host)
        self.modules.append(module)

    def activation(self, activation: Activation | None) -> str:
        name = "identity" if activation is None else activation.kernel  # `name` may be that of another's functions
        if activation is not None and name is None:
            raise ConfigError(f"export: the activation {activation.name!r} is your own, and has no PyTorch module")
        return ACTIVATIONS[str(name)]


def _definition(model: Model, modules: list[str], path: str | Path) -> str:
    classes = [text.replace("DTYPE", model.network.dtype.name) for name, text in TEXTS.items() if name in str(modules)]
    bent = model.schema.scaler if model.schema is not None else model.preparation
    if bent is not None and not bent.linear:
        classes.insert(0, SCALING.replace("LEAST", repr(LEAST)))
    double = ".double()" if model.network.dtype == np.float64 else ""
    lines = "\n".join(f"    {module}," for module in modules)
    file, reads, schema = repr(str(path)), "from safetensors.torch import load_file\n", ""
    if model.schema is not None:
        reads = "import json\n\nfrom safetensors import safe_open\n" + reads
        schema = f'\nwith safe_open({file}, "pt") as file:\n    SCHEMA = json.loads(file.metadata()["schema"])\n'
        schema += f"MISSING = {MISSING}\n"
    return (
        f"import torch\n{reads}from torch import nn\n"
        + "\n".join([schema, *classes])
        + f"\nmodel = nn.Sequential(\n{lines}\n){double}\n"
        + f"model.load_state_dict(load_file({file}))\n"
        + f"model.eval()  # then {AFTERWARDS[model.network.link]}\n"
    )
