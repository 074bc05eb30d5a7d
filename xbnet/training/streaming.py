"""Data sets that don't fit on the device: they stay on the host, and their batches come in chunks ahead of their use.

A chunk holds the samples of some steps in the order in which they are needed, so the results are those of resident
data, bit for bit. Two chunks are on the device in turn: while one is worked on, the other is gathered into pinned
memory and copied on a stream of its own. Nobody waits but the device for a copy, and the host for pinned memory that
is still being copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..backends.arrays import Array, ArrayLike, DTypeLike
from ..backends.backend import Backend
from ..errors import ConfigError, DataError
from ..nn.network import Network
from ..parsing import human_bytes, parse_bytes
from .batches import Batch, Resident
from .samples import Samples


def place(
    where: str,
    backend: Backend,
    dtype: np.dtype,
    parts: Sequence[tuple[Any, Any, Any]],
    device_memory: int | str | None,
    least: int = 0,
) -> list[Resident]:
    """Parts (x, y, w) of a data set: on the device if all fit into `device_memory` bytes (None: always), else streamed.

    Chunks hold at least `least` rows, whatever that takes.

    Raises
    ------
    ConfigError
        `device_memory` is not a number of bytes.
    DataError
        There are values that `dtype` can't hold.
    """
    try:
        with np.errstate(over="raise"):
            return _place(where, backend, dtype, parts, device_memory, least)
    except FloatingPointError:
        raise DataError(
            f"{where}: expected data that {np.dtype(dtype)} can hold, got larger values; rescale them, or take a "
            "network with dtype='float64'"
        ) from None


def _place(
    where: str,
    backend: Backend,
    dtype: np.dtype,
    parts: Sequence[tuple[Any, Any, Any]],
    device_memory: int | str | None,
    least: int,
) -> list[Resident]:
    if device_memory is not None:
        budget = parse_bytes(f"{where}: device_memory", device_memory)
        streamed = [Streamed(backend, dtype, *part, budget=budget // len(parts)) for part in parts]
        if sum(part.nbytes for part in streamed) > budget:
            for part in streamed:
                part.budget = max(part.budget, 2 * least * part.row_bytes)
            return list(streamed)
    return [Resident(backend, dtype, *part) for part in parts]


def place_samples(
    network: Network, samples: Samples, device_memory: int | str | None
) -> tuple[Resident, Resident | None]:
    """Place the samples for training, and those for validation (or None), see `place`."""
    parts = [(samples.train.x, samples.train.y, samples.sample_weight)]
    if samples.train_rows is None and samples.val is not None:
        parts.append((samples.val.x, samples.val.y, samples.val_weight))
    train, *rest = place("fit", network.backend, network.dtype, parts, device_memory)
    if samples.train_rows is None:
        return train, rest[0] if rest else None
    val = None if samples.val_rows is None else train.weighted(samples.val_weight).subsets(samples.val_rows)
    return train.subsets(samples.train_rows), val


class Streamed(Resident):
    """A part of a data set on the host, see `Resident` and the module's text.

    Parameters
    ----------
    budget
        Bytes on the device for the two chunks.
    """

    streamed = True

    def __init__(
        self, backend: Backend, dtype: np.dtype, x: Any, y: np.ndarray, w: ArrayLike | None = None, *, budget: int
    ):
        super().__init__(backend, dtype, x, y, w)
        self.budget = budget

    def _put(self, array: ArrayLike, dtype: DTypeLike) -> np.ndarray:
        return np.ascontiguousarray(array, dtype=dtype)

    @property
    def row_bytes(self) -> int:
        """Bytes of one sample."""
        return -(-self.nbytes // self._total)

    def parts(self, order: np.ndarray, batch_size: int) -> Iterator[tuple[Batch, list[Array]]]:
        """Chunks for the orders (U, n): samples (U m, ...) on the device, and where each batch (U, B) is in them."""
        U, n = order.shape
        rows = self._rows_per_order(U, batch_size)
        starts = range(0, n, rows)
        lane = make_lane(self._backend)
        slots = [Slot(self, lane, U * min(rows, n)) for _ in starts[:2]]
        positions: dict[int, list[Array]] = {}
        try:
            slots[0].fill(order[:, :rows])
            for c, start in enumerate(starts):
                if c + 1 < len(starts):
                    slots[(c + 1) % 2].fill(order[:, start + rows : start + 2 * rows])
                m = min(rows, n - start)
                if m not in positions:
                    positions[m] = self._positions(U, m, batch_size)
                slot = slots[c % 2]
                yield slot.arrive(), positions[m]
                slot.leave()
        finally:  # the pinned memory goes back to a pool, whose next user may write to it at once
            for slot in slots:
                lane.wait(slot.sent)

    def _rows_per_order(self, U: int, batch_size: int) -> int:
        """The rows of a chunk: as many whole batches as half the budget holds."""
        batch_bytes = U * min(batch_size, self.n) * self.row_bytes
        batches = self.budget // 2 // batch_bytes
        if batches < 1:
            raise ConfigError(
                f"device_memory: two batches of {batch_size} rows for {U} order{'s' * (U > 1)} take "
                f"{human_bytes(2 * batch_bytes)}, and {human_bytes(self.budget)} are there for this part of the data; "
                "take smaller batches or more memory"
            )
        return batches * batch_size

    def _positions(self, U: int, m: int, B: int) -> list[Array]:
        """Row numbers (U, B) of each batch within a chunk of U x m rows, on the device."""
        rows = np.arange(U * m).reshape(U, m)
        return [self._backend.asarray(rows[:, s : s + B], np.intp) for s in range(0, m, B)]


class Slot:
    """Memory for one chunk on both sides, and who has to wait for whom."""

    def __init__(self, data: Streamed, lane: HostLane | CudaLane, rows: int):
        self.data, self.lane = data, lane
        empty = data._backend.xp.empty
        sources: list[Any] = [array for array in (data.x, data.y, data.w) if array is not None]
        self.host = [lane.host_array((rows, *array.shape[1:]), array.dtype) for array in sources]
        self.there = [empty(array.shape, dtype=array.dtype) for array in self.host]
        self.sources, self.sent = sources, None
        self.free = lane.mark()  # fresh memory may have had another use that the device has not come to yet

    def fill(self, order: np.ndarray) -> None:
        """Gather the samples of the orders (U, m), and start to copy them."""
        rows = order.reshape(-1)
        self.lane.wait(self.sent)
        pairs = []
        for source, host, there in zip(self.sources, self.host, self.there, strict=True):
            source.take(rows, axis=0, out=host[: len(rows)], mode="clip")
            pairs.append((host[: len(rows)], there[: len(rows)]))
        self.sent = self.lane.send(pairs, self.free)

    def arrive(self) -> Batch:
        """The chunk, for work that is asked for from now on."""
        self.lane.join(self.sent)
        return Batch(self.there[0], self.there[1], self.there[2] if self.data.w is not None else None)

    def leave(self) -> None:
        """All work on the chunk was asked for: after that its memory may be filled again."""
        self.free = self.lane.mark()


class HostLane:
    """Copies that are done when they are asked for: on NumPy and dpnp."""

    def __init__(self, backend: Backend):
        self.backend = backend

    def host_array(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Memory to copy from."""
        return np.empty(shape, dtype)

    def mark(self) -> Any:
        """Mark the work that the device has been given until now."""

    def send(self, pairs: Sequence[tuple[np.ndarray, Any]], after: Any) -> Any:
        """Copy host arrays to those on the device, after the mark `after`; what can be waited for."""
        for host, there in pairs:
            there[...] = self.backend.asarray(host)

    def join(self, sent: Any) -> None:
        """Let the device wait."""

    def wait(self, sent: Any) -> None:
        """Let the host wait."""


class CudaLane:
    """Copies from pinned memory on a stream of their own."""

    def __init__(self, backend: Backend):
        self.cuda = backend.library.cuda
        self.stream = self.cuda.Stream(non_blocking=True)

    def host_array(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Pinned memory."""
        count = int(np.prod(shape))
        memory = self.cuda.alloc_pinned_memory(count * np.dtype(dtype).itemsize)
        return np.frombuffer(memory, dtype, count).reshape(shape)

    def mark(self) -> Any:
        """An event on the stream of the work."""
        return self._event(self.cuda.get_current_stream())

    def send(self, pairs: Sequence[tuple[np.ndarray, Any]], after: Any) -> Any:
        """See `HostLane`; returns at once."""
        self.stream.wait_event(after)
        for host, there in pairs:
            there.set(host, stream=self.stream)
        return self._event(self.stream)

    def join(self, sent: Any) -> None:
        """Let the stream of the work wait for a copy."""
        self.cuda.get_current_stream().wait_event(sent)

    def wait(self, sent: Any) -> None:
        """Let the host wait for a copy; None: there was none."""
        if sent is not None:
            sent.synchronize()

    def _event(self, stream: Any) -> Any:
        event = self.cuda.Event(disable_timing=True)
        event.record(stream)
        return event


def make_lane(backend: Backend) -> HostLane | CudaLane:
    """The way to the device of a backend."""
    return CudaLane(backend) if backend.cuda else HostLane(backend)
