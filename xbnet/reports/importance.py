"""Permutation importance: how much worse predictions get when one column's values are exchanged among the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..notebook import table
from ..plots import new_figure
from ..replicas import Seed
from .figures import plain_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS = 5000
"""Rows that are predicted for each permutation, at most."""
MOST_COLUMNS = 200
"""A data set of more columns, an image for instance, is not looked at column by column."""
MOST_SHOWN = 20


def permutation_importance(
    score: Callable[[np.ndarray], float],
    x: np.ndarray,
    columns: Mapping[str, Sequence[int]],
    *,
    repeats: int = 5,
    rng: Seed = 0,
) -> dict[str, tuple[float, float]]:
    """By how much `score` falls when the inputs of one column of the table are permuted together.

    Parameters
    ----------
    score
        Inputs (N, I) -> a figure of which more is better.
    x
        (N, I).
    columns
        Name of a column -> which inputs it has become.
    repeats
        Permutations of each column.
    rng
        Seed of the permutations.

    Returns
    -------
    dict
        Column -> mean and standard deviation over the repeats, the most important first.

    References
    ----------
    Breiman, "Random forests", 2001, section 10; for a model that is trained already, as here: Fisher, Rudin & Dominici,
    "All models are wrong, but many are useful", 2019.
    """
    generator = np.random.default_rng(rng)
    base = score(x)
    found = {}
    for name, inputs in columns.items():
        places, falls = list(inputs), []
        for _ in range(repeats):
            moved = x.copy()
            moved[:, places] = x[generator.permutation(len(x))][:, places]
            falls.append(base - score(moved))
        found[name] = (float(np.mean(falls)), float(np.std(falls)))
    return dict(sorted(found.items(), key=lambda item: -item[1][0]))


def importance_figure(found: Mapping[str, tuple[float, float]], figure_name: str) -> Figure:
    """Bars, the most important column on top."""
    shown = list(found.items())[:MOST_SHOWN]
    figure, axes = new_figure(width=6.0, height=0.9 + 0.28 * len(shown))
    axis = axes[0, 0]
    names = [plain_text(name) for name, _ in shown]
    places = np.arange(len(shown))
    axis.barh(places, [mean for _, (mean, _) in shown], xerr=[spread for _, (_, spread) in shown], color="#1f77b4")
    axis.set_yticks(places, names)
    axis.invert_yaxis()
    axis.set_xlabel(f"loss of {figure_name} when the column is permuted")
    axis.grid(axis="x", alpha=0.3)
    return figure


def importance_table(found: Mapping[str, tuple[float, float]]) -> str:
    """The same as HTML."""
    return table(("column", "mean", "spread"), [(name, *values) for name, values in found.items()])
