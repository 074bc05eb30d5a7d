"""Labels are what the file says: which class a word means, the same in training, scoring and prediction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Labels:
    """Finds the classes of words.

    A word is first compared as it is written. Where the classes are all numbers, each another one, a number in another
    spelling is the same label: 1.0 for 1. Truth values are compared without regard to capitals.

    Parameters
    ----------
    classes
        (C,) names or numbers.

    Examples
    --------
    >>> Labels((1, 2, 3)).find(["2", "3.0", "x"]).tolist()
    [1, 2, -1]
    >>> Labels(("001", "1")).find(["1", "01"]).tolist()
    [1, -1]
    """

    def __init__(self, classes: Sequence[Any]):
        self.names = tuple(str(name) for name in classes)
        self._number = {name: i for i, name in enumerate(self.names)}
        lower = {name.lower(): i for i, name in enumerate(self.names)}
        self._truth = lower if set(lower) <= {"true", "false"} else {}
        values = {float(name): i for i, name in enumerate(self.names) if NUMBER.fullmatch(name)}
        self._values = values if len(values) == len(self.names) else {}

    def find(self, words: Iterable[Any]) -> npt.NDArray[np.int64]:
        """Numbers (n,) of the classes that the words mean; -1 for those that mean none."""
        return np.array([self._find(str(word).strip()) for word in words], np.int64)

    def _find(self, word: str) -> int:
        found = self._number.get(word, -1)
        if found < 0 and self._truth:
            found = self._truth.get({"1": "true", "0": "false"}.get(word, word.lower()), -1)
        if found < 0 and self._values and NUMBER.fullmatch(word):
            found = self._values.get(float(word), -1)
        return found


def in_order(words: Iterable[str]) -> tuple[str | int, ...]:
    """The classes of these labels: numbers by size, text by letters. Whole numbers in their usual spelling are ints.

    Examples
    --------
    >>> in_order({"10", "9"})
    (9, 10)
    >>> in_order({"02", "1", "001"})
    ('001', '1', '02')
    """
    words = set(words)
    if all(NUMBER.fullmatch(word) for word in words):
        ordered = sorted(words, key=lambda word: (float(word), word))
        return tuple(map(int, ordered)) if all(is_plain_integer(word) for word in words) else tuple(ordered)
    return tuple(sorted(words))


def is_plain_integer(word: str) -> bool:
    """Whether a word is a whole number as Python writes it."""
    return bool(re.fullmatch(r"0|-?[1-9]\d{0,17}", word, re.ASCII))


def have_decimal_commas(words: Iterable[str]) -> bool:
    """Whether all words are numbers with a comma for their decimal point, or whole.

    Examples
    --------
    >>> have_decimal_commas({"1,5", "-2"}), have_decimal_commas({"1", "2"}), have_decimal_commas({"a,5", "1,5"})
    (True, False, False)
    """
    words = list(words)
    return any("," in word for word in words) and all(re.fullmatch(r"[+-]?\d+(,\d+)?", word) for word in words)
