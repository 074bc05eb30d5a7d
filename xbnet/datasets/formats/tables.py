"""Tables with a header: CSV by the standard library, Parquet by pyarrow (extra ``table``)."""

from __future__ import annotations

import csv
import difflib
import math
from array import array
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConfigError, DataError
from ..checks import Array
from ..dataset import Dataset, Part
from .arrays import as_targets
from .sniff import looks_like, open_head, printable

# What a missing value looks like in a table.
_MISSING = {"", "na", "n/a", "nan", "null", "?"}
_MOST_CLASSES = 10_000
_MOST_INFLATION = 1000


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
        try:
            return _read_rows(path, target, task, numeric=True)
        except _TextTarget:
            return _read_rows(path, target, task, numeric=False)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: expected text in UTF-8, got {error.object[error.start]:#x}; save it as UTF-8"
        ) from None
    except csv.Error as error:
        raise DataError(f"{path}: expected a CSV table, got one that can't be parsed ({printable(error)})") from None


def read_parquet(path: Path, target: str | None = None, task: str | None = None) -> Dataset:
    """Read a Parquet table; as `read_csv`, with the types that its columns have. Needs pyarrow.

    (polars, tried on damaged files, panicked in a thread of its own and took the process with it.)
    """
    head = open_head(path, "a Parquet table")
    if not head.startswith(b"PAR1"):
        raise DataError(f"{path}: expected a Parquet table, got what looks like {looks_like(head)}")
    table = _read_arrow(path)
    target = _check_target(path, target, table.column_names)
    columns = {name: _column(path, name, table.column(name)) for name in table.column_names}
    y = columns.pop(target)
    text = [name for name, values in columns.items() if values.dtype.kind == "O"]
    if text:
        raise _not_numbers(path, text, str(columns[text[0]][0]), 0, "row")
    if not columns:
        raise DataError(f"{path}: expected columns besides the target {target!r}, got none")
    x = np.stack([v.astype(np.promote_types(v.dtype, np.float32)) for v in columns.values()], axis=1)
    if y.dtype.kind == "O":
        if task == "regression":
            raise _no_number(path, target, y[0], "row 0")
        return Dataset(str(path), Part(x, y.astype(str)))
    return _with_numbers(path, target, x, y, task, whole=y.dtype.kind != "f")


class _TextTarget(Exception):
    """The target column holds text: read it again as classes."""


def _read_rows(path: Path, target: str | None, task: str | None, numeric: bool) -> Dataset:
    """One pass over a CSV file, a row at a time, into two plain arrays of numbers."""
    x = array("d")
    y: array[Any] = array("d" if numeric else "q")
    whole = True  # whether every target is written as a whole number
    number: dict[str, int] = {}  # of each class, in the order of appearance
    with open(path, encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        reader = csv.reader(file, delimiter=max(",;\t", key=first.count), skipinitialspace=True, strict=True)
        names = [name.strip() for name in next(reader, [])]
        target = _check_target(path, target, names)
        column = names.index(target)
        inputs = names[:column] + names[column + 1 :]
        for row in filter(None, reader):
            if len(row) != len(names):
                raise DataError(
                    f"{path}: line {reader.line_num}: expected {len(names)} values as in the header, got {len(row)}"
                )
            label = row.pop(column).strip()
            if label.lower() in _MISSING:
                raise _missing(path, [target], reader.line_num, "line")
            try:
                values = [float(value) for value in row]
            except ValueError:
                values = [math.nan]
            if not math.isfinite(sum(values)):
                _check_values(path, inputs, row, reader.line_num)
            x.extend(values)
            if numeric:
                if not _is_number(label) or not math.isfinite(float(label)):
                    if task == "regression" or not whole:
                        raise _no_number(path, target, label, f"line {reader.line_num}")
                    raise _TextTarget
                y.append(float(label))
                whole = whole and label.lstrip("+-").isdecimal()
            else:
                y.append(number.setdefault(label, len(number)))
                if len(number) > _MOST_CLASSES:
                    raise _too_many_classes(path, target)
    if not y:
        raise DataError(f"{path}: expected rows below the header, got none")
    table = np.frombuffer(x, np.float64) if x else np.empty(0)
    table = table.reshape(len(y), len(inputs))
    if numeric:
        return _with_numbers(path, target, table, np.frombuffer(y, np.float64), task, whole)
    classes = sorted(number)
    order = np.empty(len(classes), np.int64)
    order[[number[name] for name in classes]] = np.arange(len(classes))
    return Dataset(str(path), Part(table, order[np.frombuffer(y, np.int64)]), classes=tuple(classes))


def _with_numbers(path: Path, target: str, x: Array, y: Array, task: str | None, whole: bool) -> Dataset:
    """Targets that are numbers: whole ones are classes, in their order, unless `task` says otherwise."""
    if task == "regression" or (task is None and not whole):
        return Dataset(str(path), Part(x, as_targets(str(path), y, "regression")))
    values, labels = np.unique(as_targets(str(path), y, "classification"), return_inverse=True)
    if len(values) > _MOST_CLASSES:
        raise _too_many_classes(path, target)
    return Dataset(str(path), Part(x, labels), classes=tuple(map(str, values.tolist())))


def _check_target(path: Path, target: str | None, names: list[str]) -> str:
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
    missing = [name for name, value in zip(names, row, strict=True) if value.strip().lower() in _MISSING]
    if missing:
        raise _missing(path, missing, line, "line")
    wrong = [(name, value) for name, value in zip(names, row, strict=True) if not _is_number(value)]
    if wrong:
        raise _not_numbers(path, [name for name, _ in wrong], wrong[0][1], line, "line")
    for name, value in zip(names, row, strict=True):
        if not math.isfinite(float(value)):
            raise DataError(f"{path}: column {name!r}: expected finite values, got {value.strip()} at line {line}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _no_number(path: Path, target: str, label: str, place: str) -> DataError:
    return DataError(f"{path}: column {target!r}: expected a number, got {label[:40]!r} at {place}")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(printable, names[:10])) + more


def _missing(path: Path, names: list[str], place: int, kind: str) -> DataError:
    return DataError(
        f"{path}: expected no missing values, got one in {_some(names)} at {kind} {place}; fill or remove such rows"
    )


def _not_numbers(path: Path, names: list[str], value: str, place: int, kind: str) -> DataError:
    return DataError(
        f"{path}: expected numbers in every column but the target, got text in {_some(names)} "
        f"({value[:40]!r} at {kind} {place}); encode or remove such columns"
    )


def _too_many_classes(path: Path, target: str) -> DataError:
    return DataError(
        f"{path}: column {target!r}: expected at most {_MOST_CLASSES} classes, got more; "
        "is it the right target, or a regression?"
    )


def _read_arrow(path: Path) -> Any:
    """The table in a Parquet file."""
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise DataError(f"{path}: reading Parquet needs pyarrow; pip install 'xbnet[table]'") from None
    size = path.stat().st_size
    try:
        with parquet.ParquetFile(path) as file:
            rows, columns = file.metadata.num_rows, file.metadata.num_columns
            # Runs of one value take no room in the file: a few bytes could claim any number of rows.
            if rows * columns * 8 <= _MOST_INFLATION * size:
                return file.read()
    except Exception as error:  # Arrow raises a dozen kinds for damaged files
        reason = printable(error)
        raise DataError(f"{path}: expected a Parquet table, got a damaged one ({reason}); write it again") from None
    raise DataError(
        f"{path}: expected a Parquet table, got one that claims {rows} rows in {size} bytes; write it again"
    )


def _column(path: Path, name: str, column: Any) -> Array:
    """A column as numbers, or as an array of objects if it holds text."""
    if column.null_count:
        row = column.is_null().to_numpy().argmax()
        raise _missing(path, [name], int(row), "row")
    try:
        values = column.to_numpy()
    except Exception as error:  # e.g. text that is not UTF-8
        raise DataError(f"{path}: column {name!r}: can't be read ({printable(error)}); write it again") from None
    if values.dtype.kind in "biu":
        return values
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            if np.isnan(values[row]):
                raise _missing(path, [name], row, "row")
            raise DataError(f"{path}: column {name!r}: expected finite values, got {values[row]} at row {row}")
        return values
    if values.dtype.kind == "O" and all(isinstance(value, str) for value in values):
        return values
    raise DataError(f"{path}: column {name!r}: expected numbers or text, got {printable(column.type)}; convert it")
