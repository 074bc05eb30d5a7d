"""Rows as the table has them, from the inputs that a schema or a preparation made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..datasets import Column, Scaler, Schema


def readable(
    x: np.ndarray, names: Sequence[str], schema: Schema | None, scaler: Scaler | None
) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, and a list of texts per row.

    Parameters
    ----------
    x
        Inputs (n, I), scaled.
    names
        Of the inputs, used where there is no schema.
    schema
        Says which inputs a column became.
    scaler
        The scaling to undo.
    """
    x = x.astype(float) if scaler is None else scaler.undo(x)
    if schema is None:
        return list(names), [[f"{value:.5g}" for value in row] for row in x]
    columns, start = [], 0
    for column in schema.columns:
        columns.append(_texts(column, x[:, start : start + column.width]))
        start += column.width
    return [column.name for column in schema.columns], [list(row) for row in zip(*columns, strict=True)]


def _texts(column: Column, x: np.ndarray) -> list[str]:
    """A column's values for inputs (n, width); "" where one was missing, "(other)" for a rare or unknown category."""
    n = len(column.values)
    if column.kind == "category":
        if column.coded:
            places = np.rint(x[:, 0]).astype(int) - 1
        else:
            places = np.where((x > 0.5).any(axis=1), x.argmax(axis=1), n + 2) if column.width else np.full(len(x), n)
        rare = n if column.rare and not column.coded else -1
        missing = n + (column.rare and not column.coded) if column.missing else -1
        words = {**dict(enumerate(column.values)), rare: "(other)", missing: ""}
        return [words.get(int(place), "(other)") if place >= 0 else "(other)" for place in places]
    texts = [_text(column, value) for value in x[:, 0].tolist()]
    return ["" if column.indicator and row[1] > 0.5 else text for text, row in zip(texts, x, strict=True)]


def _text(column: Column, value: float) -> str:
    if column.kind == "boolean":
        return str(value > 0.5)
    if column.kind == "date" and abs(value) < 1e11:
        return str(np.datetime64(round(value), "s").astype("datetime64[m]" if value % 86400 else "datetime64[D]"))
    return f"{value:.5g}"
