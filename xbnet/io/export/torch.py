"""A model as a PyTorch `state_dict`, and the text of the module that loads it. PyTorch itself is not needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConfigError
from ...files import write_bytes
from ...nn.activations import Activation
from ...nn.layers import describes_forward
from ...nn.network import Network
from ..models import Model

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
}
RESIDUAL = """
class Residual(nn.Module):
    def __init__(self, width, n_hidden, activation, begin, end):
        super().__init__()
        self.first, self.second = nn.Linear(width, n_hidden), nn.Linear(n_hidden, width, bias=False)
        self.activation, self.begin, self.end = activation, begin, end

    def forward(self, x):
        return self.end(x + self.second(self.activation(self.first(self.begin(x)))))
"""
STANDARDIZE = """
class Standardize(nn.Module):
    def __init__(self, n_inputs):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_inputs, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(n_inputs, dtype=torch.float64))

    def forward(self, x):
        return ((x.double() - self.mean) / self.scale).to(torch.DTYPE)  # differences of large numbers need float64
"""
AFTERWARDS = {
    "softmax": "torch.softmax(model(x), -1)",
    "sigmoid": "torch.softmax(nn.functional.logsigmoid(model(x)), -1)",
    "multilabel": "torch.sigmoid(model(x))",
    "scores": "model(x)",
    "identity": "model(x)",
}


def to_torch(model: Model, path: str | Path) -> str:
    """Write the `state_dict` of one replica to a safetensors file.

    Returns
    -------
    str
        Python text that defines `model`, to which the file belongs.

    Raises
    ------
    ConfigError
        There are several replicas, or a layer or activation of the user's own.
    """
    from safetensors.numpy import save

    network = model.network
    if network.replicas > 1:
        raise ConfigError(f"export: the model has {network.replicas} replicas; choose one with --replica")
    modules = _Modules(network)
    if model.preparation is not None:
        found = model.preparation
        modules.add(f"Standardize({network.n_inputs})", mean=found.mean, scale=found.scale)
    for layer in network.layers:
        if not describes_forward(layer, "to_torch"):
            raise ConfigError(f"export: the layer {layer!r} is of your own; give it `to_torch`")
        layer.to_torch(modules)
    write_bytes(path, save(modules.state, {"format": "pt"}))
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
        name = "identity" if activation is None else activation.name
        if name not in ACTIVATIONS:
            raise ConfigError(f"export: the activation {name!r} is of your own, and has no PyTorch module")
        return ACTIVATIONS[name]


def _definition(model: Model, modules: list[str], path: str | Path) -> str:
    standardize = STANDARDIZE.replace("DTYPE", model.network.dtype.name)
    classes = [text for name, text in (("Residual(", RESIDUAL), ("Standardize(", standardize)) if name in str(modules)]
    double = ".double()" if model.network.dtype == np.float64 else ""
    lines = "\n".join(f"    {module}," for module in modules)
    return (
        "import torch\nfrom safetensors.torch import load_file\nfrom torch import nn\n"
        + "\n".join(["", *classes])
        + f"\nmodel = nn.Sequential(\n{lines}\n){double}\n"
        + f"model.load_state_dict(load_file({str(path)!r}))\n"
        + f"model.eval()  # then {AFTERWARDS[model.network.link]}\n"
    )
