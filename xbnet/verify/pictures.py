"""Pictures of test results; matplotlib is imported when one is drawn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plots import new_figure, whole_numbers

if TYPE_CHECKING:
    from .results import GradientComparison, Verification
from .taylor import TaylorCurve

FIRST, SECOND = "#1f77b4", "#d62728"
VERDICTS = {True: "passed", False: "FAILED", None: "not judged"}
MOST = 16
"""Blocks that get axes of their own; of a deeper network the first and the last are drawn, "theta" and "x" always."""


def taylor_figure(result: Verification) -> Any:
    """Both curves of every block over the number of halvings, on a logarithmic axis, with slopes 1 and 2."""
    curves = list(result.curves)
    if len(curves) > MOST:
        head = (MOST - 2) // 2
        curves = [*curves[:head], *curves[-(MOST - head) :]]
    columns = {5: 3, 6: 3, 9: 3}.get(len(curves), min(4, len(curves)))
    figure, axes = new_figure(columns, math.ceil(len(curves) / columns), width=5.0 if columns == 1 else 3.4, height=2.9)
    for axis, curve in zip(axes.flat, curves, strict=False):
        _draw(axis, curve)
    for axis in axes.flat[len(curves) :]:
        axis.set_axis_off()
    for axis in axes[:, 0]:
        axis.set_ylabel("difference", fontsize=8)
    for axis in axes.flat[max(0, len(curves) - columns) : len(curves)]:  # nothing is drawn below these
        axis.set_xlabel("i, with e = e0 * 0.5^i", fontsize=8)
    legend: dict[str, Any] = {}
    for axis in axes.flat:
        legend |= {label: handle for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    ncols = len(legend) if columns > 2 else 2
    figure.legend(legend.values(), legend, loc="outside lower center", ncols=ncols, frameon=False, fontsize=8)
    figure.suptitle(_wrapped(f"{result.title}: {VERDICTS[result.passed]}", 40 * columns), fontsize=9)
    return figure


def _draw(axis: Any, curve: TaylorCurve) -> None:
    """One block; a thin line per replica, dots on the points that were judged."""
    i = np.arange(curve.e.shape[1])
    qualities = [judgement.quality if judgement.passed is not False else -1 for judgement in curve.judgements]
    worst = int(np.argmin(qualities))
    for values, color, order, label in (
        (curve.first, FIRST, 0, "|f(p + e d) - f(p)|"),
        (curve.second, SECOND, 1, "|f(p + e d) - f(p) - e <grad, d>|"),
    ):
        shown = np.where(values > 0, values, np.nan)
        for r, row in enumerate(shown):
            axis.plot(i, row, "-", color=color, lw=1.2 if r == worst else 0.5, alpha=1 if r == worst else 0.4)
        judged = curve.judgements[worst].judged[order]
        axis.plot(i[judged], shown[worst][judged], "o", color=color, ms=3)
        beyond = ~curve.clean[worst]
        label_beyond = "across a kink" if beyond.any() else ""
        axis.plot(i[beyond], shown[worst][beyond], "x", color="black", ms=4, label=label_beyond)
        axis.plot([], [], "-o", color=color, ms=3, label=label)
        _reference(axis, curve.e[worst], curve.rounding[worst], shown[worst], judged, order + 1)
    axis.plot(i, curve.rounding[worst], ":", color="gray", lw=1, label="rounding")
    judgement = curve.judgements[worst]
    text = ", ".join(f"{order:.3f}" for order in judgement.orders if not np.isnan(order))
    text = ", ".join(filter(None, (f"order {text}" if text else "", judgement.note)))
    axis.set_title(f"{curve.block}: {text}", fontsize=8, color="black" if curve.passed is not False else SECOND)
    axis.set_yscale("log")
    floor = max(float(np.nanmin(curve.rounding)) / 100, 1e-300)
    seen = np.concatenate([curve.first.ravel(), curve.second.ravel()])
    seen = seen[np.isfinite(seen) & (seen > 0)]
    # A line of slope 2 leaves the picture where the curve has slope 1: the curves must not shrink for it.
    axis.set_ylim(floor, 10 * float(seen.max()) if seen.size else None)
    whole_numbers(axis)
    axis.grid(alpha=0.3)
    axis.tick_params(labelsize=7)


def _reference(
    axis: Any, e: np.ndarray, rounding: np.ndarray, values: np.ndarray, judged: np.ndarray, order: int
) -> None:
    """A line of the slope that is expected, through the last judged point."""
    line = np.full(len(e), np.nan)
    if judged.any():
        at = np.flatnonzero(judged)[-1]
        line = values[at] * (e / e[at]) ** order
        line[line < rounding] = np.nan
    axis.plot(np.arange(len(e)), line, "--" if order == 1 else "-.", color="black", lw=0.7, label=f"slope {order}")


def comparison_figure(result: GradientComparison) -> Any:
    """Mean and maximum of the absolute and relative difference, by block."""
    figure, axes = new_figure(2, width=max(4.0, 0.45 * len(result.blocks)), height=3.4)
    names = [b.block for b in result.blocks]
    for axis, title, spread in (
        (axes[0, 0], "|backward - numeric|", "difference"),
        (axes[0, 1], "the same, relative", "relative"),
    ):
        for figure_name, marker, label in (("mean", "o", "mean"), ("max", "^", "maximum")):
            values = np.array([getattr(getattr(b, spread), figure_name) for b in result.blocks])
            axis.plot(names, np.where(values > 0, values, np.nan), marker, label=label)
        axis.set_yscale("log")
        axis.set_title(title, fontsize=9)
        axis.tick_params(axis="x", rotation=60, labelsize=7)
        axis.grid(alpha=0.3)
        axis.legend(frameon=False, fontsize=8)
    figure.suptitle(_wrapped(f"{result.title}: {'passed' if result.passed else 'FAILED'}", 90), fontsize=9)
    return figure


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))
