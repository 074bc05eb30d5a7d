"""Where to test: a point in general position, away from kinks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .kinks import margins
from .objective import Objective
from .problem import Problem

NEAR = 1e-4
"""A kink is within reach when an input's distance from it is less than this share of the inputs' size."""
ATTEMPTS = 10


@dataclass(frozen=True)
class Placement:
    """How the point of a test was found.

    Attributes
    ----------
    jitter
        Relative size of the random move of theta.
    nudges
        How often theta and x were moved again, because an input sat within reach of a kink.
    watched
        Inputs of activations with kinks (and weights, under an L1 penalty), of all replicas.
    margin
        The smallest distance of one from its kink, relative to the inputs' size; infinite where nothing has kinks.
    """

    jitter: float
    nudges: int
    watched: int
    margin: float

    def __str__(self) -> str:
        if not self.watched:
            return "kinks: none"
        text = f"kinks: {self.watched} inputs, the nearest {self.margin:.1e} of their size away"
        if self.nudges:
            text += f"; theta and x were nudged {self.nudges} time{'s' * (self.nudges > 1)}"
        return text + ("; some are still within reach" if self.margin < NEAR else "")


def move_to_general_position(objective: Objective, jitter: float, rng: np.random.Generator) -> Placement:
    """Place the objective near its problem's point, such that constants and kinks hide nothing.

    A fresh network has gains of 1 and biases of 0: a backward that forgets them is right there, and nowhere else; so
    theta moves by `jitter` of each block's size. Where an input is within reach of a kink, theta moves again, and x
    with it; the best of a few tries is kept.
    """
    problem = objective.problem
    best: tuple[float, int, Any] = (-1.0, 0, None)
    watched = 0
    for nudges in range(ATTEMPTS):
        size = jitter if nudges == 0 else max(jitter, 1e-2)
        theta, x = _moved(objective, problem, size, nudges > 0, rng)
        objective.place(theta, x)
        margin = np.inf
        if objective.kinks.watching:
            margin, watched = _margin(objective, rng)
        if margin > best[0]:
            best = (margin, nudges, (theta, x))
        if margin >= NEAR:
            break
    margin, nudges, (theta, x) = best
    objective.place(theta, x)
    objective.mark()
    return Placement(jitter, nudges, watched, margin)


def _moved(
    objective: Objective, problem: Problem, size: float, with_x: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The problem's theta and x, moved at random by `size` of each block's size, in the user's precision."""
    theta, x = problem.theta.copy(), problem.x
    for part in objective.slices.values():
        theta[:, part] += size * _size(theta[:, part]) * rng.standard_normal(theta[:, part].shape)
    if with_x:
        x = x + size * _size(x) * rng.standard_normal(x.shape)
    dtype = problem.network.dtype
    return theta.astype(dtype).astype(float), x.astype(dtype).astype(float)


def _size(block: np.ndarray) -> np.ndarray:
    """Root mean square per replica; 1 where all is zero."""
    axes = tuple(range(1, block.ndim))
    size = np.sqrt(np.sum(block * block, axis=axes, keepdims=True) / max(1, block[0].size))  # of no numbers: 0
    return np.where(size > 0, size, 1.0)


def _margin(objective: Objective, rng: np.random.Generator) -> tuple[float, int]:
    """The smallest margin of the present point, and how many inputs there are."""
    here = _kink_inputs(objective)
    theta, x = objective.point()
    objective.place(
        theta + 1e-3 * _size(theta) * rng.standard_normal(theta.shape),
        x + 1e-3 * _size(x) * rng.standard_normal(x.shape),
    )
    moved = _kink_inputs(objective)
    objective.place(theta, x)
    smallest = margins(here, moved, objective.replicas)
    return float(smallest.min()), sum(z.size for _, z in here)


def _kink_inputs(objective: Objective) -> list[tuple[str, np.ndarray]]:
    objective.outputs()
    return objective.kinks.inputs()
