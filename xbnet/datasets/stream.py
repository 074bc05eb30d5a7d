"""Numbers from a stream into the array where they stay, a block at a time: there is never a second copy of them.

And how much a compressed file may hold: `check_unpacked`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import DataError
from .checks import BLOCK, Array

#: A compressed file may unpack to this many times its size, or to this many bytes if that is more.
MOST_INFLATION = 100
ALWAYS_ALLOWED = 1 << 25


def fill(
    target: Array, read: Callable[[int], bytes | memoryview], dtype: np.dtype, divisor: np.float32 | None = None
) -> None:
    """Read numbers of type `dtype`, in C order, into `target`.

    Parameters
    ----------
    target
        Array of any shape, strides and type: a transposed view of an array puts the axes into another order, and the
        array's type is what the numbers become.
    read
        ``read(n)`` returns the next n bytes, all of them.
    dtype
        The numbers' type in the stream.
    divisor
        Number by which the values are divided.
    """
    if target.ndim == 0:
        target = target.reshape(1)
    size = math.prod(target.shape[1:]) * max(dtype.itemsize, target.itemsize)
    if size > BLOCK and target.ndim > 1:
        for part in target:
            fill(part, read, dtype, divisor)
        return
    step = max(1, BLOCK // max(1, size))
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is found, and named, later
        for start in range(0, len(target), step):
            part = target[start : start + step]
            numbers = np.frombuffer(read(part.size * dtype.itemsize), dtype).reshape(part.shape)
            if divisor is None:
                part[...] = numbers
            else:
                np.divide(numbers, divisor, out=part)


def check_unpacked(path: Path, size: int) -> None:
    """Refuse a compressed file that unpacks to `size` bytes, if these are too many: a few bytes can claim anything.

    Raises
    ------
    DataError
        More than `MOST_INFLATION` times the file's own size, and than `ALWAYS_ALLOWED`.
    """
    allowed = max(ALWAYS_ALLOWED, MOST_INFLATION * path.stat().st_size)
    if size > allowed:
        raise DataError(
            f"{path}: expected a compressed file that unpacks to at most {allowed:,} bytes ({MOST_INFLATION} times its "
            f"size, or {ALWAYS_ALLOWED:,} bytes), got {size:,}; if it is sound, store it uncompressed"
        )
