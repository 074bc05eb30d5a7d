"""Figures and pictures of how good predictions are: scikit-learn's metrics and displays do the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError
from ..plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES = 20
"""Most classes for which a confusion matrix, and a curve for each, are drawn."""
MOST_CURVES = 8
"""Classes that get a line of their own among ROC and precision-recall curves: the most frequent ones."""

PER_CLASS = ("class", "precision", "recall", "F1", "rows")


@dataclass
class Findings:
    """The figures of a set of predictions.

    Attributes
    ----------
    figures
        Name -> number, such as "accuracy".
    tables
        Title -> (head, rows).
    pictures
        Title -> a matplotlib figure.
    losses
        (N,), how wrong each row is; the rows with the largest are shown.
    """

    figures: dict[str, float]
    losses: np.ndarray
    tables: dict[str, tuple[Sequence[str], list[Sequence[Any]]]] = field(default_factory=dict)
    pictures: dict[str, Any] = field(default_factory=dict)


def metrics() -> Any:
    """scikit-learn's metrics, or an error that says what to install."""
    try:
        from sklearn import metrics as found
    except ImportError:
        raise ConfigError("report: needs scikit-learn; install it with: pip install scikit-learn") from None
    return found


def classification(proba: np.ndarray, y: np.ndarray, classes: Sequence[str], *, pictures: bool = True) -> Findings:
    """How good probabilities (N, C), rows of which sum to 1, are for labels (N,) in [0, C)."""
    m = metrics()
    labels = np.arange(len(classes))
    decided = proba.argmax(axis=1)
    true = proba[np.arange(len(y)), y]
    losses = -np.log(np.maximum(true, np.finfo(float).tiny))
    figures = {
        "accuracy": float((decided == y).mean()),
        "balanced accuracy": _balanced(decided, y),
        "log loss": float(losses.mean()),
    }
    seen = np.unique(y)
    if len(classes) == 2 and len(seen) == 2:
        figures["ROC AUC"] = float(m.roc_auc_score(y == 1, proba[:, 1]))
        figures["average precision"] = float(m.average_precision_score(y == 1, proba[:, 1]))
    elif len(seen) > 1:
        areas = [m.roc_auc_score(y == c, proba[:, c]) for c in seen]
        figures["ROC AUC (mean over classes)"] = float(np.mean(areas))
    found = Findings(figures, losses)
    if not pictures:
        return found
    found.tables["Per class"] = _per_class(m, decided, y, labels, classes)
    if len(classes) <= MOST_CLASSES:
        found.pictures["Confusion matrix"] = _confusion(m, decided, y, labels, classes)
    if len(seen) > 1:
        found.pictures["ROC and precision-recall"] = _ranking(m, proba, y, classes)
        found.pictures["Calibration"] = _calibration(proba, y)
    return found


def _balanced(decided: np.ndarray, y: np.ndarray) -> float:
    """The mean recall over the classes that occur."""
    return float(np.mean([(decided[y == c] == c).mean() for c in np.unique(y)]))


def _per_class(
    m: Any, decided: np.ndarray, y: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> tuple[Sequence[str], list[Sequence[Any]]]:
    parts = m.precision_recall_fscore_support(y, decided, labels=labels, zero_division=0)
    return PER_CLASS, _rows_of(parts, classes)


def _rows_of(parts: Any, classes: Sequence[str]) -> list[Sequence[Any]]:
    """A row per class, of scikit-learn's four arrays."""
    columns = [np.asarray(part).tolist() for part in parts]
    return [list(row) for row in zip(classes, *columns, strict=True)]


def _confusion(m: Any, decided: np.ndarray, y: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Figure:
    side = min(9.0, 2.6 + 0.55 * len(classes))
    figure, axes = new_figure(width=side + 0.8, height=side)
    matrix = m.confusion_matrix(y, decided, labels=labels)
    display = m.ConfusionMatrixDisplay(matrix, display_labels=[plain_text(name) for name in classes])
    display.plot(ax=axes[0, 0], cmap="Blues", xticks_rotation="vertical" if len(classes) > 3 else "horizontal")
    return figure


def _ranking(m: Any, proba: np.ndarray, y: np.ndarray, classes: Sequence[str]) -> Figure:
    figure, axes = new_figure(2, width=5.0, height=4.0)
    counts = np.bincount(y, minlength=len(classes))
    chosen = [1] if len(classes) == 2 else [int(c) for c in np.argsort(-counts, kind="stable") if counts[c]]
    for c in chosen[:MOST_CURVES]:
        name = plain_text(classes[c])
        m.RocCurveDisplay.from_predictions(y == c, proba[:, c], name=name, ax=axes[0, 0])
        m.PrecisionRecallDisplay.from_predictions(y == c, proba[:, c], name=name, ax=axes[0, 1])
    axes[0, 0].plot([0, 1], [0, 1], ":", color="gray")
    axes[0, 0].set(xlabel="false positive rate", ylabel="true positive rate (recall)")
    axes[0, 1].set(xlabel="recall", ylabel="precision")
    for axis in axes[0]:
        axis.legend(frameon=False, fontsize="x-small")
    return figure


def _calibration(proba: np.ndarray, y: np.ndarray, bins: int = 10) -> Figure:
    """How often the predicted class is the true one, by its predicted probability (Guo et al., 2017)."""
    two = proba.shape[1] == 2
    sure = proba[:, 1] if two else proba.max(axis=1)
    right = (y == 1) if two else (proba.argmax(axis=1) == y)
    order = np.argsort(sure, kind="stable")
    groups = [g for g in np.array_split(order, bins) if len(g)]
    figure, axes = new_figure(width=4.6, height=4.2)
    axis = axes[0, 0]
    axis.plot([0, 1], [0, 1], ":", color="gray", label="perfect")
    axis.plot([sure[g].mean() for g in groups], [right[g].mean() for g in groups], "o-", label="this network")
    axis.set_xlabel("predicted probability" + (" of the second class" if two else " of the predicted class"))
    axis.set_ylabel("share of rows of that class")
    axis.legend(frameon=False)
    axis.grid(alpha=0.3)
    return figure


def multilabel(proba: np.ndarray, y: np.ndarray, classes: Sequence[str], *, pictures: bool = True) -> Findings:
    """How good probabilities (N, C), each on its own, are for targets (N, C) of 0 and 1; there are no pictures."""
    m = metrics()
    decided = proba >= 0.5
    tiny = np.finfo(float).tiny
    losses = -np.where(y > 0, np.log(np.maximum(proba, tiny)), np.log(np.maximum(1 - proba, tiny))).mean(axis=1)
    figures = {
        "accuracy (share of decisions)": float((decided == y).mean()),
        "exact rows": float((decided == y).all(axis=1).mean()),
        "log loss": float(losses.mean()),
    }
    found = Findings(figures, losses)
    parts = m.precision_recall_fscore_support(y, decided, zero_division=0)
    found.tables["Per class"] = PER_CLASS, _rows_of(parts, classes)
    return found


def regression(values: np.ndarray, y: np.ndarray, names: Sequence[str], *, pictures: bool = True) -> Findings:
    """How good predicted values (N, O) are for the right ones."""
    m = metrics()
    several = y.shape[1] > 1
    figures: dict[str, float] = {}
    for o, name in enumerate(names):
        more = f" of {name}" if several else ""
        figures[f"R2{more}"] = float(m.r2_score(y[:, o], values[:, o])) if len(y) > 1 else float("nan")
        figures[f"RMSE{more}"] = float(np.sqrt(np.mean((y[:, o] - values[:, o]) ** 2)))
        figures[f"MAE{more}"] = float(np.mean(np.abs(y[:, o] - values[:, o])))
    spread = np.maximum(y.std(axis=0), np.finfo(float).tiny)
    found = Findings(figures, (((y - values) / spread) ** 2).mean(axis=1))
    if not pictures:
        return found
    figure, axes = new_figure(2, len(names), width=4.6, height=4.0)
    for o, name in enumerate(names):
        for axis, kind in zip(axes[o], ("actual_vs_predicted", "residual_vs_predicted"), strict=True):
            m.PredictionErrorDisplay.from_predictions(
                y[:, o], values[:, o], kind=kind, ax=axis, scatter_kwargs={"s": 8, "alpha": 0.4}, random_state=0
            )
            axis.set_title(plain_text(name), fontsize=9)
    found.pictures["Predicted against true, and residuals"] = figure
    return found


def plain_text(text: str) -> str:
    """A text of the data as matplotlib draws it letter by letter: a dollar sign begins no formula."""
    return str(text).replace("$", r"\$")
