"""Further checks: determinism, backward with and without dx, stacks, the adjoint, float32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .objective import Objective
from .problem import THETA, X

EXACT = 1e-10
"""Two ways to the same float64 number agree to this, relative to the largest number of its kind."""
MOST_REPLICAS = 8
"""Replicas of a stack that are looked at for leaks; a larger stack is sampled."""


RETURNED = "backward writes its results"


@dataclass(frozen=True)
class Check:
    """One yes-or-no question and its answer."""

    name: str
    passed: bool
    detail: str


def deterministic(objective: Objective, gradient: dict[str, np.ndarray]) -> Check:
    """F and its gradient are the same when they are evaluated again."""
    first, second = objective.value(), objective.value()
    off = float(np.max(np.abs(first.f - second.f) / np.maximum(first.scale, 1e-300)))
    again = objective.gradient()
    changed = [block for block, part in gradient.items() if not _relative(again[block], part) <= EXACT]
    detail = f"relative change of f {off:.1e}; a gradient that changes: {', '.join(changed) or 'none'}"
    return Check("the same f and gradient twice", off <= EXACT and not changed, detail)


def beside_dx(objective: Objective, gradient: dict[str, np.ndarray]) -> Check:
    """Theta's gradient does not depend on whether dx is wanted."""
    other = objective.gradient_with_dx()
    off = _relative(other[THETA], gradient[THETA]) if THETA in gradient else 0.0
    return Check("the same gradient with and without dx", off <= EXACT, f"relative difference {off:.1e}")


def isolated(objective: Objective, rng: np.random.Generator) -> Check:
    """The Jacobian's blocks across replicas are exactly zero, forward and backward."""
    R = objective.replicas
    looked_at = np.arange(R) if R <= MOST_REPLICAS else np.sort(rng.choice(R, MOST_REPLICAS, replace=False))
    for r in (int(r) for r in looked_at):
        others = np.arange(R) != r
        for block in (THETA, X) if objective.slices else (X,):
            direction = np.zeros((R, *objective.shape(block)))
            home = _outputs_at(objective, block, direction)
            direction[r] = rng.standard_normal(direction.shape[1:])
            changed = np.flatnonzero(others & np.any(_outputs_at(objective, block, direction) != home, axis=(1, 2)))
            if changed.size:
                detail = f"outputs of replica {changed[0]} change with {block} of replica {r}"
                return Check("no path between replicas", False, detail)
        u = np.zeros(home.shape)
        u[r] = rng.standard_normal(home.shape[1:])
        for block, part in objective.pullback(u).items():
            leak = np.flatnonzero(others & np.any(part != 0, axis=1))
            if leak.size:
                detail = f"the gradient of {block} of replica {leak[0]} is not 0 for an output of replica {r}"
                return Check("no path between replicas", False, detail)
    return Check(
        "no path between replicas", True, f"cross blocks of the Jacobian are exactly 0 ({len(looked_at)} of {R})"
    )


def _outputs_at(objective: Objective, block: str, direction: np.ndarray) -> np.ndarray:
    """Outputs after a move in one block."""
    objective.go(block, direction, 0.1)
    outputs = objective.outputs()
    objective.home()
    return outputs


def permuted(objective: Objective, gradient: dict[str, np.ndarray], rng: np.random.Generator) -> Check:
    """Permuting the replicas permutes f and the gradient."""
    order = np.roll(rng.permutation(objective.replicas), 1)
    theta, x = objective.point()
    other = Objective(
        objective.problem.at(theta, x).select(order),
        drawn={key: array[order] for key, array in objective.drawn().items()},
    )
    off = _relative(other.value().f, objective.value().f[order])
    for block, part in other.gradient().items():
        off = max(off, _relative(part, gradient[block][order]))
    return Check("permuting replicas permutes results", off <= EXACT, f"relative difference {off:.1e}")


def adjoint(objective: Objective, block: str, rng: np.random.Generator) -> Check:
    """<u, J v> = <J^T u, v> for random u and v, with J v by differences of the outputs and J^T u by backward."""
    name = f"<u, J v> = <J^T u, v> by {block}"
    home = objective.outputs()
    u, v = rng.standard_normal(home.shape), rng.standard_normal((objective.replicas, *objective.shape(block)))
    v /= np.sqrt(np.sum(v * v, axis=tuple(range(1, v.ndim)), keepdims=True))
    right = (objective.pullback(u)[block] * v.reshape(objective.replicas, -1)).sum(axis=1)
    best = np.full(objective.replicas, np.inf)
    for h in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
        left_vector = _derivative(objective, block, v, h)
        left = (u * left_vector).sum(axis=(1, 2))
        size = np.sqrt((u * u).sum(axis=(1, 2)) * (left_vector**2).sum(axis=(1, 2)))
        off = np.abs(left - right) / np.maximum(size, 1e-6 * np.abs(home).max() + 1e-300)
        best = np.fmin(best, off)
    off = float(best.max())
    return Check(name, off <= 1e-6, f"relative difference {off:.1e}")


def _derivative(objective: Objective, block: str, v: np.ndarray, h: float) -> np.ndarray:
    """J v (R, B, O), by central differences of fourth order."""
    total = np.zeros(())
    for factor, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
        objective.go(block, v, factor * h)
        total = total + weight * objective.outputs()
    objective.home()
    return total / (12 * h)


@dataclass(frozen=True)
class PrecisionCheck:
    """A block's float32 gradient against the float64 twin's.

    Attributes
    ----------
    block
        "0.W", "x", ...
    difference, allowed
        The largest difference of an entry, and what it may be.
    passed
        Whether it is; None: it isn't, but rounding hides the block's gradient even in float64.
    """

    block: str
    difference: float
    allowed: float
    passed: bool | None


def single_precision(
    single: Objective, double: Objective, gradient: dict[str, np.ndarray], tolerance: float, told: dict[str, np.ndarray]
) -> tuple[PrecisionCheck, ...]:
    """Compare the gradients of two objectives at the same point.

    An entry may be off by `tolerance` times the block's largest, plus 1e-6 of the largest of all, plus 100 times what
    rounding to float32 does to the exact gradient, see `rounding`. `told` says of each block, (R,), where the exact
    gradient is one: where rounding to float64 already hides it, float32 is not failed.
    """
    single.place(*double.point())
    single.mark()
    rounded = single.gradient()
    noise = double.noise(float(np.finfo(np.float32).eps))
    rows = []
    largest = np.max([np.abs(part).max(axis=1) for part in gradient.values()], axis=0)
    for block in double.blocks:
        exact = gradient[block]
        difference = np.abs(rounded[block] - exact).max(axis=1)
        own = np.abs(exact).max(axis=1)
        allowed = tolerance * own + 1e-6 * largest + 100 * noise.entry(block)
        ratio = difference / np.maximum(allowed, 1e-300)
        over = ~(difference <= allowed)  # NaN is over
        wrong = over & (told[block] | ~np.isfinite(difference))
        worst = int(np.argmax(np.where(wrong, ratio, 0.0) if wrong.any() else ratio))
        passed = False if wrong.any() else None if over.any() else True
        rows.append(PrecisionCheck(block, float(difference[worst]), float(allowed[worst]), passed))
    return tuple(rows)


def _relative(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, relative to the largest number; infinite where one is NaN."""
    off = np.abs(a - b).max(initial=0.0) / max(np.abs(b).max(initial=0.0), 1e-300)
    return float(off) if np.isfinite(off) else float("inf")
