"""Pictures. matplotlib is imported when one is drawn; every function returns a `matplotlib.figure.Figure`."""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .files import write_bytes
from .notebook import png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .datasets.scaler import Scaler
    from .history import History
    from .nn.network import Network

TRAIN, VALIDATION = "#1f77b4", "#d62728"
LEAST_R2 = -1.0
"""Less than this is not drawn."""


def new_figure(columns: int = 1, rows: int = 1, *, width: float = 5.0, height: float = 3.6) -> tuple[Any, np.ndarray]:
    """A figure and its axes (rows, columns), independent of pyplot and of any display."""
    figure = _figure_class()(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


@functools.cache
def _figure_class() -> type[Figure]:
    """matplotlib's figure, which a notebook shows without ``%matplotlib inline``."""
    from matplotlib.figure import Figure

    class ShownFigure(Figure):
        def _repr_png_(self) -> bytes:
            return png(self)

    return ShownFigure


def save_figure(figure: Figure, path: str | Path, dpi: int = 120) -> None:
    """Write a figure in the format of the path's ending, in one piece.

    Parameters
    ----------
    figure
        A matplotlib figure.
    path
        The ending names the format: ".png", ".svg" or ".pdf".
    dpi
        Dots per inch of a picture made of dots.

    Examples
    --------
    >>> import tempfile
    >>> from matplotlib.figure import Figure
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_figure(Figure(), Path(folder, "empty.svg"))
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a box stands for a character of a name
        figure.savefig(buffer, format=Path(path).suffix[1:] or "png", dpi=dpi)
    write_bytes(path, buffer.getvalue())


def verbatim(name: object) -> str:
    """Return a name that is drawn as it is: matplotlib would read the text between two dollar signs as a formula."""
    return str(name).replace("$", r"\$")


def learning_curves(history: History, log: bool = False) -> Figure:
    """Loss (with the cost, where there is a penalty) and accuracy, or R2, by epoch, training and validation.

    A run that has neither accuracy nor R2 has a picture of its loss alone.

    Parameters
    ----------
    history
        A run of any number of replicas: each is a thin line, their mean a thick one.
    log
        Draw the loss on a logarithmic axis.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([xbnet.Linear(5)], n_inputs=5, replicas=3, rng=0)
    >>> history = xbnet.fit(network, "cross_entropy", "sgd", xbnet.load_dataset("gmm"), epochs=2, batch_size=1000)
    >>> len(learning_curves(history).axes)
    2
    """
    epochs = history["epoch"]
    with_penalty = not np.allclose(history["train_cost"], history["train_loss"], equal_nan=True)
    figures = [("loss", "cost") if with_penalty else ("loss",)]
    figures += [(kind,) for kind in ("accuracy", "r2") if np.isfinite(history[f"train_{kind}"]).any()]
    figure, axes = new_figure(len(figures))
    for axis, kinds in zip(axes[0], figures, strict=True):
        for kind in kinds:
            for part, color in (("train", TRAIN), ("val", VALIDATION)):
                label = f"{part} {'R2' if kind == 'r2' else kind}"
                _lines(axis, epochs, history[f"{part}_{kind}"], color, "--" if kind == "cost" else "-", label)
        axis.set_xlabel("epoch")
        whole_numbers(axis)
        axis.set_ylabel(kinds[0] if kinds != ("r2",) else "R2 (0: no better than the mean)")
        axis.grid(alpha=0.3)
        if kinds == ("r2",):  # first epochs may be far below: they would flatten all others
            axis.set_ylim(bottom=max(axis.get_ylim()[0], LEAST_R2))
        if axis.has_data():  # a place of our own: to look for the best one takes seconds where there are many curves
            axis.legend(frameon=False, loc="upper right" if kinds[0] == "loss" else "lower right")
    if log:
        axes[0, 0].set_yscale("log")
    return figure


def _lines(axis: Axes, epochs: np.ndarray, values: np.ndarray, color: str, style: str, label: str) -> None:
    if np.isnan(values).all():
        return
    if values.ndim == 2:
        axis.plot(epochs, values, style, color=color, lw=0.5, alpha=0.4)
        values = np.nanmean(values, axis=1)
    axis.plot(epochs, values, style, color=color, label=label, marker="." if len(epochs) == 1 else None)


def decision_regions(
    network: Network,
    x: np.ndarray,
    y: np.ndarray,
    *,
    classes: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    scaler: Scaler | None = None,
    resolution: int = 300,
) -> Figure:
    """Plot the classes of the plane's points by a network with two inputs, and samples on top; of a stack, replica 0.

    Parameters
    ----------
    network
        I = 2.
    x, y
        Samples (N, 2) and labels (N,); at most 1,500 are drawn.
    classes
        Names.
    features
        Names of the inputs.
    scaler
        The scaler that x went through: the axes have the units from before it.
    resolution
        Points per axis.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([xbnet.Linear(2)], n_inputs=2, rng=0)
    >>> decision_regions(network, np.zeros((1, 2)), np.zeros(1, int), resolution=20)  # doctest: +ELLIPSIS
    <...Figure size ...>
    """
    from matplotlib.colors import ListedColormap

    x = np.asarray(x)
    low, high = x.min(axis=0), x.max(axis=0)
    straight = scaler is None or scaler.linear
    margin = (0.05 if straight else 0.0) * (high - low)  # bent axes have no end behind the samples
    ticks = [np.linspace(a - m, b + m, resolution) for a, b, m in zip(low, high, margin, strict=True)]
    grid = np.stack(np.meshgrid(*ticks), axis=-1).reshape(-1, 2).astype(network.dtype)
    decided = network.predict(grid)
    if network.replicas > 1:
        decided = decided[0]
    C = network.n_outputs
    colors = ListedColormap([f"C{i % 10}" for i in range(C)])
    figure, axes = new_figure(width=5.4, height=4.6)
    axis = axes[0, 0]
    undo = np.asarray if scaler is None else scaler.undo
    ticks = list(undo(np.stack(ticks, axis=1)).T)
    axis.pcolormesh(*ticks, decided.reshape(resolution, resolution), cmap=colors, vmin=0, vmax=C - 1, alpha=0.35)
    shown = np.linspace(0, len(x) - 1, min(len(x), 1500)).astype(int)
    handles = []
    for c in range(C):
        mine = shown[np.asarray(y)[shown] == c]
        handles.append(axis.scatter(*undo(x[mine]).T, s=6, color=f"C{c % 10}", linewidths=0))
    axis.set_xlabel("$x_0$" if features is None else verbatim(features[0]))
    axis.set_ylabel("$x_1$" if features is None else verbatim(features[1]))
    numbers = list(map(str, range(C)))  # matplotlib leaves names out that begin with "_", so they are put in below
    legend = figure.legend(handles, numbers, loc="outside right upper", frameon=False, markerscale=2)
    for text, name in zip(legend.get_texts(), classes or [f"class {c}" for c in range(C)], strict=True):
        text.set_text(verbatim(name))
    return figure


def curves(
    groups: Sequence[tuple[str, dict[str, np.ndarray]]],
    *,
    xlabel: str = "epoch",
    x: np.ndarray | None = None,
    log: Sequence[bool] | None = None,
    width: float = 5.0,
    window: int = 1,
) -> Figure:
    """Several lines side by side.

    Parameters
    ----------
    groups
        For each pair of axes: the label of y, and label -> values (E,). A label that begins with "train" is dashed,
        and has the colour of the "val" or "test" line of the same rest.
    xlabel, x
        Values of x for all axes; by default epochs from 1.
    log
        Which of the axes are logarithmic in y.
    width
        Size of one pair of axes, in inches.
    window
        Epochs whose mean is drawn as one point; for runs so long that their lines would cover each other.
    """
    figure, axes = new_figure(len(groups), width=width)
    for axis, (ylabel, lines), logarithmic in zip(axes[0], groups, log or [False] * len(groups), strict=True):
        colors: dict[str, str] = {}
        for label, values in lines.items():
            part, _, rest = label.partition(" ")
            key = rest if part in ("train", "val", "test") else label
            color = colors.setdefault(key, f"C{len(colors) % 10}")
            ticks = np.arange(1, len(values) + 1) if x is None else x
            if window > 1:
                ticks, values = (_means(v, window) for v in (ticks, values))
            style = ("--" if part == "train" else "-") if len(values) > 1 else "."
            axis.plot(ticks, values, style, color=color, label=label, lw=1.3)
        axis.set_xlabel(xlabel)
        if x is None:
            whole_numbers(axis)
        axis.set_ylabel(ylabel)
        axis.grid(alpha=0.3)
        if logarithmic:
            axis.set_yscale("log")
        axis.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _means(values: np.ndarray, window: int) -> np.ndarray:
    """Means over `window` values at a time; over fewer at the end."""
    starts = np.arange(0, len(values), window)
    return np.add.reduceat(values, starts) / np.diff(np.append(starts, len(values)))


def whole_numbers(axis: Axes) -> None:
    """Let the ticks of x be whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    low, high = axis.get_xlim()
    if high - low < 1:  # a single point: matplotlib would show nothing but fractions
        axis.set_xlim(round((low + high) / 2) - 0.5, round((low + high) / 2) + 0.5)
