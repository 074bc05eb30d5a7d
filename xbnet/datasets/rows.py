"""The rows of a file for a model, a chunk at a time: memory does not grow with the file."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import ConfigError, DataError, printable, say
from ..files import place
from .columns import Column
from .formats.arrays import open_npy, read_npz_rows
from .frame import find_column, names_of
from .labels import NUMBER
from .load import load_rows
from .schema import Schema
from .tables import Table, is_table, is_table_file, open_table
from .tables.values import MISSING_LABELS, kind_of, parse, words_of

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_BYTES = 1 << 23
"""About so much of a file is in memory at a time."""


class Chunk(NamedTuple):
    """Some consecutive rows.

    Attributes
    ----------
    x
        (n, I) numbers.
    y
        True targets in the file, (n,) or (n, O); None where it has none.
    ids
        Columns that are kept next to the predictions, by name: lists of n texts, None where one is missing.
    """

    x: np.ndarray
    y: np.ndarray | None
    ids: dict[str, list[str | None]] = {}  # noqa: RUF012 - nobody writes to it


def open_rows(
    source: Any,
    n_inputs: int,
    target: str | Sequence[str] | None = None,
    part: str | None = None,
    features: Sequence[str] | None = None,
    schema: Schema | None = None,
    ids: Sequence[str] = (),
    regression: bool = False,
    **options: Any,
) -> Iterator[Chunk]:
    """The rows of a file in chunks, as inputs of a model.

    Parameters
    ----------
    source
        A table: a file, "-" for CSV from stdin, or an object with `__arrow_c_stream__`; a .npy or .npz file; anything
        else is for `load_dataset`.
    n_inputs
        I, how many inputs the model has.
    target
        The column (for .npy: its number) that holds what is right, or several; they are no inputs.
    part
        "train", "val" or "test" of an .npz file or a data set; by default the last of these that is there.
    features
        Names of the inputs (I,), where there is no schema: a table's columns are found by them, and others are
        ignored. None: the columns are taken in the order of the file, and there must be I of them.
    schema
        How a table's columns become inputs. An array without names has these columns in their order.
    ids
        Names of columns of a table that are handed on as they are; they are no inputs, unless the model knows them.
    regression
        Whether the target of a text table is numbers, with decimal commas where the table has them, and no words.
    **options
        Options of a text table: ``delimiter``, ``decimal``, ``header``.

    Raises
    ------
    DataError
        The file is missing, damaged, or its rows have another number of inputs.
    ConfigError
        `target` or `part` for a file that has none.
    """
    if is_table(source) or is_table_file(source):
        table = open_table(source, **options)
        source = table.name
        named = names_of("target", target), names_of("ids", ids)
        found = _table(table, n_inputs, *named, features, schema, regression)
    elif ids or any(value not in (None, True) for value in options.values()):
        raise ConfigError(f"{source}: expected no {'ids' if ids else ', '.join(options)}, for it is not a table")
    elif Path(source).suffix.lower() == ".npy":
        found = _npy(source, n_inputs, names_of("target", target), schema)
    elif target is not None:
        raise ConfigError(f"{source}: expected no target, for only tables and .npy files have columns")
    else:
        return _parts(source, n_inputs, part, schema)
    if part is not None:
        raise ConfigError(f"{source}: expected no part, for it is one table")
    return found


def _table(
    table: Table,
    n_inputs: int,
    target: list[str],
    ids: list[str],
    features: Sequence[str] | None,
    schema: Schema | None,
    regression: bool,
) -> Iterator[Chunk]:
    right = [i for name in target if table.word_for(i := find_column(table, name, "target"))]
    kept = [find_column(table, name, "ids") for name in ids]
    if schema is None:
        names = features
        if names is None:
            others = (*right, *kept)
            names = [name for i, name in enumerate(table.columns) if i not in others and name not in table.index]
            if (
                not target
                and all(NUMBER.fullmatch(name) for name in table.columns)
                and not table.typed
                and table.header
            ):
                raise DataError(
                    f"{table.name}: expected a header with the names of the columns in the first line, got "
                    "numbers; --no-header if there is none"
                )
            _check_width(table.name, len(names), n_inputs, bool(target))
        schema = Schema(tuple(Column(name, fill=np.nan) for name in names))
        named = features is not None
    else:
        named = True
    if named:
        known = {table.columns[i] for i in (*schema.find(table), *right, *kept)} | table.index
        unknown = [name for name in table.columns if name not in known]
        if schema.target is not None:
            unknown = [name for name in unknown if name not in schema.target.names]
        if unknown:
            some = ", ".join(repr(printable(name)) for name in unknown[:10])
            some += f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""
            say(f"{table.name}: ignored columns that the model does not know: {some}")
    places = schema.find(table)
    more = [i for i in dict.fromkeys((*right, *kept)) if i not in places]
    at = {column: k for k, column in reversed(list(enumerate((*places, *more))))}
    for start, _, batch in schema.read(table, more):
        x = schema.inputs_of(table, batch, places, start)
        if np.isnan(x).any():
            row, column = np.argwhere(np.isnan(x))[0]
            raise DataError(
                f"{table.name}: expected no missing values, got one in {printable(schema.columns[column].name)} at "
                f"{table.place(start + row)}; fill or remove such rows"
            )
        answers = [_answers(table, batch[at[i]], regression) for i in right]
        y = None if not right else answers[0] if len(right) == 1 else np.stack(answers, axis=1)
        yield Chunk(x, y, {table.columns[i]: _texts(batch[at[i]]) for i in kept})


def _texts(values: pa.Array) -> list[str | None]:
    """A column as it is written."""
    return [None if value is None else str(value) for value in values.to_pylist()]


def _by_place(source: object, schema: Schema | None, x: np.ndarray, n_inputs: int, has_target: bool) -> np.ndarray:
    """Rows of an array as inputs: its columns are those of the schema, in that order."""
    if schema is None:
        _check_width(str(source), x.shape[1], n_inputs, has_target)
        return x
    words = [column.name for column in schema.columns if column.kind == "category"]
    if words:
        raise DataError(
            f"{source}: expected a table with the columns that the model was trained on, got an array of numbers; "
            f"{printable(words[0])!r} is a category"
        )
    _check_width(str(source), x.shape[1], len(schema.columns), has_target)
    return schema.encode({column.name: x[:, i] for i, column in enumerate(schema.columns)})


def _answers(table: Table, values: pa.Array, regression: bool) -> np.ndarray:
    """Return the values of a target's column: numbers, or words."""
    if regression or kind_of(values.type) == "number":
        numbers = parse("number", values, table.decimals)
        if numbers is not None and not np.isnan(numbers).any():
            return numbers
    found = words_of(values, MISSING_LABELS)
    return np.array([*found.words, ""])[found.codes]


def _check_width(source: str, width: int, n_inputs: int, has_target: bool) -> None:
    if width != n_inputs:
        hint = (
            "; name the column that is not an input with --target" if width == n_inputs + 1 and not has_target else ""
        )
        raise DataError(f"{source}: expected {n_inputs} input columns, as the model has, got {width}{hint}")


def _rows(row_bytes: int) -> int:
    return max(256, CHUNK_BYTES // max(1, row_bytes))


def _npy(source: str | PathLike[str], n_inputs: int, target: list[str], schema: Schema | None) -> Iterator[Chunk]:
    table, pages = open_npy(place(source))
    if table.ndim != 2 or table.dtype.kind not in "fiub":
        raise DataError(f"{source}: expected a table (N, I={n_inputs}) of numbers, got {table.dtype} {table.shape}")
    try:
        columns = [range(table.shape[1])[int(name)] for name in target]
    except (ValueError, IndexError):
        raise DataError(
            f"{source}: expected the number of one of {table.shape[1]} columns as target, got {', '.join(target)!r}"
        ) from None
    step = _rows(table.dtype.itemsize * table.shape[1])
    for start in range(0, len(table), step):
        rows = np.asarray(table[start : start + step])
        x = np.delete(rows, columns, axis=1) if columns else rows
        x = _by_place(source, schema, x, n_inputs, bool(columns))
        _check_finite(source, x, start)
        right = None if not columns else rows[:, columns[0]].copy() if len(columns) == 1 else rows[:, columns]
        yield Chunk(x, right)
        # Pages that were read would otherwise stay, and count as this process's memory.
        if hasattr(mmap, "MADV_DONTNEED"):
            pages.madvise(mmap.MADV_DONTNEED)


def _check_finite(source: object, x: np.ndarray, first: int) -> None:
    if np.isfinite(x).all():
        return
    row, column = np.argwhere(~np.isfinite(x))[0]
    raise DataError(f"{source}: expected finite numbers, got {x[row, column]} at row {first + row}, input {column}")


def _parts(source: str | PathLike[str], n_inputs: int, part: str | None, schema: Schema | None) -> Iterator[Chunk]:
    """The rows of a part of an .npz file, which may lack y or some classes, or of a data set."""
    path = place(source)
    if path.suffix.lower() == ".npz" and path.is_file():
        parts, names = read_npz_rows(path), None
    else:
        data = load_rows(source)
        parts = {field: (found.x, found.y) for field, found in data.parts()}
        names = np.asarray(data.classes) if data.task == "classification" else None
    name = part or list(parts)[-1]
    if name not in parts:
        raise ConfigError(f"{source}: has no part {name!r}; it has {', '.join(parts)}")
    x, y = parts[name]
    if x.ndim != 2 or (y is not None and len(y) != len(x)):
        got = f"x {x.shape}" + ("" if y is None else f" and y {y.shape}")
        raise DataError(f"{source}: expected x (N, I={n_inputs}), and y with as many rows if there is one, got {got}")
    step = _rows(x.itemsize * x.shape[1])
    for start in range(0, len(x), step):
        rows = _by_place(source, schema, x[start : start + step], n_inputs, False)
        _check_finite(source, rows, start)
        right = None if y is None else y[start : start + step]
        yield Chunk(rows, right if names is None or right is None else names[right])
