"""Text tables: comma, semicolon, tab or bar between the values, packed by gzip or not; read by pyarrow."""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ...errors import DataError, printable
from ..sniff import looks_like, open_head
from ..stream import ALWAYS_ALLOWED, check_unpacked
from .dialect import find_delimiter, first_row
from .source import Table, check_columns, need_pyarrow

HEAD_BYTES = 1 << 15
BATCH_BYTES = 1 << 22
"""About so much of a table becomes numbers at a time; of a small one a quarter."""
AT_LEAST = 1 << 20
"""Less than that at a time saves no memory to speak of, and takes longer."""
WIDE_BLOCK, WIDE_BATCH = 1 << 9, 1 << 12
"""Bytes for each column."""
BLOCK_BYTES = 1 << 18
"""pyarrow reads 32 blocks of this many bytes ahead, and smaller ones of a smaller file; a small file is one block."""


class TextTable(Table):
    """A text table with a header, in UTF-8.

    Parameters
    ----------
    path
        The file; "-" for stdin, which can be read once.
    delimiter
        Separator between two values; by default the one that makes most columns of the first line.
    decimal
        Decimal separator of numbers; by default a point, or a comma where no comma separates values.
    header
        Whether the first line holds the names of the columns; without, these are their numbers from 0.
    """

    typed = False
    place_word = "line"

    def __init__(self, path: str | Path, delimiter: str | None = None, decimal: str | None = None, header: bool = True):
        self.name, self._path, self.header = str(path), None if str(path) == "-" else Path(path), header
        need_pyarrow(self.name)
        self._stdin: tuple[bytes, IO[bytes]] | None = None
        head = self._head()
        text = self._decoded(head)
        self._delimiter = delimiter or find_delimiter(text, decimal)
        first = first_row(self.name, text, self._delimiter)
        self.decimals = decimal or ("." if self._delimiter == "," else ".,")
        self._width = len(first)
        size = BATCH_BYTES if self._path is None else self._path.stat().st_size // 4
        longest = max(map(len, head.splitlines()), default=0)
        # What is done for each column of each block and batch takes its time: those of wide tables are larger.
        block = BLOCK_BYTES if 4 * size < BLOCK_BYTES else min(size // 64, BLOCK_BYTES)
        self._block = max(block, 1 << 14, 64 * longest, WIDE_BLOCK * self._width)
        self._batch = max(min(size, BATCH_BYTES), AT_LEAST, WIDE_BATCH * self._width)
        names = [name.strip() for name in first] if header else [str(i) for i in range(len(first))]
        if not any(names):
            raise DataError(f"{self.name}: expected a header with the names of the columns in the first line, got none")
        if names.count("") > 1:
            raise DataError(f"{self.name}: expected a header with a name for each column, got '' twice")
        self.columns = check_columns(self.name, names)

    def kind(self, column: int) -> Any:
        """Arrow's type of a column: text."""
        import pyarrow as pa

        return pa.string()

    def batches(self, wanted: Sequence[int]) -> Iterator[list[Any]]:
        """See `Table`."""
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        names = [f"f{i}" for i in range(self._width)]
        wrong: list[int] = []

        def refuse(row: Any) -> str:
            wrong.append(row.actual_columns)
            return "error"

        skip = self.header
        try:
            with self._open() as file:
                reader = arrow_csv.open_csv(
                    pa.PythonFile(file, mode="r"),
                    arrow_csv.ReadOptions(column_names=names, block_size=self._block, use_threads=False),
                    arrow_csv.ParseOptions(
                        delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=refuse
                    ),
                    arrow_csv.ConvertOptions(
                        column_types=dict.fromkeys(names, pa.string()),
                        include_columns=[*(names[i] for i in wanted), names[-1]],
                        strings_can_be_null=False,
                    ),
                )
                last = ""
                for batch in _joined(reader, self._batch):
                    if skip:
                        batch, skip = batch.slice(1), False
                    if batch.num_rows:
                        last = batch.column(len(wanted))[-1].as_py()
                        yield batch.columns[: len(wanted)]
                self._check_end(last)
        except pa.ArrowException as error:
            raise self._explained(error, wrong) from None
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{self.name}: can't be read ({printable(error)}); copy or download it again") from None

    def place(self, row: int) -> str:
        """The line on which a row begins: blank lines and line breaks within quotes are counted too."""
        if self._path is None:
            return f"line {row + 1 + self.header}"
        line = next((line for number, line in self._lines() if number == row + self.header), 0)
        return f"line {line}"

    def _check_end(self, last: str) -> None:
        """Refuse a last value whose quotes never end: it may have swallowed many rows."""
        if not last or self._path is None or self._packed:
            return
        value = b'"' + last.replace('"', '""').encode()
        with open(self._path, "rb") as file:
            file.seek(max(0, self._path.stat().st_size - len(value)))
            if file.read() == value:
                raise DataError(
                    f"{self.name}: expected a CSV table, got one in which the quotes of the last value never end; "
                    f"it begins with {printable(last, 40)!r}"
                )

    # -- opening -----------------------------------------------------------------------------------------------------

    def _head(self) -> bytes:
        """The first bytes, unpacked; of a sound text file, or an error line."""
        expected = "a CSV table"
        if self._path is None:
            if sys.stdin is None:
                raise DataError("-: expected a CSV table on stdin, but stdin is closed")
            stream = getattr(sys.stdin, "buffer", None) or io.BytesIO(sys.stdin.read().encode())
            head = _read_head(stream, stream.read(HEAD_BYTES))
            self._stdin = (head, stream)
        else:
            head = open_head(self._path, expected)
            self._packed = head.startswith(b"\x1f\x8b")
            if self._packed:
                self._check_packed()
            with self._open() as file:
                head = _read_head(file, file.read(HEAD_BYTES))
        if not head:
            raise DataError(f"{self.name}: the file is empty; expected {expected}; copy or download it again")
        what = looks_like(head[:512])
        if 3 * head[:64].count(0) > len(head[:64]):  # half of the bytes of a text in UTF-16, which has no mark here
            what = "text in UTF-16 (save it as UTF-8)"
        if what != "a text file" and not what.startswith("unknown bytes"):  # those may be text of another encoding
            raise DataError(f"{self.name}: expected a CSV table in UTF-8, got what looks like {what}")
        return head

    def _decoded(self, head: bytes) -> str:
        try:
            return head.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            if error.start > len(head) - 4 and len(head) >= HEAD_BYTES:  # in the middle of a character
                return head[: error.start].decode("utf-8-sig")
            raise self._not_utf8(head, error.start) from None

    def _not_utf8(self, content: bytes, at: int) -> DataError:
        what = looks_like(content[:512])
        if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in content[:64]:
            return DataError(f"{self.name}: expected a CSV table in UTF-8, got what looks like {what}")
        line = content.count(b"\n", 0, at) + 1
        return DataError(
            f"{self.name}: expected text in UTF-8, got {content[at]:#x} at line {line}; save it as UTF-8 "
            "(from Latin-1: iconv -f latin1 -t utf-8)"
        )

    def _open(self) -> IO[bytes]:
        if self._path is None:
            head, stream = self._stdin or (b"", io.BytesIO())
            self._stdin = None
            return io.BufferedReader(_Joined(head, stream))
        return gzip.open(self._path, "rb") if self._packed else open(self._path, "rb")  # type: ignore[return-value]

    def _check_packed(self) -> None:
        """Unpack once before anything is kept: a few bytes could claim any number of rows."""
        assert self._path is not None
        size, allowed = 0, max(ALWAYS_ALLOWED, 100 * self._path.stat().st_size)
        try:
            with gzip.open(self._path, "rb") as file:
                while piece := file.read(1 << 16):
                    size += len(piece)
                    if size > allowed:
                        break
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise DataError(f"{self.name}: can't be unpacked ({printable(error)}); copy or download it again") from None
        check_unpacked(self._path, size)

    # -- words -------------------------------------------------------------------------------------------------------

    def _lines(self) -> Iterator[tuple[int, int]]:
        """Numbers from 0 of the rows that are not blank, and the lines from 1 on which they begin."""
        with io.TextIOWrapper(self._open(), "utf-8-sig", errors="replace", newline="") as file:
            reader, row, line = csv.reader(file, delimiter=self._delimiter), 0, 1
            for values in reader:
                if values:
                    yield row, line
                    row += 1
                line = reader.line_num + 1

    def _explained(self, error: Exception, wrong: list[int]) -> DataError:
        """Turn pyarrow's complaint into an error line that names the line of the file."""
        if wrong and self._path is not None:
            with io.TextIOWrapper(self._open(), "utf-8-sig", errors="replace", newline="") as file:
                reader = csv.reader(file, delimiter=self._delimiter)
                for values in filter(None, reader):
                    if len(values) != self._width:
                        return DataError(
                            f"{self.name}: line {reader.line_num}: expected {self._width} values as in the header, "
                            f"got {len(values)}"
                        )
        if wrong:
            return DataError(f"{self.name}: expected {self._width} values in each line, got {wrong[0]} in one")
        if "UTF8" in str(error) and self._path is not None:
            with self._open() as file:
                for line, content in enumerate(file, 1):
                    try:
                        content.decode()
                    except UnicodeDecodeError as bad:
                        return DataError(
                            f"{self.name}: expected text in UTF-8, got {content[bad.start]:#x} at line {line}; "
                            "save it as UTF-8 (from Latin-1: iconv -f latin1 -t utf-8)"
                        )
        reason = printable(str(error).removeprefix("CSV parse error: "))
        return DataError(f"{self.name}: expected a CSV table, got one that can't be parsed ({reason})")


def _joined(batches: Any, size: int) -> Iterator[Any]:
    """Batches of about `size` bytes or more, of smaller ones: what is done for each batch takes its time."""
    import pyarrow as pa

    held: list[Any] = []
    total = 0
    for batch in batches:
        held.append(batch)
        total += batch.nbytes
        if total >= size:
            yield from pa.Table.from_batches(held).combine_chunks().to_batches()
            held, total = [], 0
    if len(held) == 1:
        yield held[0]
    elif held:
        yield from pa.Table.from_batches(held).combine_chunks().to_batches()


class _Joined(io.RawIOBase):
    """Bytes that were read, and then the rest of their stream."""

    def __init__(self, head: bytes, rest: IO[bytes]):
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


def _read_head(stream: IO[bytes], head: bytes) -> bytes:
    """The first bytes of a stream, with the whole of the first line."""
    while b"\n" not in head and b"\r" not in head:
        more = stream.read(len(head))
        if not more:
            break
        head += more
    return head
