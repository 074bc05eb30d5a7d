"""Pictures of a sweep; every function returns a `matplotlib.figure.Figure`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError
from ..history import PER_REPLICA
from ..plots import new_figure
from .chunk import sign
from .space import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .result import SweepResult

BEST, OTHERS = "#d62728", "#7f7f7f"


def curves(result: Any, figure: str) -> Any:
    """A figure of `History` by epoch: every member thin and grey, the best in front."""
    if figure not in PER_REPLICA:
        raise ConfigError(f"plot_curves: expected a figure of {', '.join(PER_REPLICA)}, got {figure!r}")
    picture, axes = new_figure(width=6.5, height=4.2)
    axis = axes[0, 0]
    best, members = result.best_member(), [member.index for member in result.members]
    alpha = float(np.clip(20 / len(result), 0.15, 0.6))
    for member in [*(m for m in members if m != best), best]:
        values = np.atleast_1d(result.history(member)[figure])
        epochs = 1 + np.arange(len(values))
        if member == best:
            label = f"best: {_settings(result)}"
            axis.plot(epochs, values, color=BEST, lw=2, label=label, zorder=3, marker="." if len(values) == 1 else None)
        else:
            axis.plot(epochs, values, color=OTHERS, lw=0.7, alpha=alpha)
    axis.set(xlabel="epoch", ylabel=figure.replace("_", " "))
    axis.xaxis.get_major_locator().set_params(integer=True)
    if _is_wide(np.concatenate([np.atleast_1d(result.history(m)[figure]) for m in members])):
        axis.set_yscale("log")
    axis.grid(alpha=0.3)
    rising = any(word in figure for word in ("accuracy", "r2"))
    axis.legend(frameon=False, fontsize=8, loc="lower right" if rising else "upper right")
    return picture


def _is_wide(values: np.ndarray) -> bool:
    """Whether positive values span so much that a few which explode would flatten all others: then logarithms help."""
    values = values[np.isfinite(values)]
    return len(values) > 0 and values.min() > 0 and values.max() > 30 * values.min()


def _settings(result: Any) -> str:
    return ", ".join(f"{key}={shown(value, 3)}" for key, value in result.best["settings"].items()) or "the only one"


def heat_map(result: Any, x: str, y: str) -> Any:
    """The mean score over each pair of values of the keys `x` and `y`; a cell without any is left white."""
    for key in (x, y):
        if key not in result.keys:
            raise ConfigError(f"plot_heat_map: expected keys that vary ({', '.join(result.keys)}), got {key!r}")
    across, up = (_distinct(result, key) for key in (x, y))
    score, total, count = result.column("score"), *np.zeros((2, len(up), len(across)))
    for member, value in zip(result.members, score, strict=True):
        if np.isfinite(value):
            row, column = up.index(member.settings.get(y)), across.index(member.settings.get(x))
            total[row, column] += value
            count[row, column] += 1
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    picture, axes = new_figure(width=max(4.5, 0.75 * len(across) + 2), height=max(3.4, 0.5 * len(up) + 1.4))
    axis = axes[0, 0]
    colors = "viridis" if sign(result.monitor) > 0 else "viridis_r"
    image = axis.imshow(mean, origin="lower", aspect="auto", cmap=colors, norm="log" if _is_wide(mean) else "linear")
    axis.set_xticks(range(len(across)), [shown(value, 3) for value in across], rotation=45 if len(across) > 6 else 0)
    axis.set_yticks(range(len(up)), [shown(value, 3) for value in up])
    axis.set(xlabel=x, ylabel=y)
    if mean.size <= 150:
        _write_cells(axis, image, mean)
    picture.colorbar(image, label=f"mean {result.monitor.replace('_', ' ')}")
    return picture


def _write_cells(axis: Any, image: Any, mean: np.ndarray) -> None:
    """Each cell's value, in white on dark cells."""
    for (row, column), value in np.ndenumerate(mean):
        if np.isfinite(value):
            dark = np.dot(image.to_rgba(value)[:3], (0.3, 0.6, 0.1)) < 0.5
            axis.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=8, color="w" if dark else "k")


def rungs(result: Any) -> Any:
    """The mean of the monitored figure over each configuration's networks by epoch, up to where it left."""
    if not result.brackets:
        raise ConfigError("plot_rungs: expected a sweep with halving; give halving=3")
    picture, axes = new_figure(1, len(result.brackets), width=7.0, height=4.0 if len(result.brackets) == 1 else 2.6)
    members: dict[int, list[int]] = {}
    for member in result.members:
        members.setdefault(member.configuration, []).append(member.index)
    best, places = result.best["configuration"], result.left_at()
    deepest = max(len(bracket.rungs) for bracket in result.brackets)
    colors = new_colors(deepest)
    every = []
    for number, (axis, bracket) in enumerate(zip(axes.flat, result.brackets, strict=True), 1):
        skipped = deepest - len(bracket.rungs)
        for c in sorted(bracket.configurations, key=lambda c: places[c]["rung"]):
            value = mean_curve(result, members[c])
            every.append(value)
            epochs, color = 1 + np.arange(len(value)), colors[skipped + places[c]["rung"] - 1]
            axis.plot(epochs, value, color=color, lw=0.8, alpha=0.7)
            axis.plot(epochs[-1:], value[-1:], ".", color=color, ms=5)
            if c == best:
                axis.plot(epochs, value, color=BEST, lw=2, zorder=3, label=f"best: {_settings(result)}")
                axis.legend(frameon=False, fontsize=8)
        left = [sum(places[c]["rung"] >= k for c in bracket.configurations) for k in range(1, len(bracket.rungs) + 1)]
        for rung, count in zip(bracket.rungs, left, strict=True):
            axis.axvline(rung, color="#bbbbbb", lw=0.8, zorder=0)
            axis.text(
                rung, 1.01, str(count), ha="center", va="bottom", fontsize=8, transform=axis.get_xaxis_transform()
            )
        title = "configurations at each rung" if len(result.brackets) == 1 else f"bracket {number}"
        axis.set_title(title, fontsize=9, loc="left", pad=16)
        axis.set_ylabel(result.monitor.replace("_", " "))
        if bracket.rungs[-1] > 10:
            axis.set_xscale("log")
        axis.set_xticks(result.brackets[0].rungs, result.brackets[0].rungs)
        axis.minorticks_off()
    axes.flat[-1].set_xlabel("epoch")
    if _is_wide(np.concatenate(every)):
        for axis in axes.flat:
            axis.set_yscale("log")
    return picture


def mean_curve(result: Any, members: list[int]) -> np.ndarray:
    """The monitored figure (E,) by epoch, the mean over members that still train."""
    curves = [np.atleast_1d(result.history(m)[result.monitor]) for m in members]
    longest = max(map(len, curves))
    total, count = np.zeros((2, longest))
    for curve in curves:
        good = np.isfinite(curve)
        total[: len(curve)][good] += curve[good]
        count[: len(curve)] += good
    return np.divide(total, count, out=np.full(longest, np.nan), where=count > 0)


def new_colors(count: int) -> list[Any]:
    """From light to dark."""
    from matplotlib import colormaps

    return [colormaps["Blues"](x) for x in np.linspace(0.25, 0.95, count)]


def against_keys(result: Any) -> Any:
    """The score of every member against each key that varies; with medians where values repeat, and a line through
    those of numbers.
    """
    if not result.keys:
        raise ConfigError("plot_keys: expected configurations that differ, got a single one")
    columns = min(3, len(result.keys))
    rows = -(-len(result.keys) // columns)
    picture, axes = new_figure(columns, rows, width=3.8, height=3.2)
    score = result.column("score")
    for axis, key in zip(axes.flat, result.keys, strict=False):
        values = [member.settings.get(key) for member in result.members]
        numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
        distinct = _distinct(result, key)
        places = np.array(values, float) if numeric else np.array([distinct.index(v) for v in values], float)
        axis.plot(places, score, ".", color=OTHERS, alpha=0.5, ms=5)
        if len(distinct) < len(values) / 2:
            where = np.unique(places)
            medians = [_median(score[places == place]) for place in where]
            axis.plot(where, medians, "o-" if numeric else "o", color=BEST, ms=4, label="median")
            axis.legend(frameon=False, fontsize=8, loc="upper right")
        if not numeric:
            axis.set_xticks(range(len(distinct)), [shown(value, 3) for value in distinct])
            axis.set_xlim(-0.5, len(distinct) - 0.5)
        elif places.min() > 0 and places.max() >= 10 * places.min():
            axis.set_xscale("log")
        elif places.min() == 0 and len(places[places > 0]) and places.max() >= 10 * places[places > 0].min():
            axis.set_xscale("symlog", linthresh=float(places[places > 0].min()))
        if _is_wide(score):
            axis.set_yscale("log")
        axis.set(xlabel=key, ylabel=result.monitor.replace("_", " "))
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(result.keys) :]:
        axis.set_axis_off()
    return picture


def parallel(result: SweepResult) -> Figure:
    """A line per configuration through its values of all keys that vary, to its score; the better, the darker.

    A few values are spread evenly, many by their size, or its logarithm where they span decades. Good is on top.
    """
    if len(result.keys) < 1:
        raise ConfigError("plot_parallel: expected configurations that differ, got a single one")
    found = [row for row in result.configurations() if np.isfinite(row["mean"])][::-1]  # the best on top
    axes_of = [*result.keys, result.monitor]
    picture, grid = new_figure(width=max(6.0, 1.6 * len(axes_of)), height=4.2)
    axis = grid[0, 0]
    heights, ticks = zip(
        *[_places([row["settings"][key] for row in found]) for key in result.keys],
        _places([row["mean"] for row in found], flip=sign(result.monitor) < 0),
        strict=True,
    )
    order = np.linspace(0, 1, max(2, len(found)))
    from matplotlib import colormaps

    colors = colormaps["viridis_r"]
    for i, row in enumerate(zip(*heights, strict=True)):
        best = i == len(found) - 1
        style = {"color": BEST, "lw": 2.5} if best else {"color": colors(0.1 + 0.8 * order[i]), "lw": 1.0}
        axis.plot(range(len(axes_of)), row, alpha=1 if best else 0.7, zorder=2 + best, **style)
    for place, marks in enumerate(ticks):
        axis.axvline(place, color="k", lw=0.8)
        for height, text in marks:
            behind = {"fc": "w", "ec": "none", "pad": 0.5, "alpha": 0.8}
            at = (place, height), (4, 0)
            axis.annotate(text, *at, "data", "offset points", fontsize=7, va="center", zorder=4, bbox=behind)
    axis.set_xticks(range(len(axes_of)), [name.replace("_", " ") for name in axes_of])
    axis.set_yticks([])
    axis.set_xlim(-0.1, len(axes_of) - 0.6)
    for side in ("top", "left", "right", "bottom"):
        axis.spines[side].set_visible(False)
    axis.set_title(f"best: {_settings(result)}", fontsize=8, color=BEST)
    return picture


MOST_TICKS = 6


def _places(values: list[Any], flip: bool = False) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Heights in [0, 1] of values along an axis, and its marks; `flip`: the least on top."""
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    distinct = sorted(set(values)) if numeric else list(dict.fromkeys(values))
    if not numeric or len(distinct) <= MOST_TICKS:  # a few are spread evenly
        spots, top = {value: i for i, value in enumerate(distinct)}, max(1, len(distinct) - 1)
        heights = np.array([spots[value] / top for value in values])
        marks = [(i / top, shown(value, 3)) for value, i in spots.items()]
    else:
        numbers = np.array(values, float)
        logs = _is_wide(numbers)
        scale = np.log10(numbers) if logs else numbers
        low, span = scale.min(), max(float(np.ptp(scale)), 1e-300)
        heights = (scale - low) / span
        marks = [(t, f"{10 ** (low + t * span) if logs else low + t * span:.3g}") for t in np.linspace(0, 1, 5)]
    return (1 - heights, [(1 - t, text) for t, text in marks]) if flip else (heights, marks)


def _median(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else float("nan")


def _distinct(result: Any, key: str) -> list[Any]:
    """The values of a key, sorted where they are numbers."""
    values = list(dict.fromkeys(member.settings.get(key) for member in result.members))
    return sorted(values) if all(isinstance(v, (int, float)) for v in values) else values
