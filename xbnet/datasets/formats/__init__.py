"""Readers of the file formats that `load_dataset` knows; each turns a path into a `Dataset`."""

from __future__ import annotations

from pathlib import Path

from ...errors import ConfigError, DataError
from ..dataset import Dataset
from ..sniff import looks_like, open_head

KNOWN = ".csv, .tsv, .txt, .parquet, .arrow, .mat, .npz, .npy, idx (MNIST), CIFAR-10's batches"


def read_file(path: Path, target: str | int | None = None, task: str | None = None, partial: bool = False) -> Dataset:
    """Read `path`, a file or a folder, with the reader for its format.

    Parameters
    ----------
    path
        Its name tells the format, or its first bytes where the name says nothing.
    target
        The column to learn, of a `.npy` file.
    task
        ``"classification"`` or ``"regression"``, for NumPy's files.

    partial
        Whether the samples are to be predicted, and may lack some classes: see `Dataset`.

    Raises
    ------
    DataError
        If the format is not known, or the file can't be used.
    ConfigError
        If a `.npy` file lacks a `target`, or another format is given one.

    Returns
    -------
    Dataset

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "points.npz")
    ...     np.savez(path, x_train=np.eye(4), y_train=np.array([0, 1, 0, 1]))
    ...     read_file(path).n_inputs
    4
    """
    from . import arrays, cifar, idx, mat

    if task not in (None, "classification", "regression"):
        raise ConfigError(f"{path}: expected task classification or regression, got {task!r}")
    suffix, name = path.suffix.lower(), path.name
    if suffix == ".npy":
        return arrays.read_npy(path, target, task)
    if target is not None:
        raise ConfigError(f"{path}: expected no target, for only tables have one, got {target!r}")
    if suffix == ".npz":
        return arrays.read_npz(path, task)
    if task is not None:
        raise ConfigError(f"{path}: expected no task, for only tables and NumPy's files have one, got {task!r}")
    if path.is_dir():
        if cifar.is_cifar_folder(path):
            return cifar.read_cifar_folder(path, partial)
        if idx.is_idx_folder(path):
            return idx.read_idx_folder(path, partial)
        raise DataError(
            f"{path}: expected a folder with MNIST's four idx files or CIFAR-10's batches, got neither; "
            "name a file in it"
        )
    if suffix == ".mat":
        return mat.read_mat(path, partial)
    if "ubyte" in name or "idx" in suffix:
        return idx.read_idx(path, partial)
    if name in (*cifar.TRAIN, cifar.TEST):
        return cifar.read_cifar_batch(path, partial)
    what = looks_like(open_head(path, "a data set"))
    if what in ("a MATLAB 5 file", "a MATLAB 7.3 file"):
        return mat.read_mat(path, partial)
    raise DataError(f"{path}: expected one of {KNOWN}, got what looks like {what}; give it the usual name")
