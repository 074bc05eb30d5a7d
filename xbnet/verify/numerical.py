"""Gradients by central differences, entry by entry, and how they compare with backward's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .objective import Objective
from .problem import Noise, X

H = float(np.finfo(float).eps) ** (1 / 3)
"""Step, relative to an entry where that is larger than 1: balances truncation (h^2) and rounding (eps / h)."""
TRIES = (1.0, 1 / 16, 8.0, 1 / 256, 1 / 4096)
"""Factors of the step for entries that disagree, or whose step crosses a kink."""


def differences(
    objective: Objective,
    block: str,
    entries: np.ndarray,
    h: float = H,
    backward: np.ndarray | None = None,
    tolerance: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Central differences (R, len(entries)) of f by single entries of a block; NaN where every step crosses a kink.

    Parameters
    ----------
    objective
        At its base point, to which it returns.
    block
        "theta", "x", or the name of one.
    entries
        Indices into a replica's flattened block.
    h
        Step.
    backward, tolerance
        (R, n) to compare with: where a difference is further off, other steps are tried, and the nearest is kept. (A
        right gradient agrees with one of them, a wrong one with none.)
    """
    out = np.full((objective.replicas, len(entries)), np.nan)
    for k, entry in enumerate(entries):
        for factor in TRIES:
            found = _one(objective, block, int(entry), h * factor)
            if backward is None:
                better = np.isnan(out[:, k])
            else:
                wrong, found_wrong = np.abs(out[:, k] - backward[:, k]), np.abs(found - backward[:, k])
                better = np.isnan(wrong) | (found_wrong < wrong)
            out[:, k] = np.where(better, found, out[:, k])
            settled = ~np.isnan(out[:, k])
            if backward is not None:
                settled &= np.abs(out[:, k] - backward[:, k]) <= tolerance
            if settled.all():
                break
    return out


def _one(objective: Objective, block: str, entry: int, h: float) -> np.ndarray:
    """(f(p + h) - f(p - h)) / 2h for one entry of every replica, (R,)."""
    up, width_up = objective.poke(block, entry, h)
    down, width_down = objective.poke(block, entry, -h)
    out = (up.f - down.f) / (width_up - width_down)
    out[up.crossed | down.crossed] = np.nan
    return out


def entry_name(block: str, shape: tuple[int, ...], replica: int, entry: int) -> str:
    """``2.W[r=1, i=3, o=0]``: which number of which replica."""
    at = [int(i) for i in np.unravel_index(entry, shape)]
    if block == X:
        letters = "bi"
    elif len(shape) == 2:
        letters, at = ("o", at[1:]) if shape[0] == 1 else ("io", at)
    else:
        letters = "ijklmnop"[: len(shape)]
    return f"{block}[" + ", ".join(f"{k}={v}" for k, v in zip("r" + letters, [replica, *at], strict=True)) + "]"


@dataclass(frozen=True)
class Spread:
    """Figures of many numbers; NaN where there are none."""

    mean: float
    std: float
    min: float
    max: float

    @classmethod
    def of(cls, values: np.ndarray) -> Spread:
        """Return the spread of these numbers."""
        if not values.size:
            return cls(*[float("nan")] * 4)
        return cls(*(float(figure(values)) for figure in (np.mean, np.std, np.min, np.max)))


@dataclass(frozen=True)
class BlockComparison:
    """Backward's gradient of one block against central differences; the reports' figures.

    Attributes
    ----------
    block
        "0.W", "x", ...
    entries, left_out
        How many numbers were compared, of all replicas; how many were not, since every step crosses a kink.
    difference
        |backward - numeric|.
    relative
        |backward - numeric| / max(|backward|, |numeric|), of entries that are not negligible in their block.
    gradient
        Backward's.
    worst
        The entry that is furthest off: ``2.W[r=1, i=3, o=0]: backward ..., numeric ..., rel ...``.
    passed
        Whether every difference is within tolerance.
    """

    block: str
    entries: int
    left_out: int
    difference: Spread
    relative: Spread
    gradient: Spread
    worst: str
    passed: bool


def compare_block(
    objective: Objective,
    block: str,
    gradient: np.ndarray,
    noise: Noise,
    rng: np.random.Generator,
    *,
    tolerance: float = 1e-6,
    h: float = H,
    max_entries: int | None = None,
) -> BlockComparison:
    """Compare a block's gradient (R, n) with central differences.

    An entry may be off by ``tolerance`` times the block's largest, plus what rounding of f does to a difference.
    """
    n = gradient.shape[1]
    entries = np.arange(n)
    if max_entries is not None and n > max_entries:
        entries = np.sort(rng.choice(n, max_entries, replace=False))
    backward = gradient[:, entries]
    finite = np.where(np.isfinite(backward), np.abs(backward), 0.0)
    allowed = tolerance * finite.max(axis=1) + 20 * (noise.f / h + noise.entry(block))
    numeric = differences(objective, block, entries, h, backward, allowed)
    seen = ~np.isnan(numeric) | ~np.isfinite(backward)
    difference = np.abs(backward - numeric)
    difference[~np.isfinite(difference) & seen] = np.inf
    size = np.maximum(np.abs(backward), np.abs(numeric))
    with np.errstate(all="ignore"):  # where nothing is allowed, no difference is none too many
        excess = np.where(seen, np.where(difference > 0, difference / allowed[:, None], 0.0), -np.inf)
    r, k = np.unravel_index(np.argmax(excess), excess.shape)
    name = entry_name(block, objective.shape(block), int(r), int(entries[k]))
    with np.errstate(all="ignore"):
        relative = difference / size
        notable = seen & (size > 1e-6 * np.nanmax(np.where(seen, size, 0), initial=0.0))
    worst = f"{name}: backward {backward[r, k]:.6g}, numeric {numeric[r, k]:.6g}, rel {relative[r, k]:.1e}"
    return BlockComparison(
        block=block,
        entries=int(seen.sum()),
        left_out=int((~seen).sum()),
        difference=Spread.of(difference[seen]),
        relative=Spread.of(relative[notable]),
        gradient=Spread.of(backward.ravel()),
        worst=worst,
        passed=bool(np.max(excess) <= 1),
    )
