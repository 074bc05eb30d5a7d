"""MATLAB 5 `.mat` files of the layout ``Yt (I, N), Ct (C, N), Yv, Cv``: columns are samples.

Files are read by `matlab5`, and written by `scipy.io.savemat`.
"""

from __future__ import annotations

import difflib
import io
import os
import tempfile
from pathlib import Path

import numpy as np

from ...errors import DataError
from ..checks import Array, check_finite, row_slices
from ..dataset import Dataset, Part
from ..odd import say_if_useless
from .matlab5 import Variable, read_variables

_INPUTS, _CLASSES = ("Yt", "Yv"), ("Ct", "Cv")
_WAYS_OUT = {
    "a sparse matrix": "convert it in MATLAB with full(...)",
    "complex numbers": "store their parts as inputs of their own: [real(...); imag(...)]",
    "a cell array": "convert it in MATLAB with cell2mat(...), if it holds numbers",
    "text": "store numbers: a row per input, a column per sample",
    "a struct": "store its fields as variables of their own: save(FILE, '-struct', NAME)",
}


def read_mat(path: str | os.PathLike[str], partial: bool = False) -> Dataset:
    """Read a data set in the layout ``Yt (I, N), Ct (C, N) one-hot`` and, if there, ``Yv, Cv``.

    Parameters
    ----------
    path
        A MATLAB file of version 5 to 7 (compressed or not).
    partial
        Value of `Dataset.partial`.

    Returns
    -------
    Dataset
        Inputs as float64 where the file has doubles, but as float32 where these are stored as whole numbers of at
        most 16 bits, and as float32 otherwise; labels counted from 0 in the order of Ct's rows.

    Raises
    ------
    DataError
        For whatever is wrong with the file, naming it, the variable and the column.
    """
    path = Path(path)
    variables = {v.name: v for v in read_variables(path, _INPUTS, _CLASSES)}
    train = _part(path, variables, "Yt", "Ct")
    if not partial:
        say_if_useless(f"{path}: Yt", train.x, "row")
    val = None
    if "Yv" in variables or "Cv" in variables:
        val = _part(path, variables, "Yv", "Cv")
    n_classes = variables["Ct"].shape[0]
    if val is not None and variables["Cv"].shape[0] != n_classes:
        raise DataError(
            f"{path}: Cv: expected (C={n_classes}, N) as in Ct, got {variables['Cv'].shape[0]} rows; "
            "both must have a row per class"
        )
    return Dataset(str(path), train, val, classes=tuple(map(str, range(n_classes))), partial=partial)


def write_mat(path: str | os.PathLike[str], data: Dataset) -> None:
    """Write a classification data set in the layout that `read_mat` reads, compressed, as float32.

    Equal data give equal bytes (the header holds no date). The file appears complete or not at all.

    Raises
    ------
    DataError
        If `data` is no classification, or the file can't be written.

    Parameters
    ----------
    path
        The file; replaced if it exists.
    data
        With labels.

    Examples
    --------
    >>> import tempfile, xbnet
    >>> from xbnet.datasets.synthetic import gmm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_mat(f"{folder}/small.mat", gmm(n_train=50, n_val=10))
    ...     len(xbnet.load_dataset(f"{folder}/small.mat").train)
    50
    """
    import scipy.io

    if data.task != "classification":
        raise DataError(f"write_mat: expected a classification, got a {data.task}; the layout is one-hot")
    arrays = {}
    for letter, part in (("t", data.train), ("v", data.val)):
        if part is not None:
            arrays["Y" + letter] = np.asarray(part.x.T, np.float32)
            arrays["C" + letter] = (np.arange(data.n_outputs)[:, None] == part.y).astype(np.float32)
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, arrays, do_compression=True)
    text = b"MATLAB 5.0 MAT-file, written by xbnet".ljust(116)  # SciPy's own text holds the date
    content = text + buffer.getvalue()[116:]
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise DataError(f"{path}: can't be written ({error.strerror}); choose another folder") from None


def _part(path: Path, variables: dict[str, Variable], y_name: str, c_name: str) -> Part:
    """One part from its inputs ``y_name (I, N)`` and its one-hot classes ``c_name (C, N)``."""
    x, one_hot = _matrix(path, variables, y_name), _matrix(path, variables, c_name)
    (n, n_inputs), stored = x.shape, one_hot.shape[::-1]
    if n == 0 or n_inputs == 0:
        raise DataError(f"{path}: {y_name}: expected at least one sample (I, N), got {(n_inputs, n)}")
    if len(one_hot) != n:
        hint = "both need a column per sample"
        if stored[0] == n:
            hint = f"store {c_name} transposed"
        elif stored[0] == n_inputs:  # as many rows in both: these are the samples
            hint = f"store both transposed, {y_name}' and {c_name}'"
        raise DataError(
            f"{path}: {c_name}: expected (C, N={n}) to match {y_name} {(n_inputs, n)}, got {stored}; {hint}"
        )
    if not all(np.isfinite(x[rows]).all() for rows in row_slices(x)):
        check_finite(f"{path}: {y_name}:", x.T)
    labels = np.empty(n, np.int64)
    for rows in row_slices(one_hot):
        ones = one_hot[rows] == 1
        wrong = (ones.sum(axis=1) != 1) | ((one_hot[rows] != 0) & ~ones).any(axis=1)
        if wrong.any():
            column = rows.start + int(np.argmax(wrong))
            got = ", ".join(f"{value:g}" for value in one_hot[column, :10]) + ", ..." * (stored[0] > 10)
            turned = ((one_hot != 0).sum(axis=0) == 1).all() and (one_hot.sum(axis=0) == 1).all()
            hint = f"its rows are one-hot: store {c_name} transposed" if turned else "each sample needs a single 1"
            raise DataError(
                f"{path}: {c_name}: expected one-hot columns, got ({got}) in column {column} (counted from 0); {hint}"
                + (f", and {y_name} too where its rows are samples" if turned else " and zeros")
            )
        labels[rows] = ones.argmax(axis=1)
    return Part(x, labels)


def _as_others_do(variables: dict[str, Variable]) -> tuple[str, str] | None:
    """The names of two variables that are called as samples and labels usually are."""
    named = {name.lower(): name for name in reversed(variables)}
    x = next((named[name] for name in ("x", "x_train", "xtrain", "data", "features") if name in named), None)
    y = next((named[name] for name in ("y", "y_train", "ytrain", "labels", "label", "target") if name in named), None)
    return (x, y) if x is not None and y is not None else None


def _matrix(path: Path, variables: dict[str, Variable], name: str) -> Array:
    """The variable's numbers, a row per column of the file, or the error that names what is there instead."""
    if name not in variables:
        if "" in variables:
            raise DataError(f"{path}: {variables[''].kind}")
        held = ", ".join(sorted(variables)) or "none"
        if not {*_INPUTS, *_CLASSES} & set(variables) and (pair := _as_others_do(variables)):
            x, y = pair
            raise DataError(
                f"{path}: expected the variables Yt (I, N) and Ct (C, N), got only {held}; samples and labels as "
                f"{x} and {y} go by .npz: m = scipy.io.loadmat(FILE); "
                f"numpy.savez('data.npz', x=m['{x}'], y=m['{y}'].ravel())"
            )
        # Compared in small letters: yt for Yt is the likeliest slip. A single letter is none: it is another variable.
        near = {v.lower(): v for v in variables if v not in (*_INPUTS, *_CLASSES) and len(v) > 1}
        match = difflib.get_close_matches(name.lower(), near, n=1, cutoff=0.5)
        hint = f"; did you mean {near[match[0]]!r}? Rename it" if match else ""
        raise DataError(f"{path}: expected a variable {name!r}, got only {held}{hint}")
    variable = variables[name]
    if variable.kind is not None:
        raise DataError(
            f"{path}: {name}: expected a dense matrix of real numbers, got {variable.kind}; "
            f"{_WAYS_OUT.get(variable.kind, 'store a matrix of numbers')}"
        )
    if variable.array is None:
        raise DataError(f"{path}: {name}: expected a matrix with a column per sample, got {variable.shape}")
    return variable.array
