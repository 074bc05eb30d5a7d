"""Preparation of recorded operations before they become instructions, and the memory for a step's results.

Arrays that outlive a step (weights, gradient, statistics, sums) stay where they are. All others get a place in a small
memory of the machine, which every replica uses in turn: so it stays in the cache. There a batch of few units is as
(unit, sample), so that inner loops run over samples. An array may be moved if all that is read from it was written, as
a whole, earlier in the same step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from .fusion import fuse
from .program import LINE
from .record import NotRecordable, Operation
from .views import NARROW, Key, View, Views, overlap, owner

UPDATES = ("where", "tanh_gradient", "relu_gradient", "subtract_scaled")
"""Operations that read what they write to."""


@dataclass
class Moved:
    """An array of the machine's own: its address, and between which operations it holds something.

    An argument of a call has a `place` of its own, for all replicas: the buffers of layers share memory, and an array
    that one replica no longer needs may share its address with one that another replica still needs.
    """

    axes: tuple[tuple[int, int], ...]
    strides: tuple[int, ...]
    nbytes: int
    first: int
    last: int
    offset: int = 0
    place: np.ndarray | None = None


def arrays(op: Operation) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the arrays that an operation reads, and those that it writes."""
    reads = [x for x in op.operands if isinstance(x, np.ndarray)]
    return reads + list(op.out) * (op.name in UPDATES), list(op.out)


class Prepared:
    """Operations that the machine can do, on arrays that have their places.

    Parameters
    ----------
    operations
        Recorded operations, in order.
    dtype
        float32 or float64.
    batch
        B.
    private
        Arrays whose memory nobody reads after a step.
    slots
        Name -> array that stands for one that is somewhere else at every step, see `Program.addresses`.

    Attributes
    ----------
    operations
        In order; the results of the first ones, whose ids are in `once`, stay the same in all steps.
    moved
        Arrays that are in the machine's own memory, of which a replica needs `own` bytes.
    random
        See `Program`.
    """

    def __init__(
        self,
        operations: list[Operation],
        dtype: np.dtype,
        batch: int,
        private: Iterable[np.ndarray],
        slots: Mapping[str, np.ndarray],
    ):
        self.dtype, self.item, self.batch, self.views = dtype, dtype.itemsize, batch, Views()
        self.private = {id(owner(a)): owner(a) for a in private}
        self.slots = {id(owner(a)): name for name, a in slots.items()}
        self.keep: list[np.ndarray] = []
        self.stay: dict[int, set[tuple[int, int, int]]] = {}  # what is written where it is
        operations = self.as_floats(operations)
        self.written = {id(owner(a)) for op in operations for a in op.out}
        operations = self.convert(self.drawn(operations))
        self.moved = self.find_movable(operations)
        inside = {key for key, one in self.moved.items() if one.place is None}
        operations = fuse(operations, inside, self.views)  # a result may be made, and a place be needed, earlier now
        self.moved = {key: one for key, one in self.find_movable(operations).items() if key in self.moved}
        self.operations = self.without_dead(operations)
        self.check_calls()
        self.own = self.settle()

    def view(self, array: np.ndarray, op: Operation) -> View:
        """Return the view of an operand or result; one with fewer axes than the result has none for replicas."""
        stacked = array.ndim >= op.out[0].ndim or (op.name in ("gather", "row_max") and array.ndim > 1)
        return self.views.of(array, stacked)

    def as_floats(self, operations: list[Operation]) -> list[Operation]:
        """Let whole numbers of a step's own be floats, as all that the machine works on; calls get them as they are."""
        called = {id(owner(a)) for op in operations if op.name == "call" for a in op.out}
        twins = {
            key: np.empty(a.size, self.dtype)
            for key, a in self.private.items()
            if a.dtype == np.intp and key not in called and a.flags.c_contiguous
        }
        self.private |= {id(twin): twin for twin in twins.values()}

        def changed(x: np.ndarray | float) -> np.ndarray | float:
            twin = twins.get(id(owner(x))) if isinstance(x, np.ndarray) else None
            if twin is None or not isinstance(x, np.ndarray):
                return x
            offset, *strides = (n // x.itemsize * self.item for n in (self.views.of(x).offset, *x.strides))
            return np.ndarray(x.shape, self.dtype, twin, offset, tuple(strides))

        return [
            op._replace(operands=tuple(map(changed, op.operands)), out=tuple(map(changed, op.out))) for op in operations
        ]

    def drawn(self, operations: list[Operation]) -> list[Operation]:
        """Let drawn numbers be copied from a slot, which is filled for many steps at a time."""
        self.random: list[tuple[str, Any, int, int]] = []
        rest, calls = [], 0
        for op in operations:
            calls += op.name == "call"
            if op.name == "random":
                name, place = f"random{len(self.random)}", np.empty_like(op.out[0])
                self.slots[id(place)] = name
                self.keep.append(place)
                self.random.append((name, op.operands[0], place[0].size, calls))
                op = Operation("copy", (place,), op.out)
            rest.append(op)
        return rest

    def convert(self, operations: list[Operation]) -> list[Operation]:
        """Copy whole numbers, flags and batches outside the machine's memory first, to the machine's type."""
        first: list[Operation] = []
        made: dict[Key, np.ndarray] = {}

        def ready(op: Operation, j: int, x: Any) -> Any:
            if not isinstance(x, np.ndarray) or id(owner(x)) in self.private or id(owner(x)) in self.slots:
                return x
            if op.name == "gather" and (j == 0 or (j == 1 and id(owner(x)) in self.slots)):
                return x
            key = self.views.of(x, x.ndim > 1).key
            if x.dtype == self.dtype:
                rows = x.ndim == 3 and x.shape[1] == self.batch > 1 and 1 < x.shape[2] <= NARROW
                if not rows or id(owner(x)) in self.written:
                    return x
                name = "copy"
            elif x.dtype.kind in "iu" and x.dtype.itemsize == 8:
                name = "labels"
            elif x.dtype == bool:
                name = "flags"
            else:
                raise NotRecordable(f"{op.name} on numbers of type {x.dtype}")
            if key not in made:
                made[key] = np.empty(x.shape, self.dtype)
                self.private[id(made[key])] = made[key]
                self.keep.append(made[key])
                first.append(Operation(name, (x,), (made[key],)))
            return made[key]

        rest = [
            op if op.name == "call" else op._replace(operands=tuple(ready(op, j, x) for j, x in enumerate(op.operands)))
            for op in operations
        ]
        self.n_first, self.once = len(first), {id(a) for a in made.values()}
        return first + rest

    def find_movable(self, operations: list[Operation]) -> dict[Key, Moved]:
        """See the module's text."""
        last: dict[Key, int] = {}
        fixed: set[Key] = set()
        seen: dict[Key, list[int]] = {}
        for t, op in enumerate(operations):
            if op.name == "call":
                for key in self.touched(op):
                    seen.setdefault(key, [t, t])[1] = t
                    fixed |= {key for other, s in last.items() if s > last.get(key, t) and overlap(other, key, 1)}
                    last[key] = t
                continue
            reads, writes = arrays(op)
            for array in reads:
                if id(owner(array)) not in self.private:
                    continue
                key = self.view(array, op).key
                seen.setdefault(key, [t, t])[1] = t
                if key not in last:
                    fixed.add(key)
                    continue
                fixed |= {key for other, s in last.items() if s > last[key] and overlap(other, key, 1) and other != key}
            for array in writes:
                if id(owner(array)) in self.private:
                    key = self.view(array, op).key
                    seen.setdefault(key, [t, t])[1] = t
                    last[key] = t
        while True:
            more = {key for key in seen if key not in fixed and any(overlap(key, other, 1) for other in fixed)}
            if not more:
                break
            fixed |= more
        end, moved = len(operations), {}
        called = {key: a for op in operations if op.name == "call" for key, a in self.touched(op).items()}
        for key, (start, stop) in seen.items():
            if key in fixed:
                continue
            axes = key[2]
            if key in called:
                moved[key] = Moved(axes, (), 0, start, stop, place=np.empty(called[key].shape, self.dtype))
                continue
            across = len(axes) == 2 and axes[0][0] == self.batch and axes[1][0] <= NARROW
            order = [*axes[::-1]] if across else [*axes]
            strides, size = {}, self.item
            for n, s in order[::-1]:
                strides[s] = size
                size *= n
            once = start < self.n_first
            moved[key] = Moved(
                axes, tuple(strides[s] for _, s in axes), size, 0 if once else start, end if once else stop
            )
        return moved

    def touched(self, op: Operation) -> dict[Key, np.ndarray]:
        """The arrays that a call was given, of those that may be moved."""
        return {self.views.of(a, a.ndim > 0).key: a for a in op.out if id(owner(a)) in self.private}

    def check_calls(self) -> None:
        """Refuse calls between operations on arrays that stay where they are, of which some share memory.

        A replica comes to a call after all others have; what it still needs behind it, another's array must not cover.
        """
        if all(op.name != "call" for op in self.operations):
            return
        stay: dict[int, set[int]] = {}
        for op in self.operations:
            for array in (*op.operands, *op.out):
                if isinstance(array, np.ndarray) and id(owner(array)) in self.private:
                    one = self.views.of(array, array.ndim > 0) if op.name == "call" else self.view(array, op)
                    if one.key not in self.moved and one.replica:
                        stay.setdefault(one.key[0], set()).add(one.replica)
        if any(len(strides) > 1 for strides in stay.values()):
            raise NotRecordable("parts that have to be called, between layers that see an array in two shapes")

    def note(self, seen: View) -> None:
        """Take note of an array that is not moved, see `alone`."""
        if id(owner(seen.array)) in self.written:
            self.stay.setdefault(id(owner(seen.array)), set()).add(seen.extent)

    def alone(self) -> bool:
        """Whether one replica may write where another one's numbers are; see `Program`."""
        pairs = [pair for places in self.stay.values() for pair in product(places, places)]
        return any(not a[0] or (a[0] != b[0] and a[1] < b[2] and b[1] < a[2]) for a, b in pairs)

    def place_of(self, array: np.ndarray) -> np.ndarray:
        """The array that a call gets in the place of this one."""
        own = self.moved.get(self.views.of(array, array.ndim > 0).key) if id(owner(array)) in self.private else None
        return array if own is None or own.place is None else own.place.reshape(array.shape)

    def without_dead(self, operations: list[Operation]) -> list[Operation]:
        """Without what nobody reads."""
        wanted: set[Key] = set()
        kept = []
        for op in reversed(operations):
            if op.name == "call":
                wanted |= self.touched(op).keys()
                kept.append(op)
                continue
            reads, writes = arrays(op)
            keys = {self.view(a, op).key for a in writes}
            if all(key in self.moved and key not in wanted for key in keys):
                continue
            wanted -= {key for key in keys if op.name not in UPDATES}
            wanted |= {self.view(a, op).key for a in reads}
            kept.append(op)
        return kept[::-1]

    def settle(self) -> int:
        """Give each array of the machine its place, where nobody else needs it at the time; bytes in all."""
        placed: list[Moved] = []
        for one in sorted(self.moved.values(), key=lambda m: (m.first, -m.nbytes)):
            if one.place is not None:
                continue
            size = -(-one.nbytes // LINE) * LINE
            busy = sorted((m.offset, m.offset + -(-m.nbytes // LINE) * LINE) for m in placed if m.last >= one.first)
            at = 0
            for start, stop in busy:
                if at + size <= start:
                    break
                at = max(at, stop)
            one.offset = at
            placed.append(one)
        return max((m.offset + -(-m.nbytes // LINE) * LINE for m in placed), default=0)
