"""Arrays as a machine sees them: what of an array belongs to one replica, and where that is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .record import NotRecordable

NARROW = 64
"""Up to this many units a batch is stored as (unit, sample)."""


def owner(array: np.ndarray) -> np.ndarray:
    """The array whose memory this is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def address(array: np.ndarray) -> int:
    """Return the address of an array's first number."""
    return array.__array_interface__["data"][0]


Key = tuple[int, int, tuple[tuple[int, int], ...]]
"""Which memory, where in it, sizes and distances of the axes that have some: two arrays with the same key are one."""


@dataclass(frozen=True)
class View:
    """The part of an array that belongs to one replica.

    Attributes
    ----------
    array
        The whole.
    shape, strides
        Without the axis of the replicas; distances in bytes, 0 along axes of size 1 and those that are only repeated.
    replica
        Bytes from one replica to the next, 0 where they share the array.
    """

    array: np.ndarray
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    replica: int

    @classmethod
    def of(cls, array: np.ndarray, stacked: bool = True) -> View:
        """Return the view of an array whose first axis is that of the replicas, or has none (not `stacked`)."""
        shape, strides = array.shape[stacked:], array.strides[stacked:]
        strides = tuple(0 if n == 1 else s for n, s in zip(shape, strides, strict=True))
        return cls(array, shape, strides, array.strides[0] if stacked and array.shape[0] > 1 else 0)

    @cached_property
    def extent(self) -> tuple[int, int, int]:
        """Bytes from one replica to the next, and from which byte to which all of them lie."""
        inside = sum((n - 1) * s for n, s in self.axes) + self.array.itemsize
        others = (len(self.array) - 1) * self.replica if self.replica else 0
        return self.replica, self.offset, self.offset + others + inside

    @cached_property
    def axes(self) -> tuple[tuple[int, int], ...]:
        """(size, distance) of the axes along which something else is at each place, the longest distance first."""
        return tuple(sorted(((n, s) for n, s in zip(self.shape, self.strides, strict=True) if s), key=lambda a: -a[1]))

    @cached_property
    def key(self) -> Key:
        """See `Key`."""
        return id(owner(self.array)), self.offset, self.axes

    @cached_property
    def offset(self) -> int:
        """Bytes from the beginning of the owner's memory."""
        return address(self.array) - address(owner(self.array))

    @cached_property
    def size(self) -> int:
        """Numbers."""
        total = 1
        for n, _ in self.axes:
            total *= n
        return total


class Views(dict[tuple[int, bool], View]):
    """The views of a program's arrays, each made once: a view keeps its array, so that no other one gets the id."""

    def of(self, array: np.ndarray, stacked: bool = True) -> View:
        """Return `View.of` of the array."""
        key = id(array), stacked
        if key not in self:
            self[key] = View.of(array, stacked)
        return self[key]


def overlap(a: Key, b: Key, itemsize: int) -> bool:
    """Whether two keys of one memory reach into each other."""
    if a[0] != b[0]:
        return False
    ends = [key[1] + sum((n - 1) * s for n, s in key[2]) + itemsize for key in (a, b)]
    return a[1] < ends[1] and b[1] < ends[0]


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of an array or a number."""
    return getattr(value, "shape", ())


@dataclass
class Place:
    """Where a replica's part of an array is: a column of the table of bases, an offset, bytes along each axis."""

    base: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def aligned(self, ndim: int) -> tuple[int, ...]:
        """The distances along the last `ndim` axes, 0 where there are fewer."""
        return (0,) * (ndim - len(self.strides)) + self.strides


def two_loops(places: list[Place], what: str) -> tuple[int, int, list[tuple[int, int]]]:
    """Two loops over a result and its operands: their sizes, and for each place the distances along both."""
    shape = places[0].shape
    all_strides = [p.aligned(len(shape)) for p in places]
    axes = [(n, *(s[k] for s in all_strides)) for k, n in enumerate(shape) if n > 1]
    axes.sort(key=lambda a: -a[1])
    merged: list[tuple[int, ...]] = []
    for axis in axes:
        if merged and all(o == n * axis[0] for o, n in zip(merged[-1][1:], axis[1:], strict=True)):
            merged[-1] = (merged[-1][0] * axis[0], *axis[1:])
        else:
            merged.append(axis)
    nothing = (1,) + (0,) * len(places)
    if len(merged) > 2:
        raise NotRecordable(f"{what} along {len(merged)} axes that can't be taken as two")
    while len(merged) < 2:
        merged.insert(0, nothing)
    outer, inner = merged
    return outer[0], inner[0], list(zip(outer[1:], inner[1:], strict=True))
