"""The base class of layers, and how to write a layer of your own."""

from __future__ import annotations

import copy
import inspect
from typing import Any, ClassVar, Protocol

import numpy as np

from ...backends.arrays import Array, DTypeLike, Namespace
from ...backends.backend import Backend
from ...backends.ops import Ops
from ...backends.parts import StepPart
from ..activations import Activation
from ..parameters import ParameterSpec

BATCH = "B"
"""Stands for the number of rows in a buffer's shape."""

Shape = tuple[int | str, ...]


class OnnxGraph(Protocol):
    """The graph to which a layer adds its operators when it is exported to ONNX."""

    def add(self, operator: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        """A node; the name of its output."""

    def constant(self, value: Array | float, dtype: DTypeLike | None = None) -> str:
        """An array or number; its name."""

    def affine(self, x: str, W: Array, b: Array) -> str:
        """``x W + b``."""

    def activation(self, activation: Activation | None, z: str) -> str:
        """An activation, such as ``get_activation("sigmoid")`` for a gate; None is the identity."""


class TorchModules(Protocol):
    """The modules to which a layer adds its own when it is exported to PyTorch."""

    def add(self, module: str, **arrays: Any) -> None:
        """A module as text, and its `state_dict`; a ``__`` in a name stands for a dot."""

    def activation(self, activation: Activation | None) -> str:
        """The text of an activation's module; None is the identity."""


class Layer(StepPart):
    """A function y = f(x) of rows, with parameters, written out forward and backward.

    A layer states what it needs (`parameters`, `state`, `buffers`, `scratch`); the network that takes it in makes
    a copy, allocates all of it once, and sets one attribute per name: a parameter ``W`` appears as ``self.W
    (R, I, O)``, a view into theta, and its gradient as ``self.dW``; a buffer ``y`` of shape ``(BATCH, O)`` as
    ``self.y (R, B, O)``. `self.xp` is the array namespace, `self.ops` the backend's operations. A layer
    allocates nothing while it runs, and knows neither the loss nor the optimizer.

    To write your own, derive from `Layer`, give `forward` and `backward`, and state what they use. What
    `__init__` sets under the names of its arguments goes into files, see `config`. Say ``replayable = True`` in the
    class's body where `StepPart` allows it: then NumPy's steps are played without the Python in between.

    Examples
    --------
    >>> class Twice(Layer):
    ...     def buffers(self):
    ...         return {"y": (BATCH, self.n_inputs)}
    ...     def forward(self, x, training):
    ...         return self.xp.multiply(x, 2.0, out=self.y)
    ...     def backward(self, dy, dx):
    ...         if dx is not None:
    ...             self.xp.multiply(dy, 2.0, out=dx)
    >>> import xbnet
    >>> xbnet.jacobian_test(Twice(), [[1.0, -1.0]]).passed
    True
    """

    n_inputs: int
    n_outputs: int
    backend: Backend
    xp: Namespace
    ops: Ops
    dtype: np.dtype
    draws: bool = False
    """Whether forward draws random numbers on the host while training."""
    answers: int = 1
    """How many answers a last layer gives for each row while training, side by side, see `MemberOutputs`."""
    link: str = "softmax"
    """The network's."""
    frozen: bool = False
    """True while a gradient is tested: forward draws no new numbers, and leaves the state as it is."""
    _arguments: ClassVar[list[str]]

    def __getattr__(self, name: str) -> Array:
        """Parameters, buffers, scratch and hyper arrays are set by the network; whoever comes here forgot one."""
        raise AttributeError(
            f"{type(self).__name__}: nothing is named {name!r}; state it in parameters, state, buffers, scratch or "
            "hyper, and use it in a network"
        )

    def build(self, n_inputs: int) -> None:
        """Set the widths I and O; a layer that changes the width sets `self.n_outputs` itself.

        Parameters
        ----------
        n_inputs
            I >= 1, the width of the layer before.
        """
        self.n_inputs = self.n_outputs = n_inputs

    def parameters(self) -> tuple[ParameterSpec, ...]:
        """The trained blocks."""
        return ()

    def state(self) -> tuple[ParameterSpec, ...]:
        """Blocks that are kept with the parameters but not trained, such as running statistics."""
        return ()

    def buffers(self) -> dict[str, Shape]:
        """Arrays that live from forward to backward: name -> shape without R."""
        return {}

    def scratch(self) -> dict[str, Shape]:
        """Arrays that hold nothing between two calls; all layers share their memory, the i-th of each the same."""
        return {}

    def hyper(self) -> dict[str, Any]:
        """Settings that are a number or one value per replica: name -> value; appear as (R, 1, 1).

        The names must differ from the attributes that `__init__` sets, because those go into files.
        """
        return {}

    def bind(self, streams: list[np.random.Generator]) -> None:
        """Take the random generators for masks.

        Parameters
        ----------
        streams
            One per replica.
        """

    def select(self, index: np.ndarray) -> Layer:
        """Return a copy for some replicas; overridden where a setting is one value per replica.

        Parameters
        ----------
        index
            Replicas to keep, whole numbers in [0, R).

        Returns
        -------
        Layer
        """
        return copy.copy(self)

    def forward(self, x: Array, training: bool) -> Array:
        """Compute the outputs of a batch.

        Parameters
        ----------
        x
            Inputs (R, B, I), or (1, B, I) where all replicas see the same. They stay as they are until `backward`,
            which may read them where this method keeps them (``self.x = x``).
        training
            Whether `backward` may follow; dropout and batch normalization act differently then.

        Returns
        -------
        array
            y (R, B, O): a buffer of this layer, or x itself if it has R replicas.
        """
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self, dy: Array, dx: Array | None) -> None:
        """Compute the gradients with respect to the parameters, which are overwritten, and to the inputs.

        Parameters
        ----------
        dy
            Gradient by the outputs, (R, B, O). It may be overwritten, and shares no memory with `dx`.
        dx
            Array (R, B, I) to write the gradient by the inputs to; None: it is not wanted.
        """
        raise NotImplementedError(f"{type(self).__name__}.backward")

    def config(self) -> dict[str, Any]:
        """The arguments that recreate this layer: here, the attributes that have their names.

        They go into files as numbers, texts, None and lists of these, and an activation by its name. A layer that keeps
        its arguments otherwise overrides this.
        """
        names = [name for name in arguments_of(type(self)) if hasattr(self, name)]
        return {name: v.name if isinstance(v := getattr(self, name), Activation) else v for name in names}

    @classmethod
    def examples(cls) -> dict[str, Layer]:
        """Small examples that cover all settings, by a short name; ``xbnet verify --all`` tests each."""
        return {"": cls()}

    def to_onnx(self, graph: OnnxGraph, x: str) -> str:
        """Add the nodes that predict, for one replica, to an ONNX graph.

        Parameters
        ----------
        graph
            Takes nodes by `add` and arrays by `constant`.
        x
            Name of the layer's input.

        Returns
        -------
        str
            Name of its output.
        """
        raise NotImplementedError(f"{type(self).__name__}.to_onnx")

    def to_torch(self, modules: TorchModules) -> None:
        """Add the PyTorch modules that predict the same, for one replica.

        Parameters
        ----------
        modules
            Takes source code and tensors by `add`.
        """
        raise NotImplementedError(f"{type(self).__name__}.to_torch")

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.config().items() if v is not None)
        return f"{type(self).__name__}({arguments})"


def arguments_of(kind: type[Layer]) -> list[str]:
    """The names of the constructor's arguments, which it takes a while to find: so the class keeps them."""
    if "_arguments" not in vars(kind):
        kind._arguments = list(inspect.signature(kind).parameters)
    return kind._arguments
