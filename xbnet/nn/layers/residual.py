"""The residual block."""

from __future__ import annotations

from ...backends.arrays import Array
from ...parsing import whole
from ..activations import Activation, get_activation
from ..initializers import Initializer, get_initializer
from ..parameters import ParameterSpec
from .base import BATCH, Layer, OnnxGraph, Shape, TorchModules


class Residual(Layer):
    """y = x + s(x W1 + b) W2, optionally with an activation at the block's beginning or end.

    With ``u = begin(x)``, ``h = s(u W1 + b)``, ``v = x + h W2`` and ``y = end(v)``::

        dv = dy * end'(v)      dW2 = h^T dv          dz = (dv W2^T) * s'(z)
        dW1 = u^T dz           db = sum of dz        dx = dv + (dz W1^T) * begin'(x)

    `end` is the block of He et al. (2016a), `begin` the pre-activation block of He et al. (2016b), in which the
    path from x to y stays free.

    Parameters
    ----------
    activation
        s: a name or an `Activation`.
    n_hidden
        H, the width inside the block; by default the width of x.
    begin, end
        Activation on the branch's input, or on the block's output.
    initializer
        How W1 (I, H) and W2 (H, I) start; by default W1 as suits the activation, and W2 by Glorot.

    Raises
    ------
    ConfigError
        `n_hidden` is no whole number >= 1, or there is no such activation.

    Examples
    --------
    >>> import xbnet
    >>> deep = xbnet.Network([xbnet.Linear(16), *(Residual("relu") for _ in range(20)), xbnet.Linear(2)], n_inputs=2)
    >>> deep.n_parameters
    10642
    """

    replayable = True

    def __init__(
        self,
        activation: str | Activation = "tanh",
        *,
        n_hidden: int | None = None,
        begin: str | Activation | None = None,
        end: str | Activation | None = None,
        initializer: str | Initializer | None = None,
    ):
        self.activation = get_activation(activation)
        self.n_hidden = None if n_hidden is None else whole("Residual", "n_hidden", n_hidden)
        self.begin = None if begin is None else get_activation(begin)
        self.end = None if end is None else get_activation(end)
        self.initializer = initializer

    def build(self, n_inputs: int) -> None:
        super().build(n_inputs)
        self.H = self.n_hidden or n_inputs

    def parameters(self) -> tuple[ParameterSpec, ...]:
        draw1 = get_initializer(self.initializer or self.activation.initializer)
        draw2 = get_initializer(self.initializer or "glorot")
        return (
            ParameterSpec("W1", (self.n_inputs, self.H), draw1, is_weight=True),
            ParameterSpec("b", (1, self.H)),
            ParameterSpec("W2", (self.H, self.n_inputs), draw2, is_weight=True),
        )

    def buffers(self) -> dict[str, Shape]:
        outer, inner = (BATCH, self.n_inputs), (BATCH, self.H)
        names: dict[str, Shape] = {"z": inner, "h": inner, "v": outer}
        if self.begin:
            names["u"] = outer
        if self.end:
            names["y"] = outer
        return names

    def scratch(self) -> dict[str, Shape]:
        outer, inner = (BATCH, self.n_inputs), (BATCH, self.H)
        return {"work0": inner, "work1": inner, "outer0": outer, "outer1": outer, "dz": inner}

    def forward(self, x: Array, training: bool) -> Array:
        ops = self.ops
        self.x = u = x
        if self.begin:
            u = self._apply_begin(self.begin, x)
        self.source = u
        ops.bmm(u, self.W1, self.z)
        ops.bias_activation(self.activation, self.z, self.b, self.h, (self.work0, self.work1))
        ops.bmm(self.h, self.W2, self.v)
        self.xp.add(self.v, x, out=self.v)
        if not self.end:
            return self.v
        return ops.bias_activation(self.end, self.v, None, self.y, (self.outer0, self.outer1))

    def _apply_begin(self, begin: Activation, x: Array) -> Array:
        """begin(x), in the first rows of `u` where all replicas share x."""
        u, work = self.u, (self.outer0, self.outer1)
        if x.shape != u.shape:
            u, work = u[:1], (work[0][:1], work[1][:1])
        return self.ops.bias_activation(begin, x, None, u, work)

    def backward(self, dy: Array, dx: Array | None) -> None:
        xp, ops, outer = self.xp, self.ops, (self.outer0, self.outer1)
        if self.end:
            ops.activation_gradient(self.end, dy, self.v, self.y, None, outer)
        ops.bmm_tn(self.h, dy, self.dW2)
        ops.bmm_nt(dy, self.W2, self.dz)
        ops.activation_gradient(self.activation, self.dz, self.z, self.h, self.db, (self.work0, self.work1))
        ops.bmm_tn(self.source, self.dz, self.dW1)
        if dx is None:
            return
        ops.bmm_nt(self.dz, self.W1, dx)
        if self.begin:
            x, u = xp.broadcast_to(self.x, dx.shape), xp.broadcast_to(self.source, dx.shape)
            ops.activation_gradient(self.begin, dx, x, u, None, outer)
        xp.add(dx, dy, out=dx)

    @classmethod
    def examples(cls) -> dict[str, Layer]:
        return {
            "": cls("tanh"),
            "narrow": cls("tanh", n_hidden=2),
            "begin": cls("tanh", begin="gelu"),
            "end": cls("tanh", end="elu"),
        }

    def to_onnx(self, graph: OnnxGraph, x: str) -> str:
        u = graph.activation(self.begin, x)
        h = graph.activation(self.activation, graph.affine(u, self.W1[0], self.b[0, 0]))
        v = graph.add("Add", x, graph.add("MatMul", h, graph.constant(self.W2[0])))
        return graph.activation(self.end, v)

    def to_torch(self, modules: TorchModules) -> None:
        inner, begin, end = (modules.activation(a) for a in (self.activation, self.begin, self.end))
        modules.add(
            f"Residual({self.n_inputs}, {self.H}, {inner}, {begin}, {end})",
            first__weight=self.W1[0].T,
            first__bias=self.b[0, 0],
            second__weight=self.W2[0].T,
        )
