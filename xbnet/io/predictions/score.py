"""How good predictions are, gathered over chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...datasets.labels import Labels
from ...errors import DataError, listed, printable

MOST_CLASSES = 1000
"""Up to so many, a confusion matrix is counted."""


class Score:
    """Accuracy and confusion matrix, or the mean squared error, of all rows that said what is right.

    Parameters
    ----------
    classes
        Names of the classes; None for a regression.
    """

    def __init__(self, classes: Sequence[str] | None):
        self.classes = classes
        self.rows, self.total = 0, 0.0
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

    def add_decisions(self, right: np.ndarray, decided: np.ndarray) -> None:
        """Right and predicted 0/1 (n, C): counts the share of classes that are decided right."""
        self.rows += len(right)
        self.total += float((right == decided).mean(axis=1).sum())

    def add_values(self, source: str, right: np.ndarray, values: np.ndarray) -> None:
        """Right and predicted values (n, O)."""
        try:
            right = right.astype(float).reshape(values.shape)
        except ValueError:
            raise DataError(f"{source}: expected numbers as targets, {values.shape[1]} per row") from None
        self.rows += len(right)
        self.total += float(((right - values) ** 2).mean(axis=1).sum())

    def result(self) -> dict[str, Any]:
        """Name -> figure; empty where no row said what is right."""
        if not self.rows:
            return {}
        if self.classes is None:
            return {"mse": self.total / self.rows}
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
