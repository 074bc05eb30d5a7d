"""Lines cut into shares, so that several threads can play one replica of a wide network together.

The cuts follow from the sizes of a line alone: products end in the same bits, however many threads take part.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .table import A0, A1, B0, B1, BINARY, MODE, N0, N1, NUMBER, OP, OUT, OUT0, OUT1, SHARE, UNARY, WAIT, A, B, K

WIDE = 1 << 22
"""Programs with this many multiplications in a step are cut."""

LARGE, HUGE = 1 << 18, 1 << 30
"""Products with this many multiplications are cut in two, or in four."""

LONG = 1 << 14
"""Other lines with this many numbers are cut in two."""

FUSED = ("where", "tanh_gradient", "relu_gradient", "subtract_scaled", "bias_relu")
BY_NUMBERS = {NUMBER[name] for name in (*UNARY, *BINARY, *FUSED)}
"""Lines that go number by number, and may be cut anywhere."""


def cut(lines: np.ndarray, base: np.ndarray, item: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lines and bases with shares, and for each new line the number of the old one."""
    found: list[np.ndarray] = []
    old: list[int] = []
    alone = False  # whether all since the last meeting is the first thread's
    for number, line in enumerate(lines):
        pieces = _pieces(line, item)
        pieces[0][WAIT] = not (alone and len(pieces) == 1)
        alone = len(pieces) == 1
        for share, piece in enumerate(pieces):
            piece[SHARE] = share
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
    cuts = [n * k // pieces // 16 * 16 if n >= 64 * pieces else n * k // pieces for k in range(pieces)] + [n]
    found = []
    for start, stop in pairwise(cuts):
        piece = line.copy()
        for at, distance, unit in places:
            piece[at] += start * unit * (1 if distance is None else int(line[distance]))
        piece[size] = stop - start
        found.append(piece)
    return found


def _product(line: np.ndarray, item: int, pieces: int) -> list[np.ndarray]:
    m, n, mode = int(line[N0]), int(line[N1]), int(line[MODE])
    if pieces == 1 or max(m, n) < 16 * pieces:
        return [line.copy()]
    rows, columns = int(line[OUT1]) * item, item  # bytes from row to row, and from column to column
    if m >= 16 * pieces:  # by rows, so that two cores write to one line of the cache at most once, and not in every row
        along = item if mode & 1 else int(line[A1]) * item
        return _rows(line, m, ((OUT, None, rows), (A, None, along)), N0, pieces)
    along = int(line[B1]) * item if mode & 2 else item
    return _rows(line, n, ((OUT, None, columns), (B, None, along)), N1, pieces)
