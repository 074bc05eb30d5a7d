"""Warnings, of one line each, about arrays that are odd, though they can be trained on."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import say
from .checks import row_slices

LOOKED_AT = 10_000
"""Largest number of rows that are examined."""
FEW_LABELS, FEWEST_ROWS = 10, 20
"""Most different whole numbers that look like classes, and the least number of rows for that."""
NAMED = 5
"""Most columns that are named one by one."""
LEAST_SHARE = 0.9
"""A column whose numbers lose more of their differences has collapsed."""


def say_if_labels(where: str, y: Any, cure: str) -> None:
    """Say that floats which look like numbers of classes are taken as a regression.

    Parameters
    ----------
    where
        Beginning of the line.
    y
        Targets, of any type and shape.
    cure
        Advice how to make classes of them.
    """
    y = np.asarray(y)
    if y.dtype.kind != "f" or y.size != len(y) or len(y) < FEWEST_ROWS:
        return
    first = y.ravel()[:LOOKED_AT]
    with np.errstate(invalid="ignore"):  # of a NaN that signals
        if (first != np.trunc(first)).any():
            return
    count = len(np.unique(y))
    if 1 < count <= FEW_LABELS:
        say(f"{where} holds {count} different numbers, all of them whole, taken as a regression; {cure}")


def say_if_useless(where: str, x: Any, what: str = "column") -> None:
    """Say which inputs are constant, and which count the rows, as a table's columns are named one by one.

    Parameters
    ----------
    where
        Beginning of the line.
    x
        Inputs (N, I).
    what
        The word for an input of such a file.
    """
    if x.ndim != 2 or len(x) < FEWEST_ROWS or x.dtype.kind not in "biuf":
        return
    constant, counts = np.ones(x.shape[1], bool), np.ones(x.shape[1], bool)
    with np.errstate(all="ignore"):  # of numbers as large as there are
        for rows in row_slices(x):
            part = np.asarray(x[rows], np.float64)
            constant &= (part == x[0]).all(axis=0)
            counts &= (part - np.arange(rows.start, rows.start + len(part))[:, None] == x[0]).all(axis=0)
    for found, one, several in (
        (constant, "is constant; leave it out if it always is", "are constant; leave them out if they always are"),
        (counts, "counts the rows, which predicts nothing; leave it out", "count the rows; leave them out"),
    ):
        numbers = np.flatnonzero(found)
        if len(numbers):
            some = ", ".join(map(str, numbers[:NAMED])) + f" and {len(numbers) - NAMED} more" * (len(numbers) > NAMED)
            plural = len(numbers) > 1
            say(f"{where}: {what}{'s' * plural} {some} (counted from 0) {several if plural else one}")


def say_if_collapsed(where: str, x: Any, dtype: Any, cure: str) -> None:
    """Report a column whose numbers, such as times in seconds, are equal in a network's type.

    Parameters
    ----------
    where
        Beginning of the line.
    x
        Inputs (N, I).
    dtype
        Floating-point type of the network.
    cure
        How to keep the differences.

    Examples
    --------
    >>> say_if_collapsed("x", np.arange(100.0)[:, None], np.float32, "scale them")  # nothing to say
    """
    dtype = np.dtype(dtype)
    if not isinstance(x, np.ndarray) or x.ndim != 2 or x.dtype.kind not in "iuf" or x.dtype.itemsize <= dtype.itemsize:
        return
    rows = x[:LOOKED_AT]
    largest = 2.0 ** np.finfo(dtype).nmant  # from here on, neighbours are 1 apart or more
    with np.errstate(invalid="ignore", over="ignore"):
        large = np.flatnonzero(np.abs(rows).max(axis=0, initial=0) >= largest)
        for column in large[:100]:
            before, after = (len(np.unique(values)) for values in (rows[:, column], rows[:, column].astype(dtype)))
            if after < LEAST_SHARE * before:
                say(
                    f"{where}: column {column} of x (counted from 0) holds {before:,} different numbers up to "
                    f"{np.abs(rows[:, column]).max():.4g}, of which {dtype} tells {after:,} apart; {cure}"
                )
                return
