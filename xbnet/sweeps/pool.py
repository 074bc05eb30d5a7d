"""The samples of a sweep: one data set for all, or folds of it, each scaled by its own training part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backends.arrays import ArrayLike
from ..datasets import Dataset, Part, Scaler
from ..errors import ConfigError, DataError
from ..parsing import is_whole

Rows = tuple[np.ndarray, np.ndarray]
"""Sorted row numbers to train on, and to be validated on."""


@dataclass(frozen=True, eq=False)
class Pool:
    """The samples that all members of a sweep train on.

    Attributes
    ----------
    data
        Without folds: as given. With folds: its training part holds every fold's samples; where folds are
        scaled on their own, one copy after the other.
    folds
        Row numbers of ``data.train`` per fold; None: the data set's own parts.
    preparations
        Scaling of the inputs, per fold (a single entry without folds).
    sample_weight
        (N,) of ``data.train``, or None.
    scaling
        What made the inputs, see `Scaler.fit`.
    """

    data: Dataset
    folds: tuple[Rows, ...] | None
    preparations: tuple[Scaler | None, ...]
    sample_weight: np.ndarray | None = None
    scaling: str = "none"

    def sizes(self, fold: int | None) -> tuple[int, int]:
        """Numbers of samples to train on, and to be validated on."""
        if fold is None or self.folds is None:
            return len(self.data.train), 0 if self.data.val is None else len(self.data.val)
        train, val = self.folds[fold]
        return len(train), len(val)

    def preparation(self, fold: int | None) -> Scaler | None:
        """Return the scaling of a fold's inputs."""
        return self.preparations[fold or 0]

    def of_fold(self, fold: int | None) -> Dataset:
        """One fold as a data set of its own: what a network alone would be trained on."""
        if fold is None or self.folds is None:
            return self.data
        train, val = (Part(self.data.train.x[rows], self.data.train.y[rows]) for rows in self.folds[fold])
        return replace(self.data, train=train, val=val, test=None)


def make_pool(
    data: Dataset,
    folds: int | Sequence[tuple[Any, Any]] | None = None,
    *,
    scaling: str = "none",
    sample_weight: ArrayLike | None = None,
    rng: np.random.Generator | int = 0,
) -> Pool:
    """The samples, cut into folds.

    Parameters
    ----------
    data
        Folds are cut from its training part; a validation part is then left alone.
    folds
        A number K >= 2 (stratified by class), or pairs of row numbers (train, validation).
    scaling
        Scaling of the inputs, each fold by its own training part; see `Scaler.fit`.
    sample_weight
        (N,), for training.
    rng
        Random generator of the folds.
    """
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=float)
    if folds is None:
        prepared = data.scaled(scaling)
        return Pool(prepared, None, (prepared.scaler,), weight, scaling)
    pairs = folds if isinstance(folds, Iterable) else kfold(data, folds, np.random.default_rng(rng))
    rows = tuple(_checked(data, number, pair) for number, pair in enumerate(pairs))
    if not rows:
        raise ConfigError("sweep: expected folds, a number >= 2 or pairs (train, validation), got none")
    if scaling == "none":
        plain = replace(data, val=None, test=None)
        return Pool(plain, rows, (data.scaler,) * len(rows), weight)
    if data.scaler is not None:
        raise ConfigError(f"{data.name}: is scaled already; load it without, so that each fold can be")
    preparations = [data.scaler_of(scaling, train) for train, _ in rows]
    stacked = stack_folds(data, rows, [p(data.train.x) for p in preparations], preparations, weight)
    return replace(stacked, scaling=scaling)


def stack_folds(
    data: Dataset,
    rows: Sequence[Rows],
    inputs: Sequence[np.ndarray],
    preparations: Sequence[Any],
    sample_weight: np.ndarray | None,
) -> Pool:
    """A pool in which fold k sees ``inputs[k]`` (N, I): all inputs one after the other in one data set."""
    n, K = len(data.train), len(rows)
    y = np.concatenate([data.train.y] * K)
    stacked = replace(data, train=Part(np.concatenate(inputs), y), val=None, test=None, image_shape=None)
    shifted = tuple((train + k * n, val + k * n) for k, (train, val) in enumerate(rows))
    weight = None if sample_weight is None else np.concatenate([sample_weight] * K)
    return Pool(stacked, shifted, tuple(preparations), weight)


def kfold(data: Dataset, k: int, rng: np.random.Generator) -> list[Rows]:
    """K folds whose sizes differ by at most one; for a classification each class is spread evenly over them."""
    n = len(data.train)
    if not is_whole(k) or not 2 <= k <= n:
        raise ConfigError(f"sweep: expected folds from 2 to {n}, the number of training samples, got {k!r}")
    order = rng.permutation(n)
    if data.task == "classification":
        counts = np.bincount(data.train.y, minlength=data.n_outputs)
        rarest = int(counts.argmin())
        if counts[rarest] < k:
            raise DataError(
                f"sweep: class {(data.classes or ())[rarest]!r} of {data.name} has {counts[rarest]} samples, too few "
                f"for {k} folds: some fold would be without it; use fewer folds"
            )
        order = order[np.argsort(data.train.y[order], kind="stable")]
    part = np.empty(n, dtype=int)
    part[order] = np.arange(n) % k
    return [(np.flatnonzero(part != i), np.flatnonzero(part == i)) for i in range(k)]


def _checked(data: Dataset, number: int, pair: Any) -> Rows:
    """A fold as given by the user, checked."""
    try:
        train, val = (np.asarray(rows) for rows in pair)
    except (TypeError, ValueError):
        raise ConfigError(f"sweep: expected folds as pairs (train, validation) of row numbers, got {pair!r}") from None
    n = len(data.train)
    for name, rows in (("training", train), ("validation", val)):
        fits = rows.ndim == 1 and len(rows) and rows.dtype.kind in "iu" and rows.min() >= 0 and rows.max() < n
        if not fits:
            raise ConfigError(f"sweep: fold {number}: expected {name} rows, whole numbers from 0 to {n - 1}")
    if data.task == "classification":
        missing = np.setdiff1d(np.arange(data.n_outputs), data.train.y[train])
        if len(missing):
            raise DataError(
                f"sweep: fold {number} of {data.name} has no sample of class {(data.classes or ())[missing[0]]!r} "
                "to train on; use fewer folds, or stratified ones"
            )
    return train.astype(np.intp), val.astype(np.intp)
