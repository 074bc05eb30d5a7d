"""The records that every loader returns and `fit` takes: `Part` and `Dataset`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..errors import ConfigError, DataError, counted
from ..notebook import heading, table
from .checks import PART_NAMES, Array, check_parts
from .objects import encode_parts, is_readable, of_one_type
from .scaler import Scaler
from .schema import Schema
from .tables import is_table

Task = Literal["classification", "multilabel", "regression"]


@dataclass(frozen=True, eq=False)
class Part:
    """Samples with their targets; rows are samples.

    Parameters
    ----------
    x : array (N, I), or table
        Inputs. Floating types are kept; integers become float64, or float32 where they have at most 16 bits, as
        booleans do. A table (a DataFrame of pandas or polars, a table of pyarrow: whatever has `__arrow_c_stream__`)
        becomes numbers once a `Dataset` has learned how.
    y : array, or column
        One of: labels ``(N,)``, integers or strings (classification); ``(N, C)`` of 0 and 1 (multi-label);
        ``(N, O)`` floats, or ``(N,)`` floats for O = 1 (regression). Or a column of a table.

    Examples
    --------
    >>> part = Part([[0.5, 1.0], [1.5, 2.0], [0.0, 1.0]], ["no", "yes", "no"])
    >>> len(part), part.x.shape
    (3, (3, 2))
    """

    x: Any
    y: Any

    def __post_init__(self) -> None:
        for name, value in (("x", self.x), ("y", self.y)):
            if hasattr(value, "toarray"):
                raise DataError(f"Part: expected {name} as a dense array, got a sparse one; pass {name}.toarray()")
            if not (is_table(value) if name == "x" else is_readable(value)):
                object.__setattr__(self, name, of_one_type(np.asarray(value)))

    def __len__(self) -> int:
        """Number of samples N."""
        return len(self.x)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training samples, and validation and test samples where there are any.

    Everything is checked here, once, so that no later code has to.

    Parameters
    ----------
    name : str
        The user's name for it, or its path; every error line begins with it.
    train, val, test : Part
        The parts; `val` and `test` may be absent.
    classes : tuple of str, optional
        Names of the classes in the order of the labels (or of the columns, for multi-label). Left out,
        these are the labels that occur in training; a regression has none. Integer or boolean
        ``y (N, C)`` is multi-label; floating ``y (N, C)`` is multi-label if `classes` is given.
    image_shape : (C, H, W), optional
        Channels, height and width of the image that each row of x holds in this order, C * H * W = I.
    preparation : Scaler, optional
        The scaler of every x, old and new; None where there is a schema, which holds it.
    features : tuple of str, optional
        Names of the inputs (I,), where the source has them.
    schema : Schema, optional
        How the columns of a table became x and y, and those of any other become inputs: ``schema.encode(table)``.
    partial : bool, default=False
        Whether classes may lack training samples: true of data that are only predicted.

    target_scale : Scaler, optional
        Mean and scale that every y of a regression was standardized by; predictions are put back by them.

    Raises
    ------
    DataError
        For values that are not finite, a part without samples, lengths or widths that do not match,
        labels out of range, and a class that never occurs in training.

    Examples
    --------
    >>> data = Dataset("mine", Part([[0.5, 1.0], [1.5, 2.0], [0.0, 1.0]], ["no", "yes", "no"]))
    >>> data.n_inputs, data.classes, data.train.y.tolist()
    (2, ('no', 'yes'), [0, 1, 0])
    """

    name: str
    train: Part
    val: Part | None = None
    test: Part | None = None
    classes: tuple[str, ...] | None = None
    image_shape: tuple[int, int, int] | None = None
    preparation: Scaler | None = None
    features: tuple[str, ...] | None = None
    schema: Schema | None = None
    partial: bool = False
    target_scale: Scaler | None = None

    def __post_init__(self) -> None:
        for field, part in self.parts():
            if not (hasattr(part, "x") and hasattr(part, "y")):
                raise DataError(f"{self.name}: expected {field} to be a Part(x, y), got {type(part).__name__}")
        parts = {field: (part.x, part.y) for field, part in self.parts()}
        if self.schema is None and any(is_table(x) or is_readable(y) for x, y in parts.values()):
            parts, schema, classes = encode_parts(self.name, parts, self.classes)
            object.__setattr__(self, "schema", schema)
            object.__setattr__(self, "classes", classes)
        inputs, targets, classes = check_parts(
            self.name,
            {field: x for field, (x, _) in parts.items()},
            {field: y for field, (_, y) in parts.items()},
            self.classes,
            self.partial,
        )
        for field in inputs:
            object.__setattr__(self, field, Part(inputs[field], targets[field]))
        object.__setattr__(self, "classes", classes)
        if self.image_shape is not None and math.prod(self.image_shape) != self.n_inputs:
            raise DataError(f"{self.name}: image_shape {self.image_shape} expected C * H * W = I = {self.n_inputs}")
        if self.schema is not None:
            if self.schema.n_inputs != self.n_inputs:
                raise DataError(
                    f"{self.name}: expected x (N, I={self.schema.n_inputs}) as the schema, got {self.n_inputs}"
                )
            object.__setattr__(self, "features", self.schema.input_names)
        if self.features is not None and len(self.features) != self.n_inputs:
            raise DataError(f"{self.name}: expected a name per input, I = {self.n_inputs}, got {len(self.features)}")

    def __repr__(self) -> str:
        sizes = ", ".join(f"{field} {len(part):,}" for field, part in self.parts())
        target = counted(self.n_outputs, "output") if self.classes is None else f"{self.n_classes} classes"
        return f"Dataset({self.name!r}: {self.task}, {sizes} rows, {counted(self.n_inputs, 'input')}, {target})"

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
    def codes(self) -> dict[int, int]:
        """Inputs that are codes of categories (``one_hot=``): index of the input -> number of codes."""
        return {} if self.schema is None else self.schema.codes

    @property
    def numbers(self) -> list[int]:
        """Inputs that are numbers, by their indices: of a table its numbers and dates, of other data all."""
        return [*range(self.n_inputs)] if self.schema is None else self.schema.numbers

    @property
    def n_classes(self) -> int | None:
        """C; None for a regression."""
        return None if self.classes is None else len(self.classes)

    @property
    def n_outputs(self) -> int:
        """The number of outputs that a network for this task has: C classes, or O columns of a regression."""
        return int(self.train.y.shape[1]) if self.classes is None else len(self.classes)

    def scaled(self, scaling: str = "standard", *, in_place: bool = False) -> Dataset:
        """A new data set, scaled by the statistics of the training part, with `preparation` or its schema set.

        In a table, numbers and dates are; categories and truth values, which are 0 and 1, are not.

        Parameters
        ----------
        scaling
            "standard", "robust", "quantile" or "none"; see `Scaler.fit`.
        in_place
            Overwrite the inputs of this one instead of taking memory for others. It must not be used any more, nor
            what shares its arrays: a part that `split` left as it was does.

        Returns
        -------
        Dataset

        Raises
        ------
        ConfigError
            It is scaled already.
        """
        preparation = self.scaler_of(scaling)
        if scaling == "none":
            return self
        if self.scaler is not None:
            raise ConfigError(f"{self.name}: is scaled already; scale it once")
        schema = None if self.schema is None else self.schema.scaled(preparation)
        parts = {
            field: Part(preparation(part.x, out=part.x if in_place else None), part.y) for field, part in self.parts()
        }
        return replace(
            self,
            train=parts["train"],
            val=parts.get("val"),
            test=parts.get("test"),
            preparation=preparation if schema is None else None,
            schema=schema,
        )

    def with_scaled_targets(self) -> Dataset:
        """A new data set whose targets have mean 0 and standard deviation 1 over the training part, each on its own.

        Its `target_scale` and its schema's target say how to put predictions back. Only a regression's targets
        are scaled; another data set, and one that is scaled already, is returned as it is.

        Examples
        --------
        >>> data = Dataset("d", Part(np.eye(2), np.array([10.0, 30.0]))).with_scaled_targets()
        >>> data.train.y.ravel(), data.target_scale.mean, data.target_scale.scale
        (array([-1.,  1.]), array([20.]), array([10.]))
        """
        if self.task != "regression" or self.target_scale is not None:
            return self
        scale = Scaler.fit(self.train.y)
        schema = self.schema
        if schema is not None and schema.target is not None:
            mean, width = tuple(scale.mean.tolist()), tuple(scale.scale.tolist())
            schema = replace(schema, target=replace(schema.target, mean=mean, scale=width))
        parts = {field: Part(part.x, scale(part.y)) for field, part in self.parts()}
        return replace(self, **parts, schema=schema, target_scale=scale)  # type: ignore[arg-type]

    def scaler_of(self, scaling: str, rows: Array | None = None) -> Scaler:
        """Fit a scaler to the training part.

        Parameters
        ----------
        scaling
            "standard", "robust", "quantile" or "none"; see `Scaler.fit`.
        rows
            Rows of the training part; None: all.

        Returns
        -------
        Scaler
            For a table it scales numbers and dates only.
        """
        x = self.train.x if rows is None else self.train.x[rows]
        found = Scaler.fit(x, scaling)
        return found if self.schema is None else self.schema.only_scaled(found)

    @property
    def scaler(self) -> Scaler | None:
        """The scaler applied to the inputs, `preparation` or the schema's; None if they are as they came."""
        return self.preparation if self.schema is None else self.schema.scaler
