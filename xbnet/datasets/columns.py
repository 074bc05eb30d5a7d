"""A column of a schema: how its values become inputs of a network. NumPy alone is needed for that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .checks import Array
from .normal import smooth_clip, to_normal

Kind = Literal["number", "category", "boolean", "date"]
KINDS = ("number", "category", "boolean", "date")


@dataclass(frozen=True)
class Column:
    """One column of a table, with what the training part says about it.

    A number or a date (seconds since 1970) is one input, ``(value - mean) / std``, or what smooth clipping or normal
    quantiles make of it (see `Scaler`); a truth value is 0 or 1. Where a value is missing it is `fill`; `indicator`
    adds an input that is 1 there and 0 elsewhere. A category has an input per value, which is 1 where the column has
    that value and 0 elsewhere, and then one for values that are rare and one for missing ones, if there were such.
    Where a new row has a value that was never seen, it counts as a rare one; if there was none, all inputs are 0. A
    category that is `coded` has one input instead, a whole number: 0 for what is rare or was never seen, 1 to n for
    its n values, and n + 1 for missing ones, if there were such.

    Parameters
    ----------
    name : str
        As the table has it.
    kind : str
        "number", "category", "boolean" or "date".
    mean, std : float
        Number to subtract, and number to divide by afterwards; 0 and 1 leave the values as they are.
    clip : bool
        Whether the result is clipped smoothly to (-3, 3).
    quantiles : tuple of float
        (Q,) at equal shares, by which values become normal; then there is no mean, std or clip.
    fill : float
        The median of the values, or for a truth value the one that is more frequent.
    indicator : bool
        Whether values were missing.
    values : tuple of str
        The values of a category that have an input of their own.
    rare, missing : bool
        Whether a category has an input for rare values, and for missing ones.
    coded : bool
        Whether a category is one input, the number of its value.
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
    clip: bool = False
    quantiles: tuple[float, ...] = ()
    coded: bool = False

    @property
    def width(self) -> int:
        """How many inputs it makes."""
        if self.coded:
            return 1
        return len(self.values) + self.rare + self.missing if self.kind == "category" else 1 + self.indicator

    @property
    def n_codes(self) -> int:
        """Number of values of a coded category's input: the number of rows that an embedding of it needs."""
        return 1 + len(self.values) + self.missing

    @property
    def scaled(self) -> bool:
        """Whether its first input is scaled where the table is."""
        return self.kind in ("number", "date")

    @property
    def input_names(self) -> tuple[str, ...]:
        """A name per input."""
        if self.kind == "category" and not self.coded:
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
            if self.coded:
                codes = np.where((raw >= 0) & (raw < n), raw + 1, 0)
                out[:, 0] = np.where(absent, n + 1 if self.missing else 0, codes)
                return
            place = np.where((raw >= 0) & (raw < n), raw, n if self.rare else -1)
            place = np.where(absent, n + self.rare if self.missing else -1, place).astype(np.intp)
            rows = np.flatnonzero(place >= 0)
            out[rows, place[rows]] = 1
            return
        filled = np.where(absent, self.fill, raw)
        out[:, 0] = self.scale(filled) if self.scaled else filled
        if self.indicator:
            out[:, 1] = absent

    def scale(self, values: Array) -> Array:
        """Return the column's input for numbers of which none is missing."""
        if self.quantiles:
            return to_normal(values, np.array(self.quantiles))
        scaled = (values - self.mean) / self.std
        return smooth_clip(scaled) if self.clip else scaled

    def to_json(self) -> dict[str, Any]:
        """Itself as JSON has it."""
        if self.kind == "category":
            more = {"rare": self.rare, "missing": self.missing} | ({"coded": True} if self.coded else {})
            return {"name": self.name, "kind": self.kind, "values": list(self.values), **more}
        scale: dict[str, Any] = {"mean": self.mean, "std": self.std} if self.scaled else {}
        if self.clip:
            scale["clip"] = True
        if self.quantiles:
            scale = {"quantiles": list(self.quantiles)}
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
        if kind in ("number", "date"):
            keys |= {"quantiles"} if "quantiles" in found else {"mean", "std"} | ({"clip"} & set(found))
        elif kind == "category":
            keys |= {"coded"} & set(found)
        expect(set(found) == keys, f"a column of kind {kind} has {', '.join(sorted(keys))}")
        expect(isinstance(found["name"], str), "a column's name is a text")
        for key in keys & {"mean", "std", "fill"}:
            expect(is_finite(found[key]), f"a column's {key} is a finite number")
        for key in keys & {"indicator", "rare", "missing", "clip", "coded"}:
            expect(isinstance(found[key], bool), f"a column's {key} is true or false")
        expect(found.get("std", 1) > 0, "a column's std is above 0")
        if kind == "category":
            values = found["values"]
            expect(isinstance(values, list) and all(isinstance(v, str) for v in values), "values are texts")
            expect(len(set(values)) == len(values), "each value of a category occurs once")
            expect(bool(values) or found["rare"] or found["missing"], "a category has a value")
            return cls(found["name"], kind, values=tuple(values), rare=found["rare"], missing=found["missing"],
                       coded=found.get("coded", False))  # fmt: skip
        mean, std, fill = (float(found.get(key, usual)) for key, usual in (("mean", 0), ("std", 1), ("fill", 0)))
        quantiles = found.get("quantiles", [])
        right = isinstance(quantiles, list) and all(map(is_finite, quantiles)) and quantiles == sorted(quantiles)
        expect(right and ("quantiles" not in found or len(quantiles) > 1), "a column's quantiles are numbers in order")
        return cls(
            found["name"], kind, mean, std, fill, found["indicator"],
            clip=found.get("clip", False), quantiles=tuple(map(float, quantiles)),
        )  # fmt: skip


def expect(right: bool, what: str) -> None:
    """Raise a ValueError that says `what` was expected."""
    if not right:
        raise ValueError(what)


def is_finite(value: object) -> bool:
    """Whether a value from JSON is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf
