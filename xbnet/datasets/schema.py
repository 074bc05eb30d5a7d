"""`Schema`: how the rows of a table become inputs and targets. It is learned from the training part, and kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import numpy as np

from ..errors import ConfigError, DataError, printable
from ..parsing import whole
from .checks import Array
from .columns import Column, expect
from .frame import Frame, names_of, numbers_of, read_frame
from .learning import learn_columns, remap
from .reading import Reading
from .scaler import Scaler
from .tables import Table, open_table
from .tables.values import Words, words_of
from .target import Target

ENCODED_ROWS = 1 << 13
"""So many values of a column become inputs at a time: so this takes no memory to speak of."""


@dataclass(frozen=True)
class Schema:
    """How the columns of a table become the inputs of a network, and its target.

    Parameters
    ----------
    columns : tuple of Column
        In the order of the inputs.
    target : Target, optional
        None where it is not known.
    reading : Reading, optional
        How the table was read; a file that is encoded is read in the same way.

    Examples
    --------
    >>> schema = Schema((Column("age", mean=40.0, std=10.0), Column("sex", "category", values=("f", "m"))))
    >>> schema.input_names
    ('age', 'sex=f', 'sex=m')
    >>> schema.encode({"sex": ["m", "x"], "age": [50.0, 30.0]})
    array([[ 1.,  0.,  1.],
           [-1.,  0.,  0.]])
    """

    columns: tuple[Column, ...]
    target: Target | None = None
    reading: Reading = field(default_factory=Reading)

    # -- learning ----------------------------------------------------------------------------------------------------

    @classmethod
    def learn(
        cls,
        table: object,
        rows: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        task: str | None = None,
        numeric: Sequence[str] = (),
        categorical: Sequence[str] = (),
        drop: Sequence[str] = (),
        columns: Sequence[str] | None = None,
        scaling: str = "standard",
        one_hot: int | None = None,
    ) -> Schema:
        """Learn from the rows of a table.

        Parameters
        ----------
        table
            A path, or an object with `__arrow_c_stream__` (a DataFrame of pandas or polars, a table of pyarrow, ...).
        rows
            Numbers of the rows to learn from, the training part; by default all.
        target
            Name of the column to learn, or of several; not among the inputs.
        task
            "classification", "multilabel" or "regression"; by default as the target looks.
        numeric, categorical, drop
            Names of columns that are numbers, that are categories, and that are left out.
        columns
            Names of the inputs; by default all but the target.
        scaling
            Scaling of numbers, fitted to `rows`: "standard", "robust", "quantile", "none"; see `Scaler.fit`.
        one_hot
            A category that would have more inputs than this has one, a code for an `Embedding`; None: none has.

        Returns
        -------
        Schema

        Raises
        ------
        DataError
            There is no such column, or one can't be used.
        """
        options = {"numeric": names_of("numeric", numeric), "categorical": names_of("categorical", categorical)}
        frame = read_frame(
            open_table(table), names_of("target", target), task,
            drop=names_of("drop", drop), columns=None if columns is None else names_of("columns", columns), **options,
        )  # fmt: skip
        rows = None if rows is None else np.asarray(rows)
        schema, places = cls.of_frame(frame, rows, [*options["numeric"], *options["categorical"]], one_hot)
        return schema.scaled(schema.only_scaled(Scaler.fit(schema.encode_frame(frame, places, rows), scaling)))

    @classmethod
    def of_frame(
        cls, frame: Frame, rows: Array | None, kept: Sequence[str] = (), one_hot: int | None = None
    ) -> tuple[Schema, list[int]]:
        """The schema, not scaled, of a frame's rows; and the places of its columns in the frame."""
        columns, places = learn_columns(frame, rows, kept)
        if one_hot is not None:
            most = whole(frame.name, "one_hot", one_hot)
            columns = [replace(c, coded=c.kind == "category" and c.width > most) for c in columns]
        if not columns:
            raise DataError(f"{frame.name}: expected a column to learn from, got only columns without information")
        found = frame.target
        target = None if found is None else Target(found.names, found.task, found.classes)
        return cls(tuple(columns), target), places

    def scaled(self, scaler: Scaler) -> Schema:
        """The same, with what `scaler` does to the input of each number."""
        if self.scaler is not None:
            raise ConfigError("Schema.scaled: expected a schema that does not scale yet")
        columns = [replace(c, **scaler.column(at)) if c.scaled else c for c, at in self._starts()]
        return replace(self, columns=tuple(columns))

    def only_scaled(self, scaler: Scaler) -> Scaler:
        """`scaler` (I,) for the inputs that are scaled; it leaves the others as they are."""
        return scaler.only(np.isin(np.arange(self.n_inputs), self.numbers))

    @property
    def scaler(self) -> Scaler | None:
        """The last stage of `encode`, for inputs that are numbers already; None where it leaves them as they are."""
        found = Scaler.of_columns([column for column in self.columns if column.width])
        return None if found.idle else found

    # -- inputs ------------------------------------------------------------------------------------------------------

    @property
    def input_names(self) -> tuple[str, ...]:
        """A name per input, (I,)."""
        return tuple(name for column in self.columns for name in column.input_names)

    @property
    def n_inputs(self) -> int:
        """I."""
        return sum(column.width for column in self.columns)

    @property
    def codes(self) -> dict[int, int]:
        """Which inputs are codes of categories: number of the input -> how many codes there are, see `Embedding`."""
        return {at: column.n_codes for column, at in self._starts() if column.coded}

    @property
    def numbers(self) -> list[int]:
        """Which inputs are numbers or dates, by their indices."""
        return [at for column, at in self._starts() if column.scaled]

    def _starts(self) -> Iterator[tuple[Column, int]]:
        """Each column with the index of its first input."""
        return zip(self.columns, accumulate((column.width for column in self.columns), initial=0), strict=False)

    def encode(self, table: object) -> Array:
        """The inputs (N, I), float64, for the rows of a table.

        Parameters
        ----------
        table
            A path, an object with `__arrow_c_stream__`, or a mapping of the columns' names to values (N,): numbers, or
            texts, None or NaN where one is missing. Other columns are ignored, and their order does not matter.

        Raises
        ------
        DataError
            A column is not there, or has a value that it can't have.
        """
        if isinstance(table, Mapping):
            return self._encode_arrays(table)
        opened = self.reading.open(table)
        batches = [self.inputs_of(opened, batch, places, start) for start, places, batch in self.read(opened)]
        return np.concatenate(batches) if batches else np.empty((0, self.n_inputs))

    def find(self, table: Table) -> list[int]:
        """The numbers of the columns in a table; those that are not there are named."""
        stripped = {name.strip(): i for i, name in reversed(list(enumerate(table.columns)))}
        exact = {name: i for i, name in reversed(list(enumerate(table.columns)))}
        found = [exact.get(column.name, stripped.get(column.name.strip())) for column in self.columns]
        absent = [column.name for column, i in zip(self.columns, found, strict=True) if i is None]
        if absent:
            some = ", ".join(repr(printable(name)) for name in absent[:10])
            some += f" and {len(absent) - 10} more" if len(absent) > 10 else ""
            raise DataError(f"{table.name}: expected the columns that the model was trained on, got none named {some}")
        return [i for i in found if i is not None and table.word_for(i)]

    def read(self, table: Table, others: Sequence[int] = ()) -> Iterator[tuple[int, list[int], list[Any]]]:
        """Number of the first row, places of the columns, and columns of each batch; `others` come after them."""
        places, start = self.find(table), 0
        for batch in table.batches([*places, *others]):
            yield start, places, batch
            start += len(batch[0])

    def inputs_of(self, table: Table, batch: Sequence[Any], places: Sequence[int], start: int) -> Array:
        """The inputs (n, I) for a batch of columns (of Arrow) that are at `places` in the table."""
        x = np.empty((len(batch[0]), self.n_inputs))
        found = numbers_of(table, places, [column.kind for column in self.columns], batch, start)
        for (column, at), values, numbers in zip(self._starts(), batch, found, strict=False):
            raw = _numbered(column, words_of(values)) if numbers is None else numbers
            column.expand(raw, x[:, at : at + column.width])
        return x

    def encode_frame(self, frame: Frame, places: Sequence[int], rows: Array | None = None) -> Array:
        """The inputs for rows of the frame from which it was learned; in the frame's own memory where they fit."""
        n = len(frame.x) if rows is None else len(rows)
        same = list(places) == list(range(frame.x.shape[1])) and self.n_inputs == len(places)
        x = np.empty((n, self.n_inputs)) if not same else frame.x if rows is None else frame.x[rows]
        for (column, at), place in zip(self._starts(), places, strict=True):
            found, columns = frame.columns[place], slice(at, at + column.width)
            for start in range(0, n, ENCODED_ROWS):
                part = slice(start, start + ENCODED_ROWS)
                raw = frame.x[part, place] if rows is None else frame.x[rows[part], place]
                column.expand(remap(column, found, raw), x[part, columns])
        return x

    def _encode_arrays(self, arrays: Mapping[str, Any]) -> Array:
        stripped = {str(name).strip(): name for name in arrays}
        x = None
        for column, at in self._starts():
            name = column.name if column.name in arrays else stripped.get(column.name.strip())
            if name is None:
                raise DataError(f"Schema.encode: expected a column {column.name!r}, got none")
            values = np.asarray(arrays[name])
            if column.kind == "category":
                texts = ["" if v is None or v != v else str(v).strip() for v in values.tolist()]
                words, codes = np.unique(texts, return_inverse=True)
                raw = _numbered(column, Words(np.where(words[codes] == "", -1, codes), words.tolist()))
            else:
                try:
                    raw = np.array([np.nan if v is None else v for v in values.tolist()], np.float64)
                except (TypeError, ValueError):
                    raise DataError(f"Schema.encode: column {column.name!r}: expected numbers, got others") from None
            if x is None:
                x = np.empty((len(raw), self.n_inputs))
            column.expand(raw, x[:, at : at + column.width])
        return x if x is not None else np.empty((0, 0))

    # -- targets -----------------------------------------------------------------------------------------------------

    def encode_target(self, values: object, where: str = "target") -> Array:
        """Targets as a data set has them; see `Target.encode`."""
        if self.target is None:
            raise ConfigError("Schema: expected a target, but it was learned without one")
        return self.target.encode(values, where)

    # -- files -------------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Itself as JSON has it."""
        found: dict[str, Any] = {"columns": [column.to_json() for column in self.columns]}
        if self.target is not None:
            found["target"] = self.target.to_json()
        if reading := self.reading.to_json():
            found["reading"] = reading
        return found

    @classmethod
    def from_json(cls, found: Any) -> Schema:
        """A schema from what `to_json` gave; everything in it is checked.

        Raises
        ------
        ValueError
            It is not as `to_json` makes it; the text says what was expected.
        """
        right = isinstance(found, dict) and set(found) <= {"columns", "target", "reading"}
        expect(right, "a schema has columns, a target, and how they are read")
        columns = found.get("columns")
        expect(isinstance(columns, list) and len(columns) > 0, "a schema has a list of columns")
        schema = cls(
            tuple(map(Column.from_json, columns)),
            None if found.get("target") is None else Target.from_json(found["target"]),
            Reading.from_json(found.get("reading", {})),
        )
        names = [column.name for column in schema.columns]
        expect(len(set(names)) == len(names), "each column has a name of its own")
        expect(schema.n_inputs > 0, "the columns make inputs")
        sizes = {len(column.quantiles) for column in schema.columns if column.quantiles}
        expect(len(sizes) <= 1, "all columns have as many quantiles")
        return schema


def _numbered(column: Column, found: Words) -> Array:
    """Words as numbers of the column's values: -1 for others, NaN where one is missing."""
    place = {value: i for i, value in enumerate(column.values)}
    return np.array([*(float(place.get(word, -1)) for word in found.words), np.nan])[found.codes]
