"""Results of each fold in a file of JSON lines, so that a rival that takes an hour runs once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error

from .clocks import Found

KEY = ("table", "rows", "model", "fold")


def line_of(found: Found, y: np.ndarray) -> dict[str, Any]:
    """Accuracy and log loss, or R2 and RMSE; seconds of fit and predict, of the processor and on the wall."""
    if found.classes is None:
        score, loss = r2_score(y, found.values), root_mean_squared_error(y, found.values)
    else:
        y, classes = y.astype(str), np.asarray(found.classes).astype(str)
        score = accuracy_score(y, classes[found.values.argmax(axis=1)])
        p = found.values / found.values.sum(axis=1, keepdims=True)
        order = np.argsort(classes)  # log_loss takes columns in sorted order
        loss = log_loss(y, p[:, order], labels=classes[order])
    return {
        "kind": "regression" if found.classes is None else "classes", "score": float(score), "loss": float(loss),
        "fit_cpu": found.fit.cpu, "fit_wall": found.fit.wall,
        "predict_cpu": found.predict.cpu, "predict_wall": found.predict.wall,
    }  # fmt: skip


class Results:
    """Lines by table, rows, model and fold; a later line stands for an earlier one."""

    def __init__(self, paths: Iterable[Path] = (), kept: Path | None = None):
        self.kept = kept
        self.lines: dict[tuple[Any, ...], dict[str, Any]] = {}
        for path in [*paths, *([kept] if kept and kept.exists() else [])]:
            for text in path.read_text("utf-8").splitlines():
                line = json.loads(text)
                self.lines[tuple(line[name] for name in KEY)] = line

    def add(self, line: dict[str, Any]) -> None:
        self.lines[tuple(line[name] for name in KEY)] = line
        if self.kept:
            with self.kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def frame(self, models: list[str] | None = None, table_names: list[str] | None = None) -> pd.DataFrame:
        """One row per table and model: means over the folds that all of the table's models have.

        A table that lacks one of the models is left out when `models` are given.
        """
        lines = pd.DataFrame(self.lines.values())
        if lines.empty:
            return lines
        if table_names:
            lines = lines[lines["table"].isin(table_names)]
        rows = []
        for (table, n), group in lines.groupby(["table", "rows"], sort=True):
            wanted = models or sorted(group["model"].unique())
            group = group[group["model"].isin(wanted)]
            if set(group["model"]) != set(wanted):
                continue
            common = set.intersection(*(set(g["fold"]) for _, g in group.groupby("model")))
            if not common:
                continue
            group = group[group["fold"].isin(common)]
            for model in wanted:
                own = group[group["model"] == model]
                means = own[["score", "loss", "fit_cpu", "fit_wall", "predict_cpu", "predict_wall"]].mean()
                about = {"table": table, "rows": n, "model": model, "kind": own["kind"].iloc[0], "folds": len(own)}
                rows.append({**about, **means})
        return pd.DataFrame(rows)
