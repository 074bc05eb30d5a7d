"""Which reader is for which table."""

from __future__ import annotations

import os
from pathlib import Path

from .arrow import ArrowFile, ArrowObject, ParquetTable
from .source import Table
from .text import TextTable

TEXT = (".csv", ".tsv", ".txt", ".data", ".tab")
PARQUET = (".parquet", ".pq")
ARROW = (".arrow", ".feather", ".ipc", ".arrows")


def is_table(source: object) -> bool:
    """Whether `source` is an object that Arrow can read, or is a `Table` already."""
    named = hasattr(source, "columns") or hasattr(source, "schema")  # a stream of batches has a schema alone
    return isinstance(source, Table) or (hasattr(source, "__arrow_c_stream__") and named)


def is_table_file(path: str | os.PathLike[str]) -> bool:
    """Whether the name is that of a table: .csv, .tsv, .txt, .data (also .gz), .parquet, .arrow, .feather; or "-"."""
    name = str(path).lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    return name == "-" or suffix in TEXT or (suffix in (*PARQUET, *ARROW) and not name.endswith(".gz"))


def open_table(
    source: object,
    *,
    name: str = "table",
    delimiter: str | None = None,
    decimal: str | None = None,
    header: bool = True,
) -> Table:
    """The table in a file, on stdin ("-"), or in an object with `__arrow_c_stream__`.

    Parameters
    ----------
    source
        A path, "-", a `Table`, or a DataFrame and the like.
    name
        Name of an object in error lines.
    delimiter, decimal, header
        Options of a text table; see `TextTable`.
    """
    if isinstance(source, Table):
        return source
    if not isinstance(source, (str, os.PathLike)):
        return ArrowObject(name, source)
    suffix = Path(source).suffix.lower()
    if suffix in PARQUET:
        return ParquetTable(Path(source))
    if suffix in ARROW:
        return ArrowFile(Path(source))
    return TextTable(str(source), delimiter, decimal, header)
