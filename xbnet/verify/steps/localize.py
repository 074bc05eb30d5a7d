"""Which step of an epoch was the first to go wrong, where a level plays whole epochs and shows nothing in between.

The training is done again with a learning rate that is 0 from some step on: weights are still then, and what the
epoch ends with is what that step has made. (A level that mixes up the rates of its steps may be blamed a step early.)
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import XbnetError
from ...optim.schedules import Schedule, get_schedule
from .judge import Comparison, compare
from .reference import FIGURES, Reference
from .rules import Rule
from .runs import Plan, Seen, Watched, twin_of, watch


class Until(Schedule):
    """Another schedule up to some epoch (a share of it may be over), and 0 from there on."""

    def __init__(self, schedule: Schedule, end: float):
        self.schedule, self.end = schedule, end

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        """See `Schedule`."""
        return self.schedule.factors(epochs, total) * (epochs < self.end)

    def bind(self, replicas: int) -> Until:
        """See `Schedule`."""
        return Until(self.schedule.bind(replicas), self.end)

    def select(self, index: np.ndarray) -> Until:
        """See `Schedule`."""
        return Until(self.schedule.select(index), self.end)

    def update(self, metric: np.ndarray) -> None:
        """See `Schedule`."""
        self.schedule.update(metric)

    def state(self) -> dict[str, Any]:
        """See `Schedule`."""
        return self.schedule.state()


def first_wrong_step(plan: Plan, comparison: Comparison, rule: Rule | None) -> str:
    """In words; "" where it is known already, or not to be found."""
    seen = comparison.seen
    weights = [fault.interval for fault in comparison.faults if fault.block not in FIGURES]
    if not weights:
        return ""
    interval = seen.intervals[min(weights)]
    if interval.stop - interval.first == 1:
        return ""
    S, B, n = seen.steps, int(seen.recipe.batch_size or 0), seen.orders.shape[2]
    for k in range(1, S + 1):
        end = interval.epoch + (k - 0.5) / S
        try:
            again = repeat(plan, seen, end)
        except XbnetError:
            return ""
        reference = Reference(again, plan.loss, plan.optimizer, plan.samples, rule, end)
        if any(fault.block not in FIGURES for fault in compare(again, reference.intervals()).faults):
            number = f"in step {interval.epoch * S + k} of {seen.recipe.epochs * S}"
            return number + (", the short last batch" if k == S and n % B else "")
    return ""


def repeat(plan: Plan, seen: Seen, end: float) -> Seen:
    """The same training, up to the epoch in which the learning rate becomes 0."""
    for layer in seen.twin.layers:
        layer.frozen = False
    network = twin_of(seen.twin, seen.dtype, plan.network.backend)
    put = network.backend.asarray
    network.theta[...] = put(seen.start.theta.astype(network.dtype))
    network.state[...] = put(seen.start.state.astype(network.dtype))
    for generator, state in zip(network.streams, seen.streams, strict=True):
        generator.bit_generator.state = copy.deepcopy(state)
    recipe = replace(seen.recipe, schedule=Until(get_schedule(seen.recipe.schedule), end))
    twin = twin_of(network)
    trainer = Watched(network, plan.loss, plan.optimizer, plan.samples, recipe, rng=list(plan.seeds))
    leaves = None if seen.left is None else seen.left[1]
    again = watch(trainer, twin, seen.number, seen.orders, seen.mirrored, leaves, epochs=int(end) + 1)
    again.recipe = seen.recipe
    return again
