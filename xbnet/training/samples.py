"""The samples of a run, for training and validation, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..backends.arrays import ArrayLike, Rows
from ..datasets import Dataset, Part, load_dataset
from ..datasets.odd import say_if_labels
from ..errors import ConfigError, DataError, expect_shape

Data = Dataset | tuple[Rows, ArrayLike] | str | Path
"""Data for `fit`: a data set, inputs (N, I) and targets, or a name or path that `load_dataset` takes."""


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of a run, on the host.

    Attributes
    ----------
    name
        For messages.
    task
        "classification", "multilabel" or "regression".
    n_outputs
        Classes or targets, C.
    train
        x (N, I) and y, as the loss takes them.
    val
        A part to validate on, or None.
    image_shape
        (channels, height, width) of the rows of x, or None.
    sample_weight, val_weight
        (N,) weights >= 0 of the rows of `train`, and of those to validate on; None: all 1.
    train_rows, val_rows
        Row numbers of `train` for each replica to train on, and to be validated on, see `Resident.rows`; None: all of
        `train`, and `val`.
    """

    name: str
    task: str
    n_outputs: int
    train: Part
    val: Part | None = None
    image_shape: tuple[int, int, int] | None = None
    sample_weight: ArrayLike | None = None
    val_weight: ArrayLike | None = None
    train_rows: Sequence[np.ndarray] | None = None
    val_rows: Sequence[np.ndarray] | None = None

    @classmethod
    def of(cls, data: Dataset, **more: Any) -> Samples:
        """Those of a data set; `more` are further attributes."""
        return cls(data.name, data.task, data.n_outputs, data.train, data.val, data.image_shape, **more)

    @property
    def n(self) -> int:
        """How many each replica trains on."""
        return len(self.train.x) if self.train_rows is None else len(self.train_rows[0])

    @property
    def validated(self) -> bool:
        """Whether there is something to validate on."""
        return (self.val if self.train_rows is None else self.val_rows) is not None


def check_data(data: Data, where: str = "fit") -> Dataset:
    """A `Dataset`, which `load_dataset` makes of a name or path; of a pair (x, y) one without a validation part."""
    if isinstance(data, Dataset):
        return data
    if isinstance(data, (str, Path)):
        return load_dataset(data)
    if isinstance(data, (tuple, list)) and len(data) == 2:
        say_if_labels(f"{where}: y", data[1], "make them integers for classes")
        return Dataset("arrays", Part(data[0], data[1]))
    raise DataError(f"{where}: expected data to be a Dataset or (x, y), got {type(data).__name__}; see load_dataset")


def check_weights(where: str, sample_weight: ArrayLike, n: int) -> np.ndarray:
    """Weights (N,) of samples, as float64."""
    try:
        weights = np.asarray(sample_weight, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"{where}: expected sample_weight to hold numbers, got {sample_weight!r}") from None
    expect_shape(where, "sample_weight", weights, N=n)
    if not np.all((weights >= 0) & np.isfinite(weights)) or not weights.sum() > 0:
        raise ConfigError(f"{where}: expected sample_weight >= 0 with at least one > 0")
    return weights
