"""The Taylor test: does f(p + e d) - f(p) vanish like e, and what is left after e <grad, d> like e^2?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .objective import Noise, Objective

CLEAR = 100.0
"""A difference counts where it is this many times larger than rounding."""
FEWEST, MOST = 4, 6
"""Points that an order is measured on."""
TRIES = (1.0, 1.0, 2.0**-12, 2.0**-20)
"""Random directions that are tried before a test fails, each with steps so much smaller than asked for. A wrong
gradient is wrong along nearly every direction; a right one may have to be looked at more closely (where batch
normalization meets a constant column, f bends within 1e-8)."""
AGREEMENT = 1e-4
"""Where too few points rise above rounding to show an order: how well <grad, d> must agree with f instead."""
LINEAR_SHARE = 0.1
"""What may be linear of the smallest remainder, where rounding leaves no room for e^2 to rule over what follows it."""
NEGLIGIBLE = 1e5
"""An error of so few roundings of f per unit step (1e-10 of f, say) is none where no order shows it; nor where the
whole gradient is hardly more than that, as in front of a batch normalization that takes back what it does."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """What one replica's two curves say.

    Attributes
    ----------
    passed
        The first curve has order 1 and the second order 2, or more.
    orders
        Observed slopes of the two curves; NaN where too few points rise above rounding on this side of every kink.
    judged
        For each curve, which points its slope was measured on, (n,).
    error
        The most by which <grad, d> can be wrong, relative to it, as far as these points tell.
    note
        "", or what is special: "linear", "flat", "by agreement", "no linear part".
    typical
        The orders are within tolerance of 1 and 2, not above; or f is linear or flat.
    """

    passed: bool
    orders: tuple[float, float]
    judged: tuple[np.ndarray, np.ndarray]
    error: float
    note: str
    typical: bool

    @property
    def quality(self) -> int:
        """0: failed, 1: passed, 2: passed with the orders that are typical, neither hidden nor above 1 and 2."""
        return self.passed + (self.passed and self.typical)

    def overrules(self, other: Judgement) -> bool:
        """Whether it is better than what another direction said.

        A failure that an order has shown is overruled by nothing less than an order: at smaller steps a small error
        vanishes in rounding, and "linear" is all that is left to say.
        """
        shown = not other.passed and not np.isnan(other.orders[1])
        return self.quality > other.quality and not (shown and np.isnan(self.orders[1]))


def judge(
    e: np.ndarray,
    difference: np.ndarray,
    slope: float,
    doubt: float,
    rounding: np.ndarray,
    clean: np.ndarray,
    tolerance: float,
) -> Judgement:
    """Judge one replica's curves.

    A slope is measured on the last (smallest) points that lie well above rounding, where what follows the leading
    term is smallest. Where the second curve has no such points, f is linear along d, or flat, or a kink is near; then
    the difference itself must agree with e <grad, d>.

    Parameters
    ----------
    e
        Steps (n,), falling.
    difference
        f(p + e d) - f(p), (n,).
    slope
        <grad, d>.
    doubt
        How far rounding may have moved the slope.
    rounding
        How far rounding may have moved each difference, (n,).
    clean
        Points on this side of every kink, (n,).
    tolerance
        How far an order may stay below 1 or 2.
    """
    finite = np.isfinite(difference) & np.isfinite(slope)
    note = "every step crosses a kink" if finite.any() else "not finite"
    clean = clean & finite
    first, second = np.abs(difference), np.abs(difference - e * slope)
    order1, judged1 = _order(e, first, clean & (first > CLEAR * rounding))
    rounding = rounding + e * (doubt + 4 * np.finfo(float).eps * abs(slope))
    order2, judged2 = _order(e, second, clean & (second > CLEAR * rounding))
    error, negligible, vanishing = np.inf, False, False
    if clean.any():
        wrong = np.where(clean, (second + rounding) / e, np.inf)
        wrong[:-1] = np.maximum(wrong[:-1], wrong[1:])  # of two neighbours: e^2 and an error may cancel at one e
        best, largest = np.argmin(wrong), np.argmax(clean)
        size = max(abs(slope), first[best] / e[best], np.finfo(float).tiny)
        error = wrong[best] / size
        negligible = wrong[best] <= NEGLIGIBLE * rounding[largest]
        vanishing = negligible and size <= 10 * NEGLIGIBLE * rounding[largest]
        note = ""
        if first[largest] <= CLEAR * rounding[largest] >= e[largest] * abs(slope):
            note = "flat"
            negligible |= abs(slope) <= NEGLIGIBLE * rounding[largest]
        elif np.isnan(order2):
            note = "linear" if second[largest] <= CLEAR * rounding[largest] else "by agreement"
    if np.isnan(order2):
        second_holds = error <= AGREEMENT or negligible
    else:
        second_holds = order2 >= 2 - tolerance or vanishing
        nearer = _order(e, second, clean & (second > CLEAR / 10 * rounding))[1]  # rounding may be less than it seems
        shares = [_linear_share(e, difference - e * slope, judged) for judged in (judged2, nearer)]
        if not second_holds and min(shares) <= LINEAR_SHARE:
            second_holds, note = True, "no linear part"
    first_holds = np.isnan(order1) or order1 >= 1 - tolerance or vanishing
    typical = note in ("linear", "flat") or (abs(order1 - 1) <= tolerance and abs(order2 - 2) <= tolerance)
    passed = bool(first_holds and second_holds)
    return Judgement(passed, (order1, order2), (judged1, judged2), float(error), note, bool(typical))


def _linear_share(e: np.ndarray, remainder: np.ndarray, judged: np.ndarray) -> float:
    """How much of the smallest judged remainder is linear in e; 1 for a wrong gradient.

    remainder / e = a + b e + c e^2 + ... is extrapolated to e = 0 from the last judged points (Neville).
    """
    e, quotient = e[judged][-FEWEST:], (remainder / e)[judged][-FEWEST:]
    table = list(quotient)
    for k in range(1, len(table)):
        table = [(e[i] * table[i + 1] - e[i + k] * table[i]) / (e[i] - e[i + k]) for i in range(len(table) - 1)]
    return float(abs(table[0] / quotient[-1]))


def _order(e: np.ndarray, values: np.ndarray, usable: np.ndarray) -> tuple[float, np.ndarray]:
    """The slope of log(values) over log(e) on the last run of usable points, and which those are."""
    judged = np.zeros(len(e), bool)
    stop = len(e)
    while stop:
        if not usable[stop - 1]:
            stop -= 1
            continue
        start = stop
        while start and usable[start - 1]:
            start -= 1
        if stop - start >= FEWEST:
            judged[max(start, stop - MOST) : stop] = True
            slope = np.polyfit(np.log2(e[judged]), np.log2(values[judged]), 1)[0]
            return float(slope), judged
        stop = start
    return float("nan"), judged


@dataclass(frozen=True, eq=False)
class TaylorCurve:
    """The two curves of one block, for every replica.

    Attributes
    ----------
    block
        "0.W", "theta" (all parameters) or "x".
    size
        Entries of one replica.
    e
        Steps of each replica, (R, n).
    first, second
        |f(p + e d) - f(p)| and |f(p + e d) - f(p) - e <grad, d>|, (R, n).
    rounding
        How far rounding may have moved them, (R, n).
    clean
        Points on this side of every kink, (R, n).
    slope
        <grad, d>, (R,).
    direction
        d, of length 1, (R, P of the block).
    judgements
        One per replica.
    directions
        How many random directions were tried.
    """

    block: str
    size: int
    e: np.ndarray
    first: np.ndarray
    second: np.ndarray
    rounding: np.ndarray
    clean: np.ndarray
    slope: np.ndarray
    direction: np.ndarray
    judgements: tuple[Judgement, ...]
    directions: int

    @property
    def passed(self) -> bool:
        """Whether every replica passed."""
        return all(j.passed for j in self.judgements)


def taylor_curve(
    objective: Objective,
    block: str,
    gradient: np.ndarray,
    steps: np.ndarray,
    noise: Noise,
    rng: np.random.Generator,
    tolerance: float,
) -> TaylorCurve:
    """Test one block of every replica at once along random unit directions; gradient (R, n)."""
    R, size = gradient.shape
    kept: dict[int, tuple[Any, ...]] = {}
    tried = 0
    for scale in TRIES:
        tried += 1
        e = scale * steps
        d = rng.standard_normal((R, size))
        d /= np.linalg.norm(d, axis=1, keepdims=True)
        base, *samples = objective.along(block, d, np.concatenate([[0.0], e]))
        difference = np.stack([s.f - base.f for s in samples], axis=1)
        clean = ~np.stack([s.crossed for s in samples], axis=1)
        growth = np.stack([np.maximum(1, s.scale / np.maximum(base.scale, 1e-300)) for s in samples], axis=1)
        rounding, slope = 2 * noise.f[:, None] * growth, (gradient * d).sum(axis=1)
        doubt = noise.slope(block, d)
        for r in range(R):
            if r in kept and kept[r][-1].quality == 2:
                continue
            verdict = judge(e, difference[r], slope[r], doubt[r], rounding[r], clean[r], tolerance)
            if r not in kept or verdict.overrules(kept[r][-1]):
                kept[r] = (e, difference[r], slope[r], rounding[r], clean[r], d[r], verdict)
        if all(row[-1].quality == 2 for row in kept.values()):
            break
    columns = list(zip(*(kept[r] for r in range(R)), strict=True))
    e, difference, slope, rounding, clean, direction = (np.array(column) for column in columns[:6])
    remainder = np.abs(difference - e * slope[:, None])
    return TaylorCurve(
        block, size, e, np.abs(difference), remainder, rounding, clean, slope, direction, columns[6], tried
    )
