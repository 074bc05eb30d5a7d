"""A column of a schema: how its values become inputs of a network. NumPy alone is needed for that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .checks import Array

Kind = Literal["number", "category", "boolean", "date"]
KINDS = ("number", "category", "boolean", "date")


@dataclass(frozen=True)
class Column:
    """One column of a table, with what the training part says about it.

    A number or a date (seconds since 1970) is one input, ``(value - mean) / std``; a truth value is 0 or 1. Where a
    value is missing it is `fill`; `indicator` adds an input that is 1 there and 0 elsewhere. A category has an input
    per value, which is 1 where the column has that value and 0 elsewhere, and then one for values that are rare and
    one for missing ones, if there were such. Where a new row has a value that was never seen, it counts as a rare
    one; if there was none, all inputs are 0.

    Parameters
    ----------
    name : str
        As the table has it.
    kind : str
        "number", "category", "boolean" or "date".
    mean, std : float
        What is subtracted, and what is divided by then; 0 and 1 leave the values as they are.
    fill : float
        The median of the values, or for a truth value the one that is more frequent.
    indicator : bool
        Whether values were missing.
    values : tuple of str
        The values of a category that have an input of their own.
    rare, missing : bool
        Whether a category has an input for rare values, and for missing ones.
    """

    name: str
    kind: Kind = "number"
    mean: float = 0.0
    std: float = 1.0
    fill: float = 0.0
    indicator: bool = False
    values: tuple[str, ...] = ()
    rare: bool = False
    missing: bool = False

    @property
    def width(self) -> int:
        """How many inputs it makes."""
        return len(self.values) + self.rare + self.missing if self.kind == "category" else 1 + self.indicator

    @property
    def scaled(self) -> bool:
        """Whether its first input is standardized."""
        return self.kind in ("number", "date")

    @property
    def input_names(self) -> tuple[str, ...]:
        """A name per input."""
        if self.kind == "category":
            more = ["(rare)"] * self.rare + ["(missing)"] * self.missing
            return tuple(f"{self.name}={value}" for value in (*self.values, *more))
        return (self.name, f"{self.name} is missing") if self.indicator else (self.name,)

    def expand(self, raw: Array, out: Array) -> None:
        """Write the inputs (n, width) for ``raw (n,)``.

        Parameters
        ----------
        raw
            float64, NaN where missing: numbers, seconds, 0 and 1, or for a category the numbers of its `values`, and
            any other number for other values.
        out
            Where they go; it may share memory with `raw` if it is one column.
        """
        absent = np.isnan(raw)
        if self.kind == "category":
            out[...] = 0
            n = len(self.values)
            place = np.where((raw >= 0) & (raw < n), raw, n if self.rare else -1)
            place = np.where(absent, n + self.rare if self.missing else -1, place).astype(np.intp)
            rows = np.flatnonzero(place >= 0)
            out[rows, place[rows]] = 1
            return
        filled = np.where(absent, self.fill, raw)
        out[:, 0] = (filled - self.mean) / self.std if self.scaled else filled
        if self.indicator:
            out[:, 1] = absent

    def to_json(self) -> dict[str, Any]:
        """Itself as JSON has it."""
        if self.kind == "category":
            more = {"rare": self.rare, "missing": self.missing}
            return {"name": self.name, "kind": self.kind, "values": list(self.values), **more}
        scale = {"mean": self.mean, "std": self.std} if self.scaled else {}
        return {"name": self.name, "kind": self.kind, **scale, "fill": self.fill, "indicator": self.indicator}

    @classmethod
    def from_json(cls, found: Any) -> Column:
        """A column from what `to_json` gave.

        Raises
        ------
        ValueError
            Anything is not as `to_json` makes it; the text says what.
        """
        expect(isinstance(found, dict), "a column is an object")
        kind = found.get("kind")
        expect(kind in KINDS, f"a column's kind is one of {', '.join(KINDS)}")
        keys = {"name", "kind"} | ({"values", "rare", "missing"} if kind == "category" else {"fill", "indicator"})
        keys |= {"mean", "std"} if kind in ("number", "date") else set()
        expect(set(found) == keys, f"a column of kind {kind} has {', '.join(sorted(keys))}")
        expect(isinstance(found["name"], str), "a column's name is a text")
        for key in keys & {"mean", "std", "fill"}:
            expect(is_finite(found[key]), f"a column's {key} is a finite number")
        for key in keys & {"indicator", "rare", "missing"}:
            expect(isinstance(found[key], bool), f"a column's {key} is true or false")
        expect(found.get("std", 1) > 0, "a column's std is above 0")
        if kind == "category":
            values = found["values"]
            expect(isinstance(values, list) and all(isinstance(v, str) for v in values), "values are texts")
            expect(len(set(values)) == len(values), "each value of a category occurs once")
            expect(bool(values) or found["rare"] or found["missing"], "a category has a value")
            return cls(found["name"], kind, values=tuple(values), rare=found["rare"], missing=found["missing"])
        mean, std, fill = (float(found.get(key, usual)) for key, usual in (("mean", 0), ("std", 1), ("fill", 0)))
        return cls(found["name"], kind, mean, std, fill, found["indicator"])


def expect(right: bool, what: str) -> None:
    """Raise a ValueError that says `what` was expected."""
    if not right:
        raise ValueError(what)


def is_finite(value: object) -> bool:
    """Whether a value from JSON is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf
