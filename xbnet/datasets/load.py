"""`load_dataset`: a data set by name or by path."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import ConfigError, DataError, unknown_name
from .dataset import Dataset
from .download import SOURCES, data_folders, find
from .formats import read_file
from .splits import split

#: Data sets that xbnet ships, and can generate.
SHIPPED = ("gmm", "peaks", "swissroll")
#: All data sets that have a name; those that are not shipped are downloaded by `fetch`.
NAMES = (*SHIPPED, *SOURCES)


def load_dataset(
    name: str | os.PathLike[str],
    *,
    standardize: bool = False,
    val: float | int | None = None,
    test: float | int | None = None,
    rng: np.random.Generator | int = 0,
    target: str | int | None = None,
    task: str | None = None,
) -> Dataset:
    """Load a data set by name, or from a file or folder.

    Parameters
    ----------
    name
        ``"swissroll"``, ``"peaks"`` or ``"gmm"``; ``"mnist"``, ``"fashion-mnist"`` or ``"cifar10"``, once
        `fetch` has brought it or if it is in ``XBNET_DATA_DIR``; or the path of a `.mat`, `.npz`, `.npy`,
        `.csv`, `.tsv` or `.parquet` file, of one of MNIST's idx files, of one of CIFAR-10's batches, or of
        a folder with either. A name wins over a file of the same name: write ``./gmm`` for the file.
    standardize
        z-score every input by its mean and standard deviation over the training part, after splitting.
    val, test
        Samples to split off from the training part for validation and test, as a fraction of it in (0, 1)
        or a count; stratified by class. The parts that the data set brings are left alone, so a data set
        with a training and a validation part and ``test=0.2`` trains on 80 % of the former; asking for a
        part that it brings is an error.
    rng
        Seed or generator of the split.
    target
        For a table, the column to learn: its name, or its number in a `.npy` file.
    task
        For a table or `.npz`, ``"classification"`` or ``"regression"``; by default text and whole numbers
        are classes and other numbers are not.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        If a file is missing or can't be used.
    ConfigError
        If the name is neither known nor a path, or another argument makes no sense.

    Examples
    --------
    >>> data = load_dataset("gmm", test=0.2)
    >>> len(data.train), len(data.val), len(data.test)
    (20000, 6250, 5000)
    """
    data = _find(name, target, task)
    if val is not None or test is not None:
        data = split(data, val, test, rng=rng)
    return data.standardized(in_place=True) if standardize else data  # nobody else has these arrays


def _find(name: str | os.PathLike[str], target: str | int | None, task: str | None) -> Dataset:
    """The data set as it is stored."""
    if not isinstance(name, (str, os.PathLike)):
        raise ConfigError(f"load_dataset: expected a name or a path, got {type(name).__name__}")
    if name in NAMES:
        if target is not None or task is not None:
            raise ConfigError(f"load_dataset: {name} has its own target and task; leave them out")
        return replace(_shipped(str(name)) if name in SHIPPED else _fetched(str(name)), name=str(name))
    path = Path(name).expanduser()
    if path.exists():
        return read_file(path, target, task)
    if path.suffix or path.name != str(name):
        known = ", ".join(NAMES)
        raise DataError(
            f"load_dataset: no file {str(name)!r} (looked from {Path.cwd()}); "
            f"expected a path, or one of the names {known}"
        )
    error = unknown_name("load_dataset", "data set", name, NAMES)
    raise type(error)(f"{error}; there is no file of that name either")


def _fetched(name: str) -> Dataset:
    """A public data set from the user's folders."""
    folder = find(name)
    if folder is None:
        looked = " and ".join(map(str, data_folders())) or "XBNET_DATA_DIR, which is not set"
        raise DataError(f"load_dataset: {name} is not here (looked in {looked}); get it with: xbnet data fetch {name}")
    data = read_file(folder)
    classes = SOURCES[name].classes
    return data if classes is None else replace(data, classes=classes)


def _shipped(name: str) -> Dataset:
    """A shipped data set from its file: in the wheel or beside the package; generated where there is none."""
    from .formats.mat import read_mat
    from .synthetic import GENERATORS

    package = Path(__file__).parents[1]
    for folder in (package / "data", package.parent / "data"):
        path = folder / f"{name}.mat"
        if path.is_file():
            return read_mat(path)
    return GENERATORS[name]()
