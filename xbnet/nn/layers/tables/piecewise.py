"""The embedding of numbers by their places among bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....backends.arrays import Array, ArrayLike, Namespace
from ....errors import ConfigError
from ....parsing import whole
from ...activations import Activation
from ..base import BATCH, Layer, OnnxGraph, Shape
from .columnwise import ColumnEmbedding, Steps

NARROWEST, WIDEST = 1e-30, 1e30
"""Bounds of bins, so that in float32 their widths, and 1 by these, are finite numbers."""


class PiecewiseLinearEmbedding(ColumnEmbedding):
    """Each column as its place among bins, and a learned linear map of that.

    With the edges e_0 < e_1 < ... < e_T of a column's bins, its code is::

        code_t = (x - e_{t-1}) / (e_t - e_{t-1}), not below 0 but for t = 1, and not above 1 but for t = T

    so the bins below x are 1, those above are 0, and that around x is how far x has come; beyond both ends the code
    goes on as a line. Backward is that of `Linear` for each column, and::

        dx = sum over t of dcode_t / (e_t - e_{t-1}), of the bins that are at their bounds nothing

    (Gorishniy et al. 2022, "On embeddings for numerical features in tabular deep learning", section 3.2.)

    Parameters
    ----------
    bins
        The edges of each column, or those that all columns have: numbers that rise, two at least. `quantile_bins` makes
        them of training rows; the default is for standardized columns. They are constants, and kept in files.
    dim
        D >= 1, outputs per column; None: the codes themselves, of which nothing is learned.
    activation
        s, after the linear map: a name, an `Activation`, or None for the identity.
    columns
        Indices of the inputs to embed, from 0; the other inputs come first in the output, unchanged. None: all.

    Raises
    ------
    ConfigError
        Edges that don't rise, columns of another number than the inputs, or a setting out of range.

    Examples
    --------
    >>> import numpy as np, xbnet
    >>> layer = PiecewiseLinearEmbedding([0.0, 1.0, 3.0], dim=None)
    >>> xbnet.Network([layer], n_inputs=1).forward(np.array([[[0.5], [2.0], [5.0]]], np.float32))[0].tolist()
    [[0.5, 0.0], [1.0, 0.5], [1.0, 2.0]]
    >>> rows = np.random.default_rng(0).normal(size=(100, 4))
    >>> embed = PiecewiseLinearEmbedding(quantile_bins(rows, 8), dim=3)
    >>> xbnet.Network([embed, xbnet.Linear(2)], n_inputs=4).layers[0].n_outputs
    12
    """

    replayable = True

    def __init__(
        self,
        bins: Sequence[float] | Sequence[Sequence[float]] = (-2.0, -1.0, 0.0, 1.0, 2.0),
        dim: int | None = 4,
        *,
        activation: str | Activation | None = None,
        columns: Sequence[int] | None = None,
    ):
        super().__init__(dim, activation, columns)
        try:
            each: Any = [bins] if np.ndim(bins[0]) == 0 else bins
            self.bins = [[float(edge) for edge in edges] for edges in each]
        except (TypeError, ValueError, IndexError, KeyError):
            raise ConfigError(f"PiecewiseLinearEmbedding: expected the edges of bins, got {bins!r}") from None
        for i, edges in enumerate(self.bins):
            known = len(edges) > 1 and bool((np.abs(edges) < WIDEST).all())
            if not known or (np.diff(edges) < NARROWEST).any():
                raise ConfigError(
                    f"PiecewiseLinearEmbedding: expected edges of column {i} that rise, by {NARROWEST} at least and "
                    f"within ±{WIDEST}, and two of them or more, got {edges}"
                )

    def code_widths(self) -> list[int]:
        each = self.bins * self.n_inputs if len(self.bins) == 1 else self.bins
        if len(each) != self.n_inputs:
            raise ConfigError(
                f"PiecewiseLinearEmbedding: expected bins of {self.n_inputs} columns, got those of {len(each)}"
            )
        self.edges = each
        return [len(edges) - 1 for edges in each]

    def constants(self) -> dict[str, np.ndarray]:
        """Rows (sum of T_i,): where each bin begins, 1 / its width, and the bounds of its code."""
        start = np.concatenate([edges[:-1] for edges in self.edges])
        rise = 1 / np.concatenate([np.diff(edges) for edges in self.edges])
        low, high = np.zeros(self.n_codes), np.ones(self.n_codes)
        for at in self.codes:
            low[at.start], high[at.stop - 1] = -np.inf, np.inf
        return {"start": start, "rise": rise, "low": low, "high": high}

    def bind(self, streams: list[np.random.Generator]) -> None:
        rows = {name: self.backend.asarray(row[None, None], self.dtype) for name, row in self.constants().items()}
        self.start, self.rise, low, high = rows["start"], rows["rise"], rows["low"], rows["high"]

        def ramp(xp: Namespace, z: Array, out: Array, work: Sequence[Array]) -> None:
            xp.maximum(z, low, out=work[0])
            xp.minimum(work[0], high, out=out)

        def ramp_backward(xp: Namespace, dy: Array, z: Array, y: Array, work: Sequence[Array]) -> None:
            xp.subtract(z, low, out=work[0])
            xp.subtract(high, z, out=work[1])
            xp.minimum(work[1], work[0], out=work[0])
            xp.sign(work[0], out=work[0])
            xp.maximum(work[0], 0.0, out=work[1])  # 1 within the bounds, else 0
            xp.multiply(dy, work[1], out=dy)

        self.ramp = Steps("ramp", ramp, ramp_backward, kinks=(0.0, 1.0))

    def embedding_buffers(self) -> dict[str, Shape]:
        return super().embedding_buffers() | {"way": (BATCH, self.n_codes)}

    def scratch(self) -> dict[str, Shape]:
        return super().scratch() | {"inner0": (BATCH, self.n_codes), "inner1": (BATCH, self.n_codes)}

    def encode(self, x: Array) -> Array:
        xp, rows = self.xp, x.shape[0]
        way, code, work = self.way[:rows], self.code[:rows], (self.inner0[:rows], self.inner1[:rows])
        for i, at in enumerate(self.codes):
            xp.subtract(x[:, :, i : i + 1], self.start[:, :, at], out=way[:, :, at])
        xp.multiply(way, self.rise, out=way)
        return self.ops.bias_activation(self.ramp, way, None, code, work)

    def encode_backward(self, dcode: Array, dx: Array | None) -> None:
        assert dx is not None, "the code has no parameters"
        rows = self.x.shape[0]
        way, code = (self.xp.broadcast_to(one[:rows], dcode.shape) for one in (self.way, self.code))
        self.ops.activation_gradient(self.ramp, dcode, way, code, None, (self.inner0, self.inner1))
        self.xp.multiply(dcode, self.rise, out=dcode)
        for i, at in enumerate(self.codes):
            self.ops.row_sum(dcode[:, :, at], self.dx_all[:, :, i : i + 1])
        self.xp.copyto(dx, self.dx_all)

    @classmethod
    def examples(cls) -> dict[str, Layer]:
        edges = [-1.3, -0.4, 0.3, 1.2]
        return {"": cls(edges, 2), "activation": cls(edges, 2, activation="tanh"), "codes": cls(edges, None)}

    def onnx_code(self, graph: OnnxGraph, column: str, i: int) -> str:
        start, rise, low, high = (graph.constant(row[None, self.codes[i]]) for row in self.constants().values())
        way = graph.add("Mul", graph.add("Sub", column, start), rise)
        return graph.add("Min", graph.add("Max", way, low), high)

    def torch_code(self) -> tuple[str, dict[str, Any]]:
        kept = {name: row.astype(self.dtype) for name, row in self.constants().items()}
        return f"PiecewiseLinear({self.widths})", kept

    def __repr__(self) -> str:
        more = f", activation={self.activation.name!r}" if self.activation else ""
        columns = f"{len(self.bins)} columns" if len(self.bins) > 1 else f"{len(self.bins[0]) - 1} bins"
        return f"PiecewiseLinearEmbedding(<{columns}>, dim={self.dim}{more})"


def quantile_bins(x: ArrayLike, n_bins: int = 16, dtype: str = "float32") -> list[list[float]]:
    """Edges of bins that hold equally many of these rows each.

    Parameters
    ----------
    x
        Rows (N, I) of the training part.
    n_bins
        Maximum number of bins per column, >= 1; equal quantiles make one edge. A column of one value gets one
        bin, from its value v to v + max(1, abs(v)).
    dtype
        The network's: edges that are equal in it are one.

    Returns
    -------
    list of lists
        The edges of each column.

    Raises
    ------
    ConfigError
        There are no rows, or numbers among them that are infinite or missing.

    Examples
    --------
    >>> quantile_bins([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0], [4.0, 5.0]], 2)
    [[0.0, 1.5, 4.0], [5.0, 10.0]]
    """
    n_bins = whole("quantile_bins", "n_bins", n_bins)
    rows = np.asarray(x, float)
    if rows.ndim != 2 or not len(rows) or not np.isfinite(rows).all():
        raise ConfigError(f"quantile_bins: expected finite rows x (N, I), got an array of shape {rows.shape}")
    edges = np.quantile(rows, np.linspace(0, 1, n_bins + 1), axis=0).T
    found = [np.unique(column.astype(dtype)).astype(float).tolist() for column in edges]
    return [column if len(column) > 1 else [column[0], column[0] + max(1.0, abs(column[0]))] for column in found]
