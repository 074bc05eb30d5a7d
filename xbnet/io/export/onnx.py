"""A model as an ONNX graph (extra ``export``)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from ...backends.arrays import Array, DTypeLike
from ...backends.constants import GELU_A, GELU_C, LEAK, SELU_ALPHA, SELU_SCALE
from ...datasets import Scaler
from ...errors import ConfigError
from ...files import write_bytes
from ...nn.activations import Activation
from ...nn.layers import describes_forward
from ...nn.network import Network
from ..ensembles import Ensemble
from ..models import Model
from .onnx_scaling import scaled
from .onnx_table import ML_OPSET, encode_columns, input_names

OPSET = 18
"""Runtimes of today know it, and those of 2023."""
IR_VERSION = 8
"""ONNX's IR version for these operators: older runtimes refuse newer files."""
OUTPUTS = ("probabilities", "label", "values")
SIMPLE = {"relu": "Relu", "tanh": "Tanh"}
"""Activations that are one operator."""
WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
"""A whole number as it is written: 7 and -1, but not 007 or +1, which are names."""


def to_onnx(model: Model | Ensemble, path: str | Path) -> None:
    """Write a network with its schema or preparation in front and its link after it; of several, the mean of all.

    The graph of a model with a schema has an input per column of the table, named as the column, (N, 1): text for a
    category ("" where it is missing), float64 for any other (NaN where it is missing; 0 and 1; seconds since 1970 for
    a date). Others take "x" (N, I): float64 where there is a preparation, which is computed in that, else the network's
    type. It gives "probabilities" (N, C) and "label" (N,), the label itself: int64 where all classes are written as
    whole numbers, else text. For a multi-label model "label" is 0 or 1 per class (N, C); a regression has "values"
    (N, O), in the target's units. The metadata are JSON: "classes" and "features", lists of names; "schema", as
    `Schema.to_json` has it, and "inputs", the graph's name of each of its columns.

    Raises
    ------
    ConfigError
        onnx is not installed, or there is a layer or activation of the user's own.
    """
    try:
        import onnx
    except ImportError:
        raise ConfigError("export to ONNX needs onnx: pip install onnx") from None
    write_bytes(path, _Graph(onnx, model).finished().SerializeToString())


class _Graph:
    """A graph while it grows: nodes in order, and constants."""

    def __init__(self, onnx: Any, model: Model | Ensemble):
        self.onnx, self.model, self.members = onnx, model, model.members()
        first, _ = self.members[0]
        self.backend, self.dtype = first.backend, first.dtype
        self.type = onnx.TensorProto.FLOAT if self.dtype == np.float32 else onnx.TensorProto.DOUBLE
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        """A node; the name of its output."""
        out = out or f"xbnet:{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), [out], **attributes))
        return out

    def constant(self, value: Array | float, dtype: DTypeLike | None = None) -> str:
        """A constant; its name."""
        name = f"xbnet:constant {len(self.constants)}"
        host = value if isinstance(value, (int, float)) else self.backend.to_host(value)
        array = np.array(host, dtype or self.dtype, order="C")
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def finished(self) -> Any:
        """The checked model."""
        onnx, make = self.onnx, self.onnx.helper
        about: dict[str, Any] = {}
        schema, opsets = self.model.schema, [make.make_opsetid("", OPSET)]
        if schema is None:
            x, inputs = self._entry("x")
        else:
            names = input_names(schema, OUTPUTS)
            x, inputs = encode_columns(self, schema, names)
            opsets.append(make.make_opsetid("ai.onnx.ml", ML_OPSET))
            about = {"schema": schema.to_json(), "inputs": names}
        outputs = self._outputs(self._mean([self._answer(x, *member) for member in self.members]))
        graph = make.make_graph(self.nodes, "xbnet", inputs, outputs, self.constants)
        found = make.make_model(graph, opset_imports=opsets, producer_name="xbnet")
        found.ir_version = IR_VERSION
        for key, known in (("classes", self.model.classes), ("features", self.model.features)):
            if known is not None:
                about[key] = list(known)
        make.set_model_props(found, {key: json.dumps(value) for key, value in about.items()})
        onnx.checker.check_model(found)
        return found

    @property
    def _wide(self) -> bool:
        """Whether inputs are float64 until they are prepared."""
        return self.model.schema is not None or any(preparation is not None for _, preparation in self.members)

    def _entry(self, x: str) -> tuple[str, list[Any]]:
        """The inputs as they come, and what the graph says of them."""
        entry = self.onnx.TensorProto.DOUBLE if self._wide else self.type
        return x, [self.onnx.helper.make_tensor_value_info(x, entry, ["N", self.model.n_inputs])]

    def _answer(self, x: str, network: Network, preparation: Scaler | None) -> str:
        """Add the network's outputs for inputs that are scaled in float64 as by `Scaler`; return their name."""
        if preparation is not None:
            x = scaled(self, x, preparation)
        if self._wide:
            x = self.add("Cast", x, to=self.type)
        for layer in network.layers:
            if not describes_forward(layer, "to_onnx"):
                raise ConfigError(f"export: the layer {layer!r} is your own; give it `to_onnx`")
            x = layer.to_onnx(self, x)
        return self._linked(x, network.link)

    def _linked(self, z: str, link: str) -> str:
        """Probabilities or values of a network's outputs."""
        if link == "exp":
            return self.add("Exp", z)
        if link == "multilabel":
            return self._probability(z)
        if link == "sigmoid":  # log p of each class
            z = self.add("Neg", self._softplus(self.add("Neg", z)))
        return self.add("Softmax", z, axis=-1) if link in ("softmax", "sigmoid") else z

    def _mean(self, answers: list[str]) -> str:
        """Add the mean of all members, in float64."""
        if len(answers) == 1:
            return answers[0]
        wide = [self.add("Cast", one, to=self.onnx.TensorProto.DOUBLE) for one in answers]
        mean = self.add("Div", self.add("Sum", *wide), self.constant(float(len(wide)), np.float64))
        return self.add("Cast", mean, to=self.type)

    def _outputs(self, answer: str) -> list[Any]:
        """Name what the graph gives, and make labels of probabilities."""
        make, n = self.onnx.helper, self.model.n_outputs
        if self.model.link in ("identity", "exp"):
            return [make.make_tensor_value_info("values", self._values(answer), ["N", n])]
        self.add("Identity", answer, out="probabilities")
        outputs = [make.make_tensor_value_info("probabilities", self.type, ["N", n])]
        if self.model.link == "multilabel":
            yes = self.add("GreaterOrEqual", "probabilities", self.constant(0.5))
            whole = self.onnx.TensorProto.INT64
            self.add("Cast", yes, out="label", to=whole)
            return [*outputs, make.make_tensor_value_info("label", whole, ["N", n])]
        names = self._labels()
        best = self.add("ArgMax", "probabilities", axis=1, keepdims=0)
        self.add("Gather", self.constant(names, names.dtype), best, out="label", axis=0)
        kind = self.onnx.TensorProto.INT64 if names.dtype.kind == "i" else self.onnx.TensorProto.STRING
        return [*outputs, make.make_tensor_value_info("label", kind, ["N"])]

    def _values(self, z: str) -> int:
        """Make "values" of a regression's outputs, in the units of the target; their type."""
        if self.model.target_scale is None:
            self.add("Identity", z, out="values")
            return self.type
        wide = self.add("Cast", z, to=self.onnx.TensorProto.DOUBLE)
        mean, scale = (self.constant(v, np.float64) for v in self.model.target_scale)
        self.add("Add", self.add("Mul", wide, scale), mean, out="values")
        return self.onnx.TensorProto.DOUBLE

    def _labels(self) -> np.ndarray:
        """The classes (C,) as whole numbers where all are written so, else as text."""
        names = [str(name) for name in self.model.classes or range(self.model.n_outputs)]
        whole = all(WHOLE.fullmatch(name) for name in names)
        return np.array(names, np.int64) if whole else np.array(names, object)

    # -- layers ------------------------------------------------------------------------------------------------------

    def affine(self, x: str, W: Array, b: Array) -> str:
        """X W + b; in float64 not as Gemm, which not every runtime computes in that."""
        if self.dtype == np.float32:
            return self.add("Gemm", x, self.constant(W), self.constant(b))
        return self.add("Add", self.add("MatMul", x, self.constant(W)), self.constant(b))

    def _probability(self, z: str) -> str:
        """1 / (1 + exp(-z)); a runtime may compute the operator Sigmoid by a fraction that is 0 for z < -18."""
        one = self.constant(1.0)
        return self.add("Div", one, self.add("Add", one, self.add("Exp", self.add("Neg", z))))

    def _softplus(self, z: str) -> str:
        """The operator of that name is not computed in float64 at most opsets, and overflows where it is."""
        if self.dtype == np.float32:
            return self.add("Softplus", z)
        small = self.add("Exp", self.add("Neg", self.add("Abs", z)))
        rest = self.add("Log", self.add("Add", small, self.constant(1.0)))
        return self.add("Add", self.add("Max", z, self.constant(0.0)), rest)

    def _elu(self, z: str) -> str:
        """See `_softplus`."""
        if self.dtype == np.float32:
            return self.add("Elu", z, alpha=1.0)
        low = self.add("Sub", self.add("Exp", self.add("Min", z, self.constant(0.0))), self.constant(1.0))
        return self.add("Add", self.add("Max", z, self.constant(0.0)), low)

    def activation(self, activation: Activation | None, z: str) -> str:
        name = "identity" if activation is None else activation.kernel  # `name` may be that of another's functions
        if name == "identity":
            return z
        if name in SIMPLE:
            return self.add(SIMPLE[name], z)
        if name == "sigmoid":
            return self._probability(z)
        if name == "softplus":
            return self._softplus(z)
        if name == "leaky_relu":
            return self.add("Max", z, self.add("Mul", z, self.constant(LEAK)))
        if name == "elu":
            return self._elu(z)
        if name == "selu":
            low = self.add("Sub", self.add("Exp", self.add("Min", z, self.constant(0.0))), self.constant(1.0))
            low = self.add("Mul", low, self.constant(SELU_ALPHA))
            return self.add(
                "Mul", self.add("Add", self.add("Max", z, self.constant(0.0)), low), self.constant(SELU_SCALE)
            )
        if name == "silu":
            return self.add("Mul", z, self._probability(z))
        if name == "mish":
            return self.add("Mul", z, self.add("Tanh", self._softplus(z)))
        if name == "gelu":  # z (1 + tanh(c (z + a z^3))) / 2
            cube = self.add("Mul", self.add("Mul", z, z), z)
            inner = self.add("Add", z, self.add("Mul", cube, self.constant(GELU_A)))
            t = self.add("Tanh", self.add("Mul", inner, self.constant(GELU_C)))
            half = self.add("Mul", z, self.constant(0.5))
            return self.add("Mul", half, self.add("Add", t, self.constant(1.0)))
        assert activation is not None, "None is the identity"
        raise ConfigError(f"export: the activation {activation.name!r} is your own, and has no ONNX operator")
