"""Pictures that only the experiments draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plots import TRAIN, VALIDATION, new_figure, verbatim

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def weight_images(weights: np.ndarray, image_shape: tuple[int, int, int], classes: Sequence[str]) -> Any:
    """Each class's weights as an image, scaled to its own range.

    Parameters
    ----------
    weights
        (I, C), with I = channels * height * width.
    image_shape
        (channels, H, W), 1 or 3 channels.
    classes
        Names, C.
    """
    figure, axes = new_figure(len(classes), width=0.9, height=1.1)
    for axis, weight, name in zip(axes[0], weights.T, classes, strict=True):
        image = weight.reshape(image_shape).transpose(1, 2, 0)
        low, high = image.min(), image.max()
        axis.imshow(((image - low) / max(high - low, 1e-12)).squeeze(), cmap="gray")
        axis.set_title(verbatim(name), fontsize=8)
        axis.set_axis_off()
    return figure


def true_class_histograms(
    probabilities: dict[str, np.ndarray], y: np.ndarray, bins: int = 25, *, log: bool = False
) -> Any:
    """How probable the true class was, for samples that were classified right and wrong.

    Parameters
    ----------
    probabilities
        Label -> (N, C): one pair of axes for each.
    y
        Labels (N,).
    bins
        In [0, 1].
    log
        Count on a logarithmic axis.
    """
    figure, axes = new_figure(len(probabilities), width=4.2, height=3.2)
    for axis, (label, p) in zip(axes[0], probabilities.items(), strict=True):
        true = p[np.arange(len(y)), y]
        right = p.argmax(axis=1) == y
        edges = np.linspace(0, 1, bins + 1)
        for which, name, color in ((right, "right", TRAIN), (~right, "wrong", VALIDATION)):
            axis.hist(true[which], edges, log=log, alpha=0.6, color=color, label=f"{name} ({which.sum():,})")
        axis.set_title(verbatim(label), fontsize=10)
        axis.set_xlabel("probability of the true class")
        axis.set_ylabel("samples")
        axis.legend(frameon=False)
    return figure


def heat_map(
    values: np.ndarray,
    rows: Sequence[float],
    columns: Sequence[float],
    *,
    title: str = "",
    row: str = "",
    column: str = "",
) -> Figure:
    """Values (len(rows), len(columns)) as colours, with the numbers in the fields.

    Parameters
    ----------
    values
        Finite or NaN.
    rows, columns
        Values that label the rows and the columns of the grid.
    title, row, column
        Labels.
    """
    figure, axes = new_figure(width=1.6 + 1.0 * len(columns), height=1.4 + 0.6 * len(rows))
    axis = axes[0, 0]
    image = axis.imshow(values, aspect="auto", cmap="viridis")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for i, j in np.ndindex(values.shape):
        color = "white" if values[i, j] < middle else "black"
        axis.text(j, i, f"{values[i, j]:.3f}", ha="center", va="center", color=color)
    axis.set_xticks(range(len(columns)), [f"{c:g}" for c in columns])
    axis.set_yticks(range(len(rows)), [f"{r:g}" for r in rows])
    axis.set_xlabel(column)
    axis.set_ylabel(row)
    axis.set_title(title)
    figure.colorbar(image, ax=axis)
    return figure


def spread(x: Sequence[float], lines: dict[str, np.ndarray], *, xlabel: str, ylabel: str) -> Figure:
    """A quantity by depth, length and the like: the median of several seeds as a line, each seed as a point.

    Parameters
    ----------
    x
        (K,).
    lines
        Label -> (K, R).
    xlabel, ylabel
        Labels of the axes.
    """
    figure, axes = new_figure(width=6.0, height=3.8)
    axis = axes[0, 0]
    for i, (label, values) in enumerate(lines.items()):
        axis.plot(x, np.median(values, axis=1), "-", color=f"C{i}", label=label)
        axis.plot(np.repeat(x, values.shape[1]), values.ravel(), ".", color=f"C{i}", alpha=0.5)
    axis.set_xticks(x)
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, loc="upper left")
    return figure
