"""Objects of other libraries as the parts of a data set: DataFrames, their columns, tables of pyarrow."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from .checks import PART_NAMES, Array
from .frame import read_frame
from .schema import Schema
from .tables import is_table, open_table
from .tables.source import need_pyarrow
from .target import Target
from .target_reader import TargetReader, TargetValues

Parts = dict[str, tuple[Any, Any]]


def is_readable(values: object) -> bool:
    """Whether Arrow can read `values`: a column, or a table."""
    return hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__")


def of_one_type(values: Array) -> Array:
    """An array of Python's objects as one of text, or of numbers, where they are all of that kind."""
    if values.dtype != object or not values.size:
        return values
    kinds = {type(value) for value in values.ravel().tolist()}
    if kinds <= {str}:
        return values.astype(str)
    return np.array(values.tolist()) if kinds <= {bool} or kinds <= {int, float} else values


def encode_parts(
    name: str, parts: Parts, classes: tuple[str, ...] | None
) -> tuple[Parts, Schema | None, tuple[str, ...] | None]:
    """The parts as arrays, by the schema of the training part, and the names of the classes.

    Parameters
    ----------
    name
        Name of the data set, for error lines.
    parts
        ``(x, y)`` by part; both may be tables, columns or arrays.
    classes
        As the user gave them.
    """
    x, y = parts["train"]
    target = None
    if is_readable(y):
        found = read_targets(f"{name}: training y", y)
        target = Target(found.names, found.task, found.classes)
        targets = {"train": found.y}
        if found.classes is not None and classes is None:
            classes = tuple(map(str, found.classes))
    else:
        targets = {"train": y}
    for field, (_, values) in parts.items():
        if field not in targets:
            targets[field] = _more_targets(f"{name}: {PART_NAMES[field]} y", values, target)
    if not is_table(x):
        odd = next((field for field, (x, _) in parts.items() if is_table(x)), None)
        if odd is not None:
            raise DataError(f"{name}: expected {PART_NAMES[odd]} x as an array, as in training, got a table")
        return {field: (x, targets[field]) for field, (x, _) in parts.items()}, None, classes
    table = open_table(x, name=f"{name}: training x")
    frame = read_frame(table)
    schema, places = Schema.of_frame(frame, None)
    schema = Schema(schema.columns, target)
    inputs = {"train": schema.encode_frame(frame, places)}
    for field, (values, _) in parts.items():
        if field in inputs:
            continue
        if not is_table(values):
            raise DataError(f"{name}: expected {PART_NAMES[field]} x as a table, as in training, got an array")
        inputs[field] = schema.encode(open_table(values, name=f"{name}: {PART_NAMES[field]} x"))
    return {field: (inputs[field], targets[field]) for field in parts}, schema, classes


def read_targets(name: str, values: object, task: str | None = None) -> TargetValues:
    """Read the targets from a column, or from a table of several."""
    pa = need_pyarrow(name)
    if not is_table(values):
        label = getattr(values, "name", None)
        try:
            values = pa.table({"y" if label is None else str(label): pa.chunked_array(values)})
        except Exception as error:  # each library has errors of its own
            raise DataError(f"{name}: expected a column that Arrow can read, got {error}") from None
    table = open_table(values, name=name)
    columns = range(len(table.columns))
    reader = TargetReader(table, columns, task)
    for step in ("look", "fill"):
        start = 0
        for batch in table.batches(columns):
            getattr(reader, step)(batch, start)
            start += len(batch[0])
        if not start:
            raise DataError(f"{name}: expected at least one row, got none")
        if step == "look":
            reader.decide(start)
    return reader.values()


def _more_targets(name: str, values: object, target: Target | None) -> Array:
    """The targets of another part than the training part."""
    if not is_readable(values):
        return np.asarray(values) if target is None else target.encode(values, name)
    if target is None:
        return read_targets(name, values).y
    pa = need_pyarrow(name)
    if is_table(values):
        columns = open_table(values, name=name)
        batches = [
            [target.encode(column, name) for column in batch] for batch in columns.batches(range(len(columns.columns)))
        ]
        return np.concatenate([np.column_stack(batch) if target.classes is None else batch[0] for batch in batches])
    return target.encode(pa.chunked_array(values).combine_chunks(), name)
