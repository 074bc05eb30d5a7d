"""The records that every loader returns and `fit` takes: `Part`, `Dataset`, `Standardizer`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..errors import ConfigError, DataError
from ..notebook import heading, table
from .checks import PART_NAMES, Array, check_parts, row_slices

Task = Literal["classification", "multilabel", "regression"]


@dataclass(frozen=True, eq=False)
class Part:
    """Samples with their targets; rows are samples.

    Parameters
    ----------
    x : array (N, I)
        Inputs. Floating types are kept, integers and booleans become float32.
    y : array
        One of: labels ``(N,)``, integers 0..C-1 or strings (classification); ``(N, C)`` of 0 and 1
        (multi-label); ``(N, O)`` floats, or ``(N,)`` floats for O = 1 (regression).
    """

    x: Array
    y: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", np.asarray(self.x))
        object.__setattr__(self, "y", np.asarray(self.y))

    def __len__(self) -> int:
        """Number of samples N."""
        return len(self.x)


@dataclass(frozen=True, eq=False)
class Standardizer:
    """``(x - mean) / scale``, with a mean and a scale per input.

    Parameters
    ----------
    mean, scale : float64 array (I,)
        In the units of the inputs; no scale is zero.
    """

    mean: Array
    scale: Array

    @classmethod
    def fit(cls, x: Array) -> Standardizer:
        """Take mean and standard deviation (divisor N) of each column; a constant column gets scale 1.

        Both are summed in float64, whatever the type of `x`.

        Raises
        ------
        DataError
            If a column's values are so large that its variance is not finite.
        """
        n, total = len(x), np.zeros(x.shape[1])
        squares = np.zeros_like(total)
        with np.errstate(over="ignore", invalid="ignore"):
            for rows in row_slices(x):
                total += x[rows].sum(axis=0, dtype=np.float64)
            mean = total / n
            for rows in row_slices(x):
                squares += ((x[rows] - mean) ** 2).sum(axis=0)
        scale = np.sqrt(squares / n)
        if not np.isfinite(scale).all():
            column = int(np.argmin(np.isfinite(scale)))
            raise DataError(
                f"Standardizer.fit: expected columns with a finite variance, got values as large as "
                f"{float(np.abs(x[:, column]).max()):.3g} in column {column}; rescale that column"
            )
        # Not scale == 0: the mean of equal values is rounded, so their deviation from it may not be 0.
        scale[x.min(axis=0) == x.max(axis=0)] = 1.0
        return cls(mean, scale)

    def __call__(self, x: Array, out: Array | None = None) -> Array:
        """Transform ``x (N, I)`` into `out`, which may be x; by default a new array of its floating type.

        That is float32 for integers.
        """
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            raise DataError(f"Standardizer: expected x (N, I={len(self.mean)}), got {x.shape}")
        if out is None:
            out = np.empty(x.shape, x.dtype if x.dtype.kind == "f" else np.float32)
        for rows in row_slices(x):
            out[rows] = (x[rows] - self.mean) / self.scale
        return out


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training samples, and validation and test samples where there are any.

    Everything is checked here, once, so that nothing behind it needs to.

    Parameters
    ----------
    name : str
        What the user called it, a name or a path; every error line begins with it.
    train, val, test : Part
        The parts; `val` and `test` may be absent.
    classes : tuple of str, optional
        Names of the classes in the order of the labels (or of the columns, for multi-label). Left out,
        classification and multi-label number them; a regression has none. Integer or boolean
        ``y (N, C)`` is multi-label; floating ``y (N, C)`` is multi-label if `classes` is given.
    image_shape : (C, H, W), optional
        Channels, height and width of the image that each row of x holds in this order, C * H * W = I.
    preparation : Standardizer, optional
        What was done to every x, and must be done to every new one.
    features : tuple of str, optional
        Names of the inputs (I,), where the source has them: a table's columns.

    Raises
    ------
    DataError
        For values that are not finite, a part without samples, lengths or widths that do not match,
        labels out of range, and a class that never occurs in training.
    """

    name: str
    train: Part
    val: Part | None = None
    test: Part | None = None
    classes: tuple[str, ...] | None = None
    image_shape: tuple[int, int, int] | None = None
    preparation: Standardizer | None = None
    features: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for field, part in self.parts():
            if not (hasattr(part, "x") and hasattr(part, "y")):
                raise DataError(f"{self.name}: expected {field} to be a Part(x, y), got {type(part).__name__}")
        inputs, targets, classes = check_parts(
            self.name,
            {field: part.x for field, part in self.parts()},
            {field: part.y for field, part in self.parts()},
            self.classes,
        )
        for field in inputs:
            object.__setattr__(self, field, Part(inputs[field], targets[field]))
        object.__setattr__(self, "classes", classes)
        if self.image_shape is not None and math.prod(self.image_shape) != self.n_inputs:
            raise DataError(f"{self.name}: image_shape {self.image_shape} expected C * H * W = I = {self.n_inputs}")
        if self.features is not None and len(self.features) != self.n_inputs:
            raise DataError(f"{self.name}: expected a name per input, I = {self.n_inputs}, got {len(self.features)}")

    def __repr__(self) -> str:
        sizes = ", ".join(f"{field} {len(part):,}" for field, part in self.parts())
        target = f"{self.n_outputs} outputs" if self.classes is None else f"{self.n_classes} classes"
        return f"Dataset({self.name!r}: {self.task}, {sizes} rows, {self.n_inputs} inputs, {target})"

    def _repr_html_(self) -> str:
        return heading(repr(self)) + table(("input", "mean", "deviation", "smallest", "largest"), self._columns())

    def _columns(self) -> Iterator[tuple[str, float, float, float, float]]:
        """Name, mean, standard deviation, minimum and maximum of each input, over the training part."""
        for i in range(self.n_inputs):
            x = self.train.x[:, i]
            name = self.features[i] if self.features else f"x{i}"
            yield name, float(x.mean(dtype=float)), float(x.std(dtype=float)), float(x.min()), float(x.max())

    def parts(self) -> Iterator[tuple[str, Part]]:
        """The parts that are there, each with its field name: ``("train", ...)`` first."""
        for field in PART_NAMES:
            part = getattr(self, field)
            if part is not None:
                yield field, part

    @property
    def task(self) -> Task:
        """``"classification"`` (y are labels), ``"multilabel"`` (0/1 per class) or ``"regression"``."""
        if self.classes is None:
            return "regression"
        return "classification" if self.train.y.ndim == 1 else "multilabel"

    @property
    def n_inputs(self) -> int:
        """I, columns of x."""
        return int(self.train.x.shape[1])

    @property
    def n_classes(self) -> int | None:
        """C; None for a regression."""
        return None if self.classes is None else len(self.classes)

    @property
    def n_outputs(self) -> int:
        """How many outputs a network for this task has: C, or O columns of a regression."""
        return int(self.train.y.shape[1]) if self.classes is None else len(self.classes)

    def standardized(self, *, in_place: bool = False) -> Dataset:
        """A new data set, z-scored by the statistics of the training part, with `preparation` set.

        Parameters
        ----------
        in_place
            Overwrite the inputs of this one instead of taking memory for others. It must not be used any more, nor
            what shares its arrays: a part that `split` left as it was does.
        """
        if self.preparation is not None:
            raise ConfigError(f"{self.name}: is standardized already; standardize it once")
        preparation = Standardizer.fit(self.train.x)
        parts = {
            field: Part(preparation(part.x, out=part.x if in_place else None), part.y) for field, part in self.parts()
        }
        return replace(
            self, train=parts["train"], val=parts.get("val"), test=parts.get("test"), preparation=preparation
        )
