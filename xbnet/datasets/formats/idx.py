"""MNIST's idx files, plain or gzip: images and labels in a file each, four files in a folder.

Format: "THE IDX FILE FORMAT" on the page of the MNIST database (LeCun, Cortes and Burges): two zero bytes,
a type, the number of axes, the size of each axis as a big-endian 32-bit integer, then the values.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...errors import DataError, printable
from ..checks import Array, floating
from ..dataset import Dataset, Part
from ..sniff import looks_like, open_head
from ..stream import check_unpacked, fill

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_AXES = {"images": 3, "labels": 1}
_AGAIN = "copy or download it again"


def is_idx_folder(folder: Path) -> bool:
    """Whether `folder` holds MNIST's training images under one of their usual names."""
    return _find(folder, "train", "images") is not None


def read_idx_folder(folder: Path, partial: bool = False) -> Dataset:
    """Read the four files of MNIST or a look-alike: ``train-*`` is for training, ``t10k-*`` for testing.

    Returns
    -------
    Dataset
        `train` and `test`; pixels scaled to [0, 1] as float32, with `image_shape`.

    Raises
    ------
    DataError
        If one of the four files is absent or can't be used.
    """
    parts, shapes = [], []
    for prefix in ("train", "t10k"):
        files = []
        for what in ("images", "labels"):
            path = _find(folder, prefix, what)
            if path is None:
                raise DataError(
                    f"{folder}: expected four idx files, got no {prefix}-{what}-idx{_AXES[what]}-ubyte "
                    "(or with .gz); download the data set again"
                )
            files.append(path)
        part, shape = _read_pair(*files)
        parts.append(part)
        shapes.append(shape)
    if shapes[0] != shapes[1]:
        raise DataError(f"{folder}: expected test images of shape {shapes[0]} as in training, got {shapes[1]}")
    return Dataset(str(folder), parts[0], test=parts[1], image_shape=shapes[0], partial=partial)


def read_idx(path: Path, partial: bool = False) -> Dataset:
    """Read a file of images or labels together with its partner next to it, as a training part."""
    what, other = ("images", "labels") if "images" in path.name else ("labels", "images")
    open_head(path, "an idx file")
    prefix = path.name.split(f"-{what}", 1)[0] if f"-{what}" in path.name else None
    partner = _find(path.parent, prefix, other) if prefix else None
    if partner is None:
        raise DataError(
            f"{path}: expected two idx files in one folder, named PREFIX-images-idx3-ubyte and "
            "PREFIX-labels-idx1-ubyte (or with .gz), got no partner to this one"
        )
    part, shape = _read_pair(*((path, partner) if what == "images" else (partner, path)))
    return Dataset(str(path), part, image_shape=shape, partial=partial)


def _find(folder: Path, prefix: str, what: str) -> Path | None:
    """The file of images or labels, by its name as published or as unpacked by some tools."""
    for dash in ("-", "."):
        for suffix in ("", ".gz"):
            path = folder / f"{prefix}-{what}{dash}idx{_AXES[what]}-ubyte{suffix}"
            if path.is_file():
                return path
    return None


def _read_pair(images: Path, labels: Path) -> tuple[Part, tuple[int, int, int] | None]:
    y = _read_array(labels)
    if y.ndim != 1 or y.dtype.kind == "f":
        raise DataError(f"{labels}: expected one integer label per image, got axes {y.shape} of {y.dtype}")
    x = _read_array(images, inputs=True)
    if x.ndim < 2:
        raise DataError(f"{images}: expected images (N, H, W), got axes {x.shape}")
    if len(x) != len(y):
        raise DataError(
            f"{labels}: expected {len(x)} labels, one per image of {images.name}, got {len(y)}; "
            "the files do not belong together"
        )
    shape = {3: (1, *x.shape[1:]), 4: x.shape[1:]}.get(x.ndim)
    return Part(x.reshape(len(x), math.prod(x.shape[1:])), y), shape


def _read_array(path: Path, inputs: bool = False) -> Array:
    """The array of one file; as `inputs`, in the type of inputs, and bytes scaled to [0, 1]."""
    head = open_head(path, "an idx file")
    zipped = head.startswith(b"\x1f\x8b")

    def open_stream() -> BinaryIO:
        return gzip.open(path, "rb") if zipped else open(path, "rb")  # type: ignore[return-value]

    try:
        with open_stream() as stream:
            start = stream.read(4)
            code, axes = (start[2], start[3]) if len(start) == 4 else (0, 0)
            if start[:2] != b"\0\0" or code not in _TYPES or not 1 <= axes <= 4:
                what = "gzip-compressed other content" if zipped else looks_like(head)
                raise DataError(f"{path}: expected an idx file of 1 to 4 axes, got what looks like {what}")
            sizes = stream.read(4 * axes)
            if len(sizes) < 4 * axes:
                raise DataError(f"{path}: expected the sizes of {axes} axes, got {len(sizes)} bytes; {_AGAIN}")
            shape = struct.unpack(f">{axes}I", sizes)
            dtype = np.dtype(_TYPES[code])
            wanted = math.prod(shape) * dtype.itemsize
            # Counted before memory is asked for: a header can claim anything.
            got = _count(stream, wanted) if zipped else path.stat().st_size - 4 - 4 * axes
        if got != wanted:
            raise DataError(
                f"{path}: expected {wanted} bytes after its header, for axes {shape} of {dtype}, got "
                f"{'more' if got > wanted else got}; {_AGAIN}"
            )
        if zipped:
            check_unpacked(path, wanted)
        out = np.empty(shape, floating(dtype) if inputs else dtype.newbyteorder("="))
        with open_stream() as stream:
            stream.read(4 + 4 * axes)
            fill(out, stream.read, dtype, np.float32(255) if inputs and code == 0x08 else None)
        return out
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: can't be decompressed ({printable(error)}); {_AGAIN}") from None


def _count(stream: BinaryIO, limit: int) -> int:
    """Number of bytes left in `stream`, or some number above `limit`."""
    count = 0
    while count <= limit and (chunk := stream.read(1 << 16)):
        count += len(chunk)
    return count
