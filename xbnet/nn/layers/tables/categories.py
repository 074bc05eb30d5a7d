"""The embedding of categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ....backends.arrays import Array, Namespace
from ....errors import ConfigError
from ....parsing import is_whole, whole
from ...initializers import Initializer, get_initializer
from ...parameters import ParameterSpec
from ..base import BATCH, Layer, OnnxGraph, Shape, TorchModules
from .columnwise import ColumnEmbedding, Steps

WATCHED = 64
"""A gradient test watches the boundaries between up to this many codes."""
INT64 = 7
"""ONNX's number of that type."""


class Embedding(ColumnEmbedding):
    """Columns of codes: of each column a table of learned rows, and the row of a code is what it becomes.

    With the table W_i (K, D) of column i, and a code k::

        y_i = W_i[k]        dW_i[k] = sum of dy_i over the rows of the batch whose code is k        dx = 0

    which is `Linear` without a bias on the one-hot code, but rows are looked up and added up by their numbers: a step
    takes hardly longer with thousands of categories. They are added in the order of the batch, so to the same bits
    every time.

    A code is the whole number nearest to x, 0 to K - 1; any other, and NaN, becomes zeros.

    Parameters
    ----------
    n_categories
        K of each column, or that of all columns: >= 1.
    dim
        D >= 1; None: the one-hot codes themselves, of which nothing is learned.
    columns
        Indices of the inputs that are codes, from 0; the other inputs come first in the output, unchanged. None: all.
    initializer
        How tables (K, D) start; by default normal with standard deviation 1.

    Raises
    ------
    ConfigError
        A setting out of range, or tables of another number than the columns.

    Examples
    --------
    >>> import numpy as np, xbnet
    >>> network = xbnet.Network([Embedding([3, 100], dim=2), xbnet.Linear(2)], n_inputs=2, rng=0)
    >>> network.parameters["0.W"].shape
    (1, 103, 2)
    >>> y = xbnet.Network([Embedding(3, dim=None)], n_inputs=1).forward(np.array([[[2.0], [7.0]]], np.float32))
    >>> y[0].tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """

    replayable = True
    has_bias = False

    def __init__(
        self,
        n_categories: int | Sequence[int] = 10,
        dim: int | None = 8,
        *,
        columns: Sequence[int] | None = None,
        initializer: str | Initializer | None = None,
    ):
        super().__init__(dim, None, columns)
        each = [n_categories] if is_whole(n_categories) else n_categories
        if not isinstance(each, (list, tuple, np.ndarray)) or not len(each):
            raise ConfigError(f"Embedding: expected n_categories of each column, got {n_categories!r}")
        self.n_categories = [whole("Embedding", "n_categories", n) for n in each]
        self.initializer = initializer
        self._draw = get_initializer(initializer or "normal:1")

    @classmethod
    def of_codes(cls, codes: Mapping[int, int], dim: int = 8) -> list[Layer]:
        """What a network begins with where some of its inputs are codes: an embedding of these, if there are any.

        Parameters
        ----------
        codes
            Number of an input -> K, as `Dataset.codes` and `Schema.codes` have them.
        dim
            D >= 1.

        Returns
        -------
        list of Layer
            One, or none.

        Examples
        --------
        >>> Embedding.of_codes({3: 40}, dim=4)
        [Embedding(n_categories=[40], dim=4, columns=[3])]
        """
        return [cls([*codes.values()], dim, columns=[*codes])] if codes else []

    def code_widths(self) -> list[int]:
        each = self.n_categories * self.n_inputs if len(self.n_categories) == 1 else self.n_categories
        if len(each) != self.n_inputs:
            raise ConfigError(f"Embedding: expected n_categories of {self.n_inputs} columns, got those of {len(each)}")
        return each

    def parameters(self) -> tuple[ParameterSpec, ...]:
        return () if self.dim is None else (ParameterSpec("W", (self.n_codes, self.D), self._draw),)

    def bind(self, streams: list[np.random.Generator]) -> None:
        each = np.concatenate([np.arange(width) for width in self.widths])
        self.each = self.backend.asarray(each[None, None], self.dtype)
        """The codes of all columns, side by side."""

        def nearest(xp: Namespace, z: Array, out: Array, work: Sequence[Array]) -> None:
            xp.subtract(z, 0.5, out=work[0])
            xp.ceil(work[0], out=out)

        def nearest_backward(xp: Namespace, dy: Array, z: Array, y: Array, work: Sequence[Array]) -> None:
            xp.copyto(dy, 0.0)

        kinks = tuple(k - 0.5 for k in range(min(max(self.widths), WATCHED) + 1))
        self.nearest = Steps("nearest", nearest, nearest_backward, kinks=kinks)

    def embedding_buffers(self) -> dict[str, Shape]:
        near: dict[str, Shape] = {"near": (BATCH, self.n_inputs)}
        if self.dim is None:
            return super().embedding_buffers() | near | {"apart": (BATCH, self.n_codes)}
        return near | {"z": (BATCH, self.n_embedded), "dz": (BATCH, self.n_embedded)}

    def scratch(self) -> dict[str, Shape]:
        shape = (BATCH, self.n_inputs)
        return {"inner0": shape, "inner1": shape}

    def _whole(self, x: Array) -> Array:
        near, work = self.near[: x.shape[0]], (self.inner0[: x.shape[0]], self.inner1[: x.shape[0]])
        return self.ops.bias_activation(self.nearest, x, None, near, work)

    def embed(self, x: Array) -> Array:
        if self.dim is None:
            return super().embed(x)
        near = self._whole(x)
        self.column_codes = [near[:, :, i : i + 1] for i in range(self.n_inputs)]
        for codes, at, place in zip(self.column_codes, self.codes, self.places, strict=True):
            self.ops.lookup(self.W[:, at], codes, self.z[:, :, place])
        return self.z

    def embed_backward(self, dy: Array, dx: Array | None) -> None:
        if self.dim is None:
            super().embed_backward(dy, dx)
            return
        self.xp.copyto(self.dz, dy)
        for codes, at, place in zip(self.column_codes, self.codes, self.places, strict=True):
            self.ops.lookup_gradient(self.dz[:, :, place], codes, self.dW[:, at])
        if dx is not None:
            self.xp.copyto(dx, 0.0)

    def encode(self, x: Array) -> Array:
        xp, near = self.xp, self._whole(x)
        code, apart = self.code[: x.shape[0]], self.apart[: x.shape[0]]
        for i, at in enumerate(self.codes):
            xp.subtract(near[:, :, i : i + 1], self.each[:, :, at], out=apart[:, :, at])
        xp.abs(apart, out=apart)
        xp.subtract(0.5, apart, out=code)
        xp.sign(code, out=apart)
        return xp.maximum(apart, 0.0, out=code)  # 1 where it is the code, else 0

    def encode_backward(self, dcode: Array, dx: Array | None) -> None:
        assert dx is not None, "the code has no parameters"
        self.xp.copyto(dx, 0.0)

    @classmethod
    def examples(cls) -> dict[str, Layer]:
        return {"": cls(3, 2), "one-hot": cls(3, None), "columns": cls([3, 2], 2, columns=[2, 0])}

    def embedded_onnx(self, graph: OnnxGraph, x: str) -> str:
        if self.dim is None:
            return super().embedded_onnx(graph, x)
        found = []
        for i, at in enumerate(self.codes):
            K = self.widths[i]
            code = graph.add("Gather", x, graph.constant(np.array(i), np.int64), axis=1)
            known = graph.add(
                "And", graph.add("Greater", code, graph.constant(-0.5)),
                graph.add("LessOrEqual", code, graph.constant(K - 0.5)),
            )  # fmt: skip
            nearest = graph.add("Ceil", graph.add("Sub", code, graph.constant(0.5)))
            row = graph.add("Cast", graph.add("Where", known, nearest, graph.constant(float(K))), to=INT64)
            table = np.concatenate([self.W[0, at], np.zeros((1, self.D), self.dtype)])  # of none of them: zeros
            found.append(graph.add("Gather", graph.constant(table), row, axis=0))
        return graph.add("Concat", *found, axis=1)

    def embedded_torch(self, modules: TorchModules) -> tuple[str, dict[str, Any]]:
        if self.dim is None:
            return super().embedded_torch(modules)
        return f"Embedding({self.widths}, {self.D})", {"W": self.W[0]}

    def onnx_code(self, graph: OnnxGraph, column: str, i: int) -> str:
        low, high = (graph.constant(np.arange(self.widths[i])[None] + edge) for edge in (-0.5, 0.5))
        within = graph.add("And", graph.add("Greater", column, low), graph.add("LessOrEqual", column, high))
        return graph.add("Where", within, graph.constant(1.0), graph.constant(0.0))

    def torch_code(self) -> tuple[str, dict[str, Any]]:
        return f"OneHot({self.widths})", {}


def expect_embedded(layers: Sequence[Layer], codes: Mapping[int, int]) -> None:
    """Raise `ConfigError` where a network would take codes for numbers."""
    if codes and not any(isinstance(layer, Embedding) for layer in layers):
        raise ConfigError(
            "fit: expected a network that begins with an Embedding, for one_hot= made codes of some columns; "
            "put xbnet.Embedding.of_codes(data.codes) in front of its layers"
        )
