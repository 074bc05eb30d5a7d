"""The state of a training run, and its epochs: batches in, theta moved, one host read an epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..backends.arrays import Array
from ..history import History, divergence
from ..nn.buffers import cut
from ..nn.losses import Loss
from ..nn.network import Network
from ..optim.optimizer import Optimizer
from ..optim.schedules import get_schedule
from ..optim.stages import GradientMask
from ..optim.strategies import get_strategy
from ..replicas import Seeds, replica_seeds, replica_values, shared_streams
from .augmentation import get_flips
from .batches import Batch, InOrder, Shuffled
from .best import Kept
from .execution import get_execution
from .memory import check_memory
from .recipe import SCORE, Recipe
from .riding import follow, may_ride
from .samples import Samples
from .state import State
from .step import BoundStep
from .stopping import Stopping
from .streaming import place_samples
from .validation import Evaluation, means, not_finite, spreads


class Trainer:
    """The state of one run: which replicas are still training, and everything that belongs to them.

    `network` is the user's, with all R replicas; `rows` are those that still train. `live` holds them, and shrinks; for
    a while others may ride along (see `riding`): `riders` are all in `live`, `places` those of `rows` among them. Of
    five, say, 1 and 4 have left, and 4 only rides along: ``rows`` is [0, 2, 3], `live` a stack of four, `riders`
    [0, 2, 3, 4] and `places` [0, 1, 2]. Then 0 leaves too, and rides: `rows` is [2, 3] and `places` [1, 2].

    Parameters
    ----------
    network, loss, optimizer
        See `fit`.
    samples
        Samples to train and to validate on.
    recipe
        The settings. As an attribute it is that of the replicas that still train, with all that depended on samples.
    rng
        Seeds of the order of the data; None: the network's own seeds.
    shuffles
        In place of `rng`: for each replica an object whose ``permutation(n)`` is its next order.
    scorer
        For ``monitor="score"``: scores (R',) of the replicas `rows` (R',) by their validation outputs (R', N, O).
    history
        To go on with; None: a new one.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        samples: Samples,
        recipe: Recipe,
        *,
        rng: Seeds | None = None,
        shuffles: Sequence[Any] | None = None,
        scorer: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
        history: History | None = None,
    ):
        self.recipe = recipe.check(network, loss, samples, scored=scorer is not None)
        self.network, self.task, self.scorer = network, samples.task, scorer
        self.asked_loss = loss.balanced_by(samples.train.y, samples.n_outputs)
        R = network.replicas
        self.schedule = get_schedule(recipe.schedule).bind(R)
        self.strategy, self.flips = get_strategy(recipe.strategy), get_flips(recipe.flip, samples)
        self.train, self.val = place_samples(network, samples, self.recipe.device_memory)
        self.monitor, self.batch_size = str(self.recipe.monitor), int(self.recipe.batch_size or 0)  # `check` set both
        self._spread = spreads(loss, samples, R)
        seeds = network.seeds if rng is None else replica_seeds(rng, R)
        self.shuffles = shared_streams(seeds, "shuffle") if shuffles is None else list(shuffles)
        self.history = History(R) if history is None else history
        self.live, self.rows, self.riders, self.places = network, *(np.arange(R) for _ in range(3))
        self.ages = np.full(R, len(self.history))  # epochs that each replica has behind it
        check_memory(self, optimizer)
        self.optimizer = optimizer.bind(network)
        self.stopping = Stopping(self.recipe, R)
        self._bind()
        self.kept = Kept(network)
        network.link = self.loss.link

    def _bind(self) -> None:
        """Everything that depends on which replicas are alive."""
        live, xp, R = self.live, self.live.backend.xp, self.live.replicas
        self.loss = self.asked_loss.bind(live, self.task)
        self.penalty = self.recipe.any_penalty().bind(live)
        self.lr = replica_values("lr", self.optimizer.hyper["lr"], R)
        self.batches = Shuffled(live.backend, self.train, self.batch_size, self.shuffles)
        self._ahead: list[tuple[np.ndarray, Array]] = []  # rates and columns of epochs to come, the next one last
        shapes = {"sums": (self.batches.steps, R, 3, 1), "norm": (R, 1, 1), "cost": (R, 1), "not_finite": (R,)}
        if self.val is not None:
            batches = InOrder(live.backend, self.val, min(self.batch_size, self.val.n))
            self.validation = Evaluation(live, self.loss, batches)
            shapes["validated"] = (batches.steps, R, 3, 1)
        # What the host wants to know of an epoch lies in one array, which it reads once.
        self._told = xp.zeros(sum(map(math.prod, shapes.values())), dtype=live.dtype)
        self._shapes, self._device = shapes, cut(self._told, shapes)
        self.sums, self.norm = self._device["sums"], self._device["norm"]
        limit = self.recipe.clip_norm
        self.clip = None if limit is None else live.per_replica("clip_norm", limit)
        self.step = BoundStep(live, self.loss, self.optimizer, self.penalty, self.clip, self.norm)
        self._mask = GradientMask(live)
        self.execution = get_execution(self.recipe.execution, self)
        self.history.execution, self.network.compiled = self.execution.name, self.execution.name == "compiled"

    # -- one epoch ---------------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether no replica has an epoch left, or one that trains next to others has none."""
        return len(self.rows) == 0 or int(self.ages[self.places].max()) >= self.recipe.epochs

    def run_epoch(self, on_leave: Callable[[], None] | None = None) -> dict[str, Any]:
        """Train one epoch, validate, and let those leave that are finished or diverged.

        Where no replica will be left, `on_leave` is called before, while all is still as training left it. Other
        threads that want to predict by the network wait for the epoch's end.
        """
        with self.network.exclusive():
            return self._run_epoch(on_leave)

    def _run_epoch(self, on_leave: Callable[[], None] | None) -> dict[str, Any]:
        started = time.perf_counter()
        self._begin_turn()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            lr = self._plan()
            self.execution.run_steps(self)
            self.optimizer.steps = self.optimizer.steps + self.batches.steps
            self.history.execution = self.execution.name  # a graph that can't be captured is run step by step
            figures, sums, finite = self._figures(lr)
        some = len(self.places) < len(self.riders)
        told = {name: values[self.places] for name, values in figures.items()} if some else figures
        record = self.history.add(told, self.rows, self.train.n, time.perf_counter() - started)
        self.ages += 1
        leaving = self._judge(figures, sums, finite)
        if leaving.any():
            self._let_go(np.flatnonzero(~leaving), on_leave)
            if all(status == "diverged" for status in self.history.status):
                raise divergence(self.history, sums, lr)
        return record

    def _begin_turn(self) -> None:
        """Let the strategy begin its turn for the coming epoch."""
        epoch = len(self.history)
        if self.strategy.restarts(epoch):
            self.optimizer.reset()
            self._ahead.clear()
        self.step.mask = self._mask if self.strategy.set_mask(self._mask, epoch) else None

    def _plan(self) -> np.ndarray:
        """Learning rates (S, R) of the epoch's steps, and `columns` of them, for as many epochs as are known."""
        S, R = self.batches.steps, len(self.riders)
        if not self._ahead:
            rates = self.lr * self.schedule.ahead(self.ages, S, self.recipe.epochs)
            table = self.optimizer.columns(rates.reshape(-1, R))
            self._ahead = [(rates[k], table[:, S * k : S * (k + 1)]) for k in reversed(range(len(rates)))]
        rates, self.columns = self._ahead.pop()
        return rates

    def epoch_batches(self) -> Iterable[Batch]:
        """The batches of the next epoch."""
        return self.flips.epoch(self.batches) if self.flips else self.batches.epoch()

    def _figures(self, lr: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """The epoch's figures (R,), the sums of every step (S, R, 3), and whose weights are finite (R,)."""
        live, device = self.live, self._device
        xp = live.backend.xp
        outputs = None
        if self.val is not None:
            if self.scorer is not None:
                outputs = np.empty((live.replicas, self.val.n, live.n_outputs), live.dtype)
            keep = None if outputs is None else lambda rows, values: np.copyto(outputs[:, rows], values)
            self.execution.validate(self.validation, device["validated"], keep)
        if self.penalty.active:
            xp.copyto(device["cost"], self.penalty.value(self.train.n))
        xp.copyto(device["not_finite"], not_finite(live.theta))
        told = cut(live.backend.to_host(self._told).astype(float), self._shapes)
        cost, sums = told["cost"][:, 0], told["sums"][..., 0]
        figures = {"lr": lr[-1], "grad_norm": told["norm"][:, 0, 0]}
        for part, spread in self._spread.items():
            loss, accuracy = means(sums if part == "train" else told["validated"][..., 0])
            figures |= {f"{part}_loss": loss, f"{part}_cost": loss + cost, f"{part}_accuracy": accuracy}
            figures[f"{part}_r2"] = 1 - loss / spread[self.riders]
        if self.scorer is not None and outputs is not None:
            figures[SCORE] = np.full(len(self.riders), np.nan)
            figures[SCORE][self.places] = self.scorer(outputs[self.places], self.rows)
        return figures, sums, told["not_finite"] == 0

    # -- who goes on ---------------------------------------------------------------------------------------------------

    def _judge(self, figures: dict[str, np.ndarray], sums: np.ndarray, finite: np.ndarray) -> np.ndarray:
        """Keep the weights worth keeping; which of `rows` have diverged or lost their patience, and leave."""
        good = finite & np.logical_and.reduce(np.isfinite(sums[:, :, 0]))
        if len(self.places) < len(self.riders):
            good &= np.isin(np.arange(len(good)), self.places)
        loss = self.stopping.loss(figures[self.monitor], good)
        better = self.stopping.better(loss)
        self.history.best_epoch[self.riders[better]] = self.ages[better]
        self.kept.keep(self.live, self.riders, better if self.recipe.keep_best else good)
        self.schedule.update(loss)
        leaving = (~good | self.stopping.over)[self.places]
        for i in np.flatnonzero(leaving):
            self.history.status[self.rows[i]] = "stopped" if good[self.places[i]] else "diverged"
        return leaving

    def _let_go(self, stay: np.ndarray, on_leave: Callable[[], None] | None) -> None:
        """Go on with `stay` of `rows`: in a stack of their own, where that is worth it."""
        if not len(stay) and on_leave is not None:
            on_leave()
        left, sound = len(self.riders) - len(stay), all(self.history.status[r] != "diverged" for r in self.riders)
        if len(stay) and sound and may_ride(self.live, self.flips, self.batch_size, left):
            self.rows, self.places = self.rows[stay], self.places[stay]
            follow(self.batches, self.places)
        else:
            self.narrow(stay)

    def narrow(self, stay: np.ndarray) -> None:
        """Go on with `stay` of `rows`, in a stack of their own; the others' kept weights are in the user's network."""
        stay = self.places[stay]
        self.rows = self.riders = self.riders[stay]
        self.places, self.ages = np.arange(len(stay)), self.ages[stay]
        if len(stay) == 0:
            self.kept.settle()
            return
        # First let go of what is not needed: for a while there are a stack and its successor.
        self.live.release()
        del self.loss, self.penalty, self.batches, self.step, self._mask, self.execution
        if self.val is not None:
            del self.validation
        self.live = self.live.select(stay, successor=True)
        self.kept.settle()
        self.optimizer = self.optimizer.select(stay, self.live, successor=True)
        self.asked_loss, self.recipe = self.asked_loss.select(stay), self.recipe.select(stay, self.history.execution)
        self.schedule = self.schedule.select(stay)
        self.shuffles = [self.shuffles[i] for i in stay]
        self.train, self.val = self.train.select(stay), None if self.val is None else self.val.select(stay)
        self.stopping.select(stay)
        self._bind()

    def settle(self) -> None:
        """Let nobody ride along: `live` and what belongs to it are those of `rows`, in this order."""
        if 0 < len(self.rows) < len(self.riders):
            self.narrow(np.arange(len(self.rows)))

    def stop(self) -> None:
        """Let every replica leave now."""
        self._end("stopped")

    def finish(self) -> History:
        """Give the user's network the weights of those that ran to the end; the run's history."""
        self._end("finished")
        return self.history

    def _end(self, status: str) -> None:
        for r in self.rows:
            self.history.status[r] = status
        with self.network.exclusive():
            self.settle()
            if self.recipe.keep_best:
                self.kept.settle()
            elif self.live is not self.network:
                self.kept.write(self.live, self.rows, np.ones(len(self.rows), bool))
            self.rows = self.places = self.rows[:0]
            self.network.release()  # its buffers know the training data

    # -- its state between two epochs --------------------------------------------------------------------------------

    def state(self, history: bool = True) -> State:
        """Return the state that determines the rest of the run, on the host; with its history, if `history`."""
        with self.network.exclusive():  # of threads that predict
            self.settle()
            return State.of(self, history)

    def restore(self, state: State) -> None:
        """Go on from a state of the same run; this trainer has not trained yet."""
        state.put_back(self)
