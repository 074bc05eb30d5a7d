"""`load_dataset`: a data set by name or by path."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from ..errors import ConfigError, DataError, printable, unknown_name
from ..files import place
from .dataset import Dataset, Part
from .download import SOURCES, data_folders, find
from .formats import read_file
from .frame import Frame, find_column, names_of, read_frame
from .reading import Reading
from .schema import Schema
from .splits import split, split_rows
from .tables import Table, is_table, is_table_file, open_table
from .tables.source import Source

#: Data sets that xbnet ships, and can generate.
SHIPPED = ("gmm", "peaks", "swissroll")
#: All data sets that have a name; those that are not shipped are downloaded by `fetch`.
NAMES = (*SHIPPED, *SOURCES)


def load_dataset(
    name: Source,
    *,
    scaling: str = "none",
    one_hot: int | None = None,
    val: float | int | None = None,
    test: float | int | None = None,
    rng: np.random.Generator | int = 0,
    target: str | int | Sequence[str] | None = None,
    task: str | None = None,
    **table: Any,
) -> Dataset:
    """Load a data set by name, from a file or folder, or from a table in memory.

    Parameters
    ----------
    name
        ``"swissroll"``, ``"peaks"`` or ``"gmm"``; ``"mnist"``, ``"fashion-mnist"`` or ``"cifar10"``, once
        `fetch` has brought it or if it is in ``XBNET_DATA_DIR``; or the path of a table (`.csv`, `.tsv`, `.txt`,
        `.data`, also packed as `.gz`; `.parquet`; `.arrow`, `.feather`), of a `.mat`, `.npz` or `.npy` file, of
        one of MNIST's idx files, of one of CIFAR-10's batches, or of a folder with either. Or a table: a DataFrame
        of pandas or polars, a table of pyarrow, whatever has `__arrow_c_stream__`.
        A name wins over a file of the same name: write ``./gmm`` for the file.
    scaling
        Scaling of every input, fitted to the training part after splitting: "standard" (mean 0, standard
        deviation 1), "robust" (median and quartiles, then smooth clipping), "quantile" (normal) or "none"; see
        `Scaler.fit`. Of a table numbers and dates are scaled.
    one_hot
        For a table: a category that would have more inputs than this has one, a code for an `Embedding`.
    val, test
        Samples to split off from the training part for validation and test, as a fraction of it in (0, 1)
        or a count; stratified by class. The parts that the data set brings are left alone, so a data set
        with a training and a validation part and ``test=0.2`` trains on 80 % of the former; asking for a
        part that it brings is an error.
    rng
        Seed or generator of the split.
    target
        For a table, the column to learn, or several; for a `.npy` file its number.
    task
        For a table or `.npz`, ``"classification"`` or ``"regression"``, or ``"multilabel"`` for several targets of
        0 and 1; by default text and a few whole numbers are classes and other numbers are not.
    **table
        For a table, which columns are inputs and what they are: ``numeric``, ``categorical``, ``drop``,
        ``columns`` (the inputs, by default all but the target) and ``ids`` (they name the rows, and are no inputs),
        each a name or several; ``missing="refuse"``, where a missing value is an error; and for a text table
        ``delimiter``, ``decimal`` and ``header=False``.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        If a file is missing or can't be used.
    ConfigError
        If the name is neither known nor a path, or another argument makes no sense.

    Examples
    --------
    >>> data = load_dataset("gmm", test=0.2)
    >>> len(data.train), len(data.val), len(data.test)
    (20000, 6250, 5000)
    """
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is found, and named; some NaNs signal, too
        if is_table(name) or (_is_path(name) and is_table_file(name)):
            return _from_table(name, scaling, one_hot, val, test, rng, target, task, **table)
        data = _find(name, target, task, table)
        if val is not None or test is not None:
            data = split(data, val, test, rng=rng)
        return data.scaled(scaling, in_place=True)  # nobody else has these arrays


def load_rows(name: str | os.PathLike[str]) -> Dataset:
    """A data set that is not a table, whose samples are to be predicted: it may lack some of the classes."""
    return _find(name, None, None, {}, partial=True)


def _is_path(name: Source) -> TypeGuard[str | os.PathLike[str]]:
    return isinstance(name, (str, os.PathLike)) and name not in NAMES


def _from_table(
    source: Source,
    scaling: str,
    one_hot: int | None,
    val: float | int | None,
    test: float | int | None,
    rng: np.random.Generator | int,
    target: Any,
    task: str | None,
    *,
    numeric: str | Sequence[str] = (),
    categorical: str | Sequence[str] = (),
    drop: str | Sequence[str] = (),
    ids: str | Sequence[str] = (),
    columns: Any = None,
    missing: str = "fill",
    delimiter: str | None = None,
    decimal: str | None = None,
    header: bool = True,
) -> Dataset:
    """A table's rows, split first: its schema is learned from the training part alone."""
    if _is_path(source):
        source = place(source)
        if not source.exists():
            raise _no_file(source)
    table = open_table(source, delimiter=delimiter, decimal=decimal, header=header)
    targets = names_of("target", target)
    if not targets:
        raise ConfigError(f"{table.name}: expected a target, the column to learn; columns are {_some(table)}")
    if missing not in ("fill", "refuse"):
        raise ConfigError(f"{table.name}: expected missing to be fill or refuse, got {missing!r}")
    forced = {"numeric": names_of("numeric", numeric), "categorical": names_of("categorical", categorical)}
    named = [table.columns[find_column(table, name, "ids")] for name in names_of("ids", ids)]
    frame = read_frame(
        table,
        targets,
        task,
        drop=[*names_of("drop", drop), *named],
        columns=None if columns is None else names_of("columns", columns),
        **forced,
    )
    found = frame.target
    assert found is not None
    if missing == "refuse":
        _refuse_missing(table, frame)
    rows: dict[str, Any] = {"train": None}  # all
    if val is not None or test is not None:
        labels = found.y if found.task == "classification" else None
        rows = split_rows(table.name, len(frame.x), labels, val, test, rng=rng)
    schema, places = Schema.of_frame(frame, rows["train"], [*forced["numeric"], *forced["categorical"]], one_hot)
    schema = replace(schema, reading=Reading(tuple(named), header, decimal))
    parts = {
        field: Part(schema.encode_frame(frame, places, taken), found.y if taken is None else found.y[taken])
        for field, taken in rows.items()
    }
    del frame
    classes = None if found.classes is None else tuple(map(str, found.classes))
    data = Dataset(table.name, **parts, classes=classes, schema=schema)  # type: ignore[arg-type]
    return data.scaled(scaling, in_place=True)


def _refuse_missing(table: Table, frame: Frame) -> None:
    for k, column in enumerate(frame.columns):
        absent = np.isnan(frame.x[:, k])
        if absent.any():
            place = table.place(int(np.argmax(absent)))
            raise DataError(
                f"{table.name}: expected no missing values, got one in {printable(column.name)} at {place}; "
                "fill or remove such rows"
            )


def _some(table: Table) -> str:
    more = f" and {len(table.columns) - 10} more" if len(table.columns) > 10 else ""
    return ", ".join(map(printable, table.columns[:10])) + more


def _find(
    name: Any,
    target: Any,
    task: str | None,
    table: dict[str, Any],
    partial: bool = False,
) -> Dataset:
    """The data set as it is stored, where it is not a table."""
    if not isinstance(name, (str, os.PathLike)):
        raise ConfigError(f"load_dataset: expected a name, a path or a table, got {type(name).__name__}")
    if table:
        raise ConfigError(f"{name}: expected no {', '.join(table)}, for only tables have named columns")
    if name in NAMES:
        if target is not None or task is not None:
            raise ConfigError(f"load_dataset: {name} has its own target and task; leave them out")
        return replace(_shipped(str(name)) if name in SHIPPED else _fetched(str(name)), name=str(name))
    path = place(name)
    if path.exists():
        return read_file(path, target, task, partial)
    if path.suffix or path.name != str(name):
        raise _no_file(name)
    error = unknown_name("load_dataset", "data set", name, NAMES)
    raise type(error)(f"{error}; nor is there a file of that name")


def _no_file(name: Source) -> DataError:
    try:
        here = str(Path.cwd())
    except OSError:
        here = "a folder that is gone"
    return DataError(
        f"load_dataset: no file {str(name)!r} (looked from {here}); "
        f"expected a path, or one of the names {', '.join(NAMES)}"
    )


def _fetched(name: str) -> Dataset:
    """A public data set from the user's folders."""
    folder = find(name)
    if folder is None:
        looked = " and ".join(map(str, data_folders())) or "XBNET_DATA_DIR, which is not set"
        raise DataError(f"load_dataset: {name} is not here (looked in {looked}); get it with: xbnet data fetch {name}")
    data = read_file(folder)
    classes = SOURCES[name].classes
    return data if classes is None else replace(data, classes=classes)


def _shipped(name: str) -> Dataset:
    """A shipped data set from its file: in the wheel or next to the package; generated where there is none."""
    from .formats.mat import read_mat
    from .synthetic import GENERATORS

    package = Path(__file__).parents[1]
    for folder in (package / "data", package.parent / "data"):
        path = folder / f"{name}.mat"
        if path.is_file():
            return read_mat(path)
    return GENERATORS[name]()
