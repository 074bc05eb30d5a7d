"""The state of a training run, and its epochs: batches in, theta moved, one host read an epoch."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from ..history import MORE_IS_BETTER, PER_REPLICA, History, divergence
from ..nn.buffers import cut
from ..nn.losses import Loss
from ..nn.network import Network
from ..optim.optimizers import Optimizer
from ..optim.penalties import Penalty
from ..optim.schedules import Schedule
from ..optim.strategies import Strategy, Turn
from ..replicas import replica_seeds, replica_values, select_values, shared_streams
from .augmentation import get_flips
from .batches import Batch, InOrder, Shuffled
from .best import Kept
from .checks import check_fit
from .evaluation import means, spreads, sum_batches
from .execution import get_execution
from .step import Steps
from .streaming import place

SCORE = "score"
"""The monitored figure that a `scorer` gives."""
RATES_AHEAD = 512
"""Learning rates of all replicas together that are planned at once where they stay as they are."""
FINITE_AT_ONCE = 1 << 14
"""Weights of all replicas together that are asked at once whether they are finite."""


class Trainer:
    """The state of one run: which replicas are still training, and everything that belongs to them.

    `network` is the user's, with all R replicas; `live` holds those that still train (`rows` says which). At
    first they are the same; when replicas leave, `live` shrinks, and so does the work.

    `fit` says what the arguments mean. Here replicas may also have data of their own:

    train_rows, val_rows
        Row numbers of ``data.train`` for each replica to train on, and to be validated on, see `Resident.rows`;
        None: the data set's own parts.
    scorer
        Scores (R',), the higher the better, of the replicas `rows` (R',) by their outputs (R', N, O) on the validation
        part, on the host; ``monitor="score"`` watches them.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        data: Any,
        *,
        epochs: int,
        batch_size: int | None,
        rng: Any,
        schedule: Schedule,
        penalty: Penalty,
        clip_norm: Any,
        patience: int | None,
        monitor: str | None,
        sample_weight: Any,
        val_weight: Any = None,
        tol: float = 0.0,
        keep_best: bool | None = None,
        shuffles: Sequence[Any] | None = None,
        train_rows: Sequence[np.ndarray] | None = None,
        val_rows: Sequence[np.ndarray] | None = None,
        strategy: Strategy | None = None,
        flip: float = 0.0,
        execution: str = "auto",
        device_memory: Any = None,
        scorer: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    ):
        self.monitor = check_fit(
            network,
            loss,
            data,
            epochs,
            batch_size,
            clip_norm,
            patience,
            None if monitor == SCORE else monitor,
            sample_weight,
            n=len(data.train.x) if train_rows is None else len(train_rows[0]),
            validated=data.val is not None if train_rows is None else val_rows is not None,
        )
        self.scorer, self.monitor = scorer, SCORE if monitor == SCORE else self.monitor
        backend, dtype, R = network.backend, network.dtype, network.replicas
        self.network, self.epochs, self.patience = network, int(epochs), patience
        self.loss_settings, self.penalty_settings = loss, penalty
        self.schedule = schedule.bind(R)
        self.clip_norm = clip_norm
        self.task = data.task
        parts = [(data.train.x, data.train.y, sample_weight)]
        if train_rows is None and data.val is not None:
            parts.append((data.val.x, data.val.y, val_weight))
        self.train, *rest = place("fit", backend, dtype, parts, device_memory)
        self.val = rest[0] if rest else None
        if train_rows is not None:
            self.val = None if val_rows is None else self.train.weighted(val_weight).subsets(val_rows)
            self.train = self.train.subsets(train_rows)
        held = data.val if train_rows is None else data.train  # what `val_rows` are rows of
        self._spread = {"train": spreads(loss, self.task, data.train.y, sample_weight, train_rows, R)}
        if self.val is not None:
            self._spread["val"] = spreads(loss, self.task, held.y, val_weight, val_rows, R)
        self.tol, self.keep_best = tol, patience is not None if keep_best is None else keep_best
        self.batch_size = min(int(batch_size or self.train.n), self.train.n)
        seeds = network.seeds if rng is None else replica_seeds(rng, R)
        self.shuffles = shared_streams(seeds, "shuffle") if shuffles is None else list(shuffles)
        self.strategy, self.flips = strategy or Strategy(), get_flips(flip, data)
        self.asked_execution = execution
        self.history = History(R)
        self.rows = np.arange(R)
        self.live = network
        self.optimizer = optimizer.bind(network)
        self.best = np.full(R, np.inf)
        self.waited = np.zeros(R, dtype=int)
        self._bind()
        self.kept = Kept(network)
        network.link = self.loss.link

    def _bind(self) -> None:
        """Everything that depends on which replicas are alive."""
        live, xp = self.live, self.live.backend.xp
        R = live.replicas
        self.loss = self.loss_settings.bind(live, self.task)
        self.penalty = self.penalty_settings.bind(live)
        self.lr = replica_values("lr", self.optimizer.hyper["lr"], R)
        self.batches = Shuffled(live.backend, self.train, self.batch_size, self.shuffles)
        shapes = {"sums": (self.batches.steps, R, 3, 1), "norm": (R, 1, 1), "cost": (R, 1), "not_finite": (R,)}
        if self.val is not None:
            self.validation = InOrder(live.backend, self.val, min(self.batch_size, self.val.n))
            shapes["validated"] = (self.validation.steps, R, 3, 1)
        # What the host wants to know of an epoch lies in one array, which it reads once.
        self._told = xp.zeros(sum(map(math.prod, shapes.values())), dtype=live.dtype)
        self._shapes, self._device = shapes, cut(self._told, shapes)
        self.sums, self.norm = self._device["sums"], self._device["norm"]
        self.clip = None if self.clip_norm is None else live.per_replica("clip_norm", self.clip_norm)
        self._steps = Steps(live, self.loss, self.penalty, self.clip, self.norm)
        self.execution = get_execution(self.asked_execution, self)

    def before_end(self) -> None:
        """Called when no replica will be left, while all is still as training left it; for the caller to replace."""

    # -- one epoch ---------------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether no replica has an epoch left."""
        return len(self.rows) == 0 or len(self.history) >= self.epochs

    def run_epoch(self) -> dict[str, Any]:
        """Train one epoch, validate, and let those leave that are finished or diverged.

        Other threads that want to predict by the network wait for the epoch's end.
        """
        with self.network._lock:
            return self._run_epoch()

    def _run_epoch(self) -> dict[str, Any]:
        started = time.perf_counter()
        R_live = len(self.rows)
        turn = self._turn()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            lr = self._plan()
            self.execution.run_steps(self, turn)
            figures, sums, finite = self._figures(lr)
        seconds = time.perf_counter() - started
        record: dict[str, Any] = {"epoch": len(self.history) + 1}
        empty = np.full((len(PER_REPLICA), self.network.replicas), np.nan)
        for name, row in zip(PER_REPLICA, empty, strict=True):
            record[name] = row
            if name in figures:
                row[self.rows] = figures[name]
        record["seconds"] = seconds
        record["samples_per_second"] = self.train.n * R_live / seconds
        self.history.records.append(record)
        self._judge(figures, sums, finite, lr)
        return record

    def _turn(self) -> Turn | None:
        """What the strategy does in the coming epoch."""
        epoch = len(self.history)
        if self.strategy.restarts(epoch):
            self.optimizer = self.optimizer.bind(self.live)
        return self.strategy.turn(self.live, epoch)

    def _plan(self) -> np.ndarray:
        """Learning rates (S, R) of the epoch's steps, handed to the optimizer; those that stay, for many epochs."""
        S, constant = self.batches.steps, type(self.schedule) is Schedule
        if not (constant and self.optimizer.planned >= S):
            epochs = len(self.history) + np.arange(S)[:, None] / S
            self._rates = np.empty((S, len(self.rows)))
            self._rates[...] = self.lr * self.schedule.factors(epochs, self.epochs)
            ahead = max(1, RATES_AHEAD // self._rates.size) if constant else 1  # in a stack, planning costs little
            self.optimizer.plan(np.tile(self._rates, (ahead, 1)))
        return self._rates

    def epoch_batches(self) -> Iterable[Batch]:
        """The batches of the next epoch."""
        return self.flips.epoch(self.batches) if self.flips else self.batches.epoch()

    def steps(self, batches: Iterable[Batch], sums: Any, turn: Turn | None = None) -> None:
        """A step per batch, see `Steps.take`. `execution` says who calls it."""
        self._steps.take(self.optimizer, batches, sums, turn)

    def _figures(self, lr: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """The epoch's figures (R,), the sums of every step (S, R, 3), and whose weights are finite (R,)."""
        live, device = self.live, self._device
        xp = live.backend.xp
        outputs = None
        if self.val is not None:
            if self.scorer is not None:
                outputs = np.empty((live.replicas, self.val.n, live.n_outputs), live.dtype)
            keep = None if outputs is None else lambda rows, values: np.copyto(outputs[:, rows], values)
            sum_batches(live, self.loss, self.validation, device["validated"], keep)
        if self.penalty.active:
            xp.copyto(device["cost"], self.penalty.value(self.train.n))
        xp.copyto(device["not_finite"], self._not_finite())
        told = cut(live.backend.to_host(self._told).astype(float), self._shapes)
        cost, sums = told["cost"][:, 0], told["sums"][..., 0]
        loss, accuracy = means(sums)
        figures = {
            "lr": lr[-1],
            "train_loss": loss,
            "train_cost": loss + cost,
            "train_accuracy": accuracy,
            "train_r2": 1 - loss / self._spread["train"][self.rows],
            "grad_norm": told["norm"][:, 0, 0],
        }
        if self.val is not None:
            loss, accuracy = means(told["validated"][..., 0])
            figures |= {"val_loss": loss, "val_cost": loss + cost, "val_accuracy": accuracy}
            figures["val_r2"] = 1 - loss / self._spread["val"][self.rows]
            if self.scorer is not None and outputs is not None:
                figures[SCORE] = self.scorer(outputs, self.rows)
        return figures, sums, told["not_finite"] == 0

    # -- who goes on ---------------------------------------------------------------------------------------------------

    def _judge(self, figures: dict[str, np.ndarray], sums: np.ndarray, finite: np.ndarray, lr: np.ndarray) -> None:
        """Keep the weights worth keeping; let diverged and finished replicas leave."""
        good = np.isfinite(sums[:, :, 0]).all(axis=0) & finite
        metric = figures[self.monitor]
        sign = -1 if self.monitor.endswith((*MORE_IS_BETTER, SCORE)) else 1
        score = np.where(np.isfinite(metric), sign * metric, np.inf)
        better = good & (score < self.best)
        self.waited = np.where(better & (score <= self.best - self.tol), 0, self.waited + 1)
        self.best[better] = score[better]
        self.history.best_epoch[self.rows[better]] = len(self.history)
        self.kept.keep(self.live, self.rows, better if self.keep_best else good)
        self.schedule.update(np.where(good, score, np.inf))
        leaving = ~good if self.patience is None else ~good | (self.waited >= self.patience)
        if not leaving.any():
            return
        for i in np.flatnonzero(leaving):
            self.history.status[self.rows[i]] = "stopped" if good[i] else "diverged"
        if leaving.all():
            self.before_end()
        self.narrow(np.flatnonzero(~leaving))
        if all(status == "diverged" for status in self.history.status):
            raise divergence(self.history, sums, lr)

    def _not_finite(self) -> Any:
        """(R,) NaN where some of a replica's weights are not finite, else 0; some columns at a time, to save memory."""
        # 0 times infinity is NaN. For `isfinite` and `all` CuPy would compile a kernel from headers of CUDA's toolkit.
        theta = self.live.theta
        width = max(1, FINITE_AT_ONCE // len(theta))
        parts = [(theta[:, i : i + width] * 0.0).sum(axis=1) for i in range(0, max(1, theta.shape[1]), width)]
        return reduce(operator.add, parts)

    def narrow(self, stay: np.ndarray) -> None:
        """Go on with the live replicas `stay` only; the others' kept weights are in the user's network."""
        self.rows = self.rows[stay]
        if len(stay) == 0:
            self.kept.settle()
            return
        # First let go of what is not needed: for a while there are a stack and its successor.
        self.live.release()
        del self.loss, self.penalty, self.batches, self._steps, self.execution
        self.live = self.live.select(stay, successor=True)
        self.kept.settle()
        self.optimizer = self.optimizer.select(stay, self.live, successor=True)
        self.loss_settings = self.loss_settings.select(stay)
        self.penalty_settings = self.penalty_settings.select(stay)
        self.schedule = self.schedule.select(stay)
        self.clip_norm = None if self.clip_norm is None else select_values(self.clip_norm, stay)
        self.shuffles = [self.shuffles[i] for i in stay]
        self.train, self.val = self.train.select(stay), None if self.val is None else self.val.select(stay)
        self.best, self.waited = self.best[stay], self.waited[stay]
        self._bind()

    def stop(self) -> None:
        """Let every replica leave now."""
        self._end("stopped")

    def finish(self) -> History:
        """Give the user's network the weights of those that ran to the end; the run's history."""
        self._end("finished")
        self.history.execution = self.execution.name
        return self.history

    def _end(self, status: str) -> None:
        for r in self.rows:
            self.history.status[r] = status
        with self.network._lock:
            if self.keep_best:
                self.kept.settle()
            elif self.live is not self.network:
                self.kept.write(self.live, self.rows, np.ones(len(self.rows), bool))
            self.rows = self.rows[:0]
            self.network.release()  # its buffers know the training data
