"""The schema of a table's columns, learned from its training rows; odd columns are reported."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ..errors import printable, say
from .checks import Array
from .columns import Column
from .frame import Frame, FrameColumn
from .labels import have_decimal_commas

MOST_VALUES = 255
"""A category has at most this many values with an input of their own."""
ENOUGH = 5
"""So many rows make a value of a large table worth an input: fewer do in one of less than 400 rows."""
NEARLY_ALL = 0.95
FEWEST_ROWS = 20
"""Least number of rows from which identifiers are reported."""


def learn_columns(frame: Frame, rows: Array | None, kept: Sequence[str] = ()) -> tuple[list[Column], list[int]]:
    """The columns that a network can use, and their places in the frame.

    Parameters
    ----------
    frame
        The table.
    rows
        Numbers of the rows to learn from; None: all.
    kept
        Names of the columns that stay, useful or not, for they were asked for.
    """
    columns, places = [], []
    for k, found in enumerate(frame.columns):
        raw = frame.x[:, k] if rows is None else frame.x[rows, k]
        kept_anyway = found.name in kept
        of = _category(frame, found, raw, kept_anyway) if found.kind == "category" else _number(frame, found, k, raw)
        if of is not None:
            columns.append(of)
            places.append(k)
    return columns, places


def remap(column: Column, found: FrameColumn, raw: Array) -> Array:
    """The raw values of a frame's column with the numbers that `column` gives to words."""
    if column.kind != "category":
        return raw
    place = {value: i for i, value in enumerate(column.values)}
    numbers = np.array([*(place.get(word, -1) for word in found.words), -1, -1], np.float64)
    absent = np.isnan(raw)
    return np.where(absent, np.nan, numbers[np.where(absent, -1, raw).astype(np.intp)])


def _number(frame: Frame, found: FrameColumn, k: int, raw: Array) -> Column | None:
    absent = np.isnan(raw)
    missing = int(absent.sum())
    name = found.name
    if missing == len(raw):
        _say(frame, name, "has no value in the training part, left out")
        return None
    values = raw[~absent] if missing else raw
    low, high = values.min(), values.max()
    _say_missing(frame, name, missing, len(raw))
    if _is_index(name, frame.x[:, k]):
        _say(frame, name, "has no name and numbers the rows, as the index that pandas writes: left out")
        return None
    if low == high and not missing:
        _say(frame, name, f"is constant ({low:g}); drop it if it always is")
    elif found.kind == "number" and _counts_rows(frame.x[:, k]):
        first, second = frame.x[:2, k]
        _say(frame, name, f"counts the rows ({first:.0f}, {second:.0f}, ...), which predicts nothing; drop it")
    fill = float(values.mean() >= 0.5) if found.kind == "boolean" else _median(values)
    return Column(name, found.kind, fill=fill, indicator=missing > 0)  # type: ignore[arg-type]


def _median(values: Array) -> float:
    """As `numpy.median`, in a fifth of its time for a few hundred values."""
    low, high = (len(values) - 1) // 2, len(values) // 2
    ordered = np.partition(values, (low, high))
    return float(ordered[low] if low == high else (ordered[low] + ordered[high]) / 2)


def _is_index(name: str, values: Array) -> bool:
    """Whether a column is what `to_csv` of pandas writes before the others: no name, and a number for each row."""
    named = name.strip() and not re.fullmatch(r"Unnamed: \d+", name)
    return not named and bool((values == np.trunc(values)).all()) and len(np.unique(values)) == len(values)


def _counts_rows(values: Array) -> bool:
    with np.errstate(all="ignore"):  # of numbers as large as there are
        first = len(values) >= FEWEST_ROWS and values[1] - values[0] == 1  # most columns are seen not to at once
        return bool(first) and bool((np.diff(values) == 1).all())


def _category(frame: Frame, found: FrameColumn, raw: Array, kept: bool) -> Column | None:
    absent = np.isnan(raw)
    missing = int(absent.sum())
    counts = np.bincount(raw[~absent].astype(np.intp), minlength=len(found.words) + 1)
    known = int((counts > 0).sum())
    n = len(raw) - missing
    if not n:
        _say(frame, found.name, "has no value in the training part, left out")
        return None
    if not kept and have_decimal_commas(found.words):
        _say(frame, found.name, "holds numbers with decimal commas, taken as text; --decimal , reads them")
    enough = min(ENOUGH, 1 + n // 100)
    often = [i for i in np.argsort(-counts, kind="stable") if counts[i] >= enough and i < len(found.words)][
        :MOST_VALUES
    ]
    if n >= FEWEST_ROWS and 10 * known >= 9 * n and not kept:
        what = "no two of them the same" if known == n else "nearly all of them different"
        _say(
            frame,
            found.name,
            f"has {known:,} values in {n:,} rows, {what}: it names the rows, left out (categorical keeps it)",
        )
        return None
    rare = int(counts.sum() - counts[often].sum())
    _say_missing(frame, found.name, missing, len(raw))
    if known == 1 and not missing:
        _say(
            frame,
            found.name,
            f"is constant ({printable(found.words[often[0]] if often else '', 40)}); drop it if it always is",
        )
    values = tuple(sorted(found.words[i] for i in often))
    return Column(found.name, "category", values=values, rare=rare > 0, missing=missing > 0)


def _say_missing(frame: Frame, name: str, missing: int, n: int) -> None:
    if missing > NEARLY_ALL * n:
        _say(frame, name, f"is missing in {missing:,} of {n:,} rows; drop it if it is of no use")


def _say(frame: Frame, name: str, what: str) -> None:
    say(f"{frame.name}: column {printable(name)!r} {what}")
