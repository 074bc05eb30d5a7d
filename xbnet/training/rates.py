"""Which learning rate? A hundred of them at once, each in a replica of its own, for a few hundred steps."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Unpack

import numpy as np

from ..backends.arrays import ArrayLike
from ..datasets import Dataset, Part
from ..errors import ConfigError, DivergenceError
from ..nn.losses import Loss, get_loss
from ..nn.network import Network
from ..optim.optimizer import Optimizer
from ..optim.optimizers import get_optimizer
from ..parsing import check_keys, number, whole
from ..plots import new_figure
from ..replicas import Seeds, replica_seeds
from .recipe import Recipe, Settings, check_network
from .samples import Data, Samples, check_data
from .trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPAN = 1000.0
"""By default the rates reach from the optimizer's usual rate divided by this to that times it."""
EPOCHS = 5
"""At least this many passes are made, over fewer rows where there are many: the last one tells."""
NEAR = 1.35
"""The figure of a rate is the median of those that differ by this factor at most: of a hundred rates five."""
MOST = 5.0
"""A picture ends at this many times the figure of the smallest rate."""
SAFE = 2.0
"""The proposal is the best rate divided by this."""
STACK = 1 << 28
"""Bytes of weights, gradients and states of a stack; what goes beyond it comes in several."""
NOT_TAKEN = ("epochs", "patience", "schedule", "monitor", "keep_best", "tol", "strategy")


@dataclass(frozen=True, eq=False)
class Rates:
    """The result of `find_lr`.

    Attributes
    ----------
    lr
        The rate that it proposes.
    rates
        (K,) those that were tried, from the least to the largest.
    losses
        (K,) the figure after the last step; NaN where the network diverged.
    figure
        Name of the figure in `losses`: "val_loss", or "train_loss" without a validation part.
    steps
        Number of steps of each network.
    """

    lr: float
    rates: np.ndarray
    losses: np.ndarray
    figure: str
    steps: int

    def __repr__(self) -> str:
        tried = f"{len(self.rates)} rates from {self.rates[0]:.3g} to {self.rates[-1]:.3g}"
        return f"Rates(lr={self.lr:.3g}, of {tried}, {self.steps} steps each)"

    def plot(self) -> Figure:
        """The figure against the rate, the proposal, and crosses where networks diverged: a `matplotlib` figure."""
        figure, axes = new_figure(width=6.0, height=3.8)
        axis, known = axes[0, 0], np.isfinite(self.losses)
        least, most = self.losses[known].min(), min(self.losses[known].max(), MOST * self.losses[known][0])
        line = smoothed(self.rates, self.losses)
        shown = np.where(np.isfinite(line), line, np.nan)
        axis.plot(self.rates[known], self.losses[known], ".", color="#7f7f7f", ms=5, label="each rate")
        axis.plot(self.rates, shown, color="#1f77b4", lw=1.5, label="median of neighbours")
        if not known.all():
            axis.plot(self.rates[~known], np.full((~known).sum(), most), "x", color="#d62728", ms=5, label="diverged")
        axis.axvline(self.lr, color="#2ca02c", ls="--", label=f"proposal {self.lr:.3g}")
        axis.set_xscale("log")
        if least > 0 and most > 30 * least:
            axis.set_yscale("log")
        axis.set_ylim(top=most + 0.05 * (most - least))
        axis.set(xlabel="learning rate", ylabel=f"{self.figure.replace('_', ' ')} after {self.steps} steps")
        axis.grid(alpha=0.3)
        axis.legend(frameon=False, fontsize=8)
        return figure

    def describe(self) -> str:
        """Describe the rates tried and the proposal, in a line."""
        k = int(np.argmin(smoothed(self.rates, self.losses)))
        bad = self.rates[~np.isfinite(self.losses)]
        diverged = f"; from {bad[0]:.3g} on networks diverged" if len(bad) else ""
        rim = {0: "; it is the least: try smaller ones", len(self.rates) - 1: "; it is the largest: try larger ones"}
        return (
            f"lr={self.lr:.3g}, half of the best of {len(self.rates)} rates from {self.rates[0]:.3g} to "
            f"{self.rates[-1]:.3g} after {self.steps} steps, {self.rates[k]:.3g} "
            f"({self.figure} {self.losses[k]:.4g}){diverged}{rim.get(k, '')}"
        )


def find_lr(
    network: Network,
    loss: str | Loss,
    optimizer: str | Optimizer,
    data: Data,
    *,
    rates: int | Sequence[float] = 100,
    steps: int = 300,
    rng: Seeds | None = None,
    sample_weight: ArrayLike | None = None,
    **settings: Unpack[Settings],
) -> Rates:
    """Train copies of a network, each with a learning rate of its own, and propose one of the rates.

    All copies begin with the same weights, and see the same batches. It differs from the range test of Smith
    (*Cyclical learning rates for training neural networks*, 2017), which raises the rate of a single network from step
    to step: there each rate meets the weights that smaller ones have left, and acts for a step only; here each
    has a network of its own, from the first step to the last, and one that diverges takes no other with it.

    The proposal is half the rate that is best after these steps, by medians of neighbours: runs ten times as long had
    their best at smaller rates. (On fifteen pairs of data and optimizer the proposal then lost 0.6 % of what there was
    to gain on the mean, and 2.5 % at most; that best rate itself 2.4 % and 15 %.)

    Parameters
    ----------
    network
        Its first replica's weights and seeds are where all copies begin. It stays as it is.
    loss, optimizer, data, rng, sample_weight
        The same as in `fit`; the optimizer's own rate plays no part.
    rates
        How many, evenly by logarithms over six decades around the optimizer's usual rate; or the rates, > 0.
    steps
        About this many steps of each copy; from a large data set a part is taken, so that there are several passes.
    **settings
        The same as in `fit`: batch_size, l2, l1, clip_norm, flip, execution and device_memory.

    Returns
    -------
    Rates

    Raises
    ------
    ConfigError, DataError, ShapeError
        Settings or data that don't fit together; or all networks diverged.

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network(xbnet.mlp((8,), 5), n_inputs=5, rng=0)
    >>> found = xbnet.find_lr(network, "cross_entropy", "sgd", "gmm", rates=20, steps=50)
    >>> 0.01 < found.lr < 100
    True
    """
    check_network(network)
    check_keys("find_lr", settings, [key for key in Settings.__annotations__ if key not in NOT_TAKEN])
    steps = whole("find_lr", "steps", steps)
    asked = get_optimizer(optimizer)
    tried = rates_around(rates, asked)
    if isinstance(data, str):
        from ..datasets import load_dataset

        data = load_dataset(data)
    found, weight = check_data(data, "find_lr"), sample_weight
    balanced = get_loss(loss).balanced_by(found.train.y, found.n_outputs)  # by all rows, not by those that are taken
    recipe = Recipe(**settings).check(network, balanced, Samples.of(found, sample_weight=sample_weight))
    B = int(recipe.batch_size or 0)
    seeds = network.seeds if rng is None else replica_seeds(rng, network.replicas)
    few, rows = _some(found, max(1, steps // EPOCHS) * B, np.random.default_rng(seeds[0]))
    if weight is not None:
        weight = np.asarray(weight, float)[rows]
    samples = Samples.of(few, sample_weight=weight)
    return try_rates(
        network, balanced, asked, samples, replace(Recipe(**settings), batch_size=B), tried, steps, seeds[0]
    )


def try_rates(
    network: Network,
    loss: Loss,
    optimizer: Optimizer,
    samples: Samples,
    recipe: Recipe,
    rates: np.ndarray,
    steps: int,
    seed: np.random.SeedSequence,
) -> Rates:
    """Train a copy of the network's first replica by each of the rates (K,), for about so many steps.

    Parameters
    ----------
    network, loss, optimizer, samples
        Those of the run.
    recipe
        Its settings, with a batch size; neither epochs nor patience count.
    rates
        (K,) in rising order.
    steps
        Of each copy.
    seed
        Of the orders.
    """
    per_epoch = -(-samples.n // int(recipe.batch_size or 0))
    epochs = max(EPOCHS, round(steps / per_epoch))
    recipe = replace(recipe, epochs=epochs, monitor=None, patience=None)
    size = max(1, STACK // max(1, network.theta.nbytes // network.replicas * 6))
    losses = [
        _train(network, loss, optimizer, rates[i : i + size], samples, recipe, seed) for i in range(0, len(rates), size)
    ]
    figure = "val_loss" if samples.validated else "train_loss"
    curves = np.concatenate([one[figure] for one in losses])
    return Rates(_proposal(rates, curves), rates, curves, figure, epochs * per_epoch)


def rates_around(rates: int | Sequence[float], optimizer: Optimizer) -> np.ndarray:
    """So many rates (K,), evenly by logarithms around the usual rate of an optimizer; or the given ones, sorted."""
    if isinstance(rates, (int, np.integer)):
        usual = float(np.ravel(type(optimizer)().hyper["lr"])[0])
        return np.geomspace(usual / SPAN, usual * SPAN, whole("find_lr", "rates", rates, least=2))
    found = np.array(sorted(number("find_lr", "rates", one, "(0, inf)") for one in rates))
    if len(found) < 2:
        raise ConfigError(f"find_lr: expected at least two rates, got {rates!r}")
    return found


def _some(data: Dataset, n: int, rng: np.random.Generator) -> tuple[Dataset, np.ndarray]:
    """At most n rows of the training part, and as many to validate on; and which rows of the former."""
    rows = np.arange(len(data.train))
    if len(rows) > n:
        rows = np.sort(rng.choice(len(rows), n, replace=False))
    train = Part(data.train.x[rows], data.train.y[rows])
    val = data.val
    if val is not None and len(val) > n:
        chosen = np.sort(rng.choice(len(val), n, replace=False))
        val = Part(val.x[chosen], val.y[chosen])
    return replace(data, train=train, val=val, test=None, partial=True), rows


def _train(
    network: Network,
    loss: Loss,
    optimizer: Optimizer,
    rates: np.ndarray,
    samples: Samples,
    recipe: Recipe,
    seed: np.random.SeedSequence,
) -> dict[str, np.ndarray]:
    """The last figures (K,) of copies of the network, each with its rate."""
    stack = network.select(np.zeros(len(rates), int))
    twin = copy.copy(optimizer)
    twin.hyper = {**optimizer.hyper, "lr": rates}
    trainer = Trainer(stack, loss.select(np.zeros(len(rates), int)), twin, samples, recipe, rng=[seed] * len(rates))
    try:
        while not trainer.done:
            trainer.run_epoch()
        history = trainer.finish()
    except DivergenceError as error:
        history = error.history
    last = history.records[-1]
    diverged = np.array([status == "diverged" for status in history.status])
    return {name: np.where(diverged, np.nan, last[name]) for name in ("train_loss", "val_loss")}


def _proposal(rates: np.ndarray, losses: np.ndarray) -> float:
    """Return the rate that is best by its neighbourhood, on the safe side."""
    if not np.isfinite(losses).any():
        raise ConfigError(f"find_lr: all networks diverged at rates from {rates[0]:.3g} on; try smaller ones")
    return float(rates[int(np.argmin(smoothed(rates, losses)))]) / SAFE


def smoothed(rates: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Medians (K,) of neighbours; what diverged counts as infinitely bad."""
    known, logs = np.where(np.isfinite(losses), losses, np.inf), np.log(rates)
    near = np.abs(logs[:, None] - logs) <= np.log(NEAR)
    return np.array([np.median(known[row]) for row in near])
