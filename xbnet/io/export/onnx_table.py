"""The columns of a table as the inputs of an ONNX graph: a schema in operators, in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...datasets import Column, Scaler, Schema
from ...datasets.tables.values import MISSING
from .onnx_scaling import scaled

if TYPE_CHECKING:
    from .onnx import _Graph

ML_OPSET = 2
"""Version of ai.onnx.ml: the first whose LabelEncoder takes lists."""


def input_names(schema: Schema, taken: tuple[str, ...]) -> list[str]:
    """A name per column: its own, unless a graph can't have it, which needs all its names to differ."""
    found: list[str] = []
    for column in schema.columns:
        name = column.name
        while not name or name in taken or name in found or name.startswith("xbnet:"):
            name = f"column:{name}"
        found.append(name)
    return found


def encode_columns(graph: _Graph, schema: Schema, names: list[str]) -> tuple[str, list[Any]]:
    """Let a graph compute what `Schema.encode` does.

    Returns
    -------
    str
        The name of the inputs (N, I), float64.
    list
        The graph's inputs, each (N, 1): text for a category, with at most one blank on either side; float64 for any
        other column. A missing value is "" or NaN; a date is its seconds since 1970.
    """
    proto, info = graph.onnx.TensorProto, graph.onnx.helper.make_tensor_value_info
    text = [column.kind == "category" for column in schema.columns]
    inputs = [
        info(name, proto.STRING if is_text else proto.DOUBLE, ["N", 1])
        for name, is_text in zip(names, text, strict=True)
    ]
    pieces: list[str] = []
    order: list[tuple[int, int]] = []  # of each input that is made: column, and place among the column's inputs
    numbers = [i for i, is_text in enumerate(text) if not is_text]
    if numbers:
        columns = [schema.columns[i] for i in numbers]
        pieces += _numbers(graph, [names[i] for i in numbers], columns)
        order += [(i, 0) for i in numbers] + [(i, 1) for i in numbers if schema.columns[i].indicator]
    for i, column in enumerate(schema.columns):
        if text[i] and column.width:
            pieces.append(_category(graph, names[i], column))
            order += [(i, k) for k in range(column.width)]
    joined = graph.add("Concat", *pieces, axis=1)
    place = sorted(range(len(order)), key=order.__getitem__)
    if place != list(range(len(order))):
        joined = graph.add("Gather", joined, graph.constant(np.array(place), np.int64), axis=1)
    return joined, inputs


def _numbers(graph: _Graph, names: list[str], columns: list[Column]) -> list[str]:
    """All numbers at once, and where they were missing."""
    fill = graph.constant(np.array([[column.fill for column in columns]]), np.float64)
    raw = graph.add("Concat", *names, axis=1)
    absent = graph.add("IsNaN", raw)
    filled = graph.add("Where", absent, fill, raw)
    pieces = [scaled(graph, filled, Scaler.of_columns([replace(column, indicator=False) for column in columns]))]
    indicators = [k for k, column in enumerate(columns) if column.indicator]
    if indicators:
        picked = graph.add("Gather", absent, graph.constant(np.array(indicators), np.int64), axis=1)
        pieces.append(graph.add("Cast", picked, to=graph.onnx.TensorProto.DOUBLE))
    return pieces


def _category(graph: _Graph, name: str, column: Column) -> str:
    """A 1 for the value that a column has, among zeros; or the number of that value."""
    n, rare = len(column.values), 0 if column.coded else column.rare
    place = dict.fromkeys(_spellings(MISSING), n + rare if column.missing else -1)
    # The schema trims texts, and ONNX has nothing that does: so a blank before or behind a value is a value too.
    for pattern in (" {} ", "{} ", " {}", "{}"):
        place |= {pattern.format(value): i for i, value in enumerate(column.values)}
    number = graph.add(
        "LabelEncoder", name, domain="ai.onnx.ml",
        keys_strings=list(place), values_int64s=list(place.values()), default_int64=n if rare else -1,
    )  # fmt: skip
    if column.coded:  # from 1, and 0 for others
        return graph.add(
            "Cast", graph.add("Add", number, graph.constant(1, np.int64)), to=graph.onnx.TensorProto.DOUBLE
        )
    each = graph.constant(np.arange(column.width)[None], np.int64)
    return graph.add("Cast", graph.add("Equal", number, each), to=graph.onnx.TensorProto.DOUBLE)


def _spellings(words: tuple[str, ...]) -> list[str]:
    """Words in the capitals in which they are written."""
    return sorted({*words, *map(str.upper, words), *map(str.capitalize, words), "NaN", "NaT"})
