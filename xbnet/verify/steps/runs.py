"""Runs that are watched: what a level of execution really did to the weights, step by step where it shows that."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ...backends.backend import Backend
from ...errors import ConfigError, DivergenceError
from ...nn.losses import Loss
from ...nn.network import Network
from ...optim.optimizers import Optimizer
from ...optim.strategies import Strategy, get_strategy
from ...replicas import stream
from ...training.batches import Batch
from ...training.recipe import Recipe
from ...training.samples import Samples
from ...training.trainer import Trainer
from .handover import stages_handed_on, weights_handed_over


@dataclass(frozen=True, eq=False)
class Plan:
    """The plan of the runs: one training after the other, on the same network.

    Attributes
    ----------
    network
        With R replicas; it is never run, nor changed.
    loss, optimizer, samples
        As a `Trainer` takes them.
    recipe
        Its batch size is that of the first training.
    batch_sizes
        One per training.
    seeds
        Seeds of each replica's order of the samples.
    leaves
        The replica that leaves after the first epoch of the last training; None: none does.
    """

    network: Network
    loss: Loss
    optimizer: Optimizer
    samples: Samples
    recipe: Recipe
    batch_sizes: tuple[int, ...]
    seeds: tuple[np.random.SeedSequence, ...]
    leaves: int | None


class Snapshot(NamedTuple):
    """After some step: which replicas still train (R',), their theta (R', P) and state (R', S), float64 on the host."""

    rows: np.ndarray
    theta: np.ndarray
    state: np.ndarray


class Interval(NamedTuple):
    """Steps between two snapshots: of this epoch, from step `first` up to `stop`, all from 0; `ends` it the epoch?"""

    epoch: int
    first: int
    stop: int
    ends: bool


@dataclass(eq=False)
class Seen:
    """The record of one training.

    Attributes
    ----------
    level
        Level of execution.
    twin
        The network as it was before, in float64 on NumPy.
    dtype
        Floating-point type of the network that ran.
    recipe, strategy
        Recipe and strategy of this training.
    number
        Which of the plan's trainings it is, from 0; of a stage that the strategy trains before them, minus its number.
    orders
        For each epoch the samples of each replica, (E, R, n).
    mirrored
        For each epoch which of them were mirrored, (E, R, n); None: none.
    start, snapshots, intervals
        The weights before, and after each interval.
    streams
        States of the generators of the layers' masks before.
    figures
        Name -> (E, R), of the history.
    left
        Who left after which epoch, from 0.
    complaints
        Complaints besides those about the weights that the steps made.
    """

    level: str
    twin: Network
    dtype: np.dtype
    recipe: Recipe
    strategy: Strategy
    number: int
    orders: np.ndarray
    mirrored: np.ndarray | None
    start: Snapshot
    streams: list[Any]
    snapshots: list[Snapshot]
    intervals: list[Interval]
    figures: dict[str, np.ndarray]
    left: tuple[int, int] | None
    complaints: list[str]

    @property
    def steps(self) -> int:
        """Number of steps of an epoch."""
        return -(-self.orders.shape[2] // int(self.recipe.batch_size or 0))


def twin_of(network: Network, dtype: str | np.dtype = "float64", backend: str | Backend = "numpy") -> Network:
    """The same network, at the same point, in other memory."""
    twin = Network(
        network.layers,
        network.n_inputs,
        replicas=network.replicas,
        backend=backend,
        dtype=dtype,
        rng=list(network.seeds),
    )
    host, put = network.backend.to_host, twin.backend.asarray
    twin.theta[...] = put(host(network.theta).astype(twin.dtype))
    twin.state[...] = put(host(network.state).astype(twin.dtype))
    twin.link = network.link
    for mine, theirs in zip(twin.streams, network.streams, strict=True):
        mine.bit_generator.state = copy.deepcopy(theirs.bit_generator.state)
    return twin


class Watched(Trainer):
    """A trainer that notes the weights after each step that is called for by a batch, and after each epoch."""

    def watch(self) -> None:
        """From now on."""
        self.snapshots: list[Snapshot] = []
        self.intervals: list[Interval] = []

    def snapshot(self) -> Snapshot:
        """Take a snapshot of the present state."""
        host, live, places = self.live.backend.to_host, self.live, self.places
        return Snapshot(
            self.rows.copy(), host(live.theta)[places].astype(float), host(live.state)[places].astype(float)
        )

    def epoch_batches(self) -> Iterator[Batch]:
        """See `Trainer`."""
        epoch, steps = len(self.history), self.batches.steps
        for s, batch in enumerate(super().epoch_batches()):
            yield batch
            self.intervals.append(Interval(epoch, s, s + 1, s + 1 == steps))
            self.snapshots.append(self.snapshot())

    def run_epoch(self, *arguments: Any) -> dict[str, Any]:
        """See `Trainer`."""
        epoch, steps, before = len(self.history), self.batches.steps, len(self.intervals)
        record = super().run_epoch(*arguments)
        if len(self.intervals) == before:
            self.intervals.append(Interval(epoch, 0, steps, True))
            self.snapshots.append(self.snapshot())
        return record


def draw_orders(plan: Plan, B: int, epochs: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Each epoch's samples of each replica (E, R, n), as its own generator orders them, and which are mirrored."""
    n, streams = plan.samples.n, [stream(seed, "shuffle") for seed in plan.seeds]
    orders, mirrored = [], []
    for _ in range(epochs):
        row, flips = [], []
        for r, generator in enumerate(streams):
            order = np.arange(n) if n == B else generator.permutation(n)
            if plan.recipe.flip:
                flips.append(generator.random(n, dtype=np.float32) < plan.recipe.flip)
            row.append(order if plan.samples.train_rows is None else plan.samples.train_rows[r][order])
        orders.append(np.stack(row))
        mirrored.append(flips)
    return np.stack(orders), np.array(mirrored) if plan.recipe.flip else None


def observe(plan: Plan, level: str, dtype: str) -> list[Seen]:
    """Run all of a plan at one level; raises `ConfigError` where that level can't run it."""
    network = twin_of(plan.network, dtype, plan.network.backend)
    seen: list[Seen] = []

    def train_stage(grown: Network, strategy: Strategy, epochs: int) -> None:
        recipe = replace(plan.recipe, strategy=strategy, epochs=epochs)
        seen.append(train(plan, grown, level, recipe, -len(seen) - 1))

    get_strategy(plan.recipe.strategy).prepare(network, train_stage)
    if seen:
        told = stages_handed_on(seen, network)
        seen[-1].complaints.extend(told)
    last = len(plan.batch_sizes) - 1
    for k, B in enumerate(plan.batch_sizes):
        leaves = plan.leaves if k == last else None
        seen.append(train(plan, network, level, replace(plan.recipe, batch_size=B), k, leaves))
    return seen


def train(plan: Plan, network: Network, level: str, recipe: Recipe, number: int, leaves: int | None = None) -> Seen:
    """One training of a network, watched."""
    twin = twin_of(network)
    recipe = replace(recipe, execution=level)
    orders, mirrored = draw_orders(plan, int(recipe.batch_size or 0), recipe.epochs)
    trainer = Watched(network, plan.loss, plan.optimizer, plan.samples, recipe, rng=list(plan.seeds))
    return watch(trainer, twin, number, orders, mirrored, leaves)


def watch(
    trainer: Watched,
    twin: Network,
    number: int,
    orders: np.ndarray,
    mirrored: np.ndarray | None = None,
    leaves: int | None = None,
    epochs: int | None = None,
) -> Seen:
    """Run a trainer to its end, or for some epochs, and say what was seen."""
    trainer.watch()
    start, network, recipe, left = trainer.snapshot(), trainer.network, trainer.recipe, None
    streams = [copy.deepcopy(generator.bit_generator.state) for generator in network.streams]
    try:
        while not trainer.done and len(trainer.history) != epochs:
            trainer.run_epoch()
            if leaves is not None and left is None and len(trainer.rows) > 1 and not trainer.done:
                left = len(trainer.history) - 1, leaves
                trainer.narrow(np.flatnonzero(trainer.rows != leaves))
    except DivergenceError:
        pass
    level = trainer.execution.name
    history = trainer.finish()
    shape = len(history), network.replicas  # of one replica, a history gives (E,)
    figures = {name: history[name].reshape(shape) for name in ("lr", "train_loss", "train_cost", "grad_norm")}
    seen = Seen(
        level,
        twin,
        network.dtype,
        recipe,
        trainer.strategy,
        number,
        orders,
        mirrored,
        start,
        streams,
        trainer.snapshots,
        trainer.intervals,
        figures,
        left,
        [],
    )
    seen.complaints.extend(weights_handed_over(seen, network, history.status))
    return seen


def levels_of(names: Sequence[str] | None) -> tuple[tuple[str, ...], bool]:
    """The levels to try, and whether each has to be possible."""
    from ...training.execution import LEVELS

    every = tuple(level for level in LEVELS if level != "auto")
    if names is None:
        return every, False
    unknown = [name for name in names if name not in every]
    if unknown:
        raise ConfigError(f"training_test: expected levels among {', '.join(every)}, got {unknown[0]!r}")
    return tuple(names), True
