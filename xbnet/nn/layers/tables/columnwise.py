"""The base of the embeddings: each column is encoded separately, and a learned linear map computes its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ....backends.arrays import Array
from ....errors import ConfigError
from ....parsing import whole
from ...activations import Activation, get_activation
from ...parameters import ParameterSpec
from ..base import BATCH, Layer, OnnxGraph, Shape, TorchModules


class Steps(Activation):
    """A function with kinks that is applied to codes: a gradient test watches what goes into it, as into any other."""

    replayable = True


class ColumnEmbedding(Layer):
    """Of each column i a code (B, T_i), by `encode`; then y_i = s(code_i W_i + b_i), all y_i side by side.

    With dz = dy * s'(z)::

        dW_i = code_i^T dz_i        db = sum of dz over the batch        dcode_i = dz_i W_i^T

    Where `columns` are given, only these are embedded. The others come first, as they are, then the y_i: so networks
    mix columns of several kinds.

    Parameters
    ----------
    dim
        D, the outputs per column; None: the codes are the outputs, and nothing is learned of them.
    activation
        s: a name, an `Activation`, or None for the identity.
    columns
        Numbers of the inputs that are embedded, from 0; None: all.
    """

    has_bias = True
    direct = False
    """Whether each column itself is one of the D outputs of its embedding."""
    learns_code = False
    """Whether the code has parameters."""

    columns: list[int] | None = None

    def __init__(self, dim: int | None, activation: str | Activation | None, columns: Sequence[int] | None = None):
        if columns is not None:
            where = type(self).__name__
            self.columns = [whole(where, "columns", i, least=0) for i in columns]
            if not self.columns or len({*self.columns}) < len(self.columns):
                raise ConfigError(f"{where}: expected columns that differ, one at least, got {columns!r}")
        self.dim = None if dim is None else whole(type(self).__name__, "dim", dim)
        self.activation = None if activation in (None, "identity") else get_activation(activation)
        if self.dim is None and self.activation is not None:
            raise ConfigError(f"{type(self).__name__}: expected dim= where there is an activation={activation!r}")

    # -- what a code is ---------------------------------------------------------------------------------------------

    def code_widths(self) -> list[int]:
        """T_i of each of the `n_inputs` columns."""
        raise NotImplementedError

    def encode(self, x: Array) -> Array:
        """Compute the codes (R or 1, B, sum of T_i) of x (R or 1, B, I): the buffer `code`, or its first rows."""
        raise NotImplementedError

    def encode_backward(self, dcode: Array, dx: Array | None) -> None:
        """Write the gradients of the code's parameters, and dx.

        Parameters
        ----------
        dcode
            (R, B, sum of T_i); may be overwritten.
        dx
            (R, B, I), overwritten; None: it is not wanted.
        """
        raise NotImplementedError

    # -- sizes ------------------------------------------------------------------------------------------------------

    def build(self, n_inputs: int) -> None:
        self.n_all = n_inputs
        if self.columns is not None:
            if max(self.columns) >= n_inputs:
                raise ConfigError(f"{type(self).__name__}: expected columns below {n_inputs}, got {max(self.columns)}")
            self.rest = runs([i for i in range(n_inputs) if i not in self.columns])
            self.chosen_runs = runs(self.columns)
            n_inputs = len(self.columns)
        self.n_inputs = n_inputs
        self.n_rest = self.n_all - n_inputs
        self.widths = self.code_widths()
        ends = np.cumsum([0, *self.widths]).tolist()
        self.codes = [slice(a, b) for a, b in pairwise(ends)]
        self.n_codes: int = ends[-1]
        self.D = 0 if self.dim is None else self.dim - self.direct
        self.n_learned = n_inputs * self.D if self.dim is not None else self.n_codes
        self.n_embedded = self.n_learned + n_inputs * self.direct
        self.n_outputs = self.n_rest + self.n_embedded
        self.places = [slice(i * self.D, (i + 1) * self.D) for i in range(n_inputs)]

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """W at first: uniform in +-1 / sqrt(T_i)."""
        bound = np.repeat([width**-0.5 for width in self.widths], self.widths)[:, None]
        return rng.uniform(-bound, bound, shape)

    def parameters(self) -> tuple[ParameterSpec, ...]:
        if self.dim is None:
            return ()
        W = ParameterSpec("W", (self.n_codes, self.D), self.draw, is_weight=True)
        return (W, ParameterSpec("b", (1, self.n_learned))) if self.has_bias else (W,)

    def buffers(self) -> dict[str, Shape]:
        found = self.embedding_buffers()
        if self.columns is not None:
            some, wide = (BATCH, self.n_inputs), (BATCH, self.n_outputs)
            found |= {"chosen": some, "dchosen": some, "together": wide, "dtogether": wide}
            found |= {"dembedded": (BATCH, self.n_embedded), "dx_wide": (BATCH, self.n_all)}
        return found

    def embedding_buffers(self) -> dict[str, Shape]:
        """The buffers of `embed` and `embed_backward`."""
        rows: Shape = (BATCH, self.n_codes)
        learned: Shape = (BATCH, self.n_learned)
        beside: Shape = (BATCH, self.n_embedded)
        found = {"code": rows, "dcode": rows, "dx_all": (BATCH, self.n_inputs)}
        if self.dim is None or self.direct:
            found["y"] = beside
        if self.D:
            found |= {"z": learned, "dz": learned, "dy_all": beside}
        return found | ({"a": learned} if self.activation else {})

    def scratch(self) -> dict[str, Shape]:
        learned: Shape = (BATCH, self.n_learned)
        return {"work0": learned, "work1": learned} if self.activation else {}

    @property
    def _work(self) -> Sequence[Array]:
        return (self.work0, self.work1) if self.activation else ()

    # -- forward and backward -----------------------------------------------------------------------------------------
    # Parts of an array are only taken of what belongs to this layer alone: `dy` and `dx` are copied as a whole.

    def forward(self, x: Array, training: bool) -> Array:
        if self.columns is None:
            return self.embed(x)
        chosen = self.chosen[: x.shape[0]]
        for to, at in self.chosen_runs:
            self.xp.copyto(chosen[:, :, to], x[:, :, at])
        for to, at in self.rest:
            self.xp.copyto(self.together[:, :, to], x[:, :, at])
        self.xp.copyto(self.together[:, :, self.n_rest :], self.embed(chosen))
        return self.together

    def backward(self, dy: Array, dx: Array | None) -> None:
        if self.columns is None:
            self.embed_backward(dy, dx)
            return
        xp = self.xp
        xp.copyto(self.dtogether, dy)
        xp.copyto(self.dembedded, self.dtogether[:, :, self.n_rest :])
        self.embed_backward(self.dembedded, None if dx is None else self.dchosen)
        if dx is not None:
            for to, at in self.chosen_runs:
                xp.copyto(self.dx_wide[:, :, at], self.dchosen[:, :, to])
            for to, at in self.rest:
                xp.copyto(self.dx_wide[:, :, at], self.dtogether[:, :, to])
            xp.copyto(dx, self.dx_wide)

    def embed(self, x: Array) -> Array:
        """The outputs of the columns that are embedded."""
        xp, ops = self.xp, self.ops
        self.x = x
        code = self.encoded = self.encode(x)
        if self.dim is None:
            xp.copyto(self.y, code)
            return self.y
        for at, place in zip(self.codes, self.places, strict=True):
            ops.bmm(code[:, :, at], self.W[:, at], self.z[:, :, place])
        b, a = self.b if self.has_bias else None, self.a if self.activation else self.z
        learned = ops.bias_activation(self.activation, self.z, b, a, self._work)
        if not self.direct:
            return learned
        xp.copyto(self.y[:, :, : self.n_learned], learned)
        xp.copyto(self.y[:, :, self.n_learned :], x)
        return self.y

    def embed_backward(self, dy: Array, dx: Array | None) -> None:
        """As `backward`, of the columns that are embedded."""
        xp, ops = self.xp, self.ops
        if self.dim is None:
            xp.copyto(self.dcode, dy)
        else:
            xp.copyto(self.dy_all, dy)
            xp.copyto(self.dz, self.dy_all[:, :, : self.n_learned])
            db = self.db if self.has_bias else None
            a = self.a if self.activation else self.z
            ops.activation_gradient(self.activation, self.dz, self.z, a, db, self._work)
            for at, place in zip(self.codes, self.places, strict=True):
                ops.bmm_tn(self.encoded[:, :, at], self.dz[:, :, place], self.dW[:, at])
                if dx is not None or self.learns_code:
                    ops.bmm_nt(self.dz[:, :, place], self.W[:, at], self.dcode[:, :, at])
        if dx is not None or self.learns_code:
            self.encode_backward(self.dcode, dx)
        if dx is not None and self.direct:
            xp.copyto(self.dx_all, self.dy_all[:, :, self.n_learned :])
            xp.add(dx, self.dx_all, out=dx)

    # -- other programs -----------------------------------------------------------------------------------------------

    def onnx_code(self, graph: OnnxGraph, column: str, i: int) -> str:
        """Add the operations that compute the code (N, T_i) of a column.

        Parameters
        ----------
        graph
            The graph to add to.
        column
            Name of the column (N, 1) in it.
        i
            Its number.

        Returns
        -------
        str
            Name of the result.
        """
        raise NotImplementedError

    def to_onnx(self, graph: OnnxGraph, x: str) -> str:
        if self.columns is None:
            return self.embedded_onnx(graph, x)
        rest = [i for i in range(self.n_all) if i not in self.columns]
        parts = [graph.add("Gather", x, graph.constant(np.array(rest), np.int64), axis=1)] if rest else []
        some = graph.add("Gather", x, graph.constant(np.array(self.columns), np.int64), axis=1)
        return graph.add("Concat", *parts, self.embedded_onnx(graph, some), axis=1)

    def embedded_onnx(self, graph: OnnxGraph, x: str) -> str:
        """As `to_onnx`, of the columns that are embedded."""
        found = []
        for i, at in enumerate(self.codes):
            column = graph.add("Gather", x, graph.constant(np.array([i]), np.int64), axis=1)
            code = self.onnx_code(graph, column, i)
            found.append(graph.add("MatMul", code, graph.constant(self.W[0, at])) if self.D else code)
        y = graph.add("Concat", *found, axis=1)
        if self.D and self.has_bias:
            y = graph.add("Add", y, graph.constant(self.b[0, 0]))
        y = graph.activation(self.activation, y)
        return graph.add("Concat", y, x, axis=1) if self.direct else y

    def torch_code(self) -> tuple[str, dict[str, Any]]:
        """The code as the text of a module, a class of `torch_text`, and its arrays."""
        raise NotImplementedError

    def to_torch(self, modules: TorchModules) -> None:
        text, arrays = self.embedded_torch(modules)
        if self.columns is not None:
            text, arrays = f"Columns({self.columns}, {text})", {f"layer__{name}": a for name, a in arrays.items()}
        modules.add(text, **arrays)

    def embedded_torch(self, modules: TorchModules) -> tuple[str, dict[str, Any]]:
        """The module of the columns that are embedded, as text, and its arrays."""
        code, constants = self.torch_code()
        arrays = {f"code__{name}": array for name, array in constants.items()}
        if self.D:
            arrays["W"] = self.W[0]
            if self.has_bias:
                arrays["b"] = self.b[0, 0]
        activation = modules.activation(self.activation)
        return f"Embedded({code}, {self.widths}, {self.D}, {self.has_bias}, {activation}, {self.direct})", arrays


def runs(places: Sequence[int]) -> list[tuple[slice, slice]]:
    """Where each place of an array comes from, neighbours together: slices of places, and of what stands there.

    Examples
    --------
    >>> runs([3, 4, 0])
    [(slice(0, 2, None), slice(3, 5, None)), (slice(2, 3, None), slice(0, 1, None))]
    """
    starts = [k for k in range(len(places)) if k == 0 or places[k] != places[k - 1] + 1]
    pieces = pairwise([*starts, len(places)])
    return [(slice(a, b), slice(places[a], places[a] + b - a)) for a, b in pieces]
