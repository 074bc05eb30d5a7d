"""Lines cut into shares, so that several threads can play one replica of a wide network together.

The cuts follow from the sizes of the lines alone: products end in the same bits, however many threads take part.

A core fetches what another core has written from that one's cache, line by line. So whatever goes number by number through an
array that a product has filled is cut as that product was, and a weight is updated by the thread that made its gradient and
multiplies by it in the next step.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .table import A0, A1, ADDRESSES, B0, B1, BINARY, MODE, N0, N1, NUMBER, OP, OUT, OUT0, OUT1, SHARE, UNARY, WAIT, A, B, K

WIDE = 1 << 22
"""Programs with this many multiplications in a step are cut."""

LARGE, HUGE = 1 << 18, 1 << 30
"""Products with this many multiplications are cut in two, or in four."""

LONG = 1 << 14
"""Other lines with this many numbers are cut in two."""

FUSED = ("where", "tanh_gradient", "relu_gradient", "subtract_scaled", "bias_relu")
BY_NUMBERS = {NUMBER[name] for name in (*UNARY, *BINARY, *FUSED)}
"""Lines that go number by number, and may be cut anywhere."""


ALONG = ((OUT, OUT0, OUT1), (A, A0, A1), (B, B0, B1))
"""Where an operand lies, and its distances along both loops."""


class Panels(NamedTuple):
    """An array of M rows side by side that a product has filled, cut by its columns."""

    rows: int
    cuts: tuple[int, ...]

    @property
    def size(self) -> int:
        """Numbers."""
        return self.rows * self.cuts[-1]


class Owners:
    """How the arrays were cut that products have filled: by base and offset, and within arrays of all parameters by size."""

    def __init__(self, item: int):
        self.item = item
        self.known: dict[tuple[int, int], Panels] = {}
        self.within: dict[int, list[tuple[int, Panels]]] = {}

    def note(self, line: np.ndarray, base: np.ndarray, pieces: list[np.ndarray]) -> None:
        """Remember how a product was cut."""
        n, place = int(line[N1]), (int(base[0]), int(line[OUT]))
        self.known.pop(place, None)
        if len(pieces) > 1 and pieces[0][N1] < n == line[OUT1]:
            self.known[place] = Panels(int(line[N0]), (0, *np.cumsum([piece[N1] for piece in pieces]).tolist()))

    def follow(self, line: np.ndarray, base: np.ndarray) -> list[np.ndarray] | None:
        """The pieces of a line that goes number by number; None: no product has filled what it goes through."""
        n0, n1 = int(line[N0]), int(line[N1])
        places = [ADDRESSES.index(at) for at, _, inner in ALONG if line[inner] == 1]
        if n0 > 1:
            found = [self.known.get((int(base[j]), int(line[ADDRESSES[j]]))) for j in places]
            panels = next((one for one in found if one is not None and one.cuts[-1] == n1), None)
            if panels is None:
                return None
            if 0 in places and line[OUT0] == n1 * self.item:
                self.known[int(base[0]), int(line[OUT])] = panels
            return self._parts(line, 0, n0, 0, panels.cuts)
        inside = next(filter(None, (self._inside(int(base[j]), int(line[ADDRESSES[j]]), n1) for j in places)), None)
        if inside is None:
            return self._apart(line, self.within[n1]) if n1 in self.within else None
        if len(inside) > 1 or inside[0][1].size < n1:
            self.within[n1] = inside
        elif 0 in places:
            self.known[int(base[0]), int(line[OUT])] = inside[0][1]
        return self._apart(line, inside)

    def _inside(self, base: int, offset: int, n: int) -> list[tuple[int, Panels]]:
        """The panels within n numbers, and where they begin."""
        found: list[tuple[int, Panels]] = []
        end = 0
        for (of, at), panels in sorted(self.known.items()):
            start = (at - offset) // self.item
            if of == base and start >= end and start + panels.size <= n:
                found.append((start, panels))
                end = start + panels.size
        return found

    def _apart(self, line: np.ndarray, inside: list[tuple[int, Panels]]) -> list[np.ndarray]:
        """A long loop as loops over the columns of panels, and over what lies between them."""
        pieces, end = [], 0
        for start, panels in [*inside, (int(line[N1]), None)]:
            n = start - end
            if n > 0:
                pieces += self._parts(line, end, 1, 0, (0, n) if n < LONG else _cuts(n, 2))
            if panels is not None:
                pieces += self._parts(line, start, panels.rows, panels.cuts[-1], panels.cuts)
                end = start + panels.size
        return pieces

    def _parts(self, line: np.ndarray, first: int, rows: int, width: int, cuts: Sequence[int]) -> list[np.ndarray]:
        """Shares of rows of `width` numbers (0: those of the line), which begin `first` numbers behind the line's."""
        pieces = []
        for share, (start, stop) in enumerate(pairwise(cuts)):
            piece = line.copy()
            for at, outer, inner in ALONG:
                piece[at] += (first + start) * self.item * int(line[inner])
                if width:
                    piece[outer] = width * self.item * int(line[inner])
            piece[N0], piece[N1], piece[SHARE] = rows, stop - start, share
            pieces.append(piece)
        return pieces


def cut(lines: np.ndarray, base: np.ndarray, item: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lines and bases with shares, and for each new line the number of the old one."""
    found: list[np.ndarray] = []
    old: list[int] = []
    owners = Owners(item)
    alone = False  # whether all since the last meeting is the first thread's
    for number, (line, of) in enumerate(zip(lines, base, strict=True)):
        numbers = line[OP] in BY_NUMBERS and max(line[N0], 1) * line[N1] >= LONG
        pieces = owners.follow(line, of) if numbers else None
        if pieces is None:
            pieces = _pieces(line, item)
            for share, piece in enumerate(pieces):
                piece[SHARE] = share
        if line[OP] == NUMBER["product_blas"]:
            owners.note(line, of, pieces)
        pieces[0][WAIT] = not (alone and len(pieces) == 1)
        alone = len(pieces) == 1
        found += pieces
        old += [number] * len(pieces)
    new = np.array(found)
    new[0, WAIT] = 1
    return new, base[old], np.array(old)


def _pieces(line: np.ndarray, item: int) -> list[np.ndarray]:
    op, n0, n1 = line[OP], int(line[N0]), int(line[N1])
    if op == NUMBER["product_blas"]:
        work = n0 * n1 * int(line[K])
        return _product(line, item, 1 if work < LARGE else 2 if work < HUGE else 4)
    if max(n0, 1) * max(n1, 1) < LONG:
        return [line.copy()]
    if op in BY_NUMBERS:
        if n0 > 1:
            return _rows(line, n0, ((OUT, OUT0, 1), (A, A0, 1), (B, B0, 1)), N0)
        return _rows(line, n1, ((OUT, OUT1, item), (A, A1, item), (B, B1, item)), N1)
    if op == NUMBER["gather"]:
        return _rows(line, n0, ((OUT, OUT0, 1), (B, None, 8)), N0)
    if op == NUMBER["sum_inner"]:
        return _rows(line, n0, ((OUT, OUT0, 1), (A, A0, 1)), N0)
    if op == NUMBER["sum_outer"]:
        return _rows(line, n1, ((OUT, None, item), (A, None, item)), N1)
    return [line.copy()]


def _rows(
    line: np.ndarray, n: int, places: tuple[tuple[int, int | None, int], ...], size: int, pieces: int = 2
) -> list[np.ndarray]:
    """Cut along a loop of n: `places` are the columns of addresses, of their distances, and the distances' unit."""
    found = []
    for start, stop in pairwise(_cuts(n, pieces)):
        piece = line.copy()
        for at, distance, unit in places:
            piece[at] += start * unit * (1 if distance is None else int(line[distance]))
        piece[size] = stop - start
        found.append(piece)
    return found


def _cuts(n: int, pieces: int) -> list[int]:
    """Where to cut a loop of n: at whole lines of the cache, where it is long."""
    return [n * k // pieces // 16 * 16 if n >= 64 * pieces else n * k // pieces for k in range(pieces)] + [n]


def _product(line: np.ndarray, item: int, pieces: int) -> list[np.ndarray]:
    m, n, mode = int(line[N0]), int(line[N1]), int(line[MODE])
    if pieces == 1 or max(m, n) < 16 * pieces:
        return [line.copy()]
    rows, columns = int(line[OUT1]) * item, item  # bytes from row to row, and from column to column
    if n < 32 * pieces and m >= n:  # BLAS is quicker with half the columns than with half the rows, but for few of them
        along = item if mode & 1 else int(line[A1]) * item
        return _rows(line, m, ((OUT, None, rows), (A, None, along)), N0, pieces)
    along = int(line[B1]) * item if mode & 2 else item
    return _rows(line, n, ((OUT, None, columns), (B, None, along)), N1, pieces)
