"""A `Scaler` as operators of an ONNX graph, in float64. No runtime needs a normal distribution for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...datasets import Scaler
from ...datasets.normal import BOUND, CENTRE, FAR, HALF, LEAST, MIDDLE, SHIFT, TAIL

if TYPE_CHECKING:
    from .onnx import _Graph


def scaled(graph: _Graph, x: str, scaler: Scaler) -> str:
    """The name of what `scaler` makes of x (N, I), float64."""
    mean, scale = (_wide(graph, part[None]) for part in (np.asarray(scaler.mean), np.asarray(scaler.scale)))
    z = graph.add("Div", graph.add("Sub", x, mean), scale)
    if scaler.clip is not None and scaler.clip.any():
        clipped = _smooth_clip(graph, z)
        z = clipped if scaler.clip.all() else graph.add("Where", graph.constant(scaler.clip[None], bool), clipped, z)
    if scaler.quantiles is None:
        return z
    ranked = ~np.isnan(scaler.quantiles[0])
    chosen = graph.add("Gather", x, graph.constant(np.flatnonzero(ranked), np.int64), axis=1)
    normal = _to_normal(graph, chosen, scaler.quantiles[:, ranked])
    if ranked.all():
        return normal
    order = np.where(ranked, len(ranked) + np.cumsum(ranked) - 1, np.arange(len(ranked)))
    both = graph.add("Concat", z, normal, axis=1)
    return graph.add("Gather", both, graph.constant(order, np.int64), axis=1)


def _wide(graph: _Graph, value: np.ndarray | float) -> str:
    return graph.constant(value, np.float64)


def _smooth_clip(graph: _Graph, z: str) -> str:
    near = graph.add("Min", graph.add("Max", z, _wide(graph, -FAR)), _wide(graph, FAR))
    share = graph.add("Div", near, _wide(graph, BOUND))
    square = graph.add("Mul", share, share)
    return graph.add("Div", near, graph.add("Sqrt", graph.add("Add", square, _wide(graph, 1.0))))


def _to_normal(graph: _Graph, x: str, quantiles: np.ndarray) -> str:
    """The normal quantiles of the ranks of x (N, k) among ``quantiles (Q, k)``.

    Each column's different quantiles are in a row of a table, so that the last that is not above x is found by halving;
    next to it are the rank there, the middle rank of equal ones, and the slope to the next.
    """
    Q, k = quantiles.shape
    M = 1 << (Q - 1).bit_length()
    knots, ranks, middles, slopes = np.full((k, M), np.inf), np.ones((k, M)), np.ones((k, M)), np.zeros((k, M))
    first = np.zeros((1, k))
    for i, column in enumerate(quantiles.T):
        values, at, count = np.unique(column, return_index=True, return_counts=True)
        low, high, n = at / (Q - 1), (at + count - 1) / (Q - 1), len(values)
        knots[i, :n], ranks[i, :n], middles[i, :n] = values, high, (low + high) / 2
        slopes[i, : n - 1] = (low[1:] - high[:-1]) / np.diff(values)
        first[0, i] = middles[i, 0] = 0.5 if n == 1 else 0.0
        middles[i, n - 1] = 0.5 if n == 1 else 1.0
        ranks[i, n - 1] = middles[i, n - 1]
    tables = [_wide(graph, table.ravel()) for table in (knots, ranks, middles, slopes)]
    place = graph.constant(np.arange(k)[None] * M, np.int64)
    step = M // 2
    while step:
        further = graph.add("Add", place, graph.constant(step, np.int64))
        fits = graph.add("LessOrEqual", graph.add("Gather", tables[0], further), x)
        place = graph.add("Where", fits, further, place)
        step //= 2
    if M == 1:  # of the shape of x, as the steps would make it
        place = graph.add("Add", place, graph.add("Cast", graph.add("IsNaN", x), to=graph.onnx.TensorProto.INT64))
    knot, rank, middle, slope = (graph.add("Gather", table, place) for table in tables)
    between = graph.add("Add", rank, graph.add("Mul", slope, graph.add("Sub", x, knot)))
    p = graph.add("Where", graph.add("Equal", x, knot), middle, between)
    p = graph.add("Where", graph.add("Less", x, knot), _wide(graph, first), p)
    p = graph.add("Min", graph.add("Max", p, _wide(graph, LEAST)), _wide(graph, 1 - LEAST))
    return _normal_quantile(graph, p)


def _normal_quantile(graph: _Graph, p: str) -> str:
    """See `normal_quantile` of the data sets."""
    from_half = graph.add("Sub", p, _wide(graph, 0.5))
    size = graph.add("Abs", from_half)
    middle = graph.add("Min", size, _wide(graph, HALF))
    inner = graph.add("Sub", _wide(graph, CENTRE), graph.add("Mul", middle, middle))
    least = graph.add("Min", p, graph.add("Sub", _wide(graph, 1.0), p))
    root = graph.add("Sqrt", graph.add("Neg", graph.add("Log", least)))
    root = graph.add("Sub", root, _wide(graph, SHIFT))
    tail = graph.add("Mul", graph.add("Sign", from_half), _ratio(graph, root, TAIL))
    centre = graph.add("Mul", from_half, _ratio(graph, inner, MIDDLE))
    return graph.add("Where", graph.add("LessOrEqual", size, _wide(graph, HALF)), centre, tail)


def _ratio(graph: _Graph, x: str, polynomials: Sequence[Sequence[float]]) -> str:
    above, below = (_polynomial(graph, x, coefficients) for coefficients in polynomials)
    return graph.add("Div", above, below)


def _polynomial(graph: _Graph, x: str, coefficients: Sequence[float]) -> str:
    """By Horner's rule, from the highest power."""
    value = _wide(graph, coefficients[0])
    for coefficient in coefficients[1:]:
        value = graph.add("Add", graph.add("Mul", value, x), _wide(graph, coefficient))
    return value
