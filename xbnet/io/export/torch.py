"""A model as a PyTorch `state_dict`, and the text of the module that loads it. PyTorch itself is not needed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets import Scaler
from ...datasets.normal import LEAST
from ...datasets.tables.values import MISSING
from ...errors import ConfigError
from ...files import write_bytes
from ...nn.activations import Activation
from ...nn.network import Network
from ..ensembles import Ensemble
from ..models import Model
from ..own_layers import describes_forward
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
    """Write the `state_dict` to a safetensors file; of a model with a schema, that is in its metadata.

    Returns
    -------
    str
        Python text that defines `model`, to which the file belongs. It takes a tensor (N, I); with a schema, a mapping
        of the columns' names to their values. One network gives its outputs; several, the mean of their probabilities
        or values.

    Raises
    ------
    ConfigError
        There is a layer or an activation of the user's own.
    """
    from safetensors.numpy import save

    members = model.members()
    network = members[0][0]
    modules = _Modules(network)
    about = {"format": "pt"}
    if model.schema is not None:
        about["schema"] = json.dumps(model.schema.to_json())
        modules.add("Encode(SCHEMA['columns'])")
    if len(members) == 1:
        _add_network(modules, *members[0])
    else:
        if any(preparation is not None for _, preparation in members):  # then all take float64
            bare = Scaler(np.zeros(model.n_inputs), np.ones(model.n_inputs))
            members = [(one, preparation or bare) for one, preparation in members]
        parts = [_Modules(one) for one, _ in members]
        for part, member in zip(parts, members, strict=True):
            _add_network(part, *member)
        arrays = {f"members.{i}.{name}": array for i, part in enumerate(parts) for name, array in part.state.items()}
        texts = [f"nn.Sequential({', '.join(part.modules)})" for part in parts]
        answer = AFTERWARDS[model.link].replace("model(x)", "z")
        modules.add(
            f"Mean(lambda z: {answer}, [" + "".join(f"\n        {text}," for text in texts) + "\n    ])", **arrays
        )
    if model.target_scale is not None:
        mean, scale = model.target_scale
        modules.add(f"PutBack({model.n_outputs})", mean=mean, scale=scale)
    write_bytes(path, save(modules.state, about))
    return _definition(model, modules.modules, path)


def _add_network(modules: _Modules, network: Network, preparation: Scaler | None) -> None:
    """Add the scaling of a network's inputs after the schema, if there is one, and its layers."""
    if preparation is not None:
        parts = {"clip": np.zeros(network.n_inputs), "quantiles": np.zeros((0, network.n_inputs))}
        parts |= preparation.arrays()
        modules.add(f"Prepare({network.n_inputs}, {len(parts['quantiles'])})", **parts)
    for layer in network.layers:
        if not describes_forward(layer, "to_torch"):
            raise ConfigError(f"export: the layer {layer!r} is your own; give it `to_torch`")
        layer.to_torch(modules)


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


def _definition(model: Model | Ensemble, modules: list[str], path: str | Path) -> str:
    members = model.members()
    dtype = members[0][0].dtype
    named = re.findall(r"\b\w+(?=\()", str(modules))
    classes = [text.replace("DTYPE", dtype.name) for name, text in TEXTS.items() if name in named]
    scalers = [None if model.schema is None else model.schema.scaler, *(preparation for _, preparation in members)]
    if any(scaler is not None and not scaler.linear for scaler in scalers):
        classes.insert(0, SCALING.replace("LEAST", repr(LEAST)))
    double = ".double()" if dtype == np.float64 else ""
    after = AFTERWARDS[model.link] if len(members) == 1 else "model(x): the mean of its members"
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
        + f"model.eval()  # then {after}\n"
    )
