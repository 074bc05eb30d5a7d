"""Minibatches from data that lie on the device, gathered into buffers that stay."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .backend import Backend


class Batch(NamedTuple):
    """x (R or 1, B, I), y (R or 1, B) labels or (R or 1, B, C) targets, w (R or 1, B) weights or None."""

    x: Any
    y: Any
    w: Any


class Resident:
    """A part of a data set on the device: x (N, I), y (N,) or (N, C), w (N,) or None.

    Attributes
    ----------
    rows
        None: every replica sees all samples. Otherwise each replica's own samples, one array (n,) of row numbers
        per replica: all of the same length, and the same object where replicas share a subset (a fold).
    n
        Samples that one replica sees.
    """

    def __init__(self, backend: Backend, dtype: Any, x: np.ndarray, y: np.ndarray, w: np.ndarray | None = None):
        labels = np.issubdtype(y.dtype, np.integer)
        self._backend = backend
        self.x = backend.asarray(x, dtype)
        self.y = backend.asarray(y, np.intp if labels else dtype)
        self.w = None if w is None else backend.asarray(w, dtype)
        self.rows: list[np.ndarray] | None = None
        self.n = len(x)

    def subsets(self, rows: Sequence[np.ndarray]) -> Resident:
        """The same samples, of which replica r sees only ``rows[r]``."""
        twin = copy.copy(self)
        twin.rows, twin.n = list(rows), len(rows[0])
        return twin

    def weighted(self, w: np.ndarray | None) -> Resident:
        """The same samples with other weights (N,), or all of weight 1."""
        twin = copy.copy(self)
        twin.w = None if w is None else self._backend.asarray(w, self.x.dtype)
        return twin

    def select(self, index: np.ndarray) -> Resident:
        """For the replicas `index`."""
        return self if self.rows is None else self.subsets([self.rows[i] for i in index])

    def slice(self, start: int, stop: int) -> Batch:
        """Consecutive samples, as views that all replicas share."""
        w = None if self.w is None else self.w[None, start:stop]
        return Batch(self.x[None, start:stop], self.y[None, start:stop], w)


class Batches:
    """Gathers minibatches. Replicas that see the same samples in the same order share what can be shared.

    Parameters
    ----------
    backend
        Where `data` lies.
    data
        The samples.
    batch_size
        B in [1, n]; the last batch may be shorter.
    """

    def __init__(self, backend: Backend, data: Resident, batch_size: int):
        self.backend, self.data, self.batch_size = backend, data, batch_size
        self.steps = -(-data.n // batch_size)
        self._buffers: dict[int, tuple[Any, Batch]] = {}
        self._which: Any = None

    def _share(self, keys: Sequence[Any]) -> list[int]:
        """Replicas with equal keys share an order: the first replica of each distinct key."""
        first: dict[Any, int] = {}
        numbers = [first.setdefault(key, len(first)) for key in keys]
        self._which = None if len(first) == 1 else self.backend.asarray(np.array([numbers]), np.intp)
        return [numbers.index(u) for u in range(len(first))]

    def _gathered(self, order: np.ndarray) -> Iterator[Batch]:
        """Batches of the orders (U, n): row u serves the replicas that share it."""
        U, n = order.shape
        B, whole = self.batch_size, n // self.batch_size
        by_step = order[:, : whole * B].reshape(U, whole, B).swapaxes(0, 1)  # (S, U, B)
        index = self.backend.asarray(by_step, np.intp)
        for s in range(whole):
            yield self._gather(index[s])
        if whole * B < n:
            yield self._gather(self.backend.asarray(order[:, whole * B :], np.intp))

    def _gather(self, index: Any) -> Batch:
        B = index.shape[1]
        if B not in self._buffers:
            self._buffers[B] = self._allocate(B)
        (spread, batch), data, gather = self._buffers[B], self.data, self.backend.linalg.gather
        if self._which is not None:
            gather(index, self._which, spread)
            index = spread[0]
        gather(data.x, index, batch.x)
        gather(data.y, index, batch.y)
        if batch.w is not None:
            gather(data.w, index, batch.w)
        return batch

    def _allocate(self, B: int) -> tuple[Any, Batch]:
        xp, data = self.backend.xp, self.data
        R = 1 if self._which is None else self._which.shape[1]

        def rows(a: Any) -> Any:
            return xp.empty((R, B, *a.shape[1:]), dtype=a.dtype)

        spread = None if self._which is None else xp.empty((1, R, B), dtype=self._which.dtype)
        return spread, Batch(rows(data.x), rows(data.y), None if data.w is None else rows(data.w))


class InOrder(Batches):
    """The samples in their order, once."""

    def __init__(self, backend: Backend, data: Resident, batch_size: int):
        super().__init__(backend, data, batch_size)
        if data.rows is not None:
            self._order = np.stack([data.rows[r] for r in self._share([id(rows) for rows in data.rows])])

    def __iter__(self) -> Iterator[Batch]:
        data, B = self.data, self.batch_size
        if data.rows is not None:
            yield from self._gathered(self._order)
            return
        for start in range(0, data.n, B):
            yield data.slice(start, min(start + B, data.n))


class Shuffled(Batches):
    """The minibatches of one epoch after another, each replica in its own random order.

    Parameters
    ----------
    backend, data, batch_size
        See `Batches`. B = n is the full batch, unshuffled.
    streams
        One generator per replica, the same object where replicas share an order.
    """

    def __init__(self, backend: Backend, data: Resident, batch_size: int, streams: Sequence[np.random.Generator]):
        super().__init__(backend, data, batch_size)
        self.streams = list(streams)
        self._whole = InOrder(backend, data, batch_size) if data.n == batch_size else None
        subsets: Sequence[Any] = [None] * len(self.streams) if data.rows is None else data.rows
        self._firsts = self._share([(id(s), id(rows)) for s, rows in zip(self.streams, subsets, strict=True)])

    def epoch(self) -> Iterator[Batch]:
        """The batches of the next epoch, each overwritten by the one after it."""
        data = self.data
        if self._whole is not None:
            yield from self._whole
            return
        drawn: dict[int, np.ndarray] = {}
        for r in self._firsts:
            stream = self.streams[r]
            if id(stream) not in drawn:
                drawn[id(stream)] = stream.permutation(data.n)
        orders = [drawn[id(self.streams[r])] for r in self._firsts]
        if data.rows is not None:
            orders = [data.rows[r][order] for r, order in zip(self._firsts, orders, strict=True)]
        yield from self._gathered(np.stack(orders))
