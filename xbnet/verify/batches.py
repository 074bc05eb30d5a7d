"""Batches as training has them: a short one after a full one, in one network that is bound once; and played steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends.replay import RUNS, Replays
from ..errors import reason
from ..nn.network import Network
from .checks import EXACT, Check
from .objective import Objective
from .problem import THETA, X
from .taylor import taylor_curve

PROBES = 3
"""Tolerance for rounding in a batch that is tested in addition to the requested one."""


def short_rows(B: int) -> np.ndarray:
    """The rows of a batch of B that make the short one: the first half; none of one row."""
    return np.arange(B // 2)


def short_batch(
    objective: Objective, steps: np.ndarray, rng: np.random.Generator, tolerance: float
) -> tuple[Check, ...]:
    """The Taylor test of the first rows only, after a batch of all: with and without dx."""
    B = objective.problem.x.shape[1]
    rows, name = short_rows(B), "the gradient of a short batch"
    if not rows.size:
        return ()
    told, where = [], f"{len(rows)} rows after {B}"
    with objective.on_rows(rows):
        gradient, beside = objective.gradient(), objective.gradient_with_dx()
        noise = objective.noise(float(np.finfo(float).eps), PROBES)
        for block in (THETA, X) if objective.slices else (X,):
            curve = taylor_curve(objective, block, gradient[block], steps, noise, rng, tolerance)
            told += [j.passed for j in curve.judgements]
            for r, judgement in enumerate(curve.judgements):
                if judgement.passed is False:
                    orders = "orders {:.2f} and {:.2f}, expected 1 and 2".format(*judgement.orders)
                    return (Check(name, False, f"{where}, {block}[r={r}]: {orders}, off by {judgement.error:.1e}"),)
        off = _apart(beside[THETA], gradient[THETA]) if objective.slices else 0.0
    if off > EXACT:
        return (Check(name, False, f"{where}: relative difference {off:.1e} with and without dx"),)
    return (Check(name, True, f"{where}: {told.count(True)} of {len(told)} Taylor tests show it"),)


class PlayedStep:
    """Forward, loss and backward of a network as a user has it, recorded and played as training does.

    Parameters
    ----------
    objective
        Whose point, masks and running statistics it takes over.
    """

    replayable = True

    def __init__(self, objective: Objective):
        problem, user = objective.problem, objective.problem.network
        seeds, dtype = list(user.seeds), objective.network.dtype
        network = self.network = Network(
            user.layers, user.n_inputs, replicas=user.replicas, backend=user.backend, dtype=dtype, rng=seeds
        )
        self.xp, self.ops = network.backend.xp, network.backend.ops
        self.loss, self.penalty = problem.functional.part(network), problem.penalty.bind(network)
        self.theta, self.x = objective.point()
        network.state[...] = self._put(user.backend.to_host(user.state))
        for layer in network.layers:
            layer.frozen = True
        layers = [(network.layers, k) for k in range(len(network.layers))]
        own = [(vars(self), "loss"), (vars(self), "penalty"), ({"step": self}, "step")]
        self.replays = Replays([*layers, *own], network.backend.specialized)
        self.functional, self.rng = problem.functional, np.random.default_rng(0)
        self._batches: dict[int, tuple[Any, Any, Any]] = {}

    def _put(self, host: np.ndarray) -> Any:
        return self.network.backend.asarray(host, self.network.dtype)

    def run(self, x: Any, y: Any, sample_weight: Any) -> None:
        """Leave the gradient in the network."""
        network = self.network
        outputs = network.forward(x, training=True)
        self.loss(outputs, y, network.output_gradient, sample_weight)
        network.backward()
        if self.penalty.active:
            self.penalty.add_gradient()

    def gradient(self, rows: np.ndarray, drawn: Any) -> np.ndarray:
        """(R, P) for a batch of these rows, of the last of several steps: the others are at other points."""
        network, B, home = self.network, len(rows), self.x[:, rows]
        if B not in self._batches:
            self._batches[B] = self._put(home) + 0.0, *self.functional.targets(network, rows)
        x, y, sample_weight = self._batches[B]
        for k in range(RUNS + 2):
            last = k == RUNS + 1
            factors: list[Any] = [1.0 if last else self.rng.uniform(0.5, 1.5, a.shape) for a in (self.theta, home)]
            network.theta[...], x[...] = self._put(self.theta * factors[0]), self._put(home * factors[1])
            generation = network.use(B)
            for (layer, name), array in drawn.items() if last else ():
                getattr(network.layers[layer], name)[...] = self._put(array)
            network.grad[...] = float("nan")
            self.replays.run(B, generation, self.run, x, y, sample_weight)
        return network.backend.to_host(network.grad).astype(float)


def played(objective: Objective, gradient: dict[str, np.ndarray]) -> Check:
    """The gradient of steps that are played, of a full batch, a short one and a full one again."""
    B, name = objective.problem.x.shape[1], "the same gradient in played steps"
    if THETA not in gradient:
        return Check(name, True, "no parameters")
    every, short = np.arange(B), short_rows(B)
    batches = [(every, gradient[THETA], objective.drawn())]
    if short.size:
        with objective.on_rows(short):
            batches.append((short, objective.gradient()[THETA], objective.drawn()))
        batches.append(batches[0])
    step, worst = PlayedStep(objective), 0.0
    for number, (rows, expected, drawn) in enumerate(batches):
        try:
            got = step.gradient(rows, drawn)
        except TypeError as error:
            return Check(name, False, f"the step can't be recorded: {error}")
        except (AttributeError, ValueError) as error:  # it holds what it drew elsewhere, so here is none, or too much
            return Check(name, False, f"{len(rows)} rows: {reason(error)}")
        off = _apart(got, expected)
        if off > EXACT:
            again = " once more" if number == 2 else ""
            return Check(name, False, f"relative difference {off:.1e}, of a batch of {len(rows)} rows{again}")
        worst = max(worst, off)
    return Check(name, True, f"relative difference {worst:.1e}")


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, relative to the largest number; 0 where b holds NaN, which proves nothing."""
    if not np.isfinite(b).all():
        return 0.0
    off = np.abs(a - b).max(initial=0.0) / max(np.abs(b).max(initial=0.0), 1e-300)
    return float(off) if np.isfinite(off) else float("inf")
