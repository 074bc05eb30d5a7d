"""Verdicts on two curves: right, wrong, or undecided."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLEAR = 100.0
"""A difference counts where it is this many times larger than rounding."""
FEWEST, MOST = 4, 6
"""Points that an order is measured on."""
AGREEMENT = 1e-4
"""Where too few points rise above rounding to show an order: how well <grad, d> must agree with f instead. Nothing is
excused beyond this share of it."""
LINEAR_SHARE = 0.1
"""Permitted linear share of the smallest remainder, where rounding leaves no room for e^2 to dominate beyond it."""
JUMPS = 0.5
"""The first curve's order where f jumps, or is another one each time; where f bends, it may lie between this and 1."""
FAINT = 2e-10
"""A share of the slope that no float64 gradient is expected to be good to, whatever order shows."""
NOISY, SHOWN = 0.75, 1.5
"""A wrong gradient brings the order of the remainder down to 1; where f bends, it may lie between `SHOWN` and 2, and
rounding that was not seen leaves less than `NOISY`."""
TINY = 1e6
"""A whole gradient that moves f by this many roundings per unit step at most can't be distinguished from rounding."""
SANE = 1e-9
"""The share of f that rounding may move where f counts as flat."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """The judgement of one replica's two curves.

    Attributes
    ----------
    passed
        The first curve has order 1 and the second order 2, or more; None: it can't be judged.
    orders
        Observed slopes of the two curves; NaN where too few points rise above rounding on this side of every kink.
    judged
        For each curve, which points its slope was measured on, (n,).
    error
        The most by which <grad, d> can be wrong, relative to it, as far as these points tell.
    note
        "", or what is special: "linear", "flat", "by agreement", "no linear part", or why it can't be judged.
    typical
        The orders are within tolerance of 1 and 2, not above; or f is linear or flat.
    """

    passed: bool | None
    orders: tuple[float, float]
    judged: tuple[np.ndarray, np.ndarray]
    error: float
    note: str
    typical: bool

    @property
    def quality(self) -> int:
        """0: not judged, 1: passed, 2: passed with orders that are typical, 3: failed, which nothing overrules."""
        return 3 if self.passed is False else int(self.passed is True) * (1 + self.typical)


def judge(
    e: np.ndarray,
    difference: np.ndarray,
    slope: float,
    doubt: float,
    rounding: np.ndarray,
    clean: np.ndarray,
    tolerance: float,
    scale: float = np.inf,
) -> Judgement:
    """Judge one replica's curves.

    A slope is measured on the last (smallest) points that are well above rounding, where what follows the leading
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
    scale
        The size of the numbers that f is made of.
    """
    finite = np.isfinite(difference)
    clean, nowhere = clean & finite, np.zeros(len(e), bool)
    if not clean.any() or not np.isfinite(slope):
        note = "every step crosses a kink" if finite.any() else "f is not finite"
        wrong = bool(clean.any())  # f is a number, and its derivative is none
        note = "not finite" if wrong else note
        return Judgement(False if wrong else None, (np.nan, np.nan), (nowhere, nowhere), np.inf, note, False)
    first, remainder = np.abs(difference), difference - e * slope
    second = np.abs(remainder)
    total = rounding + e * (doubt + 4 * np.finfo(float).eps * abs(slope))
    order1, judged1 = _order(e, first, clean & (first > CLEAR * rounding))
    order2, judged2 = _order(e, second, clean & (second > CLEAR * total))
    bound = np.where(clean, (second + total) / e, np.inf)
    bound[:-1] = np.maximum(bound[:-1], bound[1:])  # of two neighbours: e^2 and an error may cancel at one e
    best, largest = np.argmin(bound), np.argmax(clean)
    size = max(abs(slope), first[best] / e[best], np.finfo(float).tiny)
    error = float(bound[best] / size)
    moved, unit = first[largest], CLEAR * rounding[largest]
    flat = moved <= unit >= e[largest] * abs(slope)

    def verdict(passed: bool | None, note: str = "") -> Judgement:
        typical = note in ("linear", "flat") or (abs(order1 - 1) <= tolerance and abs(order2 - 2) <= tolerance)
        return Judgement(passed, (order1, order2), (judged1, judged2), error, note, bool(passed and typical))

    if flat and rounding[largest] <= SANE * scale:
        return verdict(True, "flat")
    tiny = size <= TINY * rounding[largest]
    if not (np.isnan(order1) or order1 >= 1 - tolerance):
        if order1 > JUMPS:
            return verdict(None, "f bends, and no order shows")
        return verdict(None, "hardly more than rounding") if tiny else verdict(False)
    if np.isnan(order2):
        linear = "linear" if second[largest] <= CLEAR * total[largest] else "by agreement"
        if error <= AGREEMENT:
            return verdict(True, "flat" if flat else linear)
        return verdict(None, f"rounding may hide {min(error, 1):.0e} of the slope")
    if order2 >= 2 - tolerance or error <= FAINT:
        return verdict(True, "" if order2 >= 2 - tolerance else "by agreement")
    nearer = _order(e, second, clean & (second > CLEAR / 10 * total))[1]  # rounding may be less than it seems
    if min(_linear_share(e, remainder, judged) for judged in (judged2, nearer)) <= LINEAR_SHARE:
        return verdict(True, "no linear part")
    if tiny:
        return verdict(None, "hardly more than rounding")
    last = np.flatnonzero(judged2)[-FEWEST:]
    near = float(np.polyfit(np.log2(e[last]), np.log2(second[last]), 1)[0])
    shown = NOISY <= near <= SHOWN and abs(np.sign(remainder[last]).sum()) == len(last)
    return verdict(False) if shown else verdict(None, "f bends, and no order shows")


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
