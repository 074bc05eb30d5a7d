"""Kinds of a column's cells: numbers, truth values, dates or words, from a text or from a typed column.

This is the one place that says what a number is, and what a missing value looks like. Numbers come out as float64 with
NaN for a missing value, words as `Words`. pyarrow is imported where it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..checks import Array

if TYPE_CHECKING:
    import pyarrow as pa

MISSING_LABELS = ("", "na", "n/a", "nan", "null", "?", "<na>", "nat")
"""Labels of a missing value, in lower case."""
MISSING = (*MISSING_LABELS, "none")
"""The same among inputs; as a label, None is a name like any other."""
_DATE = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)?)?$"
_TRUTH = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}


class Words(NamedTuple):
    """Words (n,) as numbers of the entries of a list."""

    codes: Array
    """(n,) int64; -1 where the value is missing."""
    words: list[str]
    """Each once."""


@lru_cache(maxsize=256)
def kind_of(kind: pa.DataType) -> str | None:
    """Return the kind of a column of Arrow's type `kind`: "text", "number", "boolean", "date", "empty", or None."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return kind_of(kind.value_type)
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_duration(kind):
        return "number"
    if types.is_date(kind) or types.is_timestamp(kind):
        return "date"
    if types.is_null(kind):
        return "empty"
    is_view = getattr(types, "is_string_view", lambda kind: False)
    return "text" if types.is_string(kind) or types.is_large_string(kind) or is_view(kind) else None


def parse(kind: str, column: pa.Array, decimals: str) -> Array | None:
    """Numbers, truth values (0 and 1) or dates (seconds since 1970) as float64 (n,); None if any value is none.

    Parameters
    ----------
    kind
        "number", "boolean" or "date".
    column
        An Arrow array.
    decimals
        The marks that may part a number's decimals, tried in turn: ".", "," or ".,".
    """
    column = _plain(column)
    found = kind_of(column.type)
    if found == "empty":
        return np.full(len(column), np.nan)
    if kind == "number":
        return _text_numbers(column, decimals) if found == "text" else _float(column)
    if kind == "boolean":
        return _float(column) if found == "boolean" else _truth(column)
    return _text_dates(column) if found == "text" else _float(column)


def parse_together(columns: Sequence[pa.Array]) -> Array | None:
    """Texts of plain numbers with decimal points as float64 (columns, n), by one call; None if any is not finite."""
    import pyarrow as pa

    if any(column.type != pa.string() for column in columns):
        return None
    try:
        found = _cast_text(pa.concat_arrays(columns), pa.float64())
    except pa.ArrowInvalid:  # more text than one array holds
        return None
    if found is None:
        return None
    numbers = np.asarray(found.to_numpy(zero_copy_only=False), np.float64).reshape(len(columns), -1)
    return None if np.isinf(numbers).any() else numbers


def words_of(column: pa.Array, missing: tuple[str, ...] = MISSING) -> Words:
    """The values as words: a text without spaces around it; 1, 1.5 or True for what is typed."""
    import pyarrow as pa

    column = _plain(column)
    kind = kind_of(column.type)
    if kind == "empty":
        return Words(np.full(len(column), -1), [])
    if kind == "text":
        column = _trimmed(column)
    elif pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    coded = column.dictionary_encode()
    values = coded.dictionary.to_pylist()
    codes = np.asarray(coded.indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)
    words = [value if isinstance(value, str) else str(value) for value in values]
    absent = np.array([word.lower() in missing for word in words] + [True])
    kept = [word for word, away in zip(words, absent, strict=False) if not away]
    place = np.where(absent, -1, np.cumsum(~absent) - 1)
    return Words(place[codes], kept)


def is_code(column: pa.Array) -> tuple[bool, bool, int]:
    """Whether all values are digits alone, whether one of several digits begins with 0, and their common length.

    The length is 0 where there are several, and -1 where all values are missing. Of values that are not all digits
    only that is sure.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    text = _plain(column)
    if len(text) and pa.types.is_string(text.type) and not text.null_count:  # by its bytes, in a tenth of the time
        ends = np.frombuffer(text.buffers()[1], np.int32)[text.offset : text.offset + len(text) + 1]
        content = memoryview(text.buffers()[2] or b"")[ends[0] : ends[-1]].tobytes()
        if any(mark in content for mark in b".,+-"):  # of numbers, but neither of digits alone nor of a missing value
            return False, False, 0
        if content.isdigit():
            lengths = ends[1:] - ends[:-1]
            there = lengths > 0
            firsts, lengths = np.frombuffer(content, np.uint8)[ends[:-1][there] - ends[0]], lengths[there]
            return True, bool(((firsts == ord("0")) & (lengths > 1)).any()), _common(lengths)
    text = _without_missing(_trimmed(text), MISSING).drop_null()
    digits = pc.all(pc.match_substring_regex(text, "^[0-9]+$"), min_count=0).as_py()
    zeros = pc.any(pc.match_substring_regex(text, "^0[0-9]"), min_count=0).as_py()
    return digits, zeros, _common(pc.utf8_length(text).to_numpy(zero_copy_only=False))


def _common(lengths: Array) -> int:
    """The length that all have, 0 where there are several, and -1 where there is none."""
    if not len(lengths):
        return -1
    return int(lengths[0]) if lengths.min() == lengths.max() else 0


def has_word(column: pa.Array) -> bool:
    """Whether a text has no digit, and is neither missing nor infinite: it is no number, and no date."""
    for text in column.to_pylist():
        word = text.strip(' "').lower()
        if word.isalpha() and word not in MISSING and "inf" not in word:
            return True
    return False


def first_bad(kind: str, column: pa.Array, decimals: str) -> tuple[int, str]:
    """Row and text of the first value that is no `kind`."""
    for marks in (decimals, *decimals):  # where points and commas are mixed, each value is a number by itself
        for i in range(len(column)):
            if parse(kind, column.slice(i, 1), marks) is None:
                return i, str(column[i].as_py())
    raise AssertionError("every value is fine")


def _plain(column: pa.Array) -> pa.Array:
    """One array, not in chunks nor by a dictionary."""
    import pyarrow as pa

    if column.type == pa.string():
        return column
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if getattr(pa.types, "is_string_view", lambda kind: False)(column.type):
        try:
            column = column.cast(pa.large_string())
        except pa.ArrowNotImplementedError:  # before pyarrow 20
            column = pa.array(column.to_pylist(), pa.large_string())
    return column


def _float(column: pa.Array) -> Array:
    """Typed values as float64."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_temporal(kind):
        per_second = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
        if pa.types.is_date(kind):
            column, kind = column.cast(pa.timestamp("s")), pa.timestamp("s")
        values = pc.cast(column.cast(pa.int64()), pa.float64(), safe=False)
        return np.asarray(values.to_numpy(zero_copy_only=False)) / per_second[kind.unit]
    values = pc.cast(column, pa.float64(), safe=False)
    return np.asarray(values.to_numpy(zero_copy_only=False), np.float64)


def _trimmed(text: pa.Array) -> pa.Array:
    """Without spaces around it, nor quotes after a space."""
    import pyarrow.compute as pc

    text = pc.utf8_trim_whitespace(text)
    quoted = pc.match_substring_regex(text, '(?s)^".*"$')
    if pc.any(quoted).as_py():
        inner = pc.replace_substring(pc.utf8_slice_codeunits(text, 1, -1), '""', '"')
        text = pc.if_else(quoted, pc.utf8_trim_whitespace(inner), text)
    return text


def _without_missing(text: pa.Array, missing: tuple[str, ...]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    away = pc.is_in(pc.utf8_lower(text), value_set=pa.array(missing, text.type))
    return pc.if_else(away, pa.scalar(None, text.type), text)


def _cast_text(text: pa.Array, kind: pa.DataType) -> Any | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return pc.cast(text, kind)
    except pa.ArrowInvalid:
        return None


def _text_numbers(text: pa.Array, decimals: str) -> Array | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = _cast_text(text, pa.float64()) if "." in decimals else None
    if found is None:
        text = _without_missing(_trimmed(text), MISSING)
        for mark in decimals:
            if mark == ",":
                if pc.any(pc.match_substring(text, ".")).as_py():
                    continue
                found = _cast_text(pc.replace_substring(text, ",", ".", max_replacements=1), pa.float64())
            else:
                found = _cast_text(text, pa.float64())
            if found is not None:
                break
    return None if found is None else np.asarray(found.to_numpy(zero_copy_only=False), np.float64)


def _truth(column: pa.Array) -> Array | None:
    """Text or numbers as 0 and 1."""
    words = words_of(column)
    values = [_TRUTH.get(word.lower(), 2.0) for word in words.words]
    return None if 2.0 in values else np.array([*values, np.nan])[words.codes]


def _text_dates(text: pa.Array) -> Array | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    text = _without_missing(_trimmed(text), MISSING)
    if not pc.all(pc.match_substring_regex(text, _DATE), min_count=0).as_py():
        return None
    zoned = pc.match_substring_regex(text, r"(Z|[+-]\d{2}(:?\d{2})?)$")
    zoned = pc.and_(zoned, pc.match_substring(text, ":"))
    plain = _cast_text(pc.if_else(zoned, pa.scalar(None, text.type), text), pa.timestamp("us"))
    moved = _cast_text(pc.if_else(zoned, text, pa.scalar(None, text.type)), pa.timestamp("us", "UTC"))
    if plain is None or moved is None:
        return None
    return _float(pc.coalesce(plain, moved.cast(pa.timestamp("us"))))
