"""Rows of a file, a chunk at a time: tables as text or Parquet, NumPy's files, and whatever `load_dataset` knows."""

from __future__ import annotations

import csv
import logging
import mmap
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import ConfigError, DataError

CHUNK_BYTES = 1 << 23
"""About so much of a file is in memory at a time."""


class Chunk(NamedTuple):
    """Some consecutive rows: x (n, I) numbers, and what the file says that is right, (n,) or (n, C), or None."""

    x: np.ndarray
    y: np.ndarray | None


def open_rows(
    source: str,
    n_inputs: int,
    target: str | None = None,
    part: str | None = None,
    features: Sequence[str] | None = None,
) -> Iterator[Chunk]:
    """The rows of a file in chunks.

    Parameters
    ----------
    source
        A .csv, .tsv, .parquet, .npy or .npz file; "-" for CSV from stdin; anything else is for `load_dataset`.
    n_inputs
        I, how many inputs the model has.
    target
        The column (for .npy: its number) that holds what is right; it is no input.
    part
        "train", "val" or "test" of an .npz file or a data set; by default the last of these that is there.
    features
        Names of the inputs (I,): a table's columns are found by them, and others are ignored. None: the columns are
        taken in the order of the file, and there must be I of them.

    Raises
    ------
    DataError
        The file is missing, damaged, or its rows have another number of inputs.
    ConfigError
        `target` or `part` for a file that has none.
    """
    suffix = Path(source).suffix.lower()
    if source == "-" or suffix in (".csv", ".tsv"):
        found = _csv(source, n_inputs, target, features)
    elif suffix in (".parquet", ".pq"):
        found = _parquet(source, n_inputs, target, features)
    elif suffix == ".npy":
        found = _npy(source, n_inputs, target)
    else:
        if target is not None:
            raise ConfigError(f"{source}: expected no --target, for only tables and .npy files have columns")
        return _dataset(source, n_inputs, part)
    if part is not None:
        raise ConfigError(f"{source}: expected no --part, for it is one table")
    return found


def _rows(row_bytes: int) -> int:
    return max(256, CHUNK_BYTES // max(1, row_bytes))


def _check_width(source: str, width: int, n_inputs: int, target: str | None) -> None:
    if width != n_inputs:
        hint = "; name the column that is no input with --target" if width == n_inputs + 1 and target is None else ""
        raise DataError(f"{source}: expected {n_inputs} input columns, as the model has, got {width}{hint}")


def _check_finite(source: str, x: np.ndarray, first: int, what: str) -> None:
    if np.isfinite(x).all():
        return
    row, column = np.argwhere(~np.isfinite(x))[0]
    raise DataError(f"{source}: expected finite numbers, got {x[row, column]} at {what} {first + row}, input {column}")


# -- text --------------------------------------------------------------------------------------------------------------


def _csv(source: str, n_inputs: int, target: str | None, features: Sequence[str] | None) -> Iterator[Chunk]:
    if source == "-" and sys.stdin is None:
        raise DataError("-: expected a CSV table on stdin, but stdin is closed")
    try:
        opened: Any = (
            nullcontext(sys.stdin) if source == "-" else open(source, encoding="utf-8-sig", newline="")  # noqa: SIM115
        )
        with opened as file:
            header = file.readline().removeprefix("\ufeff")
            delimiter = max(",;\t", key=header.count)
            names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
            column = _column_of(source, names, target)
            inputs = _inputs_of(source, names, column, n_inputs, features)
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
            while rows := list(islice(filter(None, reader), _rows(40 * len(names)))):
                last = reader.line_num + 1
                for i, row in enumerate(rows):
                    if len(row) != len(names):
                        line = last - len(rows) + 1 + i
                        raise DataError(f"{source}: line {line}: expected {len(names)} values, got {len(row)}")
                y = None if column is None else np.array([row[column].strip() for row in rows])
                if inputs != list(range(len(names))):
                    rows = [[row[i] for i in inputs] for row in rows]
                yield Chunk(_numbers(source, rows, last - len(rows) + 1, [names[i] for i in inputs]), y)
    except OSError as error:
        raise DataError(f"{source}: can't be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise DataError(f"{source}: expected text in UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{source}: expected a CSV table, got one that can't be parsed ({error})") from None


def _column_of(source: str, names: list[str], target: str | None) -> int | None:
    if not names or all(_is_number(name) for name in names):
        raise DataError(f"{source}: expected a header with the names of the columns in the first line")
    if target is None:
        return None
    if target not in names:
        raise DataError(f"{source}: expected as target one of {', '.join(names[:10])}, got {target!r}")
    return names.index(target)


def _inputs_of(
    source: str, names: list[str], target: int | None, n_inputs: int, features: Sequence[str] | None
) -> list[int]:
    """Numbers of the columns that are the model's inputs, in its order."""
    others = [i for i in range(len(names)) if i != target]
    if features is None:
        _check_width(source, len(others), n_inputs, None if target is None else names[target])
        return others
    # The first of several of the same name; blanks around a name are not told apart from none.
    where = {names[i].strip(): i for i in reversed(others)} | {names[i]: i for i in reversed(others)}
    column_of = {name: where.get(name, where.get(name.strip())) for name in features}
    missing = [name for name, column in column_of.items() if column is None]
    if missing:
        raise DataError(
            f"{source}: expected the columns that the model was trained on, got none named {_some(missing)}"
        )
    unknown = [names[i] for i in others if i not in set(column_of.values())]
    if unknown:
        logging.getLogger("xbnet").warning(
            "%s: ignored columns that the model does not know: %s", source, _some(unknown)
        )
    return [column_of[name] for name in features]  # type: ignore[misc]


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _numbers(source: str, rows: list[list[str]], first: int, names: list[str]) -> np.ndarray:
    """Text to numbers (n, I), or an error that names the column and the line (where no text spans several)."""
    try:
        x = np.array(rows, dtype=float)
    except ValueError:
        i, k = next((i, k) for i, row in enumerate(rows) for k, v in enumerate(row) if not _is_number(v))
        raise DataError(
            f"{source}: line {first + i}: expected a number in {names[k]}, got {rows[i][k][:40]!r}"
        ) from None
    _check_finite(source, x, first, "line")
    return x


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# -- binary ------------------------------------------------------------------------------------------------------------


def _parquet(source: str, n_inputs: int, target: str | None, features: Sequence[str] | None) -> Iterator[Chunk]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise DataError(f"{source}: reading Parquet needs pyarrow; pip install pyarrow") from None
    first = 0
    try:
        with parquet.ParquetFile(source) as file:
            names = file.schema_arrow.names
            column = _column_of(source, names, target)
            inputs = _inputs_of(source, names, column, n_inputs, features)
            wanted = [names[i] for i in inputs] + ([] if column is None else [names[column]])
            for batch in file.iter_batches(batch_size=_rows(8 * len(names)), columns=wanted):
                columns = {
                    name: values.to_numpy(zero_copy_only=False)
                    for name, values in zip(batch.schema.names, batch.columns, strict=True)
                }
                y = None if column is None else columns.pop(names[column])
                try:
                    x = np.stack([columns[names[i]].astype(float) for i in inputs], axis=1)
                except (TypeError, ValueError):
                    raise DataError(f"{source}: expected numbers in every column but the target") from None
                _check_finite(source, x, first, "row")
                first += len(x)
                yield Chunk(x, y)
    except (OSError, pyarrow.ArrowException) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DataError(f"{source}: can't be read as Parquet ({reason})") from None


def _npy(source: str, n_inputs: int, target: str | None) -> Iterator[Chunk]:
    try:
        table = np.load(source, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise DataError(f"{source}: can't be read as a NumPy file ({str(error).splitlines()[0][:200]})") from None
    if table.ndim != 2 or table.dtype.kind not in "fiub":
        raise DataError(f"{source}: expected a table (N, I={n_inputs}) of numbers, got {table.dtype} {table.shape}")
    column = None
    if target is not None:
        try:
            column = range(table.shape[1])[int(target)]
        except (ValueError, IndexError):
            raise DataError(
                f"{source}: expected as target the number of one of {table.shape[1]} columns, got {target!r}"
            ) from None
    _check_width(source, table.shape[1] - (column is not None), n_inputs, target)
    step = _rows(table.dtype.itemsize * table.shape[1])
    for start in range(0, len(table), step):
        rows = np.asarray(table[start : start + step])
        x = rows if column is None else np.delete(rows, column, axis=1)
        _check_finite(source, x, start, "row")
        yield Chunk(x, None if column is None else rows[:, column].copy())
        # Pages that were read would otherwise stay, and count as this process's memory.
        pages: Any = getattr(table, "_mmap", None)
        if pages is not None and hasattr(mmap, "MADV_DONTNEED"):
            pages.madvise(mmap.MADV_DONTNEED)


def _dataset(source: str, n_inputs: int, part: str | None) -> Iterator[Chunk]:
    parts = _parts(source)
    name = part or list(parts)[-1]
    if name not in parts:
        raise ConfigError(f"{source}: has no part {name!r}; it has {', '.join(parts)}")
    x, y = parts[name]
    if x.ndim != 2 or (y is not None and len(y) != len(x)):
        got = f"x {x.shape}" + ("" if y is None else f" and y {y.shape}")
        raise DataError(f"{source}: expected x (N, I={n_inputs}), and y with as many rows if there is one, got {got}")
    _check_width(source, x.shape[1], n_inputs, None)
    step = _rows(x.itemsize * x.shape[1])
    for start in range(0, len(x), step):
        rows = x[start : start + step]
        _check_finite(source, rows, start, "row")
        yield Chunk(rows, None if y is None else y[start : start + step])


def _parts(source: str) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """Inputs and what is right, by part; labels as their names.

    An .npz file is not asked to be a set to train on: it may lack y, or some of the classes.
    """
    from ...datasets import load_dataset
    from ...datasets.formats.arrays import read_npz_rows

    path = Path(source).expanduser()
    if path.suffix.lower() == ".npz" and path.is_file():
        return read_npz_rows(path)
    data = load_dataset(source)
    names = np.asarray(data.classes) if data.task == "classification" else None
    return {name: (part.x, part.y if names is None else names[part.y]) for name, part in data.parts()}
