"""The columns to learn: whether they are classes or numbers, and their values. What is guessed is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, DataError, printable, say
from .checks import FEW, MOST_CLASSES, Array, are_classes
from .labels import INTEGER, Labels, have_decimal_commas, in_order
from .tables import Table
from .tables.values import MISSING_LABELS, Words, first_bad, kind_of, parse, words_of
from .target import TASKS

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class TargetValues:
    """The true targets of a table.

    Attributes
    ----------
    names
        Names of the columns.
    task
        "classification", "multilabel" or "regression".
    classes
        Labels as the table has them, or for several labels a row the columns' names; None for a regression.
    y
        Labels (N,) in 0..C-1, 0 and 1 (N, C), or float64 (N, O).
    """

    names: tuple[str, ...]
    task: str
    classes: tuple[str | int, ...] | None
    y: Array


class TargetReader:
    """Reads targets in the two passes of `read_frame`: `look`, `decide`, `fill`, `values`."""

    def __init__(self, table: Table, columns: Sequence[int], task: str | None):
        if task not in (None, *TASKS):
            raise ConfigError(f"{table.name}: expected task {', '.join(TASKS)}, got {task!r}")
        self.table, self.task = table, task
        self.columns = [_Look(table, column, task) for column in columns]
        self.names = tuple(table.columns[column] for column in columns)
        self.classes: tuple[str | int, ...] | None = None
        self._y: Any = None

    def look(self, batch: Sequence[Any], start: int) -> None:
        """See what a batch of the columns holds; `start` is the number of its first row."""
        for column, values in zip(self.columns, batch, strict=True):
            column.look(values, start)

    def decide(self, rows: int) -> None:
        """Settle the task, when all has been seen."""
        if len(self.columns) == 1:
            self.task = self.columns[0].decide(rows)
            if self.task == "classification":
                self.classes = self.columns[0].classes()
        else:
            binary = all(column.binary for column in self.columns)
            self.task = self.task or ("multilabel" if binary else "regression")
            if self.task == "classification":
                raise ConfigError(f"{self.table.name}: expected one target for a classification, got {len(self.names)}")
            self.classes = self.names if self.task == "multilabel" else None
        shape = (rows,) if self.task == "classification" else (rows, len(self.columns))
        self._y = np.empty(shape, np.int64 if self.task == "classification" else np.float64)
        self._labels = None if self.classes is None else Labels(self.classes)

    def fill(self, batch: Sequence[Any], start: int) -> None:
        """Take the values of a batch."""
        for k, (column, values) in enumerate(zip(self.columns, batch, strict=True)):
            rows = slice(start, start + len(values))
            if self.task == "classification":
                found = words_of(values, MISSING_LABELS)
                assert self._labels is not None
                self._y[rows] = self._labels.find(found.words)[found.codes] if found.words else -1
            else:
                self._y[rows, k] = column.numbers(values, start, self.task == "multilabel")

    def values(self) -> TargetValues:
        """Return the targets read."""
        assert self.task is not None
        return TargetValues(self.names, self.task, self.classes, self._y)


class _Look:
    """The state of reading one target."""

    def __init__(self, table: Table, column: int, task: str | None):
        self.table, self.task, self.name = table, task, printable(table.columns[column])
        self.kind = kind_of(table.kind(column))
        if self.kind not in ("text", "number", "boolean"):
            raise DataError(
                f"{table.name}: column {self.name!r}: expected numbers or text, got {printable(table.kind(column))}; "
                "convert it"
            )
        self.numeric = self.kind == "number" or (self.kind == "text" and (not table.typed or task == "regression"))
        self.whole = True
        self.words: set[str] = set()
        self.commas = False
        self.none: int | None = None

    @property
    def binary(self) -> bool:
        """Whether there is nothing but 0 and 1, or true and false."""
        return self.words <= {"0", "1"} or {word.lower() for word in self.words} <= {"true", "false"}

    def look(self, values: pa.Array, start: int) -> None:
        """Strike off what a batch of values is not."""
        numbers = parse("number", values, self.table.decimals) if self.numeric else None
        if self.numeric and numbers is None:
            self.numeric = False
            if self.task == "regression":
                self._refuse_text(values, start)
        if numbers is not None:
            self.whole = self.whole and bool((numbers == np.trunc(numbers)).all())
            if np.isnan(numbers).any() and self.none is None:
                self.none = start + int(np.argmax(np.isnan(numbers)))
        if len(self.words) <= MOST_CLASSES:
            found = words_of(values, MISSING_LABELS)
            self._check_missing(found, start)
            self.commas = self.commas or any("," in word for word in found.words)
            self.words.update(found.words)
            while len(self.words) > MOST_CLASSES + 1:
                self.words.pop()
        if not self.numeric and len(self.words) > MOST_CLASSES:
            raise self._too_many()

    def decide(self, rows: int) -> str:
        """The task."""
        count, name = len(self.words), f"{self.table.name}: column {self.name!r}"
        if not self.numeric:
            if self.task == "regression" and self.kind == "boolean":
                return "regression"
            if self.task == "regression":
                raise DataError(f"{name}: expected numbers for a regression, got text like {min(self.words)[:40]!r}")
            if have_decimal_commas(self.words):
                say(f"{name}: holds numbers with decimal commas, taken as classes; --decimal , reads them as numbers")
            return "classification"
        many = f"more than {MOST_CLASSES:,}" if count > MOST_CLASSES else f"{count:,}"
        coded = any(
            len(w.lstrip("+-")) > 1 and w.lstrip("+-")[0] == "0" and w.lstrip("+-").isdecimal() for w in self.words
        )
        if self.task is not None:
            found = self.task
        elif not self.whole:
            found = "regression"
            if self.commas:
                self._say(name, "numbers with decimal commas", found, "classification")
        elif coded:
            found = "classification"
            if count > 2 and 2 * count > rows:
                self._say(name, f"{many} different whole numbers in {rows:,} rows", found, "regression")
        else:
            plain = all(INTEGER.fullmatch(word) for word in self.words)
            found = "classification" if are_classes(count, rows) and (plain or count <= FEW) else "regression"
            other = "regression" if found == "classification" else "classification"
            if plain and (count > FEW or found == "regression"):
                self._say(name, f"{many} different whole numbers in {rows:,} rows", found, other)
            elif not plain and count <= FEW:
                self._say(name, f"{many} numbers, all of them whole", found, other)
        if found == "classification" and count > MOST_CLASSES:
            raise self._too_many()
        if found == "regression" and self.none is not None:
            raise self._missing(self.none)
        return found

    def classes(self) -> tuple[str | int, ...]:
        """The labels, in order; truth values have one spelling."""
        if {word.lower() for word in self.words} <= {"true", "false"}:
            return tuple(sorted({word.capitalize() for word in map(str.lower, self.words)}))
        return in_order(self.words)

    def numbers(self, values: pa.Array, start: int, binary: bool) -> Array:
        """A batch as float64."""
        kind = "boolean" if binary or self.kind == "boolean" else "number"
        found = parse(kind, values, self.table.decimals)
        if found is None:
            self._refuse_text(values, start)
        assert found is not None
        odd = ~np.isfinite(found)
        if odd.any():
            row = int(np.argmax(odd))
            if np.isnan(found[row]):
                raise self._missing(start + row)
            raise DataError(
                f"{self.table.name}: column {self.name!r}: expected finite values, got {found[row]} at "
                f"{self.table.place(start + row)}"
            )
        return found

    def _say(self, name: str, what: str, taken: str, other: str) -> None:
        articles = {"classification": "classes", "regression": "a regression"}
        say(f"{name}: holds {what}, taken as {articles[taken]}; --task {other} if it is not")

    def _check_missing(self, found: Words, start: int) -> None:
        missing = found.codes < 0
        if missing.any():
            raise self._missing(start + int(np.argmax(missing)))

    def _missing(self, row: int) -> DataError:
        return DataError(
            f"{self.table.name}: expected no missing values in the target, got one in {self.name} at "
            f"{self.table.place(row)}; fill or remove such rows"
        )

    def _refuse_text(self, values: pa.Array, start: int) -> None:
        row, text = first_bad("number", values, self.table.decimals)
        raise DataError(
            f"{self.table.name}: column {self.name!r}: expected a number, got {printable(text, 40)!r} at "
            f"{self.table.place(start + row)}"
        )

    def _too_many(self) -> DataError:
        return DataError(
            f"{self.table.name}: column {self.name!r}: expected at most {MOST_CLASSES} classes, got more; "
            "is it the right target, or a regression (--task regression)?"
        )
