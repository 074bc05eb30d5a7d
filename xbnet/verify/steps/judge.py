"""Comparison of observed with expected steps: each block's error, per replica, in units of its tolerance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .handover import offsets
from .reference import FIGURES, Expected
from .runs import Interval, Seen

SAFETY = 30.0
"""Rounding may have gone this many times as far as in the few trainings that measure it."""
TOLERANCES = {"float64": 1e-9, "float32": 3e-5}
"""Tolerance of a block besides, relative to its largest move: hyper-parameters are rounded, too."""
BLUNT = 0.01
"""Where more than this share of a move is excused, nothing is judged."""
RESTS = 1e-6
"""A block that should move by less than this share of what others do, and doesn't move, is right."""
ULPS = 4


@dataclass(frozen=True)
class Fault:
    """One block of one replica, wrong in one interval.

    Attributes
    ----------
    interval, replica, block
        Where.
    entry
        The number that is furthest off, flat.
    got, expected
        How far it moved, and how far it should have; of a figure, its value.
    wrong, of
        Entries of the block that are wrong, and entries in all.
    """

    interval: int
    replica: int
    block: str
    entry: int
    got: float
    expected: float
    wrong: int
    of: int


@dataclass(frozen=True, eq=False)
class Comparison:
    """The comparison of one training with its reference.

    Attributes
    ----------
    seen
        The training.
    blocks
        Parameters, running statistics, figures, in this order.
    judged
        (n, K, R) per interval, block and replica: 1 judged, 0 not looked at, -1 rounding rules here.
    sharpness
        (n, K, R): the share of a move that is excused; NaN where nothing is judged.
    faults
        In the order of time.
    """

    seen: Seen
    blocks: tuple[str, ...]
    judged: np.ndarray
    sharpness: np.ndarray
    faults: tuple[Fault, ...]

    @property
    def unjudged(self) -> list[str]:
        """Blocks of which some replica could be judged nowhere, though it was looked at."""
        nowhere = ~np.any(self.judged == 1, axis=0) & np.any(self.judged == -1, axis=0)
        return [block for block, rows in zip(self.blocks, nowhere, strict=True) if rows.any()]


def compare(seen: Seen, expected: Iterable[Expected]) -> Comparison:
    """Hold what was seen against the reference."""
    twin, faults = seen.twin, list[Fault]()
    places = offsets(twin)
    kept: dict[str, slice] = {}
    start = 0
    for spec in twin.state_specs:
        kept[spec.name], start = slice(start, start + spec.size), start + spec.size
    blocks = (*places, *kept, *FIGURES)
    shape = len(seen.intervals), len(blocks), twin.replicas
    judged, sharpness = np.zeros(shape, int), np.full(shape, np.nan)
    rel, eps = TOLERANCES[seen.dtype.name], float(np.finfo(seen.dtype).eps)
    for n, told in enumerate(expected):
        snapshot = seen.snapshots[n]
        move = told.theta - told.start.theta
        largest = np.abs(move).max(axis=1, initial=0.0)
        for row, r in enumerate(int(r) for r in snapshot.rows):
            for k, (block, part) in enumerate(places.items()):
                home, wanted = told.start.theta[r, part], move[r, part]
                noise = SAFETY * np.abs(told.spread[:, r, part]).max(initial=0.0)
                noise += ULPS * eps * np.abs(home).max(initial=0.0)
                size = np.abs(wanted).max(initial=0.0)
                rests = size <= RESTS * largest[r]
                got = snapshot.theta[row, part] - home
                fault = _fault(n, r, block, got, wanted, noise + rel * size)
                blunt = noise > BLUNT * size and not rests and noise > 0
                judged[n, k, r] = 1 if fault or not blunt else -1
                sharpness[n, k, r] = noise / size + rel if size > 0 and not rests else np.nan
                if fault is not None:
                    faults.append(fault)
            for k, (block, part) in enumerate(kept.items(), len(places)):
                wanted = told.state[r, part]
                allowed = (
                    1e3 * rel * max(np.abs(wanted).max(initial=0.0), np.abs(told.start.state[r, part]).max(initial=0.0))
                )
                fault = _fault(n, r, block, snapshot.state[row, part], wanted, allowed)
                judged[n, k, r] = 1
                if fault is not None:
                    faults.append(fault)
            for k, (name, (values, apart)) in enumerate(told.figures.items(), len(places) + len(kept)):
                got = seen.figures[name][told.interval.epoch, r : r + 1]
                allowed = SAFETY * apart[r] + rel * abs(values[r])
                fault = _fault(n, r, name, got, values[r : r + 1], allowed)
                judged[n, k, r] = 1
                if fault is not None:
                    faults.append(fault)
    return Comparison(seen, blocks, judged, sharpness, tuple(faults))


def _fault(n: int, r: int, block: str, got: np.ndarray, wanted: np.ndarray, allowed: float) -> Fault | None:
    """Where something is further off than it may be, or not finite on one side only."""
    if not wanted.size:
        return None
    strange = np.isfinite(got) != np.isfinite(wanted)
    off = np.where(strange, np.inf, np.abs(got - wanted))
    off[~np.isfinite(got) & ~np.isfinite(wanted)] = 0.0
    wrong = off > (allowed if np.isfinite(allowed) else np.inf)
    wrong |= strange
    if not wrong.any():
        return None
    entry = int(np.argmax(off))
    return Fault(n, r, block, entry, float(got[entry]), float(wanted[entry]), int(wrong.sum()), wanted.size)


def interval_of(comparison: Comparison, fault: Fault) -> Interval:
    """The steps in which it was seen."""
    return comparison.seen.intervals[fault.interval]
