"""A table as numbers: `read_frame` finds out what each column holds, and puts all of them into one array.

Two passes: the first counts rows and guesses kinds, so that the second has an array to fill. A small text table is read
once for both. Nothing is learned here that depends on which rows are trained on.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError, DataError, printable
from .checks import Array
from .labels import NUMBER
from .tables import Table
from .tables.values import first_bad, has_word, is_code, parse, parse_together, words_of
from .target_reader import TargetReader, TargetValues

if TYPE_CHECKING:
    import pyarrow as pa

MOST_WORDS = 10_000
"""Up to this many different words of a column are distinguished; later ones count as rare."""

FIRST = 16
"""This many values are looked at before all others are: most that is no number is seen to be none at once."""

TOGETHER, NEIGHBOURS = 1 << 16, 32
"""Limits of one call that turns values into numbers: values, and columns. In wide tables the calls take the time."""


@dataclass
class FrameColumn:
    """A column of a `Frame`: its name, kind and words."""

    name: str
    kind: str
    """"number", "boolean", "date" or "category"."""
    words: list[str] = field(default_factory=list)
    """Words of a category, in the order in which they come."""


@dataclass
class Frame:
    """The inputs of a table as numbers, and its targets.

    Attributes
    ----------
    name
        Name of the table, for error lines.
    columns
        Those that are no target, in the table's order.
    x
        (N, columns) float64, NaN where a value is missing: numbers, 0 and 1, seconds since 1970, or the number of a
        word, which is `len(words)` for those that came too late to be distinguished.
    target
        None where there is no target.
    """

    name: str
    columns: list[FrameColumn]
    x: Array
    target: TargetValues | None


def read_frame(
    table: Table,
    target: Sequence[str] = (),
    task: str | None = None,
    *,
    numeric: Sequence[str] = (),
    categorical: Sequence[str] = (),
    drop: Sequence[str] = (),
    columns: Sequence[str] | None = None,
) -> Frame:
    """Read a whole table.

    Parameters
    ----------
    table
        Table that `open_table` opened.
    target
        Names of the columns to learn.
    task
        "classification", "multilabel" or "regression"; by default as the targets look.
    numeric, categorical
        Columns that are numbers, or categories, whatever they look like.
    drop
        Columns to leave out.
    columns
        The inputs; by default all other columns.

    Raises
    ------
    DataError
        A name that the table has not, a column that can't be an input, or a target without a value.
    """
    targets = [find_column(table, name, "target") for name in target]
    forced = {find_column(table, name, "numeric"): "number" for name in numeric}
    forced |= {find_column(table, name, "categorical"): "category" for name in categorical}
    out = {find_column(table, name, "drop") for name in drop}
    wanted = range(len(table.columns)) if columns is None else [find_column(table, n, "columns") for n in columns]
    inputs = [i for i in wanted if i not in targets and i not in out]
    if columns is None:
        inputs = [i for i in inputs if table.columns[i] not in table.index or i in forced]
    if not inputs:
        besides = f" besides the target {table.columns[targets[0]]!r}" if targets else ""
        raise DataError(f"{table.name}: expected columns{besides} to learn from, got none")
    guesses = [_Guess(table, i, forced.get(i)) for i in inputs]
    reader = TargetReader(table, targets, task) if targets else None
    rows = 0
    looked = [guess for guess in guesses if guess.undecided or not table.typed]
    only = None  # the table's only batch: where it is that small, it need not be read once more
    for batch in table.batches([*(guess.column for guess in looked), *targets] or inputs[:1]):
        for guess, column in zip(looked, batch, strict=False):
            guess.look(column)
        if reader is not None:
            reader.look(batch[len(looked) :], rows)
        only = None if rows or table.typed else batch
        rows += len(batch[0])
    if not rows:
        raise DataError(f"{table.name}: expected rows below the header, got none" if not table.typed
                        else f"{table.name}: expected a table with rows, got none")  # fmt: skip
    kinds = [guess.decided() for guess in guesses]
    if reader is not None:
        reader.decide(rows)
    found = [FrameColumn(table.columns[i], kind) for i, kind in zip(inputs, kinds, strict=True)]
    x = np.empty((rows, len(inputs)))
    places: list[dict[str, int]] = [{} for _ in inputs]
    start = 0
    for batch in table.batches([*inputs, *targets]) if only is None else [only]:
        end = start + len(batch[0])
        if end > rows:
            raise DataError(f"{table.name}: expected {rows} rows as at first, got more; did the file change?")
        for k, numbers in enumerate(numbers_of(table, inputs, kinds, batch, start)):
            x[start:end, k] = _codes(batch[k], places[k]) if numbers is None else numbers
        if reader is not None:
            reader.fill(batch[len(inputs) :], start)
        start = end
    if start < rows:
        raise DataError(f"{table.name}: expected {rows} rows as at first, got {start}; did the file change?")
    for column, known in zip(found, places, strict=True):
        column.words = list(known)
    return Frame(table.name, found, x, None if reader is None else reader.values())


def find_column(table: Table, name: str, what: str) -> int:
    """The number of a column by its name; spaces around it don't matter where it is clear which one is meant."""
    name = str(name)
    if name in table.columns:
        return table.columns.index(name)
    near = [i for i, column in enumerate(table.columns) if column.strip() == name.strip()]
    if len(near) == 1:
        return near[0]
    some = ", ".join(map(printable, table.columns[:10]))
    some += f" and {len(table.columns) - 10} more" if len(table.columns) > 10 else ""
    match = difflib.get_close_matches(name, table.columns, n=1, cutoff=0.5)
    hint = f"; did you mean {printable(match[0])!r}?" if match else ""
    numbers = 0 if table.typed else sum(bool(NUMBER.fullmatch(column)) for column in table.columns)
    rows = table.header and 2 * numbers > len(table.columns)
    header = "; is there a header (if not, --no-header, and columns are numbered from 0)?" if rows else ""
    raise DataError(f"{table.name}: expected {what} to be one of {some}, got {printable(name)!r}{hint}{header}")


def numbers_of(
    table: Table, columns: Sequence[int], kinds: Sequence[str], batch: Sequence[pa.Array], start: int
) -> Iterator[Array | None]:
    """Each column of a batch as numbers, None for a category; `start`, its first row's number, is for error lines."""
    size = max(1, min(NEIGHBOURS, TOGETHER // max(1, len(batch[0]))))
    for first in range(0, len(kinds), size):
        part = range(first, min(first + size, len(kinds)))
        found = None
        if len(part) > 1 and "." in table.decimals and all(kinds[k] == "number" for k in part):
            found = parse_together(batch[first : part.stop])
        for k in part:
            if kinds[k] == "category":
                yield None
            elif found is not None:
                yield found[k - first]
            else:
                yield _numbers_of(table, columns[k], kinds[k], batch[k], start)


def _numbers_of(table: Table, column: int, kind: str, values: pa.Array, start: int) -> Array:
    found = parse(kind, values, table.decimals)
    name = printable(table.columns[column])
    if found is None:
        row, text = first_bad(kind, values, table.decimals)
        what = {"number": "a number", "boolean": "true or false", "date": "a date like 2024-12-31"}[kind]
        raise DataError(
            f"{table.name}: column {name!r}: expected {what}, got {printable(text, 40)!r} at {table.place(start + row)}"
        )
    infinite = np.isinf(found)
    if infinite.any():
        row = int(np.argmax(infinite))
        raise DataError(
            f"{table.name}: column {name!r}: expected finite values, got {found[row]} at {table.place(start + row)}"
        )
    return found


def _codes(values: pa.Array, known: dict[str, int]) -> Array:
    """Numbers of the words of a batch, in the order in which they came; NaN where one is missing."""
    found = words_of(values)
    for word in found.words:
        if word not in known and len(known) < MOST_WORDS:
            known[word] = len(known)
    numbers = np.array([*(known.get(word, len(known)) for word in found.words), np.nan])
    return numbers[found.codes]


def _are_plain(numbers: Array) -> bool:
    """Whether there is a number besides 0 and 1."""
    return bool((np.isfinite(numbers) & (numbers != 0) & (numbers != 1)).any())


class _Guess:
    """The kinds that a column may have, from the values seen so far."""

    def __init__(self, table: Table, column: int, forced: str | None):
        self.table, self.column = table, column
        kind = table.word_for(column)
        self.possible: list[str] = []
        self.digits, self.zeros, self.length = True, False, -1
        if forced is not None:
            self.kind = forced
        elif kind == "text":
            self.kind = "category"
            self.possible = ["date", "boolean"] if table.typed else ["number", "boolean", "date"]
        else:
            self.kind = {"empty": "number"}.get(kind, kind)
        self.seen = self.looked = False

    @property
    def undecided(self) -> bool:
        return bool(self.possible)

    def look(self, values: pa.Array) -> None:
        """Strike off what a batch of values is not."""
        numbers, plain = None, False
        if not self.looked and "number" in self.possible and has_word(values.slice(0, FIRST)):
            self.possible = [kind for kind in self.possible if kind == "boolean"]
        for kind in list(self.possible):
            if plain:
                self.possible.remove(kind)  # without looking at each word: a number is no date, nor but 0 and 1 a truth
                continue
            found = None
            if self.looked or parse(kind, values.slice(0, FIRST), self.table.decimals) is not None:
                found = parse(kind, values, self.table.decimals)
            if found is None:
                self.possible.remove(kind)
            else:
                self.seen = self.seen or not np.isnan(found).all()
                if kind == "number":
                    numbers, plain = found, _are_plain(found)
        self.looked = True
        if numbers is not None and not (np.isnan(numbers) | (numbers == np.trunc(numbers))).all():
            self.digits = False
        if not self.table.typed and "number" in self.possible and self.digits and self.length:
            digits, zeros, length = is_code(values)
            self.digits, self.zeros = self.digits and digits, self.zeros or zeros
            if length != -1:
                self.length = length if self.length in (-1, length) else 0

    def decided(self) -> str:
        """The kind; digits of one length of which some begin with 0 are codes, and so a category."""
        if not self.possible:
            return self.kind
        if self.possible[0] == "number" and self.digits and self.zeros and self.length > 1:
            return "category"
        return self.possible[0] if self.seen or self.kind != "category" else "number"


def names_of(what: str, value: str | Sequence[str] | None) -> list[str]:
    """A name, or several, as a list."""
    if value is None:
        return []
    if isinstance(value, (str, int)):
        return [str(value)]
    try:
        return [str(name) for name in value]
    except TypeError:
        raise ConfigError(f"{what}: expected the name of a column, or several, got {value!r}") from None
