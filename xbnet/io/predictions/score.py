"""How good predictions are, gathered over chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...datasets.labels import Labels
from ...errors import DataError, listed, printable

MOST_CLASSES = 1000
"""Up to this many classes, a confusion matrix is counted."""


class Score:
    """Accuracy and confusion matrix, or R2, RMSE and MAE, of all rows that said what is right.

    Parameters
    ----------
    classes
        Names of the classes; None for a regression.
    """

    def __init__(self, classes: Sequence[str] | None):
        self.classes = classes
        self.rows, self.total = 0, 0.0
        self._mean: Any = 0.0
        self._spread: Any = 0.0
        self._squares: Any = 0.0
        self._absolute: Any = 0.0
        self._known = Labels(classes or ())
        C = len(self._known.names)
        self.confusion = np.zeros((C, C), np.int64) if 0 < C <= MOST_CLASSES else None

    def add_labels(self, source: str, right: np.ndarray, predicted: np.ndarray) -> None:
        """Right answers (n,), class names or numbers; predicted labels (n,) in [0, C)."""
        labels = self._labels(source, right)
        self.rows += len(labels)
        self.total += int((labels == predicted).sum())
        if self.confusion is not None:
            np.add.at(self.confusion, (labels, predicted), 1)

    def _labels(self, source: str, right: np.ndarray) -> np.ndarray:
        if right.dtype.kind == "f" and np.equal(right, np.round(right)).all():
            right = right.astype(np.int64)
        values, inverse = np.unique(right.astype(str), return_inverse=True)
        found = self._known.find(values)
        if (found < 0).all() and not any(name.isdecimal() for name in self._known.names):  # not names: their numbers?
            found = Labels(range(len(self._known.names))).find(values)
        if (found < 0).any():
            value = values[int(np.argmax(found < 0))]
            names = listed(self._known.names)
            raise DataError(f"{source}: expected a class of the model ({names}), got {str(value)[:40]!r}")
        return found[inverse]

    def add_decisions(self, source: str, right: np.ndarray, decided: np.ndarray) -> None:
        """Right and predicted 0/1 (n, C): counts the share of classes that are decided right."""
        right = _as_numbers(source, right, decided.shape)
        self.rows += len(right)
        self.total += float((right == decided).mean(axis=1).sum())

    def add_values(self, source: str, right: np.ndarray, values: np.ndarray) -> None:
        """Right and predicted values (n, O)."""
        right = _as_numbers(source, right, values.shape)
        n, mean = len(right), right.mean(axis=0)
        between = self.rows * n / (self.rows + n) * (mean - self._mean) ** 2 if self.rows else 0.0
        self._spread = self._spread + ((right - mean) ** 2).sum(axis=0) + between  # Chan et al. 1979: no large squares
        self._mean = self._mean + (mean - self._mean) * n / (self.rows + n)
        self._squares = self._squares + ((right - values) ** 2).sum(axis=0)
        self._absolute = self._absolute + np.abs(right - values).sum(axis=0)
        self.rows += n

    def _regression(self) -> dict[str, Any]:
        """R2 is the plain mean over the outputs, as scikit-learn's, as are the others."""
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = np.where(self._spread > 0, 1 - self._squares / self._spread, np.where(self._squares > 0, 0.0, 1.0))
        rmse = np.sqrt(self._squares / self.rows)
        return {"r2": float(r2.mean()), "rmse": float(rmse.mean()), "mae": float(self._absolute.mean() / self.rows)}

    def result(self) -> dict[str, Any]:
        """Name -> figure; empty where no row said what is right."""
        if not self.rows:
            return {}
        if self.classes is None:
            return self._regression()
        found: dict[str, Any] = {"accuracy": self.total / self.rows}
        if self.confusion is not None and self.confusion.any():
            found["confusion"] = self.confusion.tolist()
        return found

    def table(self) -> str:
        """The confusion matrix for people: a row per right class, a column per predicted one."""
        if self.confusion is None or not self.confusion.any() or len(self.confusion) > 25:
            return ""
        names = [printable(name)[:12] for name in self._known.names]
        width = max(6, *map(len, names), len(str(self.confusion.max()))) + 1
        lines = [" " * width + "".join(f"{name:>{width}}" for name in names)]
        lines += [
            f"{name:>{width}}" + "".join(f"{n:>{width}}" for n in row)
            for name, row in zip(names, self.confusion.tolist(), strict=True)
        ]
        return "rows: right, columns: predicted\n" + "\n".join(lines)


def _as_numbers(source: str, right: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the true targets as float64 (n, O)."""
    try:
        return right.astype(float).reshape(shape)
    except ValueError:
        raise DataError(f"{source}: expected numbers as targets, {shape[1]} per row") from None
