"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence

from ...backends.arrays import Array
from ...parsing import whole
from ..activations import Activation, get_activation
from ..initializers import Initializer, get_initializer
from ..parameters import ParameterSpec
from .base import BATCH, Layer, OnnxGraph, Shape, TorchModules


class Linear(Layer):
    """y = s(x W + b).

    With z = x W + b and dz = dy * s'(z)::

        dW = x^T dz        db = sum of dz over the batch        dx = dz W^T

    Parameters
    ----------
    n_outputs
        O >= 1.
    activation
        s: a name, an `Activation`, or None for the identity.
    initializer
        How W (I, O) starts; by default what suits the activation (Glorot, or He for the relu family). b starts at 0.

    Raises
    ------
    ConfigError
        `n_outputs` is no whole number >= 1, or there is no such activation.

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([Linear(10, "tanh"), Linear(3)], n_inputs=4, replicas=2, rng=0)
    >>> {name: block.shape for name, block in network.parameters.items()}
    {'0.W': (2, 4, 10), '1.W': (2, 10, 3), '0.b': (2, 1, 10), '1.b': (2, 1, 3)}
    """

    replayable = True
    kernel = "linear"

    def __init__(
        self,
        n_outputs: int,
        activation: str | Activation | None = None,
        *,
        initializer: str | Initializer | None = None,
    ):
        self.n_outputs = whole("Linear", "n_outputs", n_outputs)
        self.activation = None if activation in (None, "identity") else get_activation(activation)
        self.initializer = initializer
        default = self.activation.initializer if self.activation else "glorot"
        self._draw = get_initializer(initializer or default)

    def build(self, n_inputs: int) -> None:
        self.n_inputs = n_inputs

    def parameters(self) -> tuple[ParameterSpec, ...]:
        return (
            ParameterSpec("W", (self.n_inputs, self.n_outputs), self._draw, is_weight=True),
            ParameterSpec("b", (1, self.n_outputs)),
        )

    def buffers(self) -> dict[str, Shape]:
        shape = (BATCH, self.n_outputs)
        return {"z": shape, "y": shape} if self.activation else {"y": shape}

    def scratch(self) -> dict[str, Shape]:
        shape = (BATCH, self.n_outputs)
        return {"work0": shape, "work1": shape} if self.activation else {}

    @property
    def _work(self) -> Sequence[Array]:
        return (self.work0, self.work1) if self.activation else ()

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        z = self.ops.bmm(x, self.W, self.z if self.activation else self.y)
        return self.ops.bias_activation(self.activation, z, self.b, self.y, self._work)

    def backward(self, dy: Array, dx: Array | None) -> None:
        z = self.z if self.activation else None
        self.ops.activation_gradient(self.activation, dy, z, self.y, self.db, self._work)
        self.ops.bmm_tn(self.x, dy, self.dW)
        if dx is not None:
            self.ops.bmm_nt(dy, self.W, dx)

    @classmethod
    def examples(cls) -> dict[str, Layer]:
        return {"": cls(3, "tanh")}

    def to_onnx(self, graph: OnnxGraph, x: str) -> str:
        return graph.activation(self.activation, graph.affine(x, self.W[0], self.b[0, 0]))

    def to_torch(self, modules: TorchModules) -> None:
        modules.add(f"nn.Linear({self.n_inputs}, {self.n_outputs})", weight=self.W[0].T, bias=self.b[0, 0])
        if self.activation is not None:
            modules.add(modules.activation(self.activation))
