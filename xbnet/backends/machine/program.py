"""A program of the machine: lines, where their operands lie, and how it is played."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .table import A, ADDRESSES, B, C, K, N0, N1, NAMES, OP, OUT
from .views import address


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
    """

    def __init__(self, lines: Any, base: Any, bases: list[tuple[Any, int]], once: int, own: int, dtype: Any, keep: Any):
        self.lines, self.base, self.bases, self.once, self.own, self.dtype = lines, base, bases, once, own, dtype
        self.keep = keep

    def addresses(self, replicas: int, slots: Mapping[str, tuple[np.ndarray, int]]) -> tuple[np.ndarray, ...]:
        """Where all bases are for each replica (R, n), the bytes by which addresses move, and which do."""
        table = np.zeros((replicas, len(self.bases) + 1), np.int64)
        moves = np.zeros(len(self.bases) + 1, np.int64)
        for k, (array, stride) in enumerate(self.bases):
            if isinstance(array, str):
                if k:
                    table[:, k], moves[k] = slots[array]
            else:
                table[:, k] = address(array) + stride * np.arange(replicas)
        step = moves[self.base]
        return table, step, np.argwhere(step)

    def __str__(self) -> str:
        names = {0: "own"}
        text = []
        for line, base in zip(self.lines, self.base, strict=True):
            parts = []
            for column, of in zip(ADDRESSES, base, strict=True):
                if of < len(self.bases):
                    array = self.bases[of][0]
                    name = array if isinstance(array, str) else f"array{of}"
                    parts.append(f"{name}+{line[column]}")
                else:
                    parts.append("-")
            text.append(f"{NAMES[line[OP]]:<16} {line[N0]:>5} x {line[N1]:>5} x {line[K]:>4}   " + "  ".join(f"{p:<14}" for p in parts) + f" mode {line[1]}")
        return "\n".join(text)
