"""Score over time: a panel of ranks, and one per table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from .ranks import ranks

MARKERS = "osD^vPX*<>hd"
COLORS = {
    **{"train": "#08306b", "estimator": "#2a7fdb", "for_tables": "#2a7fdb", "embedded": "#4fc3f0"},
    **{"linear": "#7f7f7f", "mlp": "#ff7f0e", "trees": "#2ca02c"},
    **{"realmlp": "#d62728", "realmlp-ce": "#e377c2", "tabm": "#9467bd"},
}
"""Ours are blue."""
OTHERS = ("#8c564b", "#bcbd22", "#000000", "#c5b0d5", "#ffbb78")
"""For models with names of their own, see ``--label``."""


def draw(frame: pd.DataFrame, path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    models = list(dict.fromkeys(frame["model"]))
    others = [model for model in models if model not in COLORS]
    colors = COLORS | {model: OTHERS[i % len(OTHERS)] for i, model in enumerate(others)}
    looks = {model: {"marker": MARKERS[i % len(MARKERS)], "color": colors[model]} for i, model in enumerate(models)}
    groups = list(frame.groupby(["table", "rows"], sort=False))
    columns = 4
    lines = -(-(len(groups) + 1) // columns)
    figure = Figure(figsize=(4 * columns, 3.2 * lines + 0.6), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    overall = ranks(frame, "loss")
    for model, mean, error in zip(overall.models, overall.mean, overall.error, strict=True):
        seconds = np.exp(np.log(frame[frame["model"] == model]["fit_cpu"]).mean())
        axes[0].errorbar(seconds, mean, yerr=error, capsize=3, linestyle="none", label=model, **looks[model])
    axes[0].invert_yaxis()
    axes[0].set_title(f"all {overall.tables} tables (bars: standard error)", fontsize="medium")
    axes[0].set_ylabel("mean rank by loss")
    for panel, ((table, rows), group) in zip(axes[1:], groups, strict=False):
        for line in group.itertuples():
            panel.scatter(line.fit_cpu, line.loss, s=40, label=line.model, **looks[line.model])
        panel.set_title(f"{table}, {rows:,} rows", fontsize="medium")
        panel.set_ylabel("RMSE" if group["kind"].iloc[0] == "regression" else "log loss")
        panel.invert_yaxis()  # better is higher, as in the first panel
    for panel in axes[: len(groups) + 1]:
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())  # its labels ran into each other
        panel.set_xlabel("processor seconds of a fit")
    for panel in axes[len(groups) + 1 :]:
        panel.set_visible(False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(models))
    figure.savefig(path, dpi=100)
