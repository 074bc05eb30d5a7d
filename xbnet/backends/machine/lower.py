"""From recorded operations to a program: which instruction, in which variant, and the distances along its loops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .load import blas_address
from .memory import Prepared
from .program import OWN, Program, amount_of_work
from .record import NotRecordable, Operation
from .shares import WIDE, cut
from .table import (
    A0,
    A1,
    ADDRESSES,
    ALIASES,
    APART,
    B0,
    B1,
    BINARY,
    BY_NUMBER,
    C0,
    COLUMNS,
    IN_PLACE,
    IN_PLACE_BY_NUMBER,
    IN_SECOND,
    IN_SECOND_OF_NUMBER,
    MODE,
    N0,
    N1,
    NUMBER,
    OF_NUMBER,
    OP,
    OUT,
    OUT0,
    OUT1,
    STRIDED,
    UNARY,
    WAIT,
    A,
    B,
    C,
    K,
)  # fmt: skip
from .views import Place, View, owner, two_loops

BY_BLAS, FEW = 1 << 15, 32
"""Products of this many multiplications and more go to BLAS, but for layers of few units on many samples."""

OTHERS = ("where", "labels", "flags", "tanh_gradient", "relu_gradient", "subtract_scaled", "bias_relu")
"""More operations that go number by number."""


def lower(
    operations: list[Operation],
    dtype: np.dtype,
    batch: int,
    private: Iterable[np.ndarray],
    slots: Mapping[str, np.ndarray],
) -> Program:
    """The program of recorded operations; see `Prepared`.

    Raises
    ------
    NotRecordable
        There is something that the machine can't do.
    """
    return Lowering(Prepared(operations, dtype, batch, private, slots)).build()


class Lowering:
    """Makes the program of one step."""

    def __init__(self, prepared: Prepared):
        self.prepared, self.item = prepared, prepared.item
        self.gemm = "sgemm" if self.item == 4 else "dgemm"
        self.bases: list[tuple[Any, int]] = [(OWN, 0)]  # (array or name of a slot, bytes between replicas)
        self.columns: dict[tuple[int, int], int] = {}
        self.numbers: list[float] = []
        self.lines: list[list[int]] = []
        self.base: list[list[int]] = []
        self.calls: list[tuple[int, Any]] = []

    def column(self, array: np.ndarray, replica: int) -> int:
        """The number of the base of this array."""
        root = owner(array)
        key = id(root), replica
        if key not in self.columns:
            self.columns[key] = len(self.bases)
            self.bases.append((self.prepared.slots.get(id(root), root), replica))
        return self.columns[key]

    def place(self, x: Any, op: Operation) -> Place:
        """Where an operand is."""
        if not isinstance(x, np.ndarray):
            self.numbers.append(float(x))
            return Place(-1, (len(self.numbers) - 1) * self.item, (), ())
        seen = self.prepared.view(x, op)
        own = self.prepared.moved.get(seen.key)
        if own is not None and own.place is not None:
            inside = View.of(own.place.reshape(x.shape))
            return Place(self.column(own.place, inside.replica), 0, inside.shape, inside.strides)
        if own is not None:
            of = {s: stride for (_, s), stride in zip(own.axes, own.strides, strict=True)}
            return Place(0, own.offset, seen.shape, tuple(of[s] if s else 0 for s in seen.strides))
        if x.dtype != self.prepared.dtype and op.name not in ("gather", "labels", "flags"):
            raise NotRecordable(f"{op.name} on numbers of type {x.dtype} that lie outside")
        self.prepared.note(seen)
        return Place(self.column(x, seen.replica), seen.offset, seen.shape, seen.strides)

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

    # -- instructions ----------------------------------------------------------------------

    def build(self) -> Program:
        """The program."""
        prepared = self.prepared
        names = {"bmm": (0, 0), "bmm_tn": (1, 0), "bmm_nt": (0, 1)}
        n_once = 0
        for op in prepared.operations:
            name = ALIASES.get(op.name, op.name)
            if name in UNARY or name in BINARY or name in OTHERS:
                self.elementwise(name, op)
            elif name == "call":
                assert op.call is not None
                self.calls.append((len(self.lines), op.call.on(prepared.place_of)))
            elif op.name in names:
                self.product(op, *names[op.name])
            elif name in ("row_sum", "batch_sum", "row_max"):
                self.reduce(name, op)
            elif name == "gather":
                self.gather(op)
            elif name in ("lookup", "lookup_gradient"):
                self.look_up(name, op)
            else:
                raise NotRecordable(f"the machine has no instruction for {name}")
            if op.out and id(op.out[0]) in prepared.once:
                n_once = len(self.lines)
        self.bases.append((np.array(self.numbers or [0.0], prepared.dtype), 0))
        base = np.array(self.base, np.int64).reshape(-1, len(ADDRESSES))
        base[base == -1] = len(self.bases) - 1
        nothing = len(self.bases)
        base[base == -2] = nothing
        lines, calls = np.array(self.lines, np.int64).reshape(-1, COLUMNS), self.calls
        shared = amount_of_work(lines) >= WIDE
        if shared:
            lines, base, old = cut(lines, base, self.item)
            n_once, *places = np.searchsorted(old, [n_once, *(line for line, _ in calls)]).tolist()
            lines[n_once, WAIT] = 1
            calls = [(line, function) for line, (_, function) in zip(places, calls, strict=True)]
        return Program(lines, base, self.bases, n_once, calls, shared, prepared.alone(), prepared)

    def elementwise(self, name: str, op: Operation) -> None:
        """Number by number, in the quickest variant for these operands."""
        places = [self.place(op.out[0], op), *(self.place(x, op) for x in op.operands)]
        if name in ("add", "multiply", "maximum", "minimum", "equal") and places[2] == places[0]:
            places[1:] = places[:0:-1]
        if name in ("add", "multiply") and not places[1].shape and places[2].shape:
            places[1:] = places[:0:-1]
        n0, n1, strides = two_loops(places, op.name)
        item = [self.item] * len(places)
        if name in ("labels", "flags"):
            item[1] = op.operands[0].dtype.itemsize
        inner = [s[1] // i for s, i in zip(strides, item, strict=True)]
        if n1 == 1:
            inner = [1] * len(inner)
        first = places[0]
        alike = [p.base == first.base and p.offset == first.offset for p in places]
        same = [a and s == strides[0] for a, s in zip(alike, strides, strict=True)]
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
        elif name in ("tanh_gradient", "relu_gradient", "subtract_scaled", "bias_relu") and inner[:2] != [1, 1]:
            raise NotRecordable("fused operands that don't lie side by side")
        columns = {MODE: mode, N0: n0, N1: n1}
        if name in ("labels", "flags"):
            columns[N0] = n1
        for k, (outer, number) in enumerate(((OUT0, OUT1), (A0, A1), (B0, B1))[: len(places)]):
            columns[outer], columns[number] = strides[k][0], inner[k]
        self.emit(name, columns, dict(zip((OUT, A, B), places, strict=False)))

    def product(self, op: Operation, a_turned: int, b_turned: int) -> None:
        """By BLAS, or by the kernel whose inner loop is the longest."""
        out, a, b, *bias = (self.place(x, op) for x in (op.out[0], *op.operands))
        (M, N), K_ = out.shape, a.shape[0] if a_turned else a.shape[1]
        a0, a1 = a.strides[::-1] if a_turned else a.strides
        b0, b1 = b.strides[::-1] if b_turned else b.strides
        o0, o1 = out.strides
        item = self.item
        one = lambda n, s: n == 1 or s == item  # noqa: E731
        swapped = (b, a, N, M, (b1, b0), (a1, a0), (o1, o0))
        plain = (a, b, M, N, (a0, a1), (b0, b1), (o0, o1))
        large = M * N * K_ >= BY_BLAS and max(K_, min(M, N)) > FEW
        if bias and (large or o0 != item or a0 != item):  # begin with it where rows are units
            self.product(Operation("bmm", op.operands[:2], op.out), 0, 0)
            self.elementwise("add", Operation("add", (op.out[0], op.operands[2]), op.out))
            return
        if large and min(M, N, K_) > 1 and blas_address(self.gemm):
            for x, y, m, n, (x0, x1), (y0, y1), (z0, z1) in (plain, swapped):
                x_mode = 0 if x1 == item and x0 >= K_ * item else 1 if x0 == item and x1 >= m * item else None
                y_mode = 0 if y1 == item and y0 >= n * item else 2 if y0 == item and y1 >= K_ * item else None
                if z1 == item and z0 >= n * item and x_mode is not None and y_mode is not None:
                    rows = {OUT1: z0 // item, A1: (x1 if x_mode else x0) // item, B1: (y1 if y_mode else y0) // item}
                    columns = {MODE: x_mode + y_mode, N0: m, N1: n, K: K_, C: blas_address(self.gemm), **rows}
                    self.emit("product_blas", columns, {OUT: out, A: x, B: y})
                    return
        ways: list[tuple[float, str, dict[int, int], dict[int, Place | None]]] = []
        for x, y, m, n, (x0, x1), (y0, y1), (z0, z1) in (plain, swapped):
            if one(n, y1) and one(n, z1):
                columns = {N0: m, N1: n, K: K_, A0: x0, A1: x1, B0: y0, OUT0: z0}
                places: dict[int, Place | None] = {OUT: out, A: x, B: y}
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

    def reduce(self, name: str, op: Operation) -> None:
        """Sums over the batch or the units, the largest of the units."""
        x = self.place(op.operands[0], op)
        (B_, U), (sb, su) = x.shape, x.strides
        out = self.place(op.out[0], op)
        o = [s for s in out.strides if s] or [self.item]
        index = self.place(op.out[1], op) if name == "row_max" else None
        if index is not None and index.base:
            raise NotRecordable("row_max whose places are kept from step to step")
        word = "largest" if name == "row_max" else "sum"
        long, short = ((U, su), (B_, sb)) if name == "batch_sum" else ((B_, sb), (U, su))  # what stays, what goes
        (n, stays), (m, goes) = long, short
        places = {OUT: out, A: x, C: index}
        if (n == 1 or stays == self.item) and (n == 1 or o[0] == self.item) and not (n == 1 and goes == self.item):
            self.emit(word + "_outer", {N0: m, N1: n, A0: goes}, places)
        elif m == 1 or goes == self.item:
            self.emit(word + "_inner", {N0: n, N1: m, A0: stays, OUT0: o[0], C0: self.item}, places)
        else:
            raise NotRecordable(f"{name} of numbers that don't lie side by side")

    def gather(self, op: Operation) -> None:
        """Rows or labels of the samples, or of a small table by labels."""
        x, index = op.operands
        out = self.place(op.out[0], op)
        source = View.of(x, False)
        a = Place(self.column(x, 0), source.offset, source.shape, source.strides)
        b = self.place(index, op)
        n, wide = out.shape[0], out.shape[1] if len(out.shape) > 1 else 1
        o0, o1 = out.strides[0] if n > 1 else 0, out.strides[1] if wide > 1 else self.item
        if x.ndim > 2 or (x.ndim == 2 and wide > 1 and x.strides[1] != x.itemsize):
            raise NotRecordable("gather of rows whose numbers don't lie side by side")
        if b.base == 0 or index.dtype == self.prepared.dtype:
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

    def look_up(self, name: str, op: Operation) -> None:
        """Rows of a table by codes, or what each of its rows gets from them."""
        out, x, codes = (self.place(array, op) for array in (op.out[0], *op.operands))
        table, rows = (x, out) if name == "lookup" else (out, x)
        columns = {N0: rows.shape[0], N1: out.shape[1], C0: table.shape[0], B0: codes.strides[0]}
        columns |= {OUT0: out.strides[0], OUT1: out.strides[1] // self.item}
        columns |= {A0: x.strides[0], A1: x.strides[1] // self.item}
        self.emit(name, columns, {OUT: out, A: x, B: codes})
