"""NumPy's own files: `.npz` with named arrays, `.npy` with one table of numbers. No pickles.

An array's header is compared with the bytes that follow it before memory is asked for. Format: NEP 1.
"""

from __future__ import annotations

import io
import math
import mmap
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ...errors import ConfigError, DataError, XbnetError, printable, say
from ..checks import Array, are_classes, floating, row_slices
from ..dataset import Dataset, Part
from ..odd import say_if_labels, say_if_useless
from ..sniff import looks_like, open_head
from ..stream import check_unpacked, fill

_PARTS = {"train": ("", "_train"), "val": ("_val", "_valid", "_validation"), "test": ("_test",)}
ImageShape = tuple[int, int, int]
LONGEST_HEADER = 10_000
"""Bytes; NumPy refuses longer ones, too."""
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
    with _open_archive(path) as archive:
        return _read_archive(path, archive, task)


def read_npz_rows(path: Path) -> dict[str, tuple[Array, Array | None]]:
    """Parts of a file as it holds them, each (x (N, I), y): rows to predict, which may lack y, or some classes.

    Raises
    ------
    DataError
        As `read_npz` does, but for absent targets.
    """
    with _open_archive(path) as archive:
        entries, found = _pairs(path, archive, lone=True)
        parts = {}
        for part, (x, y) in found.items():
            inputs, _ = _read_entry(path, archive, entries[x], f"{path}: {x}")
            parts[part] = inputs, _read_entry(path, archive, entries[y])[0] if y in entries else None
    return parts


@contextmanager
def _open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive; what zipfile raises while it is read becomes one line."""
    head = open_head(path, "a NumPy .npz file")
    if not head.startswith(b"PK"):
        raise DataError(f"{path}: expected a NumPy .npz file, got what looks like {looks_like(head)}")
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except XbnetError:
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
        ``"classification"`` or ``"regression"``; by default integers are labels, unless more than half of them differ
        (or few are the same, of more than 20), and floats are not.
    """
    table, _ = open_npy(path)
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
        raise ConfigError(f"{path}: expected the number of a column as target, 0..{columns - 1}, got {got}")
    column %= columns
    x = np.empty((len(table), columns - 1), floating(table.dtype))
    with np.errstate(over="ignore"):  # what is not finite is found, and named, later
        x[:, :column], x[:, column:] = table[:, :column], table[:, column + 1 :]
    say_if_useless(f"{path}: the table without column {column}", x)
    y = table[:, column].astype(table.dtype.newbyteorder("="))
    where = f"{path}: column {column}"
    return Dataset(str(path), Part(x, as_targets(where, y, task or guessed_task(where, y))))


def guessed_task(where: str, y: Array) -> str | None:
    """Find the task of training targets by their numbers where their type suggests another, and report it."""
    cure = "--task classification (or task=) if it is not"
    say_if_labels(where, y, cure)
    if y.ndim == 1 and y.dtype.kind in "iu" and not are_classes(count := len(np.unique(y)), len(y)):
        say(f"{where} holds {count:,} different whole numbers in {len(y):,} rows, taken as a regression; {cure}")
        return "regression"
    return None


def as_targets(where: str, y: Array, task: str | None) -> Array:
    """Numbers as the targets of `task`: labels or floats."""
    if task is None or y.ndim != 1 or y.dtype.kind not in "biuf":
        return y
    if task == "regression":
        return y.astype(np.promote_types(y.dtype, np.float32)) if y.dtype.kind != "f" else y
    if y.dtype.kind == "f" and not all(
        (np.isfinite(y[rows]) & (y[rows] == np.trunc(y[rows])) & (np.abs(y[rows]) < 2**53)).all()
        for rows in row_slices(y)
    ):
        raise DataError(f"{where}: expected whole numbers as labels for a classification, got others in the target")
    return y.astype(np.int64)


def _pairs(
    path: Path, archive: zipfile.ZipFile, lone: bool = False
) -> tuple[dict[str, zipfile.ZipInfo], dict[str, tuple[str, str]]]:
    """Entries by name, and the names of x and y by part; `lone`: a part may have an x alone."""
    entries = {info.filename.removesuffix(".npy").lower(): info for info in archive.infolist()}
    held = printable(", ".join(sorted(entries))) or "none"
    found: dict[str, tuple[str, str]] = {}
    for part, suffixes in _PARTS.items():
        for suffix in suffixes:
            x, y = f"x{suffix}", f"y{suffix}"
            if (x in entries) != (y in entries) and not (lone and x in entries):
                raise DataError(f"{path}: expected both {x} and {y}, got only {held}")
            if x in entries:
                if part in found:
                    raise DataError(f"{path}: expected one pair of arrays to {part}, got {found[part][0]} and {x}")
                found[part] = (x, y)
    if "train" not in found and not (lone and found):
        raise DataError(f"{path}: expected arrays x and y, or x_train and y_train, got only {held}")
    check_unpacked(path, sum(info.file_size for info in archive.infolist()))
    return entries, found


def _read_archive(path: Path, archive: zipfile.ZipFile, task: str | None) -> Dataset:
    entries, found = _pairs(path, archive)
    parts, shapes = {}, {}
    for part, (x, y) in found.items():
        inputs, shapes[part] = _read_entry(path, archive, entries[x], f"{path}: {x}")
        targets, _ = _read_entry(path, archive, entries[y])
        if part == "train" and shapes[part] is None:
            say_if_useless(f"{path}: {x}", inputs)
        task = task or (guessed_task(f"{path}: {y}", targets) if part == "train" else None)
        parts[part] = Part(inputs, as_targets(f"{path}: {y}", targets, task))
    if len(set(shapes.values())) > 1:
        raise DataError(f"{path}: expected images of one shape in all parts, got {sorted(map(str, shapes.values()))}")
    return Dataset(str(path), parts["train"], parts.get("val"), parts.get("test"), image_shape=shapes["train"])


def _read_entry(
    path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, inputs: str | None = None
) -> tuple[Array, ImageShape | None]:
    """An array of the archive; as `inputs` (their name in errors) by `_read_inputs`."""
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
    where = f"{path}: {printable(info.filename)}"
    with archive.open(info) as stream:
        header = _read_header(where, stream, size)
        if inputs is None or header.dtype.kind == "U":
            return _read_values(where, stream, header), None
        return _read_inputs(inputs, stream, header)


class _Header(NamedTuple):
    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool


def _read_header(where: str, stream: IO[bytes], size: int) -> _Header:
    """The header of an array, held against the `size` of the whole in bytes."""
    readers: dict[tuple[int, int], Any] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
        (3, 0): np.lib.format.read_array_header_2_0,  # the same but for names of fields in UTF-8
    }
    try:
        version = np.lib.format.read_magic(stream)
        if version not in readers:
            raise ValueError(f"version {version}")
        length = stream.read(2 if version == (1, 0) else 4)
        if int.from_bytes(length, "little") > LONGEST_HEADER:  # NumPy asks for all of it before it looks
            raise ValueError(f"of {int.from_bytes(length, 'little'):,} bytes")
        header = io.BytesIO(length + stream.read(int.from_bytes(length, "little")))
        shape, fortran, dtype = readers[version](header)
    except Exception as error:  # the header is text that NumPy parses as Python: any kind may come
        reason = printable(error)
        raise DataError(f"{where}: expected an array in NumPy's format, got a damaged header ({reason})") from None
    if dtype.names:
        raise DataError(
            f"{where}: expected an array of numbers or text, got records with named fields; write them as a table: "
            "pandas.DataFrame(array).to_csv(FILE, index=False)"
        )
    if dtype.hasobject or dtype.kind not in "biufU" or not dtype.itemsize:
        raise DataError(f"{where}: expected an array of numbers or text, got {shape} of {dtype}")
    if len(shape) > 5 or not all(n > 0 for n in shape):
        raise DataError(f"{where}: expected an array of 1 to 5 axes with values, got {shape}")
    wanted, got = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if wanted != got:
        raise DataError(f"{where}: expected {wanted} bytes for {shape} of {dtype}, got {got}; {_AGAIN}")
    return _Header(dtype, shape, fortran)


def _read_array(where: str, stream: IO[bytes], size: int) -> Array:
    """The array in a stream of `size` bytes in NumPy's format."""
    return _read_values(where, stream, _read_header(where, stream, size))


def _read_values(where: str, stream: IO[bytes], header: _Header) -> Array:
    """Read the values after a header, in their own type."""
    dtype, shape, fortran = header
    out = np.empty(shape[::-1] if fortran else shape, dtype)
    fill(out, stream.read, dtype)
    if dtype.kind == "U" and (out.reshape(-1).view(dtype.byteorder + "u4") > 0x10FFFF).any():
        raise DataError(f"{where}: expected text, got characters that do not exist; {_AGAIN}")
    return out.T if fortran else out


def _read_inputs(where: str, stream: IO[bytes], header: _Header) -> tuple[Array, ImageShape | None]:
    """Read the values after a header as inputs: images as rows, with their shape (C, H, W), and bytes as [0, 1]."""
    dtype, shape, fortran = header
    if len(shape) > 4:
        raise DataError(f"{where}: expected (N, I) or images (N, H, W) or (N, C, H, W), got {shape}")
    if len(shape) < 3:
        out = np.empty(shape, floating(dtype))
        fill(out.T if fortran else out, stream.read, dtype)
        return out, None
    n, *image = shape if len(shape) == 4 else (shape[0], 1, *shape[1:])
    channels_last = image[0] not in (1, 3, 4) and image[2] in (1, 3, 4)
    if channels_last:
        image = [image[2], *image[:2]]
    rows = np.empty((n, math.prod(image)), floating(dtype))
    planes = rows.reshape(n, *image)
    as_stored = planes.transpose(0, 2, 3, 1) if channels_last else planes.reshape(shape)
    fill(as_stored.T if fortran else as_stored, stream.read, dtype, np.float32(255) if dtype == np.uint8 else None)
    return rows, (image[0], image[1], image[2])


def open_npy(path: Path) -> tuple[Array, mmap.mmap]:
    """The array of a `.npy` file, in the file, and the file in memory: it takes none.

    Raises
    ------
    DataError
        The file is missing, damaged, or holds objects.
    """
    head = open_head(path, "a NumPy .npy file")
    if not head.startswith(b"\x93NUMPY"):
        raise DataError(f"{path}: expected a NumPy .npy file, got what looks like {looks_like(head)}")
    with open(path, "rb") as file:
        dtype, shape, fortran = _read_header(str(path), file, path.stat().st_size)
        content, start = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), file.tell()
    return np.frombuffer(content, dtype, offset=start).reshape(shape, order="F" if fortran else "C"), content
