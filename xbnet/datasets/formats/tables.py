"""Tables with a header: what CSV and Parquet (`parquet`) have in common, and CSV by the standard library."""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from ...errors import ConfigError, DataError
from ..checks import Array, row_slices
from ..dataset import Dataset, Part
from .arrays import as_targets
from .sniff import looks_like, open_head, printable

# What a missing value looks like in a table.
_MISSING = {"", "na", "n/a", "nan", "null", "?"}
MOST_CLASSES = 10_000


def read_csv(path: Path, target: str | None = None, task: str | None = None) -> Dataset:
    """Read a text table: a header, then a row per sample; commas, semicolons or tabs between.

    Parameters
    ----------
    path
        The file, in UTF-8.
    target
        Name of the column to learn; all others are inputs and must be numbers (read as float64).
    task
        ``"classification"`` or ``"regression"``; by default text and whole numbers in the target are
        classes (sorted; whole numbers need not be 0..C-1), other numbers are a regression.

    Raises
    ------
    DataError
        If `target` is no column; for a missing value, text among the inputs, or a row of another length,
        with its line and column.
    ConfigError
        If no `target` is given.
    """
    head = open_head(path, "a CSV table")
    what = looks_like(head)
    if what != "a text file":
        raise DataError(f"{path}: expected a CSV table in UTF-8, got what looks like {what}")
    try:
        table = _survey(path, target, task)
        x, y = _read_rows(path, table)
        if table.classes is not None:
            return Dataset(str(path), Part(x, y), classes=table.classes, features=table.inputs)
        return with_numbers(path, table.names[table.column], table.inputs, x, y, task, table.whole)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: expected text in UTF-8, got {error.object[error.start]:#x}; save it as UTF-8"
        ) from None
    except csv.Error as error:
        raise DataError(f"{path}: expected a CSV table, got one that can't be parsed ({printable(error)})") from None


class _Survey(NamedTuple):
    """What must be known of a CSV file before its numbers are read."""

    names: list[str]
    delimiter: str
    column: int  # the target's
    rows: int
    whole: bool  # whether every target is written as a whole number
    classes: tuple[str, ...] | None  # sorted; None where the targets are numbers

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the columns that are not the target."""
        return (*self.names[: self.column], *self.names[self.column + 1 :])


def _open_table(path: Path) -> TextIO:
    return open(path, encoding="utf-8-sig", newline="")


def _rows(file: TextIO, delimiter: str) -> Any:
    return csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)


def _survey(path: Path, target: str | None, task: str | None) -> _Survey:
    """The first of two passes: counts rows and collects labels, so that the second has an array to fill."""
    count, numeric, whole, found = 0, True, True, set[str]()
    with _open_table(path) as file:
        first = file.readline()
        delimiter = max(",;\t", key=first.count)
        file.seek(0)
        reader = _rows(file, delimiter)
        names = [name.strip() for name in next(reader, [])]
        target = check_target(path, target, names)
        column = names.index(target)
        for row in filter(None, reader):
            count += 1
            if len(row) != len(names):
                raise DataError(
                    f"{path}: line {reader.line_num}: expected {len(names)} values as in the header, got {len(row)}"
                )
            label = row[column].strip()
            if label in found:
                continue
            if label.lower() in _MISSING:
                raise missing(path, [target], reader.line_num, "line")
            if numeric and not (_is_number(label) and math.isfinite(float(label))):
                if task == "regression" or not whole:
                    raise no_number(path, target, label, f"line {reader.line_num}")
                numeric = False
            whole = whole and (not numeric or label.lstrip("+-").isdecimal())
            if len(found) <= MOST_CLASSES:
                found.add(label)
            if not numeric and len(found) > MOST_CLASSES:
                raise too_many_classes(path, target)
    if not count:
        raise DataError(f"{path}: expected rows below the header, got none")
    return _Survey(names, delimiter, column, count, whole, None if numeric else tuple(sorted(found)))


def _read_rows(path: Path, table: _Survey) -> tuple[Array, Array]:
    """Inputs (N, I), and targets (N,): numbers, or numbers of the classes."""
    column, inputs = table.column, list(table.inputs)
    number = None if table.classes is None else {name: i for i, name in enumerate(table.classes)}
    x, y = np.empty((table.rows, len(inputs))), np.empty(table.rows, float if number is None else np.int64)
    with _open_table(path) as file:
        reader = _rows(file, table.delimiter)
        next(reader)
        for i, row in enumerate(filter(None, reader)):
            label = row.pop(column).strip()
            try:
                values = [float(value) for value in row]
            except ValueError:
                values = [math.nan]
            if not math.isfinite(sum(values)):
                _check_values(path, inputs, row, reader.line_num)
            x[i] = values
            y[i] = float(label) if number is None else number[label]
    return x, y


def with_numbers(
    path: Path, target: str, inputs: Sequence[str], x: Array, y: Array, task: str | None, whole: bool
) -> Dataset:
    """Targets that are numbers: whole ones are classes, in their order, unless `task` says otherwise."""
    features = tuple(inputs)
    if task == "regression" or (task is None and not whole):
        return Dataset(str(path), Part(x, as_targets(str(path), y, "regression")), features=features)
    labels = as_targets(str(path), y, "classification")
    found: set[int] = set()
    for rows in row_slices(labels):
        found.update(np.unique(labels[rows]).tolist())
        if len(found) > MOST_CLASSES:
            raise too_many_classes(path, target)
    values = sorted(found)
    for rows in row_slices(labels):
        labels[rows] = np.searchsorted(values, labels[rows])
    return Dataset(str(path), Part(x, labels), classes=tuple(map(str, values)), features=features)


def check_target(path: Path, target: str | None, names: list[str]) -> str:
    """The target, if the header is one and has it."""
    if not names or any(not name or _is_number(name) for name in names):
        odd = next((name for name in names if not name or _is_number(name)), "")
        raise DataError(f"{path}: expected a header with a name for each column, got {odd!r} among them")
    double = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if double is not None:
        raise DataError(f"{path}: expected a different name for each column, got {double!r} twice")
    if target is None:
        raise ConfigError(f"{path}: expected a target, the column to learn; columns are {_some(names)}")
    if target not in names:
        near = difflib.get_close_matches(target, names, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise DataError(f"{path}: expected as target one of {_some(names)}, got {target!r}{hint}")
    return target


def _check_values(path: Path, names: list[str], row: list[str], line: int) -> None:
    """Name what is wrong with the values of a row, if anything is."""
    absent = [name for name, value in zip(names, row, strict=True) if value.strip().lower() in _MISSING]
    if absent:
        raise missing(path, absent, line, "line")
    wrong = [(name, value) for name, value in zip(names, row, strict=True) if not _is_number(value)]
    if wrong:
        raise not_numbers(path, [name for name, _ in wrong], wrong[0][1], line, "line")
    for name, value in zip(names, row, strict=True):
        if not math.isfinite(float(value)):
            raise DataError(f"{path}: column {name!r}: expected finite values, got {value.strip()} at line {line}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def no_number(path: Path, target: str, label: str, place: str) -> DataError:
    """A label that should be a number; `place` is where it stands, e.g. "line 3"."""
    return DataError(f"{path}: column {target!r}: expected a number, got {label[:40]!r} at {place}")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(printable, names[:10])) + more


def missing(path: Path, names: list[str], place: int, kind: str) -> DataError:
    """A row without values in the columns `names`; `kind` is "line" or "row"."""
    return DataError(
        f"{path}: expected no missing values, got one in {_some(names)} at {kind} {place}; fill or remove such rows"
    )


def not_numbers(path: Path, names: list[str], value: str, place: int, kind: str) -> DataError:
    """Columns of text among the inputs, with one `value`."""
    return DataError(
        f"{path}: expected numbers in every column but the target, got text in {_some(names)} "
        f"({value[:40]!r} at {kind} {place}); encode or remove such columns"
    )


def too_many_classes(path: Path, target: str) -> DataError:
    """A target with more than `MOST_CLASSES` labels."""
    return DataError(
        f"{path}: column {target!r}: expected at most {MOST_CLASSES} classes, got more; "
        "is it the right target, or a regression?"
    )
