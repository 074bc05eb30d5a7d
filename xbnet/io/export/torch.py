"""A model as a PyTorch `state_dict`, and the text of the module that loads it. PyTorch itself is not needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConfigError
from ...files import write_bytes
from ...nn.layers import BatchNorm, Dropout, LayerNorm, Linear, Residual
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
    modules: list[str] = []
    state: dict[str, np.ndarray] = {}

    def add(module: str, **arrays: Any) -> None:
        for name, array in arrays.items():
            host = network.backend.to_host(array) if not np.isscalar(array) else np.array(array)
            state[f"{len(modules)}.{name.replace('__', '.')}"] = np.ascontiguousarray(host)
        modules.append(module)

    if model.preparation is not None:
        add(f"Standardize({network.n_inputs})", mean=model.preparation.mean, scale=model.preparation.scale)
    for layer in network.layers:
        _add_layer(layer, add)
    write_bytes(path, save(state, {"format": "pt"}))
    return _definition(model, modules, path)


def _add_layer(layer: Any, add: Any) -> None:
    if type(layer) is Linear:
        add(f"nn.Linear({layer.n_inputs}, {layer.n_outputs})", weight=layer.W[0].T, bias=layer.b[0, 0])
        if layer.activation is not None:
            add(_activation(layer.activation))
    elif type(layer) is Residual:
        inner, begin, end = (_activation(a) for a in (layer.activation, layer.begin, layer.end))
        add(
            f"Residual({layer.n_inputs}, {layer.H}, {inner}, {begin}, {end})",
            first__weight=layer.W1[0].T,
            first__bias=layer.b[0, 0],
            second__weight=layer.W2[0].T,
        )
    elif type(layer) is Dropout:
        add(f"nn.Dropout({float(np.ravel(layer.rate)[0])})")
    elif type(layer) is BatchNorm:
        add(
            f"nn.BatchNorm1d({layer.n_inputs}, eps={layer.eps}, momentum={layer.momentum})",
            weight=layer.gain[0, 0],
            bias=layer.offset[0, 0],
            running_mean=layer.running_mean[0, 0],
            running_var=layer.running_var[0, 0],
            num_batches_tracked=0,
        )
    elif type(layer) is LayerNorm:
        add(f"nn.LayerNorm({layer.n_inputs}, eps={layer.eps})", weight=layer.gain[0, 0], bias=layer.offset[0, 0])
    else:
        raise ConfigError(f"export: the layer {layer!r} is of your own, and has no PyTorch module")


def _activation(activation: Any) -> str:
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
