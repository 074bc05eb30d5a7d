"""What is odd about arrays, though they can be trained on: it is said, in one line."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import say

LOOKED_AT = 10_000
"""So many rows are looked at."""
FEW_LABELS, FEWEST_ROWS = 10, 20
"""So few whole numbers in at least so many rows look like classes."""
LEAST_SHARE = 0.9
"""A column whose numbers lose more of their differences has collapsed."""


def say_if_labels(where: str, y: Any, cure: str) -> None:
    """Say that floats which look like numbers of classes are taken as a regression.

    Parameters
    ----------
    where
        What the line begins with.
    y
        Targets, of any type and shape.
    cure
        What makes classes of them.
    """
    y = np.asarray(y)
    if y.dtype.kind != "f" or y.size != len(y) or len(y) < FEWEST_ROWS:
        return
    first = y.ravel()[:LOOKED_AT]
    if (first != np.trunc(first)).any():
        return
    count = len(np.unique(y))
    if 1 < count <= FEW_LABELS:
        say(f"{where} holds {count} different numbers, all of them whole, taken as a regression; {cure}")


def say_if_collapsed(where: str, x: Any, dtype: Any, cure: str) -> None:
    """Say that a column's numbers, as times in seconds, can't be told apart in a network's type.

    Parameters
    ----------
    where
        What the line begins with.
    x
        Inputs (N, I).
    dtype
        Of the network.
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
