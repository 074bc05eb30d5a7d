"""Memory that is allocated once and carved into arrays for each batch size."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

import numpy as np

from ..backends.arrays import Array, Namespace

Key = TypeVar("Key", bound=Hashable)


class Workspace:
    """Flat arrays, one per slot, from which arrays (R, ...) are cut; a set of shapes seen before costs nothing.

    Parameters
    ----------
    xp, dtype
        Array namespace and type.
    replicas
        R, put in front of every shape.
    """

    def __init__(self, xp: Namespace, dtype: np.dtype, replicas: int):
        self.xp, self.dtype, self.replicas = xp, dtype, replicas
        self._flat: dict[str, Any] = {}
        self._carved: dict[tuple, dict] = {}

    def carve(self, shapes: Mapping[Key, tuple[str, tuple[int, ...]]]) -> dict[Key, Any]:
        """Key -> (slot, shape) to key -> contiguous array (R, *shape) in that slot's memory.

        Keys that name the same slot share memory. A slot that has to grow is allocated anew, and what was carved
        from it before keeps the old memory until the holder carves again.
        """
        seen = tuple(shapes.items())
        if seen not in self._carved:
            self._reserve(shapes)
            self._carved[seen] = {
                key: self._flat[slot][: self.replicas * math.prod(shape)].reshape(self.replicas, *shape)
                for key, (slot, shape) in shapes.items()
            }
        return self._carved[seen]

    def _reserve(self, shapes: Mapping[Key, tuple[str, tuple[int, ...]]]) -> None:
        for slot, entries in slot_sizes(shapes).items():
            size = self.replicas * entries
            if slot not in self._flat or self._flat[slot].shape[0] < size:
                self._carved.clear()  # lets go of the old memory
                self._flat[slot] = self.xp.zeros(size, dtype=self.dtype)

    def memory(self) -> list[Any]:
        """The flat arrays of now: whoever keeps addresses of what was carved keeps these too."""
        return list(self._flat.values())

    def nbytes(self) -> int:
        """Bytes held."""
        return sum(flat.nbytes for flat in self._flat.values())


def slot_sizes(shapes: Mapping[Any, tuple[str, tuple[int, ...]]]) -> dict[str, int]:
    """How many entries of one replica each slot has to hold: those of the largest shape that lies there."""
    needed: dict[str, int] = {}
    for slot, shape in shapes.values():
        needed[slot] = max(needed.get(slot, 0), math.prod(shape))
    return needed


def cut(flat: Array, shapes: Mapping[Key, tuple[int, ...]]) -> dict[Key, Any]:
    """Views of these shapes, one behind the other in `flat`: many small arrays that are read to the host as one."""
    views, start = {}, 0
    for key, shape in shapes.items():
        views[key] = flat[start : start + math.prod(shape)].reshape(shape)
        start += math.prod(shape)
    return views
