"""From recorded operations to a program: which instruction, on what, where the results of a step lie.

Arrays that outlive a step (weights, gradient, statistics, sums) stay where they are. All others get a place in a small
memory of the machine, which every replica uses in turn: so it stays in the cache. There a batch of few units lies as (unit,
sample), so that inner loops run over samples. An array may be moved if all that is read from it was written, as a whole,
earlier in the same step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .fusion import fuse
from .program import LINE, Program
from .record import NotRecordable, Operation
from .table import (
    A, A0, A1, ADDRESSES, APART, B, B0, B1, BINARY, BY_NUMBER, C, C0, COLUMNS, IN_PLACE, IN_PLACE_BY_NUMBER, IN_SECOND,
    IN_SECOND_OF_NUMBER, K, MODE, N0, N1, NUMBER, OF_NUMBER, OP, OUT, OUT0, OUT1, STRIDED, UNARY,
)  # fmt: skip
from .views import Key, View, address, overlap, owner

NARROW = 64
"""Up to this many units a batch lies as (unit, sample)."""

BY_BLAS = 1 << 15
"""Products of so many multiplications and more go to BLAS."""

UPDATES = ("where", "tanh_gradient", "subtract_scaled")
"""Operations that read what they write to."""

ALIASES = {"absolute": "abs", "copyto": "copy", "true_divide": "divide"}


@dataclass
class Place:
    """Where one replica's part of an array lies: a column of the table of bases, an offset, distances in bytes per axis."""

    base: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def aligned(self, ndim: int) -> tuple[int, ...]:
        """The distances along the last `ndim` axes, 0 where there are fewer."""
        return (0,) * (ndim - len(self.strides)) + self.strides


@dataclass
class Moved:
    """An array of the machine's own: where it lies, and between which operations it holds something."""

    axes: tuple[tuple[int, int], ...]
    strides: tuple[int, ...]
    nbytes: int
    first: int
    last: int
    offset: int = 0


def lower(
    operations: list[Operation],
    dtype: np.dtype,
    batch: int,
    private: Iterable[np.ndarray],
    slots: Mapping[str, np.ndarray],
) -> Program:
    """The program of recorded operations; see `Lowering`."""
    return Lowering(operations, dtype, batch, private, slots).build()


class Lowering:
    """Makes the program of one step.

    Parameters
    ----------
    operations
        What was recorded.
    dtype
        float32 or float64.
    batch
        B.
    private
        Arrays whose memory nobody reads after a step.
    slots
        Name -> array that stands for one that is somewhere else at every step, see `Program.slots`.
    """

    def __init__(
        self,
        operations: list[Operation],
        dtype: np.dtype,
        batch: int,
        private: Iterable[np.ndarray],
        slots: Mapping[str, np.ndarray],
    ):
        self.dtype, self.item, self.batch = dtype, dtype.itemsize, batch
        self.private = {id(owner(a)): owner(a) for a in private}
        self.slots = {id(owner(a)): name for name, a in slots.items()}
        self.bases: list[tuple[Any, int]] = [("own", 0)]  # (array or name of a slot, bytes between replicas)
        self.columns: dict[tuple[int, int], int] = {}
        self.numbers: list[float] = []
        self.lines: list[list[int]] = []
        self.base: list[list[int]] = []
        self.keep: list[np.ndarray] = []
        self.written = {id(owner(a)) for op in operations for a in op.out}
        operations = self.convert(self.drawn(operations))
        self.moved = self.find_movable(operations)
        operations = fuse(operations, self.moved)
        self.operations = self.without_dead(operations)

    def drawn(self, operations: list[Operation]) -> list[Operation]:
        """Let drawn numbers be copied from a slot, which is filled for many steps at a time."""
        self.random: list[tuple[str, Any, int]] = []
        rest = []
        for op in operations:
            if op.name == "random":
                name, place = f"random{len(self.random)}", np.empty_like(op.out[0])
                self.slots[id(place)] = name
                self.keep.append(place)
                self.random.append((name, op.operands[0], place[0].size))
                op = Operation("copy", (place,), op.out)
            rest.append(op)
        return rest

    # -- operands that the machine can't read as they are ------------------------------------------------------------------

    def convert(self, operations: list[Operation]) -> list[Operation]:
        """Let whole numbers, flags and batches that lie outside be copied first, to numbers of the machine's type."""
        first: list[Operation] = []
        made: dict[Key, np.ndarray] = {}

        def ready(op: Operation, j: int, x: Any) -> Any:
            if not isinstance(x, np.ndarray) or id(owner(x)) in self.private or id(owner(x)) in self.slots:
                return x
            if op.name == "gather" and (j == 0 or (j == 1 and id(owner(x)) in self.slots)):
                return x
            key = View.of(x, x.ndim > 1).key
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

        rest = [Operation(op.name, tuple(ready(op, j, x) for j, x in enumerate(op.operands)), op.out) for op in operations]
        self.n_first, self.once = len(first), {id(a) for a in made.values()}
        return first + rest

    # -- what may lie in the machine's own memory ----------------------------------------------------------------------------

    def arrays(self, op: Operation) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """What it reads and what it writes."""
        reads = [x for x in op.operands if isinstance(x, np.ndarray)]
        if op.name in UPDATES:
            reads += op.out
        return reads, list(op.out)

    def find_movable(self, operations: list[Operation]) -> dict[Key, Moved]:
        """See the module's text."""
        last: dict[Key, int] = {}
        fixed: set[Key] = set()
        seen: dict[Key, list[int]] = {}
        for t, op in enumerate(operations):
            reads, writes = self.arrays(op)
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
        for key, (start, stop) in seen.items():
            if key in fixed:
                continue
            axes = key[2]
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

    def view(self, array: np.ndarray, op: Operation) -> View:
        """Of an operand or result; those that have fewer axes than the result have none for replicas."""
        return View.of(array, array.ndim >= op.out[0].ndim or (op.name in ("gather", "row_max") and array.ndim > 1))

    def without_dead(self, operations: list[Operation]) -> list[Operation]:
        """Without what nobody reads."""
        wanted: set[Key] = set()
        kept = []
        for op in reversed(operations):
            reads, writes = self.arrays(op)
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

    # -- places ---------------------------------------------------------------------------------------------------------------

    def column(self, array: np.ndarray, replica: int) -> int:
        """The number of the base of this array."""
        root = owner(array)
        key = id(root), replica
        if key not in self.columns:
            self.columns[key] = len(self.bases)
            self.bases.append((self.slots.get(id(root), root), replica))
        return self.columns[key]

    def place(self, x: Any, op: Operation) -> Place:
        """Where an operand lies."""
        if not isinstance(x, np.ndarray):
            self.numbers.append(float(x))
            return Place(-1, (len(self.numbers) - 1) * self.item, (), ())
        view = self.view(x, op)
        own = self.moved.get(view.key)
        if own is not None:
            of = {s: stride for (_, s), stride in zip(own.axes, own.strides, strict=True)}
            return Place(0, own.offset, view.shape, tuple(of[s] if s else 0 for s in view.strides))
        if x.dtype != self.dtype and op.name not in ("gather", "labels", "flags"):
            raise NotRecordable(f"{op.name} on numbers of type {x.dtype} that lie outside")
        return Place(self.column(x, view.replica), view.offset, view.shape, view.strides)

    def emit(self, name: str, columns: dict[int, int], places: dict[int, Place | None], text: str = "") -> None:
        """One line."""
        line, base = [0] * COLUMNS, [-2] * len(ADDRESSES)
        line[OP] = NUMBER[name]
        for column, value in columns.items():
            line[column] = value
        for column, place in places.items():
            if place is not None:
                line[column], base[ADDRESSES.index(column)] = place.offset, place.base
        self.lines.append(line)
        self.base.append(base)

    # -- instructions -------------------------------------------------------------------------------------------------------------

    def build(self) -> Program:
        """The program."""
        own = self.settle()
        names = {"bmm": (0, 0), "bmm_tn": (1, 0), "bmm_nt": (0, 1)}
        n_once = 0
        for op in self.operations:
            name = ALIASES.get(op.name, op.name)
            if name in UNARY or name in BINARY or name in ("where", "labels", "flags", "tanh_gradient", "subtract_scaled"):
                self.elementwise(name, op)
            elif op.name in names:
                self.product(op, *names[op.name])
            elif name in ("row_sum", "batch_sum", "row_max"):
                self.reduce(name, op)
            elif name == "gather":
                self.gather(op)
            else:
                raise NotRecordable(f"the machine has no instruction for {name}")
            if id(op.out[0]) in self.once:
                n_once = len(self.lines)
        numbers = np.array(self.numbers or [0.0], self.dtype)
        self.bases.append((numbers, 0))
        base = np.array(self.base, np.int64)
        base[base == -1] = len(self.bases) - 1
        nothing = len(self.bases)
        base[base == -2] = nothing
        program = Program(np.array(self.lines, np.int64), base, self.bases, n_once, own, self.dtype)
        program.random = self.random
        return program

    def loops(self, places: list[Place], op: Operation) -> tuple[int, int, list[tuple[int, int]]]:
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
            raise NotRecordable(f"{op.name} along {len(merged)} axes that can't be taken as two")
        while len(merged) < 2:
            merged.insert(0, nothing)
        outer, inner = merged
        return outer[0], inner[0], list(zip(outer[1:], inner[1:], strict=True))

    def elementwise(self, name: str, op: Operation) -> None:
        places = [self.place(op.out[0], op), *(self.place(x, op) for x in op.operands)]
        if name in ("add", "multiply", "maximum", "minimum", "equal") and places[2] == places[0]:
            places[1:] = places[:0:-1]
        if name in ("add", "multiply") and not places[1].shape and places[2].shape:
            places[1:] = places[:0:-1]
        n0, n1, strides = self.loops(places, op)
        item = [self.item] * len(places)
        if name in ("labels", "flags"):
            item[1] = op.operands[0].dtype.itemsize
        inner = [s[1] // i for s, i in zip(strides, item, strict=True)]
        if n1 == 1:
            inner = [1 if k == 0 else 1 for k in range(len(inner))]
        same = [p.base == places[0].base and p.offset == places[0].offset and s == strides[0] for p, s in zip(places, strides, strict=True)]
        mode = STRIDED
        if name in UNARY:
            if inner[0] == 1 and inner[1] == 1:
                mode = IN_PLACE if same[1] else APART
        elif name in BINARY:
            kinds = tuple(inner)
            if kinds == (1, 1, 1):
                mode = IN_PLACE if same[1] else IN_SECOND if same[2] else APART
            elif kinds == (1, 1, 0):
                mode = IN_PLACE_BY_NUMBER if same[1] else BY_NUMBER
            elif kinds == (1, 0, 1):
                mode = IN_SECOND_OF_NUMBER if same[2] else OF_NUMBER
        elif name in ("labels", "flags") and (n0 > 1 or inner != [1, 1]):
            raise NotRecordable("labels that don't lie side by side")
        elif name in ("tanh_gradient", "subtract_scaled") and inner[:2] != [1, 1]:
            raise NotRecordable("fused operands that don't lie side by side")
        columns = {MODE: mode, N0: n0, N1: n1}
        if name in ("labels", "flags"):
            columns[N0] = n1
        for k, (place, outer, number) in enumerate(zip((OUT, A, B), (OUT0, A0, B0), (OUT1, A1, B1))):
            if k < len(places):
                columns[outer], columns[number] = strides[k][0], inner[k]
        self.emit(name, columns, dict(zip((OUT, A, B), places)))

    def product(self, op: Operation, a_turned: int, b_turned: int) -> None:
        out, a, b, *bias = (self.place(x, op) for x in (op.out[0], *op.operands))
        (M, N), K_ = out.shape, a.shape[0] if a_turned else a.shape[1]
        a0, a1 = a.strides[::-1] if a_turned else a.strides
        b0, b1 = b.strides[::-1] if b_turned else b.strides
        o0, o1 = out.strides
        item = self.item
        one = lambda n, s: n == 1 or s == item  # noqa: E731
        swapped = (b, a, N, M, (b1, b0), (a1, a0), (o1, o0))
        plain = (a, b, M, N, (a0, a1), (b0, b1), (o0, o1))
        if bias and (M * N * K_ >= BY_BLAS or o0 != item or a0 != item):  # begin with it where rows are units
            self.plain_bias(op)
            return
        if M * N * K_ >= BY_BLAS and min(M, N, K_) > 1:
            for x, y, m, n, (x0, x1), (y0, y1), (z0, z1) in (plain, swapped):
                x_mode = 0 if (x1, x0) == (item, K_ * item) else 1 if (x0, x1) == (item, m * item) else None
                y_mode = 0 if (y1, y0) == (item, n * item) else 2 if (y0, y1) == (item, K_ * item) else None
                if (z1, z0) == (item, n * item) and x_mode is not None and y_mode is not None:
                    self.emit("product_blas", {MODE: x_mode + y_mode, N0: m, N1: n, K: K_}, {OUT: out, A: x, B: y})
                    return
        ways = []
        for x, y, m, n, (x0, x1), (y0, y1), (z0, z1) in (plain, swapped):
            if one(n, y1) and one(n, z1):
                columns = {N0: m, N1: n, K: K_, A0: x0, A1: x1, B0: y0, OUT0: z0}
                places = {OUT: out, A: x, B: y}
                if bias:
                    if x is a:
                        continue
                    places[C], columns[C0] = bias[0], bias[0].strides[-1]
                ways.append((n, "product_rows", columns, places))
        if one(K_, a1) and one(K_, b0) and not bias:
            columns = {N0: M, N1: N, K: K_, A0: a0, B1: b1, OUT0: o0, OUT1: o1}
            ways.append((K_ - 0.5, "product_dots", columns, {OUT: out, A: a, B: b}))
        columns = {N0: M, N1: N, K: K_, A0: a0, A1: a1, B0: b0, B1: b1, OUT0: o0, OUT1: o1}
        ways.append((0.5, "product_any", columns, {OUT: out, A: a, B: b}))
        _, name, columns, places = max(ways, key=lambda w: w[0])
        self.emit(name, columns, places)

    def plain_bias(self, op: Operation) -> None:
        """A product and a bias, one after the other."""
        *operands, b = op.operands
        self.product(Operation("bmm", tuple(operands), op.out), 0, 0)
        self.elementwise("add", Operation("add", (op.out[0], b), op.out))

    def reduce(self, name: str, op: Operation) -> None:
        """Sums over the batch or the units, the largest of the units."""
        x = self.place(op.operands[0], op)
        (B_, U), (sb, su) = x.shape, x.strides
        over_units = name != "batch_sum"
        out = self.place(op.out[0], op)
        o = [s for s in out.strides if s] or [self.item]
        index = self.place(op.out[1], op) if name == "row_max" else None
        if index is not None and index.base:
            raise NotRecordable("row_max whose places are kept from step to step")
        word = "largest" if name == "row_max" else "sum"
        long, short = ((B_, sb), (U, su)) if over_units else ((U, su), (B_, sb))  # what stays, what goes
        n, stays, m, goes = long[0], long[1], short[0], short[1]
        places = {OUT: out, A: x, C: index}
        if (n == 1 or stays == self.item) and (n == 1 or o[0] == self.item) and not (n == 1 and goes == self.item):
            self.emit(word + "_outer", {N0: m, N1: n, A0: goes}, places)
        elif m == 1 or goes == self.item:
            self.emit(word + "_inner", {N0: n, N1: m, A0: stays, OUT0: o[0], C0: self.item}, places)
        else:
            raise NotRecordable(f"{name} of numbers that don't lie side by side")

    def gather(self, op: Operation) -> None:
        x, index = op.operands
        out = self.place(op.out[0], op)
        source = View.of(x, False)
        a = Place(self.column(x, 0), source.offset, source.shape, source.strides)
        b = self.place(index, op)
        n, wide = out.shape[0], out.shape[1] if len(out.shape) > 1 else 1
        o0, o1 = out.strides[0] if n > 1 else 0, out.strides[1] if wide > 1 else self.item
        if x.ndim > 2 or (x.ndim == 2 and wide > 1 and x.strides[1] != x.itemsize):
            raise NotRecordable("gather of rows whose numbers don't lie side by side")
        if b.base == 0 or index.dtype == self.dtype:
            eye = x.ndim == 2 and x.shape[0] == x.shape[1] and np.array_equal(x, np.eye(len(x)))
            if eye and (n == 1 or o0 == self.item):
                self.emit("one_hot", {N0: wide, N1: n, OUT0: o1}, {OUT: out, B: b})
                return
            columns = {N0: n, N1: wide, OUT0: o0, OUT1: o1 // self.item, A0: x.strides[0], A1: 1, B0: b.strides[0]}
            self.emit("take", columns, {OUT: out, A: a, B: b})
        elif x.dtype.kind in "iu":
            self.emit("gather_labels", {N0: n}, {OUT: out, A: a, B: b})
        else:
            columns = {N0: n, N1: wide, OUT0: o0, OUT1: o1 // self.item, A0: x.strides[0]}
            self.emit("gather", columns, {OUT: out, A: a, B: b})
