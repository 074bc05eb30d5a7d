"""Memory that is allocated once and carved into arrays for each batch size."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import count
from typing import Any, TypeVar

import numpy as np

from ..backends.arrays import Array, Namespace
from .layers.base import Layer
from .layers.build import buffer_shapes
from .memory import slot_sizes

GENERATIONS = count(1)
"""Numbers for memory: each network's buffers get one of their own."""
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
        self._carved: dict[tuple[Any, ...], dict[Any, Any]] = {}

    def carve(self, shapes: Mapping[Key, tuple[str, tuple[int, ...]]]) -> dict[Key, Any]:
        """Key -> (slot, shape) to key -> contiguous array (R, *shape) in that slot's memory.

        Keys that name the same slot share memory. A slot that has to grow is allocated again, and what was carved
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


class LayerBuffers:
    """The arrays in which the layers of a network work from forward to backward, for each size of batch.

    Parameters
    ----------
    layers
        With their parameters; `use` sets one attribute per buffer and scratch array.
    n_inputs
        I of the first layer.
    workspace
        Makes an empty `Workspace`.
    """

    def __init__(self, layers: Sequence[Layer], n_inputs: int, workspace: Callable[[], Workspace]):
        self.layers, self.workspace = layers, workspace
        self.widths = [n_inputs, *(layer.n_outputs for layer in layers)]
        self._before = [set(vars(layer)) for layer in layers]
        self.release()

    def release(self) -> None:
        """Let go of all memory; layers forget whatever was set since they were built, and so hold no batch."""
        self.between_layers, self.of_layers = self.workspace(), self.workspace()
        self._arrays: dict[int, list[dict[str, Array]]] = {}  # batch size -> for each layer, its arrays
        self._between: dict[int, list[Array]] = {}
        self.batch = -1
        self.generation = next(GENERATIONS)
        for layer, names in zip(self.layers, self._before, strict=True):
            for name in vars(layer).keys() - names:
                delattr(layer, name)

    def use(self, B: int) -> int:
        """Point every layer at its buffers for batches of B rows; see `Network.use`."""
        if self.batch == B:
            return self.generation
        if B not in self._arrays:
            before = self.of_layers.nbytes()
            carved = self.of_layers.carve(buffer_shapes(self.layers, B))
            if self.of_layers.nbytes() != before:  # nobody shall go on holding the old memory
                self._arrays.clear()
                self.generation = next(GENERATIONS)
            arrays: list[dict[str, Array]] = [{} for _ in self.layers]
            for (k, name), array in carved.items():
                arrays[k][name] = array
            self._arrays[B] = arrays  # not before they are whole
        self.batch = -1  # cut short, this leaves buffers of several sizes
        for layer, its_own in zip(self.layers, self._arrays[B], strict=True):
            vars(layer).update(its_own)
        self.batch = B
        return self.generation

    def between(self) -> list[Array]:
        """Gradients between the layers, for the batch in use: two pieces of memory, used in turn."""
        if self.batch not in self._between:
            shapes = {i: (f"d{i % 2}", (self.batch, width)) for i, width in enumerate(self.widths)}
            before, carved = self.between_layers.nbytes(), list(self.between_layers.carve(shapes).values())
            if self.between_layers.nbytes() != before:
                self._between.clear()
                self.generation = next(GENERATIONS)
            self._between[self.batch] = carved
        return self._between[self.batch]


def cut(flat: Array, shapes: Mapping[Key, tuple[int, ...]]) -> dict[Key, Any]:
    """Views of these shapes, one after the other in `flat`: many small arrays that are read to the host as one."""
    views, start = {}, 0
    for key, shape in shapes.items():
        views[key] = flat[start : start + math.prod(shape)].reshape(shape)
        start += math.prod(shape)
    return views
