"""Pictures. matplotlib is imported when one is drawn; every function returns a `matplotlib.figure.Figure`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .files import write_bytes

if TYPE_CHECKING:
    from .history import History

TRAIN, VALIDATION = "#1f77b4", "#d62728"


def new_figure(columns: int = 1, rows: int = 1, *, width: float = 5.0, height: float = 3.6) -> tuple[Any, np.ndarray]:
    """A figure and its axes (rows, columns), independent of pyplot and of any display."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def save_figure(figure: Any, path: str | Path, dpi: int = 120) -> None:
    """Write a figure in the format of the path's ending, in one piece."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=Path(path).suffix[1:] or "png", dpi=dpi)
    write_bytes(path, buffer.getvalue())


def learning_curves(history: History, log: bool = False) -> Any:
    """Loss (with the cost, where there is a penalty) and accuracy by epoch, training and validation.

    Parameters
    ----------
    history
        Of any number of replicas: each is a thin line, their mean a thick one.
    log
        Draw the loss on a logarithmic axis.
    """
    figure, axes = new_figure(2)
    epochs = history["epoch"]
    with_penalty = not np.allclose(history["train_cost"], history["train_loss"], equal_nan=True)
    for axis, kinds in zip(axes[0], (("loss", "cost") if with_penalty else ("loss",), ("accuracy",)), strict=True):
        for kind in kinds:
            for part, color in (("train", TRAIN), ("val", VALIDATION)):
                _lines(
                    axis, epochs, history[f"{part}_{kind}"], color, "--" if kind == "cost" else "-", f"{part} {kind}"
                )
        axis.set_xlabel("epoch")
        axis.set_ylabel(kinds[0])
        axis.grid(alpha=0.3)
        if axis.has_data():
            axis.legend(frameon=False)
    if log:
        axes[0, 0].set_yscale("log")
    return figure


def _lines(axis: Any, epochs: np.ndarray, values: np.ndarray, color: str, style: str, label: str) -> None:
    if np.isnan(values).all():
        return
    if values.ndim == 2:
        axis.plot(epochs, values, style, color=color, lw=0.5, alpha=0.4)
        values = np.nanmean(values, axis=1)
    axis.plot(epochs, values, style, color=color, label=label, marker="." if len(epochs) == 1 else None)


def decision_regions(
    network: Any, x: np.ndarray, y: np.ndarray, *, classes: Sequence[str] | None = None, resolution: int = 300
) -> Any:
    """What a network with two inputs decides over the plane, and samples on top; the replica 0 of a stack.

    Parameters
    ----------
    network
        I = 2.
    x, y
        Samples (N, 2) and labels (N,); at most 1,500 are drawn.
    classes
        Names.
    resolution
        Points per axis.
    """
    from matplotlib.colors import ListedColormap

    x = np.asarray(x)
    low, high = x.min(axis=0), x.max(axis=0)
    margin = 0.05 * (high - low)
    ticks = [np.linspace(a - m, b + m, resolution) for a, b, m in zip(low, high, margin, strict=True)]
    grid = np.stack(np.meshgrid(*ticks), axis=-1).reshape(-1, 2).astype(network.dtype)
    decided = network.predict(grid)
    if network.replicas > 1:
        decided = decided[0]
    C = network.n_outputs
    colors = ListedColormap([f"C{i % 10}" for i in range(C)])
    figure, axes = new_figure(width=5.4, height=4.6)
    axis = axes[0, 0]
    axis.pcolormesh(*ticks, decided.reshape(resolution, resolution), cmap=colors, vmin=0, vmax=C - 1, alpha=0.35)
    shown = np.linspace(0, len(x) - 1, min(len(x), 1500)).astype(int)
    for c in range(C):
        mine = shown[np.asarray(y)[shown] == c]
        label = classes[c] if classes else f"class {c}"
        axis.scatter(*x[mine].T, s=6, color=f"C{c % 10}", label=label, linewidths=0)
    axis.set_xlabel("$x_0$")
    axis.set_ylabel("$x_1$")
    figure.legend(loc="outside right upper", frameon=False, markerscale=2)
    return figure
