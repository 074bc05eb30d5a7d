"""How a model's table was read: what is said once, in training, holds for the rows to predict."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from .columns import expect
from .tables import Table, open_table


@dataclass(frozen=True)
class Reading:
    """A user's options for reading a table, besides its inputs and its target.

    Parameters
    ----------
    ids : tuple of str
        The columns that name the rows.
    header : bool
        Whether the first line of a text table holds the names.
    decimal : str, optional
        Decimal separator of numbers in a text table; None: it was found.

    Examples
    --------
    >>> Reading(ids=("key",), decimal=",").to_json()
    {'ids': ['key'], 'decimal': ','}
    """

    ids: tuple[str, ...] = ()
    header: bool = True
    decimal: str | None = None

    def open(self, source: Any) -> Table:
        """A table of the same kind: a text file is read in the same way, and others say themselves how they are."""
        if isinstance(source, (str, os.PathLike)):
            return open_table(source, header=self.header, decimal=self.decimal)
        return open_table(source)

    def to_json(self) -> dict[str, Any]:
        """Itself as JSON has it: what is not as usual."""
        found: dict[str, Any] = {"ids": list(self.ids), "header": self.header, "decimal": self.decimal}
        usual = {"ids": [], "header": True, "decimal": None}
        return {key: value for key, value in found.items() if value != usual[key]}

    @classmethod
    def from_json(cls, found: Any) -> Reading:
        """A reading from what `to_json` gave.

        Raises
        ------
        ValueError
            It is not as `to_json` makes it; the text says what was expected.
        """
        expect(isinstance(found, dict) and set(found) <= {"ids", "header", "decimal"}, "a reading is an object")
        ids, header, decimal = found.get("ids", []), found.get("header", True), found.get("decimal")
        expect(isinstance(ids, list) and all(isinstance(name, str) for name in ids), "a reading's ids are texts")
        expect(isinstance(header, bool), "a reading's header is true or false")
        expect(decimal in (None, ".", ","), "a reading's decimal is . or ,")
        return cls(tuple(ids), header, decimal)
