"""A program of the machine: lines, where their operands are, and how it is played."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .table import ADDRESSES, N0, N1, NAMES, NUMBER, OP, K
from .views import address, owner

Slot = tuple[np.ndarray, Any, int]
"""An array whose beginning the first step takes; bytes from replica to replica, or to each; bytes from step to step."""

OWN = "own"
"""The first base: the memory that a replica works in."""

LINE = 64
"""Bytes of a cache line: where arrays begin."""


def amount_of_work(lines: np.ndarray) -> int:
    """Multiplications and other operations of a step of one replica, about."""
    return int(np.maximum(lines[:, [N0, N1, K]], 1).prod(axis=1).sum())


class Program:
    """The program of one step.

    Attributes
    ----------
    lines, base
        (n, COLUMNS) and (n, 4): see `table`; `base` says for each address from which base it counts.
    bases
        For each base the array, or the name of a slot, and the bytes from one replica to the next.
    once
        Lines that are played in the first step only.
    own
        Bytes of the memory that a replica uses while it is at work.
    random
        For each array of drawn numbers: its slot, the streams, how many numbers one replica draws in a step, and how
        many calls are made before.
    calls
        Functions called from outside, and before which line: the program is played in stretches between them.
    shared
        Whether its lines are cut into shares, so that several threads can play one replica, see `shares`.
    alone
        Whether something that a step makes is at one place for all replicas: no two of them may be at work at a time.
    work
        See `amount_of_work`.
    """

    def __init__(
        self, lines: Any, base: Any, bases: list[tuple[Any, int]], once: int, calls: list[tuple[int, Any]],
        shared: bool, alone: bool, prepared: Any,
    ):  # fmt: skip
        self.lines, self.base, self.bases, self.once, self.calls = lines, base, bases, once, calls
        self.own, self.dtype, self.random, self.keep = prepared.own, prepared.dtype, prepared.random, prepared.keep
        self.names: dict[int, str] = {}
        self._fixed: dict[int, np.ndarray] = {}  # addresses of what stays where it is, by the number of replicas
        self._moving: dict[tuple[int, ...], Any] = {}  # by how much which operands move
        self.shared, self.alone, self.work = shared, alone, amount_of_work(lines)
        self.instructions = {int(op) for op in lines[:, OP]}
        self.uses_blas = NUMBER["product_blas"] in self.instructions

    @property
    def drawn(self) -> int:
        """Numbers that a replica draws in a step."""
        return sum(size for _, _, size, _ in self.random)

    def draw(self, steps: int, replicas: int) -> dict[str, Slot]:
        """Draw all numbers of some steps, in the order in which the steps ask for them."""
        if not self.random:
            return {}
        drawn = np.empty((replicas, steps, self.drawn), self.dtype)
        for stream, row in zip(self.random[0][1], drawn, strict=True):
            stream.random(out=row.reshape(-1), dtype=row.dtype)
        slots, start = {}, 0
        for name, _, size, _ in self.random:
            slots[name] = drawn[:, :, start:], drawn.strides[0], drawn.strides[1]
            start += size
        return slots

    def draw_between(self, calls: int, places: Mapping[str, np.ndarray]) -> None:
        """Draw the numbers that one step asks for after this many calls, to places (R, n)."""
        for name, streams, _, before in self.random:
            if before == calls:
                for stream, row in zip(streams, places[name], strict=True):
                    stream.random(out=row, dtype=row.dtype)

    def addresses(self, replicas: int, slots: Mapping[str, Slot], first: int = 0) -> tuple[Any, ...]:
        """Where all bases are for each replica (R, n), by how much addresses move, which move; and what must stay.

        Slots begin with step `first`, but for drawn numbers, which are drawn again for each stretch.
        """
        if replicas not in self._fixed:
            self._fixed[replicas] = fixed = np.zeros((replicas, len(self.bases) + 1), np.int64)
            for k, (array, stride) in enumerate(self.bases):
                if not isinstance(array, str):
                    fixed[:, k] = address(array) + stride * np.arange(replicas)
        table, moves = self._fixed[replicas].copy(), [0] * (len(self.bases) + 1)
        for k, (name, _) in enumerate(self.bases):
            if isinstance(name, str) and name != OWN:
                array, stride, moves[k] = slots[name]
                skipped = 0 if name.startswith("random") else first * moves[k]
                each = stride if isinstance(stride, np.ndarray) else stride * np.arange(replicas)
                table[:, k] = address(array) + each + skipped
        key = tuple(moves)
        if key not in self._moving:
            step = np.array(moves, np.int64)[self.base]
            self._moving = {key: (step, np.ascontiguousarray(np.argwhere(step)))}
        return table, *self._moving[key], slots

    def play(
        self, machine: Any, addresses: tuple, steps: int, first: int, last: int, team: tuple[int, int, int] = (0, 1, 0),
        own: Any = None, lines: slice = slice(None),
    ) -> None:  # fmt: skip
        """Play `steps` steps of the replicas [first, last), at these addresses.

        Parameters
        ----------
        machine, addresses, steps, first, last
            A `Machine`; what the method `addresses` gave.
        team
            Which one of how many threads that play the same replicas this is, and the address of the number by which
            they meet, 0 at first.
        own
            Memory to work in, see `memory`; None: new one.
        lines
            Which lines.
        """
        machine.prepare(self.instructions)
        bases, step, moving, _ = addresses
        at, each, _ = self.memory() if own is None else own
        once = self.once if lines == slice(None) else 0
        machine.play(
            self.lines[lines], self.base[lines], step[lines], moving, once, bases, machine.entries, at, each,
            first, last, steps, *team,
        )  # fmt: skip

    def memory(self, replicas: int = 0) -> tuple[int, int, Any]:
        """Memory to work in, one piece for all replicas in turn or one for each: where, bytes between, what to keep."""
        size = -(-self.own // LINE) * LINE
        own = np.empty(size * max(1, replicas) + LINE, np.uint8)
        return address(own) + -address(own) % LINE, size if replicas else 0, own

    def name(self, **arrays: Any) -> None:
        """Names of arrays, for who reads the program."""
        self.names |= {id(owner(array)): name for name, array in arrays.items() if array is not None}

    def __str__(self) -> str:
        """A line per instruction: its sizes, then where result and operands are, in numbers from the beginning."""
        shown = []
        for number, (line, base) in enumerate(zip(self.lines, self.base, strict=True)):
            sizes = " x ".join(str(line[size]) for size in (N0, N1, K) if line[size])
            places = [self._place(line[column], of) for column, of in zip(ADDRESSES, base, strict=True)]
            result, *operands = places
            text = f"{number:>3}  {NAMES[line[OP]]:<16}{sizes:<14}{result:<14}<- {', '.join(filter(None, operands))}"
            shown.append(text.rstrip())
        return "\n".join(shown)

    def _place(self, offset: int, base: int) -> str:
        if base >= len(self.bases):
            return ""
        array, _ = self.bases[base]
        if base == len(self.bases) - 1:
            return f"{array[offset // self.dtype.itemsize]:.6g}"
        name = array if isinstance(array, str) else self.names.get(id(array), "kept")
        return f"{name}[{offset // self.dtype.itemsize}]"
