"""A run and another one that must be the same to the bit: each replica alone, and a run that was resumed."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...errors import DivergenceError
from ...nn.network import Network
from ...optim.optimizers import Optimizer
from ...replicas import select_values
from ...training.trainer import Trainer
from ..checks import Check
from .handover import replicas_text
from .runs import Plan, twin_of

ALONE, RESUMED = "each replica alone, as in the stack", "resumed, as not interrupted"
MOST_ALONE = 8
"""Replicas of a stack that are trained alone."""


def alone_and_resumed(plan: Plan) -> list[Check]:
    """Both, of the plan's first training, by the level that `auto` takes, in the network's own precision."""
    dtype = plan.network.dtype
    whole = _train(plan, plan.network, dtype)
    checks = [_resumed(plan, whole, dtype)]
    if plan.network.replicas > 1:
        checks.insert(0, _alone(plan, whole, dtype))
    return checks


def _trainer(plan: Plan, network: Network, rows: Sequence[int] | None = None) -> Trainer:
    """Make the trainer of the first training, for all replicas or for `rows` alone."""
    recipe = replace(plan.recipe, execution="auto")
    loss, optimizer, samples, seeds = plan.loss, plan.optimizer, plan.samples, list(plan.seeds)
    if rows is not None:
        index = np.array(rows)
        optimizer = _optimizer_of(optimizer, index)
        recipe = replace(recipe.select(index), schedule=recipe.schedule.select(index))  # type: ignore[union-attr]
        loss, seeds = loss.select(index), [seeds[r] for r in rows]
        if samples.train_rows is not None:
            samples = replace(samples, train_rows=[samples.train_rows[r] for r in rows])
    return Trainer(network, loss, optimizer, samples, recipe, rng=seeds)


def _optimizer_of(optimizer: Optimizer, index: np.ndarray) -> Optimizer:
    """The same for some replicas, not bound."""
    twin = copy.copy(optimizer)
    twin.hyper = {name: select_values(value, index) for name, value in optimizer.hyper.items()}
    return twin


def _train(plan: Plan, network: Network, dtype: np.dtype, rows: Sequence[int] | None = None) -> np.ndarray:
    """Theta (R', P) after it."""
    network = twin_of(network if rows is None else network.select(rows), dtype, network.backend)
    trainer = _trainer(plan, network, rows)
    try:
        while not trainer.done:
            trainer.run_epoch()
    except DivergenceError:
        pass
    trainer.finish()
    return network.backend.to_host(network.theta).astype(float)


def _alone(plan: Plan, whole: np.ndarray, dtype: np.dtype) -> Check:
    R = plan.network.replicas
    rows = range(R) if R <= MOST_ALONE else np.unique(np.linspace(0, R - 1, MOST_ALONE).astype(int)).tolist()
    apart = [r for r in rows if not _same(plan, _train(plan, plan.network, dtype, [r])[0], whole[r])]
    kind = "bits" if plan.network.backend.on_host else "numbers, up to rounding"
    detail = f"the same {kind} ({len(rows)} of {R})" if not apart else f"other weights in {replicas_text(apart)}"
    return Check(ALONE, not apart, detail)


def _resumed(plan: Plan, whole: np.ndarray, dtype: np.dtype) -> Check:
    """After the first epoch, from the state that a checkpoint holds."""
    network = twin_of(plan.network, dtype, plan.network.backend)
    first = _trainer(plan, network)
    try:
        first.run_epoch()
        state = first.state()
        later = twin_of(plan.network, dtype, plan.network.backend)
        second = _trainer(plan, later)
        second.restore(state)
        while not second.done:
            second.run_epoch()
    except DivergenceError:
        return Check(RESUMED, True, "every replica diverged")
    second.finish()
    found = later.backend.to_host(later.theta).astype(float)
    apart = [r for r in range(len(found)) if not _same(plan, found[r], whole[r])]
    kind = "bits" if plan.network.backend.on_host else "numbers, up to rounding"
    return Check(RESUMED, not apart, f"the same {kind}" if not apart else f"other weights in {replicas_text(apart)}")


def _same(plan: Plan, one: np.ndarray, other: np.ndarray) -> bool:
    """To the bit on a host; devices round sums of stacks of other sizes differently."""
    if plan.network.backend.on_host:
        return np.array_equal(one, other, equal_nan=True)
    return bool(np.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True))
