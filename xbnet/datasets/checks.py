"""The checks of a data set; each failure is one `DataError` line that begins with its name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, say
from .labels import Labels

Array = npt.NDArray[Any]

#: The parts of a data set, by field name, as a sentence says them.
PART_NAMES = {"train": "training", "val": "validation", "test": "test"}

MOST_CLASSES = 10_000
FEW = 20
"""So many different whole numbers, or fewer, are few."""
BLOCK = 1 << 17
"""Bytes that are looked at, or read, in one go: so a check or a mean takes no memory to speak of."""


def are_classes(count: int, rows: int) -> bool:
    """Whether this many different whole numbers in this many rows are classes rather than amounts.

    Few are, unless more than half of the rows differ, and many are if there are many rows of each.

    Examples
    --------
    >>> are_classes(2, 3), are_classes(12, 20), are_classes(10, 20), are_classes(26, 600)
    (True, False, True, True)
    """
    if count > FEW:
        return count * FEW <= rows
    return count <= 2 or 2 * count <= rows


def check_parts(
    where: str,
    inputs: dict[str, Array],
    targets: dict[str, Array],
    classes: tuple[str, ...] | None,
    partial: bool = False,
) -> tuple[dict[str, Array], dict[str, Array], tuple[str, ...] | None]:
    """Check and return x and y of each part in their final types, and the names of the classes.

    Parameters
    ----------
    where
        Name or path of the data set.
    inputs, targets
        ``x`` and ``y`` by part, with the keys of `PART_NAMES`; ``"train"`` must be there.
    classes
        Names of the classes, if they are known; None is returned for a regression only.
    partial
        Whether classes may be without a training sample.
    """
    inputs = {field: check_inputs(f"{where}: {PART_NAMES[field]}", x) for field, x in inputs.items()}
    n_inputs = inputs["train"].shape[1]
    for field, x in inputs.items():
        y = targets[field]
        if x.shape[1] != n_inputs:
            raise DataError(
                f"{where}: {PART_NAMES[field]} x expected (N, I={n_inputs}) as in training, got {x.shape}; "
                "was a feature column dropped or added?"
            )
        if y.ndim not in (1, 2) or len(y) != len(x):
            if y.ndim in (1, 2) and len(y) == x.shape[1]:
                raise DataError(
                    f"{where}: {PART_NAMES[field]} x expected (N={len(y)}, I) to match y, got {x.shape}; samples are "
                    "rows: transpose x (x.T)"
                )
            raise DataError(
                f"{where}: {PART_NAMES[field]} y expected (N={len(x)},) or (N={len(x)}, O) to match x, "
                f"got {y.shape}; x and y must hold the same samples"
            )
    targets, classes = _check_targets(where, targets, classes, partial)
    return inputs, targets, classes


def check_inputs(where: str, x: Array) -> Array:
    """Inputs as a floating (N, I) array of finite values with N, I >= 1."""
    if x.ndim != 2:
        raise DataError(f"{where} x expected (N, I), got {x.shape}; make each sample one row")
    if len(x) == 0:
        raise DataError(f"{where} x expected at least one sample, got {x.shape}")
    if x.shape[1] == 0:
        raise DataError(f"{where} x expected at least one input, got {x.shape}")
    if x.dtype.kind not in "biuf":
        hint = "encode text as numbers first"
        if x.dtype.kind == "c":
            hint = "make real and imaginary parts inputs of their own: numpy.hstack([x.real, x.imag])"
        raise DataError(f"{where} x expected numbers, got dtype {x.dtype}; {hint}")
    x = x.astype(floating(x.dtype), copy=False)
    check_finite(f"{where} x", x)
    return x


def check_finite(what: str, array: Array) -> None:
    """Name the first value of a 2-D `array` that is NaN or infinite, by row and column from 0."""
    for rows in row_slices(array):
        finite = np.isfinite(array[rows])
        if not finite.all():
            row, column = np.unravel_index(int(np.argmin(finite)), finite.shape)
            raise DataError(
                f"{what} expected finite values, got {array[rows][row, column]} at row {rows.start + row}, "
                f"column {column} (counted from 0); remove or fill such samples"
            )


def _check_targets(
    where: str, targets: dict[str, Array], classes: tuple[str, ...] | None, partial: bool
) -> tuple[dict[str, Array], tuple[str, ...] | None]:
    """Targets of all parts in their final type, and the names of the classes (None for a regression)."""
    # A column of labels is a list of labels.
    targets = {field: y[:, 0] if y.shape[1:] == (1,) and y.dtype.kind != "f" else y for field, y in targets.items()}
    first = targets["train"]
    for field, y in targets.items():
        if y.dtype.kind not in "biufU":
            raise DataError(
                f"{where}: {PART_NAMES[field]} y expected labels or numbers, got dtype {y.dtype}; "
                "make it an array of integers, strings or floats"
            )
        if y.shape[1:] != first.shape[1:] or (y.dtype.kind == "U") != (first.dtype.kind == "U"):
            raise DataError(
                f"{where}: {PART_NAMES[field]} y expected rows {first.shape[1:]} of {first.dtype} "
                f"as in training, got {y.shape[1:]} {y.dtype}"
            )
    if classes is not None:
        classes = tuple(str(name) for name in classes)
    if first.ndim == 1 and (first.dtype.kind != "f" or classes is not None):
        return _labels(where, targets, classes, partial)
    if first.dtype.kind == "U":
        raise DataError(f"{where}: y expected one string label per sample, got shape {first.shape}")
    if first.shape[1:] == (0,):
        raise DataError(f"{where}: y expected at least one column, got {first.shape}")
    if first.dtype.kind != "f" or classes is not None:
        return _multilabel(where, targets, classes, partial)
    floats = {}
    for field, y in targets.items():
        floats[field] = (y if y.ndim == 2 else y[:, None]).astype(floating(y.dtype), copy=False)
        check_finite(f"{where}: {PART_NAMES[field]} y", floats[field])
    return floats, None


def _labels(
    where: str, targets: dict[str, Array], classes: tuple[str, ...] | None, partial: bool
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Labels as int64 in 0..C-1, every class of which occurs in training."""
    if classes is None or targets["train"].dtype.kind == "U":
        found = _different(where, [*targets.values()] if partial else [targets["train"]])
        N = len(targets["train"])
        if classes is None and targets["train"].dtype.kind in "iu" and not (partial or are_classes(len(found), N)):
            say(
                f"{where}: y holds {len(found):,} different whole numbers in {N:,} rows, taken as "
                "classes; make y floats for a regression"
            )
        classes = tuple(map(str, found)) if classes is None else classes
        numbered = found == list(range(len(classes)))  # they are already, more often than not
        targets = {
            field: _numbered(f"{where}: {PART_NAMES[field]}", y, classes, numbered) for field, y in targets.items()
        }
    labels = {}
    for field, y in targets.items():
        for rows in row_slices(y):
            values = y[rows]
            wrong = (values < 0) | (values >= len(classes)) | (values != np.trunc(values))
            if wrong.any():
                row = int(np.argmax(wrong))
                raise DataError(
                    f"{where}: {PART_NAMES[field]} y expected labels 0..{len(classes) - 1}, numbers of the classes, "
                    f"got {values[row]} at row {rows.start + row} (counted from 0)"
                )
        labels[field] = y.astype(np.int64, copy=False)
    train, seen = labels["train"], np.zeros(len(classes), bool)
    for rows in row_slices(train):
        seen[train[rows]] = True
    if not seen.all() and not partial:
        _refuse_missing(where, int(np.argmin(seen)), classes, labels)
    if len(classes) < 2 and not partial:
        raise DataError(
            f"{where}: expected at least two classes, got {classes[0]!r} alone; there is nothing to tell apart"
        )
    return labels, classes


def _different(where: str, parts: list[Array]) -> list[Any]:
    """The labels that occur, in order."""
    found: set[Any] = set()
    for values in (y[rows] for y in parts for rows in row_slices(y)):
        found.update(np.unique(values).tolist())
        if len(found) > MOST_CLASSES:
            raise DataError(
                f"{where}: training y expected at most {MOST_CLASSES} classes, got more; is it a regression? Then make "
                "y floats"
            )
    return sorted(found)


def _strange(where: str, name: str) -> DataError:
    return DataError(
        f"{where} y holds the class {name!r}, which never occurs in training; "
        "move samples of it to training, or drop them"
    )


def _numbered(where: str, y: Array, classes: tuple[str, ...], numbered: bool) -> Array:
    """The numbers of the classes that `y (N,)` names; `numbered` says that integers are these numbers."""
    if numbered and y.dtype.kind in "iub":
        low, high = int(y.min()), int(y.max())
        if low < 0 or high >= len(classes):
            raise _strange(where, str(low if low < 0 else high))
        return y
    labels, coded = Labels(classes), np.empty(len(y), np.int64)
    for rows in row_slices(y):
        values, inverse = np.unique(y[rows], return_inverse=True)
        numbers = labels.find(values.tolist())
        if (numbers < 0).any():
            raise _strange(where, str(values[int(np.argmax(numbers < 0))]))
        coded[rows] = numbers[inverse]
    return coded


def _multilabel(
    where: str, targets: dict[str, Array], classes: tuple[str, ...] | None, partial: bool
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Targets (N, C) of 0 and 1 as floats, every class of which occurs in training."""
    floats = {}
    n_classes = targets["train"].shape[1]
    if classes is not None and len(classes) != n_classes:
        raise DataError(f"{where}: y expected a column for each of {len(classes)} classes, got {n_classes}")
    for field, y in targets.items():
        for rows in row_slices(y):
            wrong = (y[rows] != 0) & (y[rows] != 1)
            if wrong.any():
                row, column = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
                raise DataError(
                    f"{where}: {PART_NAMES[field]} y expected 0 or 1 per class, got {y[rows][row, column]} "
                    f"at row {rows.start + row}, column {column} (counted from 0); "
                    "integer y (N, C) is multi-label, a regression needs floats"
                )
        floats[field] = y.astype(floating(y.dtype), copy=False)
    missing = np.flatnonzero(~targets["train"].any(axis=0))
    if len(missing) and not partial:
        _refuse_missing(where, int(missing[0]), classes or tuple(map(str, range(n_classes))), targets)
    return floats, classes if classes is not None else tuple(map(str, range(n_classes)))


def _refuse_missing(where: str, missing: int, classes: tuple[str, ...], labels: dict[str, Array]) -> None:
    """Raise for a class without a training sample, naming the part in which it does occur."""
    name = repr(classes[missing])
    for field, y in labels.items():
        count = int((y == missing).sum() if y.ndim == 1 else y[:, missing].sum())
        if count:
            raise DataError(
                f"{where}: class {name} occurs {count} times in {PART_NAMES[field]} but never in training; "
                "move samples of it to training, or drop them"
            )
    raise DataError(
        f"{where}: class {name} of {len(classes)} never occurs in training; add samples of it, or drop the class"
    )


def floating(dtype: np.dtype) -> np.dtype:
    """The native floating type of inputs in `dtype`, which holds each of its numbers.

    That is its own up to float64; float32 for booleans and integers of at most 16 bits, and float64 for larger ones: so
    seconds, identifiers and counts keep their differences.
    """
    if dtype.kind != "f":
        return np.dtype(np.float32 if dtype.itemsize <= 2 else np.float64)
    return dtype.newbyteorder("=") if dtype.itemsize <= 8 else np.dtype(np.float64)


def row_slices(x: Array) -> Iterator[slice]:
    """Slices of consecutive rows of `x`, each of about `BLOCK` bytes."""
    step = max(1, BLOCK // max(1, x.itemsize * math.prod(x.shape[1:])))
    for start in range(0, len(x), step):
        yield slice(start, start + step)
