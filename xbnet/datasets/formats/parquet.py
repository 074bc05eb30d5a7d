"""Parquet tables, by pyarrow (extra ``table``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError, XbnetError
from ..checks import Array, row_slices
from ..dataset import Dataset, Part
from . import tables
from .sniff import looks_like, open_head, printable
from .tables import check_target, missing, no_number, not_numbers, too_many_classes, with_numbers

#: Values of 8 bytes that a file of one byte may hold.
MOST_INFLATION = 1000


def read_parquet(path: Path, target: str | None = None, task: str | None = None) -> Dataset:
    """Read a Parquet table; as `read_csv`, with the types that its columns have. Needs pyarrow.

    (polars, tried on damaged files, panicked in a thread of its own and took the process with it.)
    """
    head = open_head(path, "a Parquet table")
    if not head.startswith(b"PAR1"):
        raise DataError(f"{path}: expected a Parquet table, got what looks like {looks_like(head)}")
    with _open_parquet(path) as file:
        fields = {field.name: field.type for field in file.schema_arrow}
        target = check_target(path, target, file.schema_arrow.names)
        kinds = {name: _number_kind(kind) for name, kind in fields.items()}
        inputs = [name for name in fields if name != target]
        if not inputs:
            raise DataError(f"{path}: expected columns besides the target {target!r}, got none")
        first = {name: _column(path, file, name)[0].as_py() for name in inputs if kinds[name] is None}
        for name in first:
            if not _is_text(fields[name]):
                raise _no_column(path, name, fields[name])
        if first:
            raise not_numbers(path, list(first), next(iter(first.values())), 0, "row")
        wide = np.result_type(*(np.promote_types(kind, np.float32) for name in inputs if (kind := kinds[name])))
        x = np.empty((file.metadata.num_rows, len(inputs)), wide)
        for i, name in enumerate(inputs):  # one after the other: there is never a second copy of them all
            x[:, i] = _numbers(path, name, _column(path, file, name))
        column = _column(path, file, target)
    if kinds[target] is not None:
        y = _numbers(path, target, column)
        return with_numbers(path, target, inputs, x, y, task, whole=y.dtype.kind != "f")
    if not _is_text(fields[target]):
        raise _no_column(path, target, fields[target])
    if task == "regression":
        raise no_number(path, target, column[0].as_py(), "row 0")
    labels, classes = _classes(path, target, column)
    return Dataset(str(path), Part(x, labels), classes=classes, features=tuple(inputs))


@contextmanager
def _open_parquet(path: Path) -> Iterator[Any]:
    """A `pyarrow.parquet.ParquetFile`; what Arrow raises while it is read becomes one line."""
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise DataError(f"{path}: reading Parquet needs pyarrow; pip install pyarrow") from None
    size = path.stat().st_size
    try:
        with parquet.ParquetFile(path) as file:
            rows, columns = file.metadata.num_rows, file.metadata.num_columns
            # Runs of one value take no room in the file: a few bytes could claim any number of rows.
            if rows * columns * 8 > MOST_INFLATION * size:
                raise DataError(
                    f"{path}: expected a Parquet table, got one that claims {rows} rows in {size} bytes; write it again"
                )
            if not rows:
                raise DataError(f"{path}: expected a Parquet table with rows, got none")
            yield file
    except XbnetError:
        raise
    except Exception as error:  # Arrow raises a dozen kinds for damaged files
        reason = printable(error)
        raise DataError(f"{path}: expected a Parquet table, got a damaged one ({reason}); write it again") from None


def _number_kind(kind: Any) -> np.dtype | None:
    """NumPy's type for a column of Arrow's type `kind`, if it holds numbers."""
    try:
        found = np.dtype(kind.to_pandas_dtype())
    except (NotImplementedError, TypeError):
        return None
    return found if found.kind in "biuf" else None


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _column(path: Path, file: Any, name: str) -> Any:
    """A column, as Arrow has it, that lacks no value."""
    column = file.read(columns=[name]).column(0)
    if column.null_count:
        raise missing(path, [name], int(column.is_null().to_numpy().argmax()), "row")
    return column


def _numbers(path: Path, name: str, column: Any) -> Array:
    """A column's numbers, all finite."""
    values = column.to_numpy()
    if values.dtype.kind == "f":
        for rows in row_slices(values):
            finite = np.isfinite(values[rows])
            if not finite.all():
                row = rows.start + int(np.argmin(finite))
                if np.isnan(values[row]):
                    raise missing(path, [name], row, "row")
                raise DataError(f"{path}: column {name!r}: expected finite values, got {values[row]} at row {row}")
    return values


def _classes(path: Path, name: str, column: Any) -> tuple[Array, tuple[str, ...]]:
    """Labels (N,), and the classes, of a column of text."""
    try:
        coded = column.combine_chunks().dictionary_encode()
        words = coded.dictionary.to_pylist()
    except Exception as error:  # e.g. text that is not UTF-8
        raise DataError(f"{path}: column {name!r}: can't be read ({printable(error)}); write it again") from None
    classes = sorted(set(words))
    if len(classes) > tables.MOST_CLASSES:
        raise too_many_classes(path, name)
    number = {word: i for i, word in enumerate(classes)}
    return np.array([number[word] for word in words], np.int64)[coded.indices.to_numpy()], tuple(classes)


def _no_column(path: Path, name: str, kind: Any) -> DataError:
    return DataError(f"{path}: column {name!r}: expected numbers or text, got {printable(kind)}; convert it")
