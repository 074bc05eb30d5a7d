"""A learned factor per unit, and activations that learn their shape per unit."""

from __future__ import annotations

from typing import Any

from ....backends.arrays import Array
from ....parsing import number
from ...activations import Activation, get_activation
from ...initializers import ones
from ...parameters import ParameterSpec
from ..base import BATCH, Layer, OnnxGraph, Shape, TorchModules


class Scale(Layer):
    """y = gain * x, with a learned gain per unit, 1 at first.

    With sums over the batch::

        dgain = sum of dy * x        dx = dy * gain

    In front of a network it learns which columns count, and how much (Holzmüller et al. 2024, "Better by default",
    section 3); a gain is no weight, and takes no part in penalties.

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([Scale(), xbnet.Linear(3)], n_inputs=4)
    >>> network.parameters["0.gain"].ravel().tolist()
    [1.0, 1.0, 1.0, 1.0]
    """

    replayable = True

    def parameters(self) -> tuple[ParameterSpec, ...]:
        return (ParameterSpec("gain", (1, self.n_inputs), ones),)

    def buffers(self) -> dict[str, Shape]:
        return {"y": (BATCH, self.n_inputs)}

    def scratch(self) -> dict[str, Shape]:
        return {"work": (BATCH, self.n_inputs)}

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        return self.xp.multiply(x, self.gain, out=self.y)

    def backward(self, dy: Array, dx: Array | None) -> None:
        self.xp.multiply(dy, self.x, out=self.work)
        self.ops.batch_sum(self.work, self.dgain)
        if dx is not None:
            self.xp.multiply(dy, self.gain, out=dx)

    def to_onnx(self, graph: OnnxGraph, x: str) -> str:
        return graph.add("Mul", x, graph.constant(self.gain[0, 0]))

    def to_torch(self, modules: TorchModules) -> None:
        modules.add(f"Scale({self.n_inputs})", gain=self.gain[0, 0])


class _Curved(Layer):
    """The common part of `Parametric` and `PReLU`: s(x), of an x that all replicas may share."""

    activation: Activation

    def _curve(self, x: Array) -> Array:
        """s(x), in the first rows of `s` where all replicas share x."""
        self.x, s, work = x, self.s, (self.work0, self.work1)
        if x.shape != s.shape:
            s, work = s[:1], (work[0][:1], work[1][:1])
        self.curve = self.ops.bias_activation(self.activation, x, None, s, work)
        return self.curve

    def _bend(self, a: Array, b: Array) -> None:
        """Write a - b to `bent`; dpnp stretches no pair of operands to `out`."""
        if len(a) < len(self.bent) and not self.backend.specialized:
            self.xp.copyto(self.bent, a)
            a = self.bent
        self.xp.subtract(a, b, out=self.bent)

    def _times_slope(self, dy: Array) -> None:
        """dy *= s'(x)."""
        x, s = (self.xp.broadcast_to(one, dy.shape) for one in (self.x, self.curve))
        self.ops.activation_gradient(self.activation, dy, x, s, None, (self.work0, self.work1))

    def buffers(self) -> dict[str, Shape]:
        shape = (BATCH, self.n_inputs)
        return {"s": shape, "y": shape, "bent": shape}

    def scratch(self) -> dict[str, Shape]:
        shape = (BATCH, self.n_inputs)
        return {"work0": shape, "work1": shape, "inner": shape, "row": (1, self.n_inputs)}


class Parametric(_Curved):
    """y = share * s(x) + (1 - share) * x, with a learned share per unit, 1 at first.

    With sums over the batch::

        dshare = sum of dy * (s(x) - x)        dx = dy * (1 - share) + dy * share * s'(x)

    A unit may so become linear, or bend more than s does (Holzmüller et al. 2024, "Better by default", section 3).

    Parameters
    ----------
    activation
        s: a name or an `Activation`. Put the layer after a `Linear` without an activation.

    Raises
    ------
    ConfigError
        There is no such activation.

    Examples
    --------
    >>> import xbnet
    >>> layers = [xbnet.Linear(16, initializer="lecun"), Parametric("selu"), xbnet.Linear(3)]
    >>> xbnet.Network(layers, n_inputs=4).parameters["1.share"].shape
    (1, 1, 16)
    """

    replayable = True

    def __init__(self, activation: str | Activation = "selu"):
        self.activation = get_activation(activation)

    def parameters(self) -> tuple[ParameterSpec, ...]:
        return (ParameterSpec("share", (1, self.n_inputs), ones),)

    def forward(self, x: Array, training: bool) -> Array:
        xp, s = self.xp, self._curve(x)
        xp.subtract(1.0, self.share, out=self.row)
        xp.multiply(x, self.row, out=self.bent)
        xp.multiply(s, self.share, out=self.y)
        xp.add(self.y, self.bent, out=self.y)
        self._bend(s, x)
        return self.y

    def backward(self, dy: Array, dx: Array | None) -> None:
        xp = self.xp
        xp.multiply(dy, self.bent, out=self.inner)
        self.ops.batch_sum(self.inner, self.dshare)
        if dx is None:
            return
        xp.multiply(dy, self.share, out=self.inner)
        self._times_slope(self.inner)
        xp.subtract(1.0, self.share, out=self.row)
        xp.multiply(dy, self.row, out=dx)
        xp.add(dx, self.inner, out=dx)

    @classmethod
    def examples(cls) -> dict[str, Layer]:
        return {"": cls("selu"), "mish": cls("mish")}

    def to_onnx(self, graph: OnnxGraph, x: str) -> str:
        share = graph.constant(self.share[0, 0])
        straight = graph.add("Mul", x, graph.add("Sub", graph.constant(1.0), share))
        return graph.add("Add", graph.add("Mul", graph.activation(self.activation, x), share), straight)

    def to_torch(self, modules: TorchModules) -> None:
        text = f"Parametric({self.n_inputs}, {modules.activation(self.activation)})"
        modules.add(text, share=self.share[0, 0])


class PReLU(_Curved):
    """y = x where x > 0, else slope * x, with a learned slope per unit.

    With s = relu, whose slope is 1 or 0, and sums over the batch::

        dslope = sum of dy * min(x, 0)        dx = dy * s'(x) + slope * (dy - dy * s'(x))

    (He et al. 2015, section 2.1.)

    Parameters
    ----------
    initial
        The slope at first, any finite number.

    Raises
    ------
    ConfigError
        `initial` is none.

    Examples
    --------
    >>> import numpy as np, xbnet
    >>> network = xbnet.Network([PReLU(0.5)], n_inputs=2)
    >>> network.forward(np.array([[[-4.0, 4.0]]], np.float32)).ravel().tolist()
    [-2.0, 4.0]
    """

    replayable = True

    def __init__(self, initial: float = 0.25):
        self.initial = number("PReLU", "initial", initial, "(-inf, inf)")
        self.activation = get_activation("relu")

    def parameters(self) -> tuple[ParameterSpec, ...]:
        return (ParameterSpec("slope", (1, self.n_inputs), lambda rng, shape: ones(rng, shape) * self.initial),)

    def forward(self, x: Array, training: bool) -> Array:
        xp, s = self.xp, self._curve(x)
        self._bend(x, s)
        xp.multiply(self.bent, self.slope, out=self.y)
        return xp.add(self.y, s, out=self.y)

    def backward(self, dy: Array, dx: Array | None) -> None:
        xp = self.xp
        xp.multiply(dy, self.bent, out=self.inner)
        self.ops.batch_sum(self.inner, self.dslope)
        if dx is None:
            return
        xp.copyto(self.inner, dy)
        self._times_slope(self.inner)
        xp.subtract(dy, self.inner, out=dx)
        xp.multiply(dx, self.slope, out=dx)
        xp.add(dx, self.inner, out=dx)

    def config(self) -> dict[str, Any]:
        return {"initial": self.initial}

    def to_onnx(self, graph: OnnxGraph, x: str) -> str:
        zero = graph.constant(0.0)
        below = graph.add("Mul", graph.add("Min", x, zero), graph.constant(self.slope[0, 0]))
        return graph.add("Add", graph.add("Max", x, zero), below)

    def to_torch(self, modules: TorchModules) -> None:
        modules.add(f"nn.PReLU({self.n_inputs})", weight=self.slope[0, 0])
