"""The embedding of categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....backends.arrays import Array, Namespace
from ....errors import ConfigError
from ....parsing import is_whole
from ...initializers import Initializer, get_initializer
from ...parameters import ParameterSpec
from ..base import BATCH, Layer, OnnxGraph, Shape, check_width
from .columnwise import ColumnEmbedding, Steps

WATCHED = 64
"""A gradient test watches the boundaries between up to this many codes."""


class Embedding(ColumnEmbedding):
    """Columns of codes: of each column a table of learned rows, and the row of a code is what it becomes.

    With the table W_i (K, D) of column i, and a code k::

        y_i = W_i[k]        dW_i[k] = sum of dy_i over the rows of the batch whose code is k        dx = 0

    which is `Linear` without a bias on the one-hot code, and computed as that: so the same bits come every time, and
    the time of a step grows with the number of categories.

    A code is the whole number nearest to x, 0 to K - 1; any other, and NaN, becomes zeros.

    Parameters
    ----------
    n_categories
        K of each column, or that of all columns: >= 1.
    dim
        D >= 1; None: the one-hot codes themselves, of which nothing is learned.
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
        initializer: str | Initializer | None = None,
    ):
        super().__init__(dim, None)
        each = [n_categories] if is_whole(n_categories) else n_categories
        if not isinstance(each, (list, tuple, np.ndarray)) or not len(each):
            raise ConfigError(f"Embedding: expected n_categories of each column, got {n_categories!r}")
        self.n_categories = [check_width("Embedding", n) for n in each]
        self.initializer = initializer
        self._draw = get_initializer(initializer or "normal:1")

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

    def buffers(self) -> dict[str, Shape]:
        return super().buffers() | {"near": (BATCH, self.n_inputs), "apart": (BATCH, self.n_codes)}

    def scratch(self) -> dict[str, Shape]:
        shape = (BATCH, self.n_inputs)
        return {"inner0": shape, "inner1": shape}

    def _whole(self, x: Array) -> Array:
        near, work = self.near[: x.shape[0]], (self.inner0[: x.shape[0]], self.inner1[: x.shape[0]])
        return self.ops.bias_activation(self.nearest, x, None, near, work)

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
        return {"": cls(3, 2), "one-hot": cls(3, None)}

    def onnx_code(self, graph: OnnxGraph, column: str, i: int) -> str:
        low, high = (graph.constant(np.arange(self.widths[i])[None] + edge) for edge in (-0.5, 0.5))
        within = graph.add("And", graph.add("Greater", column, low), graph.add("LessOrEqual", column, high))
        return graph.add("Where", within, graph.constant(1.0), graph.constant(0.0))

    def torch_code(self) -> tuple[str, dict[str, Any]]:
        return f"OneHot({self.widths})", {}
