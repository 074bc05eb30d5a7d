"""CIFAR-10 in its Python layout: five training batches and a test batch, pickles of Python 2.

Layout: the page of the data set (Krizhevsky, 2009). A batch is a dictionary with ``data (N, 3072)``, bytes
of the red, then the green, then the blue plane, row by row, and ``labels``, a list of N numbers.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from ..checks import Array
from ..dataset import Dataset, Part
from ..sniff import looks_like, open_head
from .unpickle import Refused, text, unpickle

FOLDER = "cifar-10-batches-py"
TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST = "test_batch"
META = "batches.meta"
_SHAPE = (3, 32, 32)
_EXPECTED = "a batch of CIFAR-10"


def is_cifar_folder(folder: Path) -> bool:
    """Whether `folder` is CIFAR-10's, or holds the folder that its archive unpacks to."""
    return any((inner / name).exists() for inner in (folder, folder / FOLDER) for name in (*TRAIN, TEST))


def read_cifar_folder(folder: Path, partial: bool = False) -> Dataset:
    """Read CIFAR-10: 50,000 images to train on and 10,000 to test on.

    Returns
    -------
    Dataset
        `train` and `test`; pixels scaled to [0, 1] as float32, with `image_shape` (3, 32, 32) and the
        names of the classes from ``batches.meta``, if that is there.

    Raises
    ------
    DataError
        If a batch is absent or can't be used, or is a pickle that asks for anything but arrays; no code
        in it is ever run.
    """
    inner = folder if not (folder / FOLDER).is_dir() else folder / FOLDER
    for name in (*TRAIN, TEST):
        if not (inner / name).is_file():
            raise DataError(f"{inner}: expected {TRAIN[0]} to {TRAIN[-1]} and {TEST}, got no {name}; unpack it again")
    train = _read_batches([inner / name for name in TRAIN])
    test = _read_batches([inner / TEST])
    classes = _read_classes(inner / META) if (inner / META).exists() else None
    return Dataset(str(folder), train, test=test, classes=classes, image_shape=_SHAPE, partial=partial)


def read_cifar_batch(path: Path, partial: bool = False) -> Dataset:
    """Read one batch, as a training part."""
    meta = path.parent / META
    classes = _read_classes(meta) if meta.exists() else None
    return Dataset(str(path), _read_batches([path]), classes=classes, image_shape=_SHAPE, partial=partial)


def _read_batches(paths: list[Path]) -> Part:
    """The images and labels of some batches, one after the other."""
    batches = [_read_batch(path) for path in paths]
    x = np.empty((sum(len(data) for data, _ in batches), 3072), np.float32)
    start = 0
    for data, _ in batches:
        np.divide(data, np.float32(255), out=x[start : start + len(data)])
        start += len(data)
    return Part(x, np.concatenate([labels for _, labels in batches]))


def _read_batch(path: Path) -> tuple[Array, Array]:
    """The images of one batch, as bytes (N, 3072) that stay in the file, and their labels."""
    open_head(path, _EXPECTED)
    with open(path, "rb") as file:  # the map is closed when the last view into it is gone
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    batch = _load(path, content, _EXPECTED)
    data, numbers = batch.get("data"), batch.get("labels")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
        got = f"{data.shape} of {data.dtype}" if isinstance(data, np.ndarray) else _what(data)
        raise DataError(f"{path}: expected 'data' (N, 3072) of uint8, got {got}")
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise DataError(f"{path}: expected 'labels', a list of {len(data)} integers, got {_what(numbers)}")
    if len(numbers) != len(data):
        raise DataError(f"{path}: expected {len(data)} labels, one per row of 'data', got {len(numbers)}")
    if numbers and not 0 <= min(numbers) <= max(numbers) <= 9:
        wrong = next(number for number in numbers if not 0 <= number <= 9)
        raise DataError(f"{path}: expected labels 0..9, got {wrong}")
    return data, np.array(numbers, np.int64)


def _read_classes(path: Path) -> tuple[str, ...]:
    """The names of the classes, in the order of the labels."""
    what = "CIFAR-10's names of classes"
    open_head(path, what)
    names = _load(path, memoryview(path.read_bytes()), what).get("label_names")
    if not isinstance(names, list) or len(names) != 10:
        raise DataError(f"{path}: expected 'label_names', a list of 10 names, got {_what(names)}")
    try:
        return tuple(text(name) for name in names)
    except Refused as error:
        raise DataError(f"{path}: expected 'label_names', a list of 10 names; {error}") from None


def _load(path: Path, content: memoryview, expected: str) -> dict[Any, Any]:
    """The dictionary in a pickle."""
    if bytes(content[:1]) != b"\x80":
        raise DataError(f"{path}: expected {expected}, got what looks like {looks_like(bytes(content[:512]))}")
    try:
        loaded = unpickle(content)
    except Refused as error:
        raise DataError(
            f"{path}: expected {expected}, a pickle of arrays and plain containers; {error}; nothing in it was run"
        ) from None
    if not isinstance(loaded, dict):
        raise DataError(f"{path}: expected {expected}, a pickle of a dictionary, got {_what(loaded)}")
    return loaded


def _what(value: Any) -> str:
    """A few words for a value that is not what it should be."""
    if value is None:
        return "nothing"
    return f"a {type(value).__name__} of {len(value)}" if hasattr(value, "__len__") else type(value).__name__
