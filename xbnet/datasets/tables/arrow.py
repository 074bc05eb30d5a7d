"""Typed tables: Parquet and Arrow (Feather) files, and objects with `__arrow_c_stream__`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...errors import DataError, printable
from ..sniff import looks_like, open_head
from ..stream import check_unpacked
from .source import CAST, Table, check_columns, need_pyarrow, reading
from .values import kind_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

#: Values of 8 bytes that a file of one byte may hold.
MOST_INFLATION = 1000
BATCH_BYTES = 1 << 23
#: Bytes of one text, and of all texts of a column that are there in full at a time: a dictionary holds each text once,
#: and a file of 5 KB one of a megabyte in thousands of rows.
MOST_TEXT = 1 << 16
MOST_BYTES = 1 << 26


class ArrowTable(Table):
    """A table whose columns have Arrow's types."""

    def __init__(self, name: str, schema: pa.Schema):
        self.name, self._schema = name, schema
        self.columns = check_columns(name, schema.names)
        self.index = _pandas_index(schema)

    def kind(self, column: int) -> Any:
        """Arrow's type of a column."""
        return self._schema.field(column).type

    def batch_rows(self) -> int:
        """Rows of a batch of about `BATCH_BYTES`."""
        return max(256, BATCH_BYTES // (8 * max(1, len(self.columns))))

    def parts(self, arrays: Sequence[Any], wanted: Sequence[int]) -> Iterator[list[Any]]:
        """Some consecutive rows of the columns `wanted`, in parts whose texts take little memory, each in full."""
        longest = 1
        for array, i in zip(arrays, wanted, strict=True):
            if kind_of(array.type) != "text":
                continue
            array.validate(full=True)  # numbers of a damaged dictionary would lead out of it
            size = _longest(array)
            if size > MOST_TEXT:
                raise DataError(
                    f"{self.name}: expected texts of at most {MOST_TEXT:,} bytes in {printable(self.columns[i])}, got "
                    f"one of {size:,}; leave that column out"
                )
            longest = max(longest, size)
        rows = len(arrays[0]) if arrays else 0
        step = max(1, MOST_BYTES // longest)
        for start in range(0, max(1, rows), step):
            yield [array.slice(start, step) for array in arrays]


class ParquetTable(ArrowTable):
    """A Parquet file.

    (polars, tried on damaged files, panicked in a thread of its own and took the process with it.)
    """

    def __init__(self, path: Path):
        head = open_head(path, "a Parquet table")
        if not head.startswith(b"PAR1"):
            raise DataError(f"{path}: expected a Parquet table, got what looks like {looks_like(head)}")
        need_pyarrow(str(path))
        self._path = path
        with reading(str(path), "a Parquet table"), self._open() as file:
            rows, columns = file.metadata.num_rows, file.metadata.num_columns
            size = path.stat().st_size
            # Runs of one value take no room in the file: a few bytes could claim any number of rows.
            if rows * columns * 8 > MOST_INFLATION * size:
                raise DataError(
                    f"{path}: expected a Parquet table, got one that claims {rows} rows in {size} bytes; write it again"
                )
            groups = range(file.metadata.num_row_groups)
            check_unpacked(path, sum(file.metadata.row_group(i).total_byte_size for i in groups))
            super().__init__(str(path), file.schema_arrow)

    def _open(self, texts: Sequence[str] = ()) -> Any:
        """The file; columns of `texts` come by a dictionary, so that one text in many rows is there once."""
        import pyarrow.parquet as parquet

        return parquet.ParquetFile(self._path, read_dictionary=list(texts))

    def batches(self, wanted: Sequence[int]) -> Iterator[list[Any]]:
        """See `Table`."""
        names = [self.columns[i] for i in wanted]
        texts = [self.columns[i] for i in wanted if kind_of(self.kind(i)) == "text"]
        with reading(self.name, "a Parquet table"), self._open(texts) as file:
            for batch in file.iter_batches(batch_size=self.batch_rows(), columns=names, use_threads=False):
                batch.validate(full=True)  # of a damaged file texts may be none
                found = dict(zip(batch.schema.names, batch.columns, strict=True))
                yield from self.parts([found[name] for name in names], wanted)


class ArrowFile(ArrowTable):
    """An Arrow file (Feather version 2), or a stream in a file."""

    def __init__(self, path: Path):
        head = open_head(path, "an Arrow table")
        if head.startswith(b"FEA1"):
            raise DataError(f"{path}: expected an Arrow table, got one of Feather's first version; write it again")
        need_pyarrow(str(path))
        self._path, self._stream = path, not head.startswith(b"ARROW1")
        with reading(str(path), "an Arrow table"), self._open() as file:
            super().__init__(str(path), file.schema)

    def _open(self) -> Any:
        import pyarrow as pa

        return (pa.ipc.open_stream if self._stream else pa.ipc.open_file)(pa.OSFile(str(self._path)))

    def batches(self, wanted: Sequence[int]) -> Iterator[list[Any]]:
        """See `Table`."""
        step = self.batch_rows()
        with reading(self.name, "an Arrow table"), self._open() as file:
            whole = file if self._stream else (file.get_batch(i) for i in range(file.num_record_batches))
            for batch in whole:
                batch.validate(full=True)  # offsets of a damaged file would lead out of its memory
                for start in range(0, batch.num_rows, step):
                    rows = batch.slice(start, step)
                    yield from self.parts([rows.column(i) for i in wanted], wanted)


class ArrowObject(ArrowTable):
    """An object with an Arrow stream: a DataFrame of pandas or polars, a table of pyarrow, a relation of DuckDB."""

    def __init__(self, name: str, table: object):
        pa = need_pyarrow(name)
        sparse = sparse_columns(table)
        try:
            table = cast("Any", table).astype(sparse) if sparse else table
            self._table = table if isinstance(table, pa.Table) else pa.RecordBatchReader.from_stream(table).read_all()
        except Exception as error:  # each library has errors of its own
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"{name}: expected a table that Arrow can read, got {reason}; {CAST}") from None
        super().__init__(name, self._table.schema)

    def batches(self, wanted: Sequence[int]) -> Iterator[list[Any]]:
        """See `Table`."""
        for batch in self._table.select(list(wanted)).to_batches(max_chunksize=self.batch_rows()):
            yield from self.parts(batch.columns, wanted)


def sparse_columns(table: object) -> dict[str, np.dtype]:
    """The columns of a DataFrame of pandas that are sparse, which Arrow does not know, with their values' types."""
    types = getattr(table, "dtypes", None)
    if types is None or not hasattr(types, "items"):
        return {}
    return {column: kind.subtype for column, kind in types.items() if type(kind).__name__ == "SparseDtype"}


def _longest(array: pa.Array) -> int:
    """Bytes of the longest text, in an array or its dictionary."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = array.dictionary if pa.types.is_dictionary(array.type) else array
    if getattr(pa.types, "is_string_view", lambda kind: False)(texts.type):
        texts = texts.cast(pa.large_string())
    return pc.max(pc.binary_length(texts)).as_py() or 0


def _pandas_index(schema: pa.Schema) -> frozenset[str]:
    """Names of the columns that pandas had as its index."""
    try:
        found = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))["index_columns"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return frozenset()
    return frozenset(name for name in found if isinstance(name, str)) if isinstance(found, list) else frozenset()
