"""A second training, in float64: the gradient by the twin's forward and backward, all else by the papers' text.

It begins each interval at the weights that the watched run had there. So a mistake shows in the step that makes it, and
not in all that follow; and a run that doubles every difference is judged like any other.

How far rounding may have gone is measured, as for gradients: in addition the same training is done a few more
times, with every result moved by about a unit in the last place of the run's own precision (see `verify.rounding`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...backends.ops import Ops
from ...nn.losses import Loss
from ...nn.network import Network
from ...optim.optimizers import Optimizer
from ...optim.schedules import get_schedule
from ...replicas import replica_values
from ...training.samples import Samples
from ..rounding import Rounding
from .costs import Cost, Told
from .rates import Rates, begins_anew, gradient_factors
from .rules import RULES, Memory, Rule, apply_rule, clipped, penalized
from .runs import Interval, Seen, Snapshot

PROBES = 3
"""Trainings with moved results, besides the exact one."""
FIGURES = ("lr", "train_loss", "train_cost", "grad_norm")


@dataclass(eq=False)
class Path:
    """One of the trainings that go side by side.

    Attributes
    ----------
    theta
        (R, P).
    memory
        The rule's.
    sums
        (R, 2): of this epoch, weight times loss, and weight.
    norm
        (R,) of the last gradient.
    """

    theta: np.ndarray
    memory: Memory = field(default_factory=dict)
    sums: np.ndarray = field(default_factory=lambda: np.zeros(()))
    norm: np.ndarray = field(default_factory=lambda: np.zeros(()))


@dataclass(frozen=True, eq=False)
class Expected:
    """At the end of an interval.

    Attributes
    ----------
    interval
        Which.
    start
        Theta (R, P) at its beginning, as it was seen.
    theta, state
        (R, P) and (R, S), as they should be.
    spread
        (K, R, P), how far theta went elsewhere under moved results.
    figures
        Figures of an epoch that ends here: name -> (R,), and how far rounding moves each.
    """

    interval: Interval
    start: Snapshot
    theta: np.ndarray
    state: np.ndarray
    spread: np.ndarray
    figures: dict[str, tuple[np.ndarray, np.ndarray]]


class TakenAtItsWord:
    """An optimizer's own text as the rule, where there is no paper's: what is around it can still be judged."""

    def __init__(self, optimizer: Optimizer, twin: Network):
        self.optimizer, self.twin = optimizer, twin
        self.bound: dict[int, Any] = {}

    def __call__(
        self, theta: np.ndarray, grad: np.ndarray, memory: Memory, t: int, *, lr: np.ndarray, **hyper: np.ndarray
    ) -> np.ndarray:
        """See `rules.Rule`."""
        key = id(memory)
        if t == 1 or key not in self.bound:
            self.bound[key] = self.optimizer.bind(self.twin)
        bound = self.bound[key]
        self.twin.theta[...], self.twin.grad[...] = theta, grad
        bound.plan(lr.T)
        bound.step()
        return np.array(self.twin.theta)


class Draws:
    """A twin's operations, whose random numbers are those that the run's own type of numbers draws."""

    def __init__(self, ops: Ops, dtype: np.dtype):
        self._ops, self._dtype = ops, dtype

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ops, name)

    def random(self, streams: list[np.random.Generator], out: np.ndarray) -> np.ndarray:
        """See `Ops.random`."""
        for generator, row in zip(streams, out, strict=True):
            row[...] = generator.random(row.shape, dtype=self._dtype)
        return out


class Reference:
    """The training as it should have been, recomputed from the watched one.

    Parameters
    ----------
    seen
        Record of the watched training.
    loss, optimizer, samples
        Loss, optimizer and samples of the plan.
    rule
        Rule of the update; None: the paper's, or the optimizer's own implementation where the library has no paper's.
    end
        The epoch from which on the learning rate is 0.
    """

    def __init__(
        self,
        seen: Seen,
        loss: Loss,
        optimizer: Optimizer,
        samples: Samples,
        rule: Rule | None = None,
        end: float = np.inf,
    ):
        self.seen, self.samples, self.recipe = seen, samples, seen.recipe
        self.network = network = seen.twin
        R = network.replicas
        self.eps = float(np.finfo(seen.dtype).eps)
        self.rule = rule or RULES.get(type(optimizer)) or TakenAtItsWord(optimizer, network)
        self.hyper = {name: replica_values(name, value, R)[:, None] for name, value in optimizer.hyper.items()}
        self.cost = Cost(loss, samples.task, network)
        self.rates, self.end = Rates(get_schedule(seen.recipe.schedule), R, seen.recipe.epochs), end
        self.weights = np.arange(network.n_parameters) < network.n_weights
        self.l2, self.l1 = (replica_values(n, getattr(seen.recipe, n), R)[:, None] for n in ("l2", "l1"))
        clip = seen.recipe.clip_norm
        self.clip = None if clip is None else replica_values("clip_norm", clip, R)[:, None]
        self.rounding = Rounding(network.backend, network.dtype)
        for layer in network.layers:
            vars(layer)["ops"] = Draws(layer.ops, seen.dtype)
            self.rounding.attach(layer)
        self.x = self._data(samples.train.x)
        self.y = samples.train.y if samples.task == "classification" else self._data(samples.train.y)
        self.w = None if samples.sample_weight is None else self._data(samples.sample_weight)

    def _data(self, array: object) -> np.ndarray:
        """As the run's type of numbers holds it."""
        return np.asarray(array).astype(self.seen.dtype).astype(float)

    def intervals(self) -> Iterator[Expected]:
        """One after the other."""
        seen, S, B = self.seen, self.seen.steps, int(self.recipe.batch_size or 0)
        paths = [Path(np.zeros(seen.start.theta.shape)) for _ in range(PROBES + 1)]
        ends = {(i.epoch, i.stop - 1): k for k, i in enumerate(seen.intervals)}
        begins = {(i.epoch, i.first) for i in seen.intervals}
        now, t, start = seen.start, 0, seen.start
        for epoch in range(1 + max((i.epoch for i in seen.intervals), default=-1)):
            if begins_anew(seen.strategy, epoch):
                t = 0
                for path in paths:
                    path.memory.clear()
            factors = gradient_factors(seen.strategy, self.network, epoch)
            for path in paths:
                path.sums = np.zeros((self.network.replicas, 2))
            for s in range(S):
                if (epoch, s) in begins:
                    start = now = self._complete(now, start)
                    for path in paths:
                        path.theta = now.theta.copy()
                    self.network.state[...] = now.state
                t += 1
                lr = self.hyper["lr"] * self.rates.at(epoch + s / S)[:, None] * (epoch + s / S < self.end)
                batch = self._batch(epoch, slice(s * B, (s + 1) * B))
                self._step(paths, batch, lr, t, factors)
                if (epoch, s) in ends:
                    k = ends[epoch, s]
                    figures = self._figures(paths, lr) if seen.intervals[k].ends else {}
                    theta, spread = paths[0].theta, np.stack([p.theta - paths[0].theta for p in paths[1:]])
                    yield Expected(seen.intervals[k], now, theta, np.array(self.network.state), spread, figures)
                    now = seen.snapshots[k]
            losses = seen.figures["train_loss"][epoch]
            self.rates.note(np.where(np.isfinite(losses), losses, np.inf))

    def _complete(self, snapshot: Snapshot, before: Snapshot) -> Snapshot:
        """With rows for all replicas: one that has left keeps its state."""
        theta, state = before.theta.copy(), before.state.copy()
        theta[snapshot.rows], state[snapshot.rows] = snapshot.theta, snapshot.state
        return Snapshot(np.arange(len(theta)), theta, state)

    def _batch(self, epoch: int, part: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        rows = self.seen.orders[epoch][:, part]
        x = self.x[rows]
        if self.seen.mirrored is not None and self.samples.image_shape is not None:
            images = x.reshape(*x.shape[:2], *self.samples.image_shape)
            which = self.seen.mirrored[epoch][:, part]
            images[which] = images[which][..., ::-1]
        return x, self.y[rows], None if self.w is None else self.w[rows]

    # -- one step --------------------------------------------------------------------------------------------------

    def _step(
        self,
        paths: list[Path],
        batch: tuple[np.ndarray, np.ndarray, np.ndarray | None],
        lr: np.ndarray,
        t: int,
        factors: np.ndarray | None,
    ) -> None:
        """On all paths. The first draws masks and moves running statistics; the others meet them as they are."""
        hyper = {**self.hyper, "lr": lr}
        for number, path in enumerate(paths):
            for layer in self.network.layers:
                layer.frozen = number > 0
            with self.rounding.of_size(self.eps if number else 0.0):
                told, grad = self._gradient(path.theta, *batch)
                path.sums += np.stack([(told.values * told.weights).sum(axis=1), told.weights.sum(axis=1)], axis=1)
                grad, _ = penalized(path.theta, grad, self.weights, self.l2, self.l1)
                if factors is not None:
                    grad = grad * factors
                grad, path.norm = clipped(self._moved(grad), self.clip)
                theta = apply_rule(self.rule, path.theta, grad, path.memory, t, self.weights, hyper)
                if self.rounding.size:
                    theta = path.theta + self._moved(theta - path.theta)
                    for name in path.memory:
                        path.memory[name] = self._moved(path.memory[name])
                theta = self._moved(theta)
            path.theta = theta if factors is None else np.where(factors == 0, path.theta, theta)

    def _moved(self, array: np.ndarray) -> np.ndarray:
        return self.rounding.moved(array)

    def _gradient(
        self, theta: np.ndarray, x: np.ndarray, y: np.ndarray, w: np.ndarray | None
    ) -> tuple[Told, np.ndarray]:
        """The loss of a batch, and its gradient by theta (R, P)."""
        network = self.network
        network.theta[...] = theta
        outputs = self._moved(np.array(network.forward(x, training=True)))
        told = self.cost(outputs, y, w)
        moved = told.gradient
        if self.rounding.size:
            moved = moved + told.size * (self.rounding.factors(moved.shape) - 1)
        network.backward(np.array(moved))
        return told, np.array(network.grad)

    # -- figures -----------------------------------------------------------------------------------------------------

    def _figures(self, paths: list[Path], lr: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the figures of an epoch that ends: name -> (R,), and how far rounding moves each (R,)."""
        told = []
        for path in paths:
            _, penalty = penalized(path.theta, path.theta, self.weights, self.l2, self.l1)
            loss = path.sums[:, 0] / path.sums[:, 1]
            told.append((lr[:, 0], loss, loss + penalty, path.norm))
        values = np.array(told)  # (K + 1, 4, R)
        apart = np.abs(values[1:] - values[0]).max(axis=0)
        return {name: (values[0, i], apart[i]) for i, name in enumerate(FIGURES)}
