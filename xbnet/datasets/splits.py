"""Splitting samples off for validation and test, so that each class keeps its share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import ConfigError, DataError
from ..parsing import is_number, is_whole
from .checks import PART_NAMES, Array
from .dataset import Dataset, Part


def split(
    data: Dataset,
    val: float | int | None = None,
    test: float | int | None = None,
    *,
    rng: np.random.Generator | int = 0,
) -> Dataset:
    """Split a validation and a test part off the training part, stratified by class.

    Parameters
    ----------
    data
        Its training part is split; parts that it brings stay as they are.
    val, test
        A fraction in (0, 1) of the training part as it came, or a number of samples, 1 or more.
        The test part is drawn first, so that it does not depend on `val`.
    rng
        Seed or generator of the draw.

    Returns
    -------
    Dataset
        Samples keep their order within each part. For a classification each class has its share in
        every part, to less than one sample, and at least one sample; otherwise the draw is plain.

    Raises
    ------
    ConfigError
        For sizes out of range, or a part that `data` has already.
    DataError
        If a class has too few samples to be in every part, or nothing would be left to train on.

    Examples
    --------
    >>> import xbnet
    >>> whole = xbnet.Dataset("mine", xbnet.Part(np.arange(20.0)[:, None], np.arange(20) % 2))
    >>> parts = split(whole, val=0.2, test=2)
    >>> len(parts.train), len(parts.val), len(parts.test)
    (14, 4, 2)
    """
    if data.scaler is not None:
        raise ConfigError(f"{data.name}: split before scaling; the statistics must come from what is left to train on")
    for field, size in (("test", test), ("val", val)):
        brought = getattr(data, field)
        if size is not None and brought is not None:
            raise ConfigError(
                f"{data.name}: has a {PART_NAMES[field]} part of {len(brought)} samples already; "
                f"leave {field} out to use it"
            )
    labels = data.train.y if data.task == "classification" else None
    rows = split_rows(data.name, len(data.train), labels, val, test, rng=rng)
    parts = {field: Part(data.train.x[taken], data.train.y[taken]) for field, taken in rows.items()}
    return replace(data, **parts) if len(rows) > 1 else data  # type: ignore[arg-type]


def split_rows(
    name: str,
    total: int,
    labels: Array | None,
    val: float | int | None = None,
    test: float | int | None = None,
    *,
    rng: np.random.Generator | int = 0,
) -> dict[str, Array]:
    """Row numbers by part, sorted, of `total` samples with these `labels` if they are classes; see `split`."""
    rng = np.random.default_rng(rng)
    counts = {
        field: _count(f"{name}: {field}", size, total)
        for field, size in (("test", test), ("val", val))
        if size is not None
    }
    if sum(counts.values()) >= total:
        asked = " and ".join(f"{count} for {PART_NAMES[field]}" for field, count in counts.items())
        raise DataError(f"{name}: expected samples left to train on, got {asked} of {total}; ask for fewer")
    rows = {"train": np.arange(total)}
    for field, count in counts.items():
        left = rows["train"]
        rest, taken = split_indices(
            len(left), count, None if labels is None else labels[left], rng=rng, where=f"{name}: {field}"
        )
        rows |= {"train": left[rest], field: left[taken]}
    return rows


def split_indices(
    n: int, count: int, labels: Array | None = None, *, rng: np.random.Generator, where: str = "split"
) -> tuple[Array, Array]:
    """Draw `count` of `n` samples; return the sorted indices of the rest and of those taken.

    With `labels (n,)` every class c of n_c samples gives ``count * n_c / n`` samples, rounded up or down
    so that the sum is `count` (largest remainders first), and has at least one on both sides.

    Raises
    ------
    DataError
        If a class has a single sample, or `count` is too small or too large to leave one of each class.
    """
    if labels is None:
        taken = np.sort(rng.permutation(n)[:count])
        return np.setdiff1d(np.arange(n), taken, assume_unique=True), taken
    classes, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if sizes.min() < 2:
        label = classes[int(np.argmin(sizes))]
        raise DataError(
            f"{where}: expected at least 2 samples of each class, got 1 of class {label}; "
            "it can't be on both sides of a split"
        )
    if not len(classes) <= count <= n - len(classes):
        raise DataError(
            f"{where}: expected {len(classes)} to {n - len(classes)} of {n} samples, so that each of the "
            f"{len(classes)} classes is on both sides, got {count}"
        )
    quotas = _quotas(sizes, count, where)
    order = rng.permutation(n)
    order = order[np.argsort(inverse[order], kind="stable")]  # by class, in random order within each
    rank = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen = rank < np.repeat(quotas, sizes)
    return np.sort(order[~chosen]), np.sort(order[chosen])


def _quotas(sizes: Array, count: int, where: str) -> Array:
    """How many to take of each class: its share rounded up or down, at least 1 and not all."""
    whole, remainder = np.divmod(sizes * count, sizes.sum())  # share = whole + remainder / n, exactly
    lower = np.maximum(whole, 1)
    upper = np.minimum(whole + (remainder > 0), sizes - 1)
    missing = count - int(lower.sum())
    if not 0 <= missing <= int((upper - lower).sum()):
        raise DataError(
            f"{where}: {count} of {sizes.sum()} samples can't give each of the {len(sizes)} classes its "
            "share and at least one on both sides; ask for a larger part, or drop the rarest classes"
        )
    by_remainder = np.argsort(-np.where(upper > lower, remainder, -1), kind="stable")
    lower[by_remainder[:missing]] += 1
    return lower


def _count(where: str, size: float | int, total: int) -> int:
    """Number of samples that a fraction or a count asks for."""
    if not is_number(size):
        raise ConfigError(f"{where}: expected a fraction in (0, 1) or a count, got {size!r}")
    if is_whole(size):
        if size < 1:
            raise ConfigError(f"{where}: expected a count of at least 1, or a fraction in (0, 1), got {size}")
        return int(size)
    if not 0.0 < size < 1.0:
        raise ConfigError(f"{where}: expected a fraction in (0, 1), or an integer count, got {size}")
    return max(1, round(float(size) * total))
