"""The dialect of a text table: the delimiter between its columns, and its first row."""

from __future__ import annotations

import csv
import io
import itertools

from ...errors import DataError, printable

DELIMITERS = ",;\t|"
LOOKED_AT = 10
"""So many rows say what the delimiter is."""


def find_delimiter(text: str, decimal: str | None) -> str:
    """The delimiter that makes most columns of the first line; first of all one that makes as many of the next ones.

    The latter tells ``1,5;2,5`` from ``1,5``, where a table has no header.
    """

    def columns(mark: str) -> tuple[bool, bool, int]:
        rows = filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True))
        try:
            widths = [len(row) for row in itertools.islice(rows, LOOKED_AT)]
        except csv.Error:
            return False, False, 0
        widths = widths[:-1] if len(widths) > 1 and len(widths) < LOOKED_AT else widths  # the last may be cut off
        width = widths[0] if widths else 0
        return len(widths) > 1 and set(widths) == {width} and width > 1, mark != decimal, width

    return max(DELIMITERS, key=columns)


def first_row(name: str, text: str, delimiter: str) -> list[str]:
    """The values of the first line that is not blank."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        return next(filter(None, reader), [])
    except csv.Error as error:
        raise DataError(f"{name}: expected a CSV table, got one that can't be parsed ({printable(error)})") from None
