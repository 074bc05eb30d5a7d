"""NumPy's own files: `.npz` with named arrays, `.npy` with one table of numbers. No pickles.

An array's header is compared with the bytes that follow it before memory is asked for. Format: NEP 1.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...errors import ConfigError, DataError
from ..checks import Array
from ..dataset import Dataset, Part
from .sniff import looks_like, open_head, printable

_PARTS = {"train": ("", "_train"), "val": ("_val", "_valid", "_validation"), "test": ("_test",)}
_AGAIN = "write it again with numpy.save or numpy.savez"


def read_npz(path: Path, task: str | None = None) -> Dataset:
    """Read ``x, y`` or ``x_train, y_train`` and, if there, ``x_val, y_val, x_test, y_test``.

    Names may be in capitals. Images ``(N, H, W)``, ``(N, C, H, W)`` or ``(N, H, W, C)`` become rows with
    `image_shape`, bytes among them scaled to [0, 1].

    Raises
    ------
    DataError
        If the file is damaged or holds objects, or arrays are absent or don't fit.
    """
    head = open_head(path, "a NumPy .npz file")
    if not head.startswith(b"PK"):
        raise DataError(f"{path}: expected a NumPy .npz file, got what looks like {looks_like(head)}")
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(path, archive, task)
    except DataError:
        raise
    except Exception as error:  # zipfile and zlib raise a dozen kinds for damaged archives
        raise DataError(f"{path}: can't be unpacked ({printable(error)}); {_AGAIN}") from None


def read_npy(path: Path, target: str | int | None = None, task: str | None = None) -> Dataset:
    """Read a table ``(N, columns)`` of numbers, one column of which is the target.

    Parameters
    ----------
    path
        The file.
    target
        Number of that column, from 0; negative numbers count from the last.
    task
        ``"classification"`` or ``"regression"``; by default integers are labels and floats are not.
    """
    head = open_head(path, "a NumPy .npy file")
    if not head.startswith(b"\x93NUMPY"):
        raise DataError(f"{path}: expected a NumPy .npy file, got what looks like {looks_like(head)}")
    with open(path, "rb") as stream:
        table = _read_array(str(path), stream, path.stat().st_size)
    if table.ndim != 2 or table.shape[1] < 2 or table.dtype.kind not in "biuf":
        raise DataError(
            f"{path}: expected a table (N, columns) of numbers, one of them the target, got {table.shape} of "
            f"{table.dtype}; several arrays go into an .npz file"
        )
    columns = table.shape[1]
    try:
        column = int(target)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        column = columns
    if not -columns <= column < columns:
        got = "none" if target is None else repr(target)
        raise ConfigError(f"{path}: expected as target the number of a column, 0..{columns - 1}, got {got}")
    x, y = np.delete(table, column, axis=1), table[:, column]
    return Dataset(str(path), Part(x, as_targets(str(path), y, task)))


def as_targets(where: str, y: Array, task: str | None) -> Array:
    """Numbers as the targets of `task`: labels or floats."""
    if task is None or y.ndim != 1 or y.dtype.kind not in "biuf":
        return y
    if task == "regression":
        return y.astype(np.promote_types(y.dtype, np.float32)) if y.dtype.kind != "f" else y
    if y.dtype.kind == "f" and not (np.isfinite(y) & (y == np.trunc(y)) & (np.abs(y) < 2**53)).all():
        raise DataError(f"{where}: expected whole numbers as labels for a classification, got others in the target")
    return y.astype(np.int64)


def _read_archive(path: Path, archive: zipfile.ZipFile, task: str | None) -> Dataset:
    entries = {info.filename.removesuffix(".npy").lower(): info for info in archive.infolist()}
    held = printable(", ".join(sorted(entries))) or "none"
    found: dict[str, tuple[str, str]] = {}
    for part, suffixes in _PARTS.items():
        for suffix in suffixes:
            x, y = f"x{suffix}", f"y{suffix}"
            if (x in entries) != (y in entries):
                raise DataError(f"{path}: expected both {x} and {y}, got only {held}")
            if x in entries:
                if part in found:
                    raise DataError(f"{path}: expected one pair of arrays to {part}, got {found[part][0]} and {x}")
                found[part] = (x, y)
    if "train" not in found:
        raise DataError(f"{path}: expected arrays x and y, or x_train and y_train, got only {held}")
    parts, shapes = {}, {}
    for part, names in found.items():
        x_array, y_array = (_read_entry(path, archive, entries[name]) for name in names)
        x_array, shapes[part] = _rows(f"{path}: {names[0]}", x_array)
        parts[part] = Part(x_array, as_targets(f"{path}: {names[1]}", y_array, task))
    if len(set(shapes.values())) > 1:
        raise DataError(f"{path}: expected images of one shape in all parts, got {sorted(map(str, shapes.values()))}")
    return Dataset(str(path), parts["train"], parts.get("val"), parts.get("test"), image_shape=shapes["train"])


def _rows(where: str, x: Array) -> tuple[Array, tuple[int, int, int] | None]:
    """Images as rows, and their shape (C, H, W)."""
    if x.ndim < 3:
        return x, None
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[1] not in (1, 3, 4) and x.shape[3] in (1, 3, 4):
        x = x.transpose(0, 3, 1, 2)
    if x.ndim != 4:
        raise DataError(f"{where}: expected (N, I) or images (N, H, W) or (N, C, H, W), got {x.shape}")
    n, *shape = x.shape
    rows = np.ascontiguousarray(x).reshape(n, math.prod(shape))
    if rows.dtype == np.uint8:
        rows = np.divide(rows, np.float32(255))
    return rows, (shape[0], shape[1], shape[2])


def _read_entry(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(
            f"{path}: expected {printable(info.filename)} stored or deflated, got another packing; {_AGAIN}"
        )
    # The archive's table can claim any size; so the bytes are counted, and their checksum compared, first.
    with archive.open(info) as stream:
        size = 0
        while chunk := stream.read(1 << 16):
            size += len(chunk)
            if size > info.file_size:
                break
    with archive.open(info) as stream:
        return _read_array(f"{path}: {printable(info.filename)}", stream, size)


def _read_array(where: str, stream: IO[bytes], size: int) -> Array:
    """The array in a stream of `size` bytes in NumPy's format."""
    dtype, shape, fortran = _read_header(where, stream)
    wanted, got = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if wanted != got:
        raise DataError(f"{where}: expected {wanted} bytes for {shape} of {dtype}, got {got}; {_AGAIN}")
    out = np.empty(shape[::-1] if fortran else shape, dtype)
    view = out.reshape(-1).view(np.uint8)
    position = 0
    while position < wanted:
        chunk = stream.read(min(1 << 16, wanted - position))
        if not chunk:
            raise DataError(f"{where}: expected {wanted} bytes, got {position}; {_AGAIN}")
        view[position : position + len(chunk)] = np.frombuffer(chunk, np.uint8)
        position += len(chunk)
    if dtype.kind == "U" and (out.reshape(-1).view(dtype.byteorder + "u4") > 0x10FFFF).any():
        raise DataError(f"{where}: expected text, got characters that do not exist; {_AGAIN}")
    return out.T if fortran else out


def _read_header(where: str, stream: IO[bytes]) -> tuple[np.dtype, tuple[int, ...], bool]:
    readers: dict[tuple[int, int], Any] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        version = np.lib.format.read_magic(stream)
        if version not in readers:
            raise ValueError(f"version {version}")
        shape, fortran, dtype = readers[version](stream)
    except Exception as error:  # the header is text that NumPy parses as Python: any kind may come
        reason = printable(error)
        raise DataError(f"{where}: expected an array in NumPy's format, got a damaged header ({reason})") from None
    if dtype.hasobject or dtype.kind not in "biufU" or not dtype.itemsize:
        raise DataError(f"{where}: expected an array of numbers or text, got {shape} of {dtype}")
    if len(shape) > 5 or not all(n > 0 for n in shape):
        raise DataError(f"{where}: expected an array of 1 to 5 axes with values, got {shape}")
    return dtype, shape, fortran
