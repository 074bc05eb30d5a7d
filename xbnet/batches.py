"""Minibatches from data that lie on the device: one order per epoch, gathered into buffers that stay."""

from __future__ import annotations

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
    """A part of a data set on the device: x (N, I), y (N,) or (N, C), w (N,) or None."""

    def __init__(self, backend: Backend, dtype: Any, x: np.ndarray, y: np.ndarray, w: np.ndarray | None = None):
        labels = np.issubdtype(y.dtype, np.integer)
        self.x = backend.asarray(x, dtype)
        self.y = backend.asarray(y, np.intp if labels else dtype)
        self.w = None if w is None else backend.asarray(w, dtype)
        self.n = len(x)

    def slice(self, start: int, stop: int) -> Batch:
        """Consecutive rows, as views that all replicas share."""
        w = None if self.w is None else self.w[None, start:stop]
        return Batch(self.x[None, start:stop], self.y[None, start:stop], w)


class Shuffled:
    """The minibatches of one epoch after another, each replica in its own random order.

    Parameters
    ----------
    backend
        Where `data` lies.
    data
        The training part.
    batch_size
        B in [1, N]; the last batch of an epoch may be shorter. B = N is the full batch, unshuffled.
    streams
        One generator per replica; or a single one, for an order that all replicas share.
    """

    def __init__(self, backend: Backend, data: Resident, batch_size: int, streams: Sequence[np.random.Generator]):
        self.backend, self.data, self.batch_size, self.streams = backend, data, batch_size, list(streams)
        self.steps = -(-data.n // batch_size)
        self._buffers: dict[int, Batch] = {}

    def epoch(self) -> Iterator[Batch]:
        """The batches of the next epoch, each overwritten by the one after it."""
        n, B = self.data.n, self.batch_size
        if n == B:
            yield self.data.slice(0, n)
            return
        order = np.stack([generator.permutation(n) for generator in self.streams])  # (R or 1, N)
        whole = n // B
        leading = len(self.streams)
        by_step = order[:, : whole * B].reshape(leading, whole, B).swapaxes(0, 1)  # (S, R or 1, B)
        index = self.backend.asarray(by_step, np.intp)
        for s in range(whole):
            yield self._gather(index[s])
        if whole * B < n:
            yield self._gather(self.backend.asarray(order[:, whole * B :], np.intp))

    def _gather(self, index: Any) -> Batch:
        B = index.shape[1]
        if B not in self._buffers:
            self._buffers[B] = self._allocate(B)
        batch, data, gather = self._buffers[B], self.data, self.backend.linalg.gather
        gather(data.x, index, batch.x)
        gather(data.y, index, batch.y)
        if batch.w is not None:
            gather(data.w, index, batch.w)
        return batch

    def _allocate(self, B: int) -> Batch:
        def rows(a: Any) -> Any:
            return self.backend.xp.empty((len(self.streams), B, *a.shape[1:]), dtype=a.dtype)

        data = self.data
        return Batch(rows(data.x), rows(data.y), None if data.w is None else rows(data.w))
