"""`Target`: what a schema learns, how it is written in a table, and how a network learns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError, printable
from .checks import Array
from .columns import expect, is_finite
from .labels import Labels
from .tables.values import MISSING_LABELS, Words, kind_of, parse, words_of

TASKS = ("classification", "multilabel", "regression")


@dataclass(frozen=True)
class Target:
    """The target that a network learns.

    Parameters
    ----------
    names : tuple of str
        Names of the target's columns.
    task : str
        "classification", "multilabel" or "regression".
    classes : tuple of str or int, optional
        (C,) labels as the table has them; for several labels a row the columns' names; None for a regression.
    mean, scale : tuple of float, optional
        (O,) of a regression's targets, where the network learns ``(y - mean) / scale``; None: it learns y.
    """

    names: tuple[str, ...]
    task: str
    classes: tuple[str | int, ...] | None = None
    mean: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None

    def encode(self, values: Any, where: str = "target") -> Array:
        """Targets as a data set has them: labels (N,), 0 and 1 (N, C), or float64 (N, O).

        Parameters
        ----------
        values
            (N,) or (N, O): Arrow arrays, arrays or lists, with the target's own labels or numbers.
        where
            Beginning of error lines.

        Raises
        ------
        DataError
            A label that is none of the classes, or a text where a number belongs.
        """
        if self.task == "classification":
            labels = Labels(self.classes or ())
            if _is_arrow(values):
                found = words_of(values, MISSING_LABELS)
            else:
                words, codes = np.unique([str(v) for v in np.asarray(values).tolist()], return_inverse=True)
                found = Words(codes, words.tolist())
            numbers = np.append(labels.find(found.words), -1)[found.codes]
            if (numbers < 0).any():
                row = int(np.argmax(numbers < 0))
                got = found.words[found.codes[row]] if found.codes[row] >= 0 else "none"
                some = ", ".join(labels.names[:10]) + (", ..." if len(labels.names) > 10 else "")
                raise DataError(f"{where}: expected a class of the model ({some}), got {printable(got, 40)!r}")
            return numbers
        if _is_arrow(values):
            binary = self.task == "multilabel"
            kind = "boolean" if binary or kind_of(values.type) == "boolean" else "number"
            parsed = parse(kind, values, ".,")
            if parsed is None:
                raise DataError(f"{where}: expected numbers, got text")
            numbers = parsed
        else:
            try:
                numbers = np.asarray(values, np.float64)
            except (TypeError, ValueError):
                raise DataError(f"{where}: expected numbers, {len(self.names)} a row") from None
        return numbers.reshape(len(numbers), -1)

    def to_json(self) -> dict[str, Any]:
        """Itself as JSON has it."""
        found: dict[str, Any] = {"names": list(self.names), "task": self.task}
        for key in ("classes", "mean", "scale"):
            value = getattr(self, key)
            found[key] = None if value is None else list(value)
        return found

    @classmethod
    def from_json(cls, found: Any) -> Target:
        """A target from what `to_json` gave.

        Raises
        ------
        ValueError
            It is not as `to_json` makes it; the text says what was expected.
        """
        keys = {"names", "task", "classes", "mean", "scale"}
        expect(isinstance(found, dict) and set(found) == keys, f"a target has {', '.join(sorted(keys))}")
        names, task, classes = found["names"], found["task"], found["classes"]
        expect(
            isinstance(names, list) and all(isinstance(n, str) for n in names) and len(names) > 0, "targets have names"
        )
        expect(task in TASKS, f"a target's task is one of {', '.join(TASKS)}")
        expect((classes is None) == (task == "regression"), "a target has classes, or it is a regression's")
        if classes is not None:
            expect(
                isinstance(classes, list) and all(type(c) in (str, int) for c in classes), "classes are texts or ints"
            )
            expect(len(set(map(str, classes))) == len(classes) > 0, "each class occurs once")
        scales: dict[str, tuple[float, ...] | None] = {}
        for key in ("mean", "scale"):
            value = found[key]
            right = value is None or (
                isinstance(value, list) and len(value) == len(names) and all(map(is_finite, value))
            )
            expect(
                right and (key == "mean" or value is None or min(value) > 0), f"a target's {key} is a number a column"
            )
            scales[key] = None if value is None else tuple(map(float, value))
        expect((scales["mean"] is None) == (scales["scale"] is None), "a target has a mean and a scale, or neither")
        return cls(tuple(names), task, None if classes is None else tuple(classes), **scales)


def _is_arrow(values: object) -> bool:
    return type(values).__module__.partition(".")[0] == "pyarrow"
