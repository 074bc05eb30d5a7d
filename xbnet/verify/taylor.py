"""The Taylor test: does f(p + e d) - f(p) vanish like e, and what is left after e <grad, d> like e^2?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .objective import Objective
from .problem import Noise
from .verdicts import Judgement, judge

TRIES = (1.0, 1.0, 2.0**-12, 2.0**-20)
"""Random directions that are tried until one shows typical orders, each with steps so much smaller than asked for. A
fault that one of them shows is one, whatever the others say."""
CLOSER = (2.0**-12, 2.0**-20)
"""Along a direction that shows a fault, smaller steps are looked at: where f bends within 1e-8 (as batch normalization
does of a constant column), the right order shows there."""


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
    def passed(self) -> bool | None:
        """Whether every replica passed; None: none failed, and some can't be judged."""
        found = [j.passed for j in self.judgements]
        return False if False in found else None if None in found else True


@dataclass(frozen=True, eq=False)
class Look:
    """One replica's curves along one direction, and what they say."""

    e: np.ndarray
    difference: np.ndarray
    slope: float
    rounding: np.ndarray
    clean: np.ndarray
    direction: np.ndarray
    judgement: Judgement


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
    kept: list[Look] = []
    tried = 0
    for scale in TRIES:
        tried += 1
        d = rng.standard_normal((R, size))
        d /= np.linalg.norm(d, axis=1, keepdims=True)
        looks = look(objective, block, gradient, d, scale * steps, noise, tolerance)
        for closer in CLOSER:
            if scale == 1.0 and any(one.judgement.passed is False for one in looks):
                nearer = look(objective, block, gradient, d, closer * steps, noise, tolerance)
                looks = [refuted(far, near) for far, near in zip(looks, nearer, strict=True)]
        kept = [better(a, b) for a, b in zip(kept, looks, strict=True)] if kept else looks
        if all(one.judgement.quality >= 2 for one in kept):
            break
    e, difference, rounding, clean, direction = (
        np.array([getattr(one, name) for one in kept]) for name in ("e", "difference", "rounding", "clean", "direction")
    )
    slope = np.array([one.slope for one in kept])
    remainder = np.abs(difference - e * slope[:, None])
    judgements = tuple(one.judgement for one in kept)
    return TaylorCurve(
        block, size, e, np.abs(difference), remainder, rounding, clean, slope, direction, judgements, tried
    )


def look(
    objective: Objective,
    block: str,
    gradient: np.ndarray,
    d: np.ndarray,
    e: np.ndarray,
    noise: Noise,
    tolerance: float,
) -> list[Look]:
    """Along the directions d (R, n), by steps e; one per replica."""
    base, *samples = objective.along(block, d, np.concatenate([[0.0], e]))
    difference = np.stack([s.f - base.f for s in samples], axis=1)
    clean = ~np.stack([s.crossed for s in samples], axis=1)
    growth = np.stack([np.maximum(1, s.scale / np.maximum(base.scale, 1e-300)) for s in samples], axis=1)
    rounding, slope = 2 * noise.f[:, None] * growth, (gradient * d).sum(axis=1)
    doubt, looks = noise.slope(block, d), []
    for r in range(len(d)):
        judgement = judge(
            e, difference[r], float(slope[r]), doubt[r], rounding[r], clean[r], tolerance, float(base.scale[r])
        )
        looks.append(Look(e, difference[r], float(slope[r]), rounding[r], clean[r], d[r], judgement))
    return looks


def refuted(far: Look, near: Look) -> Look:
    """Return `near`, of smaller steps in the same direction, if its order is right where `far` failed; else `far`."""
    right = near.judgement.passed and not np.isnan(near.judgement.orders[1])
    return near if far.judgement.passed is False and right else far


def better(one: Look, other: Look) -> Look:
    """The one that says more."""
    return other if other.judgement.quality > one.judgement.quality else one
