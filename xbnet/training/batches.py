"""Minibatches from data that are on the device, gathered into buffers that stay."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..backends.arrays import Array, ArrayLike, DTypeLike
from ..backends.backend import Backend
from ..backends.parts import SampleArrays
from .sparse import SparseRows

Made = TypeVar("Made")


class Batch(NamedTuple):
    """x (R or 1, B, I), y (R or 1, B) labels or (R or 1, B, C) targets, w (R or 1, B) weights or None."""

    x: Array
    y: Array
    w: Array | None


def each_once(function: Callable[[Any], Made], things: Sequence[Any]) -> list[Made]:
    """``function(thing)`` of each, which is called once for those that are the same object."""
    known = {key: function(thing) for key, thing in {id(thing): thing for thing in things}.items()}
    return [known[id(thing)] for thing in things]


class Resident:
    """A part of a data set on the device: x (N, I), y (N,) or (N, C), w (N,) or None.

    Attributes
    ----------
    rows
        None: every replica sees all samples. Otherwise each replica's own samples, one array (n,) of row numbers
        per replica: all of the same length, and the same object where replicas share a subset (a fold).
    n
        Samples that one replica sees.
    streamed
        Whether the arrays are on the host after all, see `streaming`.
    sparse
        Whether the inputs are there as `SparseRows`.
    """

    streamed = False

    def __init__(self, backend: Backend, dtype: np.dtype, x: Any, y: np.ndarray, w: ArrayLike | None = None):
        labels = np.issubdtype(y.dtype, np.integer)
        self._backend = backend
        self.sparse = isinstance(x, SparseRows)
        self.x: Any = x.on(backend, dtype) if isinstance(x, SparseRows) else self._put(x, dtype)
        self.y = self._put(y, np.intp if labels else dtype)
        self.w = None if w is None else self._put(w, dtype)
        self.rows: list[np.ndarray] | None = None
        self.n = self._total = len(x)

    def _put(self, array: ArrayLike, dtype: DTypeLike) -> Array:
        return self._backend.asarray(array, dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in (self.x, self.y, self.w) if array is not None)

    def subsets(self, rows: Sequence[np.ndarray]) -> Resident:
        """The same samples, of which replica r sees only ``rows[r]``."""
        twin = copy.copy(self)
        twin.rows, twin.n = list(rows), len(rows[0])
        return twin

    def weighted(self, w: ArrayLike | None) -> Resident:
        """The same samples with other weights (N,), or all of weight 1."""
        twin = copy.copy(self)
        twin.w = None if w is None else self._put(w, self.x.dtype)
        return twin

    def select(self, index: np.ndarray) -> Resident:
        """For the replicas `index`."""
        return self if self.rows is None else self.subsets([self.rows[i] for i in index])

    def slice(self, start: int, stop: int) -> Batch:
        """Consecutive samples, as views that all replicas share."""
        w = None if self.w is None else self.w[None, start:stop]
        return Batch(self.x[None, start:stop], self.y[None, start:stop], w)


CHEAP_BYTES = 1 << 16
"""A batch up to this size is copied in less time than a replay saves."""


class Batches:
    """Gathers minibatches. Replicas that see the same samples in the same order share what can be shared.

    Parameters
    ----------
    backend
        Where `data` is.
    data
        The samples.
    batch_size
        B in [1, n]; the last batch may be shorter.

    Attributes
    ----------
    steps
        Batches of an epoch.
    which
        (1, R) on the device: which of the distinct orders each replica follows; None: there is one for all.
    """

    def __init__(self, backend: Backend, data: Resident, batch_size: int):
        self.backend, self.data, self.batch_size = backend, data, batch_size
        self.steps = -(-data.n // batch_size)
        self._buffers: dict[int, tuple[Array | None, Batch]] = {}
        self.which: Array | None = None

    def _share(self, keys: Sequence[Hashable]) -> list[int]:
        """Replicas with equal keys share an order: the first replica of each distinct key."""
        first: dict[Hashable, int] = {}
        numbers = [first.setdefault(key, len(first)) for key in keys]
        self.which = None if len(first) == 1 else self.backend.asarray(np.array([numbers]), np.intp)
        return np.unique(numbers, return_index=True)[1].tolist()

    def _gathered(self, order: np.ndarray) -> Iterator[Batch]:
        """Batches of the orders (U, n): row u serves the replicas that share it, see `which`."""
        data: Any = self.data
        if data.streamed:
            for part, rows in data.parts(order, self.batch_size):
                yield from (self.gather(index, part) for index in rows)
            return
        index, last = self.by_step(order)
        for s in range(len(index)):
            yield self.gather(index[s])
        if last is not None:
            yield self.gather(last)

    def by_step(self, order: np.ndarray) -> tuple[Array, Array | None]:
        """The orders (U, n) on the device: for whole batches (S, U, B), and for a shorter last one, or None."""
        U, n = order.shape
        B, whole = self.batch_size, n // self.batch_size
        by_step = order[:, : whole * B].reshape(U, whole, B).swapaxes(0, 1)
        last = self.backend.asarray(order[:, whole * B :], np.intp) if whole * B < n else None
        return self.backend.asarray(by_step, np.intp), last

    def gather(self, index: Array, data: SampleArrays | None = None) -> Batch:
        """The samples of index (U, B), on the device; overwritten by the next batch of B rows."""
        (spread, batch), ops = self._buffer(index.shape[1]), self.backend.ops
        samples: Any = data or self.data
        if not self.data.sparse:
            return ops.gather_batch(samples, index, self.which, spread, batch)
        samples.x.gather(index, self.which, batch.x)
        if self.which is not None and spread is not None:
            index = ops.gather(index, self.which, spread)[0]
        ops.gather(samples.y, index, batch.y)
        if batch.w is not None:
            ops.gather(samples.w, index, batch.w)
        return batch

    def _buffer(self, B: int) -> tuple[Array | None, Batch]:
        if B not in self._buffers:
            xp, data = self.backend.xp, self.data
            R = 1 if self.which is None else self.which.shape[1]
            given: list[Any] = [data.x, data.y, data.w]
            arrays: list[Any] = [None if a is None else xp.empty((R, B, *a.shape[1:]), dtype=a.dtype) for a in given]
            spread = None if self.which is None else xp.empty((1, R, B), dtype=self.which.dtype)
            self._buffers[B] = spread, Batch(*arrays)
        return self._buffers[B]


class InOrder(Batches):
    """The samples in their order, once.

    Attributes
    ----------
    stay
        Whether all batches of one size come in the same arrays, so that what is done with them can be replayed. Large
        ones are views of the data: to copy them would take longer than a replay saves.
    order
        Row numbers (U, n) of the samples, see `which`; None: all of them, one after the other.
    """

    def __init__(self, backend: Backend, data: Resident, batch_size: int):
        super().__init__(backend, data, batch_size)
        self.order: np.ndarray | None = None
        if data.rows is not None:
            self.order = np.stack([data.rows[r] for r in self._share([id(rows) for rows in data.rows])])
        elif data.streamed:
            self.order = np.arange(data.n)[None]
        row_bytes = math.prod(data.x.shape[1:]) * data.x.dtype.itemsize
        self._copies = self.steps > 1 and backend.on_host and batch_size * row_bytes <= CHEAP_BYTES
        self.stay = self.order is not None or self.steps == 1 or self._copies

    def __iter__(self) -> Iterator[Batch]:
        data, B = self.data, self.batch_size
        if self.order is not None:
            yield from self._gathered(self.order)
            return
        for start in range(0, data.n, B):
            part = data.slice(start, min(start + B, data.n))
            yield self._copied(part) if self._copies else part

    def _copied(self, part: Batch) -> Batch:
        _, batch = self._buffer(part.x.shape[1])
        for place, original in zip(batch, part, strict=True):
            if place is not None and original is not None:
                self.backend.xp.copyto(place, original)
        return batch


class Shuffled(Batches):
    """The minibatches of one epoch after another, each replica in its own random order.

    Parameters
    ----------
    backend, data, batch_size
        See `Batches`. B = n is the full batch, unshuffled.
    streams
        One generator per replica, the same object where replicas share an order.

    Attributes
    ----------
    firsts
        The first replica of each of the U distinct orders.
    """

    def __init__(self, backend: Backend, data: Resident, batch_size: int, streams: Sequence[np.random.Generator]):
        super().__init__(backend, data, batch_size)
        self.streams = list(streams)
        self._whole = InOrder(backend, data, batch_size) if data.n == batch_size else None
        subsets: Sequence[np.ndarray | None] = [None] * len(self.streams) if data.rows is None else data.rows
        self.firsts = self._share([(id(s), id(rows)) for s, rows in zip(self.streams, subsets, strict=True)])

    def epoch(self) -> Iterator[Batch]:
        """The batches of the next epoch, each overwritten by the one after it."""
        if self._whole is not None:
            yield from self._whole
        else:
            yield from self._gathered(self.order())

    def order(self) -> np.ndarray:
        """Draw the next epoch's order: row numbers (U, n) of the samples, for U distinct orders; see `which`."""
        data = self.data
        streams = [self.streams[r] for r in self.firsts]
        orders = each_once(lambda s: np.arange(data.n) if self._whole else s.permutation(data.n), streams)
        if data.rows is not None:
            orders = [data.rows[r][order] for r, order in zip(self.firsts, orders, strict=True)]
        return np.stack(orders)
