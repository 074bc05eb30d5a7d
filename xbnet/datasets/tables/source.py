"""The interface that every table has for its readers: `Table`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any, Protocol

from ...errors import DataError, XbnetError, printable
from .values import kind_of


class ArrowStream(Protocol):
    """A DataFrame of pandas or polars, a table of pyarrow: whatever Arrow can read."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """See Arrow's PyCapsule interface."""


Source = str | PathLike[str] | ArrowStream
"""A source that can be loaded: a name or path, or a table in memory."""

CAST = "cast such columns to integers of 64 bits, floats or text"


class Table:
    """A table of named columns that is read in batches, again and again.

    Attributes
    ----------
    name
        Beginning of error lines.
    columns
        Names in the order of the table.
    typed
        Whether the columns have types; a text table's are read as words.
    header
        Whether the names are in the table.
    index
        Names of the columns that are an index of pandas.
    decimals
        The marks that may part a number's decimals.
    """

    name: str
    columns: tuple[str, ...]
    typed = True
    header = True
    index: frozenset[str] = frozenset()
    decimals = "."
    place_word = "row"

    def kind(self, column: int) -> Any:
        """Arrow's type of a column."""
        raise NotImplementedError

    def word_for(self, column: int) -> str:
        """What a column holds: "text", "number", "boolean", "date" or "empty".

        Raises
        ------
        DataError
            Something else.
        """
        found = kind_of(self.kind(column))
        if found is None:
            raise DataError(
                f"{self.name}: column {printable(self.columns[column])!r}: expected numbers, text or dates, got "
                f"{printable(self.kind(column))}; convert it, or train without it (drop)"
            )
        return found

    def batches(self, wanted: Sequence[int]) -> Iterator[list[Any]]:
        """The columns `wanted`, by number, as lists of Arrow arrays of some consecutive rows."""
        raise NotImplementedError

    def place(self, row: int) -> str:
        """Where the row with this number from 0 is, in words."""
        return f"{self.place_word} {row}"


@contextmanager
def reading(name: str, what: str) -> Iterator[None]:
    """Whatever a library raises within becomes one line: "expected a Parquet table, got a damaged one"."""
    try:
        yield
    except (XbnetError, GeneratorExit):
        raise
    except MemoryError:
        raise DataError(f"{name}: expected {what} that fits into memory, got one that does not") from None
    except Exception as error:  # Arrow raises a dozen kinds for damaged files
        reason = printable(error)
        if type(error).__name__ == "ArrowNotImplementedError":
            raise DataError(
                f"{name}: expected {what} of types that pyarrow reads, got others ({reason}); {CAST}"
            ) from None
        raise DataError(f"{name}: expected {what}, got a damaged one ({reason}); write it again") from None


def need_pyarrow(name: str) -> Any:
    """pyarrow, or one line that says how to get it."""
    try:
        import pyarrow
    except ImportError:
        raise DataError(f"{name}: reading tables needs pyarrow; pip install pyarrow") from None
    return pyarrow


def check_columns(name: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The names, each of which must be there once."""
    if len(set(columns)) < len(columns):
        double = next(column for column in columns if list(columns).count(column) > 1)
        raise DataError(f"{name}: expected a different name for each column, got {printable(double)!r} twice")
    return tuple(columns)
