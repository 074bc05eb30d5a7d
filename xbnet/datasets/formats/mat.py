"""MATLAB 5 `.mat` files of the layout ``Yt (I, N), Ct (C, N), Yv, Cv``: columns are samples.

The container is read here and not with `scipy.io`, because a loader must survive any file: every length
is checked against the bytes that are really there before memory is asked for. Format: "MAT-File Format",
The MathWorks, chapter 1 (level 5). Written files go through `scipy.io.savemat`.
"""

from __future__ import annotations

import difflib
import io
import math
import os
import struct
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import DataError
from ..checks import Array, check_finite
from ..dataset import Dataset, Part
from .sniff import looks_like, open_head, printable

_EXPECTED = "a MATLAB 5 .mat file with Yt, Ct, Yv, Cv"
_AGAIN = "copy or download it again"
_HEADER = 128
_COMPRESSED, _MATRIX = 15, 14
#: Type codes of stored numbers.
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
#: Class codes of numeric arrays (which may be stored in a smaller type), and of the others.
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_OTHER_CLASSES = {1: "a cell array", 2: "a struct", 3: "an object", 4: "text", 5: "a sparse matrix"}
#: The most that zlib can make of one byte; a header that claims more lies.
_MOST_INFLATION = 1032


class _Variable(NamedTuple):
    name: str
    kind: str | None  # what it is if no dense real numeric matrix
    array: Array | None


class _Damaged(Exception):
    """The bytes contradict themselves; the text says how."""


def read_mat(path: str | os.PathLike[str]) -> Dataset:
    """Read a data set in the layout ``Yt (I, N), Ct (C, N) one-hot`` and, if there, ``Yv, Cv``.

    Parameters
    ----------
    path
        A MATLAB file of version 5 to 7 (compressed or not).

    Returns
    -------
    Dataset
        Inputs in the file's floating type; labels counted from 0 in the order of Ct's rows.

    Raises
    ------
    DataError
        For whatever is wrong with the file, naming it, the variable and the column.
    """
    path = Path(path)
    variables = {v.name: v for v in _read_variables(path)}
    train = _part(path, variables, "Yt", "Ct")
    val = None
    if "Yv" in variables or "Cv" in variables:
        val = _part(path, variables, "Yv", "Cv")
    n_classes = [0 if v is None or v.array is None else len(v.array) for v in map(variables.get, ("Ct", "Cv"))]
    if val is not None and n_classes[0] != n_classes[1]:
        raise DataError(
            f"{path}: Cv: expected (C={n_classes[0]}, N) as in Ct, got {n_classes[1]} rows; "
            "both must have a row per class"
        )
    return Dataset(str(path), train, val, classes=tuple(map(str, range(n_classes[0]))))


def write_mat(path: str | os.PathLike[str], data: Dataset) -> None:
    """Write a classification data set in the layout that `read_mat` reads, compressed, as float32.

    Equal data give equal bytes (the header holds no date). The file appears complete or not at all.

    Raises
    ------
    DataError
        If `data` is no classification, or the file can't be written.
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


def _part(path: Path, variables: dict[str, _Variable], y_name: str, c_name: str) -> Part:
    """One part from its inputs ``y_name (I, N)`` and its one-hot classes ``c_name (C, N)``."""
    x = _matrix(path, variables, y_name)
    one_hot = _matrix(path, variables, c_name)
    if x.shape[1] == 0 or x.shape[0] == 0:
        raise DataError(f"{path}: {y_name}: expected at least one sample (I, N), got {x.shape}")
    if one_hot.shape[1] != x.shape[1]:
        turned = f"; store {c_name} transposed" if one_hot.shape[0] == x.shape[1] else ""
        raise DataError(
            f"{path}: {c_name}: expected (C, N={x.shape[1]}) to match {y_name} {x.shape}, got {one_hot.shape}"
            + (turned or "; columns are samples")
        )
    check_finite(f"{path}: {y_name}:", x)
    ones = one_hot == 1
    wrong = (ones.sum(axis=0) != 1) | ((one_hot != 0) & ~ones).any(axis=0)
    if wrong.any():
        column = int(np.argmax(wrong))
        got = ", ".join(f"{value:g}" for value in one_hot[:10, column]) + ", ..." * (len(one_hot) > 10)
        raise DataError(
            f"{path}: {c_name}: expected one-hot columns, got ({got}) in column {column} (counted from 0); "
            "each sample wants a single 1 and zeros"
        )
    return Part(np.ascontiguousarray(x.T), ones.argmax(axis=0))


def _matrix(path: Path, variables: dict[str, _Variable], name: str) -> Array:
    """The variable's numbers, or the error that names what is there instead."""
    if name not in variables:
        held = ", ".join(sorted(variables)) or "none"
        # Compared in small letters: yt for Yt is the likeliest slip.
        near = {v.lower(): v for v in variables if v not in ("Yt", "Ct", "Yv", "Cv")}
        match = difflib.get_close_matches(name.lower(), near, n=1, cutoff=0.5)
        hint = f"; did you mean {near[match[0]]!r}? Rename it" if match else ""
        raise DataError(f"{path}: expected a variable {name!r}, got only {held}{hint}")
    variable = variables[name]
    if variable.array is None:
        raise DataError(
            f"{path}: {name}: expected a dense matrix of real numbers, got {variable.kind}; "
            "convert it in MATLAB with double(full(...))"
        )
    if variable.array.ndim != 2:
        raise DataError(f"{path}: {name}: expected a matrix with a column per sample, got {variable.array.shape}")
    return variable.array


def _read_variables(path: Path) -> list[_Variable]:
    head = open_head(path, _EXPECTED)
    what = looks_like(head)
    # A 7.3 file is HDF5 behind a MATLAB header of 512 bytes.
    if what in ("a MATLAB 7.3 file", "an HDF5 file"):
        raise DataError(
            f"{path}: expected {_EXPECTED}, got a MATLAB 7.3 file (HDF5); save it again in MATLAB with save(..., '-v7')"
        )
    if what != "a MATLAB 5 file":
        raise DataError(f"{path}: expected {_EXPECTED}, got what looks like {what}")
    content = path.read_bytes()
    if len(content) < _HEADER:
        raise DataError(f"{path}: expected a header of {_HEADER} bytes, got {len(content)}; it was cut off: {_AGAIN}")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise DataError(f"{path}: expected the byte order mark IM or MI, got {content[126:128]!r}; {_AGAIN}")
    variables, position = [], _HEADER
    while position < len(content):
        try:
            variable, position = _read_variable(content, position, order)
        except _Damaged as error:
            raise DataError(f"{path}: the variable at byte {position} {error}; {_AGAIN}") from None
        variables.append(variable)
    return variables


def _read_variable(content: bytes, position: int, order: str) -> tuple[_Variable, int]:
    """The variable at `position`, and where the next one starts."""
    if position + 8 > len(content):
        raise _Damaged(f"is cut off: expected 8 bytes, got {len(content) - position}")
    code, size = struct.unpack_from(order + "II", content, position)
    start, end = position + 8, position + 8 + size
    if end > len(content):
        raise _Damaged(f"is cut off: expected {size} bytes, got {len(content) - start}")
    body = memoryview(content)[start:end]
    if code == _COMPRESSED:
        body, code = _inflate(body, order)
    if code != _MATRIX:
        raise _Damaged(f"is damaged: expected a matrix (type 14 or 15), got type {code}")
    return _read_matrix(body, order), end


def _inflate(body: memoryview, order: str) -> tuple[memoryview, int]:
    """The one element within a compressed one, without its tag, and its type."""
    stream = zlib.decompressobj()
    try:
        tag = stream.decompress(body, 8)
        if len(tag) < 8:
            raise _Damaged(f"is damaged: expected a compressed element, got {len(tag)} bytes")
        code, size = struct.unpack(order + "II", tag)
        if size > _MOST_INFLATION * len(body):
            raise _Damaged(f"is damaged: {len(body)} compressed bytes can't hold {size}")
        inner = stream.decompress(stream.unconsumed_tail, size) if size else b""
        # Ask for one byte more: this is also what makes zlib compare its checksum.
        rest = stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error as error:
        raise _Damaged(f"is damaged: it can't be decompressed ({error})") from None
    if len(inner) != size or rest or not stream.eof:
        raise _Damaged(f"is damaged: expected {size} bytes within, got {'more' if rest else len(inner)}")
    return memoryview(inner), code


def _read_matrix(body: memoryview, order: str) -> _Variable:
    """An array element: flags, dimensions, name, and the numbers."""
    flags, position = _element(body, 0, order, "flags")
    raw_shape, position = _element(body, position, order, "dimensions")
    name, position = _element(body, position, order, "name")
    if flags.nbytes != 8:
        raise _Damaged("is damaged: expected flags of 8 bytes")
    shape = tuple(raw_shape.tolist())
    if raw_shape.dtype.kind == "f" or len(shape) < 2 or min(shape) < 0:
        raise _Damaged(f"is damaged: expected dimensions (rows, columns), got {shape}")
    text = printable(name.tobytes()[:100].decode("ascii", "replace"))
    word = int(flags.view(order + "u4")[0])
    code, is_complex = word & 0xFF, bool(word & 0x800)
    if is_complex or code not in _CLASSES:
        kind = "complex numbers" if is_complex else _OTHER_CLASSES.get(code, f"a variable of class {code}")
        return _Variable(text, kind, None)
    values, _ = _element(body, position, order, "numbers")
    if values.size != math.prod(shape):
        raise _Damaged(f"is damaged: expected {shape} numbers, got {values.size}")
    # Stored column by column.
    with np.errstate(invalid="ignore"):  # NaN as an integer: no file of MATLAB's own, and refused later
        array = values.astype(_CLASSES[code], copy=False).reshape(shape, order="F")
    return _Variable(text, None, array)


def _element(body: memoryview, position: int, order: str, what: str) -> tuple[Array, int]:
    """The plain numbers of the element at `position`, and where the next one starts."""
    if position + 8 > len(body):
        raise _Damaged(f"is damaged: it ends before its {what}")
    (code,) = struct.unpack_from(order + "I", body, position)
    if code >> 16:  # small element: size and type share four bytes, the data are the next four
        code, size, start = code & 0xFFFF, code >> 16, position + 4
        following = position + 8
        if size > 4:
            raise _Damaged(f"is damaged: expected at most 4 bytes in its short {what}, got {size}")
    else:
        (size,) = struct.unpack_from(order + "I", body, position + 4)
        start = position + 8
        following = start + size + -size % 8
    if start + size > len(body):
        raise _Damaged(f"is damaged: expected {size} bytes for its {what}, got {len(body) - start}")
    if code not in _NUMBERS:
        raise _Damaged(f"is damaged: its {what} have the unknown type {code}")
    dtype = np.dtype(order + _NUMBERS[code])
    if size % dtype.itemsize:
        raise _Damaged(f"is damaged: its {what} want whole numbers of {dtype.itemsize} bytes, got {size}")
    return np.frombuffer(body[start : start + size], dtype), following
