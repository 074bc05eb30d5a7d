"""The state of a training run, and its epoch loop: batches in, theta moved, one host read an epoch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from .augmentation import get_flips
from .batches import InOrder, Resident, Shuffled
from .checks import check_fit
from .errors import DivergenceError
from .evaluation import evaluate_batches, means
from .history import PER_REPLICA, History
from .losses import Loss
from .network import Network
from .optimizers import Optimizer
from .penalties import Penalty
from .replicas import replica_seeds, replica_values, select_values, shared_streams
from .schedules import Schedule
from .strategies import Strategy, Turn


class Trainer:
    """The state of one run: which replicas are still training, and everything that belongs to them.

    `network` is the user's, with all R replicas; `live` holds those that still train (`rows` says which). At
    first they are the same; when replicas leave, `live` shrinks, and so does the work.

    `fit` says what the arguments mean. Here replicas may also have data of their own:

    train_rows, val_rows
        Row numbers of ``data.train`` for each replica to train on, and to be validated on, see `Resident.rows`;
        None: the data set's own parts.
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
    ):
        self.monitor = check_fit(
            network,
            loss,
            data,
            epochs,
            batch_size,
            clip_norm,
            patience,
            monitor,
            sample_weight,
            n=len(data.train.x) if train_rows is None else len(train_rows[0]),
            validated=data.val is not None if train_rows is None else val_rows is not None,
        )
        backend, dtype, R = network.backend, network.dtype, network.replicas
        self.network, self.epochs, self.patience = network, int(epochs), patience
        self.loss_settings, self.penalty_settings = loss, penalty
        self.schedule = schedule.bind(R)
        self.clip_norm = clip_norm
        self.task = data.task
        self.train = Resident(backend, dtype, data.train.x, data.train.y, sample_weight)
        self.val = None
        if train_rows is not None:
            self.val = None if val_rows is None else self.train.weighted(val_weight).subsets(val_rows)
            self.train = self.train.subsets(train_rows)
        elif data.val is not None:
            self.val = Resident(backend, dtype, data.val.x, data.val.y, val_weight)
        self.tol, self.keep_best = tol, patience is not None if keep_best is None else keep_best
        self.batch_size = min(int(batch_size or self.train.n), self.train.n)
        seeds = network.seeds if rng is None else replica_seeds(rng, R)
        self.shuffles = shared_streams(seeds, "shuffle") if shuffles is None else list(shuffles)
        self.strategy, self.flips = strategy or Strategy(), get_flips(flip, data)
        self.history = History(R)
        self.rows = np.arange(R)
        self.live = network
        self.optimizer = optimizer.bind(network)
        self.best = np.full(R, np.inf)
        self.waited = np.zeros(R, dtype=int)
        self._bind()
        self.kept = self.live.theta.copy(), self.live.state.copy()
        network.link = self.loss.link

    def _bind(self) -> None:
        """Everything that depends on which replicas are alive."""
        live, xp = self.live, self.live.backend.xp
        R = live.replicas
        self.loss = self.loss_settings.bind(live, self.task)
        self.penalty = self.penalty_settings.bind(live)
        self.lr = replica_values("lr", self.optimizer.hyper["lr"], R)
        self.batches = Shuffled(live.backend, self.train, self.batch_size, self.shuffles)
        if self.val is not None:
            self.validation = InOrder(live.backend, self.val, min(self.batch_size, self.val.n))
        self.sums = xp.zeros((self.batches.steps, R, 3, 1), dtype=live.dtype)
        self._norm = xp.zeros((R, 1, 1), dtype=live.dtype)
        self._scale = xp.zeros((R, 1), dtype=live.dtype)
        self.clip = None if self.clip_norm is None else live.per_replica("clip_norm", self.clip_norm)

    # -- one epoch ---------------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether no replica has an epoch left."""
        return len(self.rows) == 0 or len(self.history) >= self.epochs

    def run_epoch(self) -> dict[str, Any]:
        """Train one epoch, validate, and let those leave that are finished or diverged."""
        started = time.perf_counter()
        R_live = len(self.rows)
        turn = self._turn()
        lr = self._plan()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._steps(turn)
            figures, sums = self._figures(lr)
        seconds = time.perf_counter() - started
        record: dict[str, Any] = {"epoch": len(self.history) + 1}
        for name in PER_REPLICA:
            row = np.full(self.network.replicas, np.nan)
            row[self.rows] = figures.get(name, np.nan)
            record[name] = row
        record["seconds"] = seconds
        record["samples_per_second"] = self.train.n * R_live / seconds
        self.history.records.append(record)
        self._judge(figures, sums, lr)
        return record

    def _turn(self) -> Turn | None:
        """What the strategy does in the coming epoch."""
        epoch = len(self.history)
        if self.strategy.restarts(epoch):
            self.optimizer = self.optimizer.bind(self.live)
        return self.strategy.turn(self.live, epoch)

    def _plan(self) -> np.ndarray:
        """Learning rates (S, R) of the epoch's steps, handed to the optimizer."""
        S = self.batches.steps
        epochs = len(self.history) + np.arange(S)[:, None] / S
        lr = np.broadcast_to(self.lr * self.schedule.factors(epochs, self.epochs), (S, len(self.rows)))
        self.optimizer.plan(lr)
        return lr

    def _steps(self, turn: Turn | None) -> None:
        """The hot loop."""
        batches = self.flips.epoch(self.batches) if self.flips else self.batches.epoch()
        net, loss, optimizer, penalty, sums = self.live, self.loss, self.optimizer, self.penalty, self.sums
        for s, (x, y, w) in enumerate(batches):
            logits = net.forward(x, training=True)
            loss(logits, y, net.output_gradient, w)
            loss.sums(sums[s])
            net.backward()
            if penalty.active:
                penalty.add_gradient(loss)
            if turn is not None:
                turn.weigh()
            if self.clip is not None:
                self._clip()
            elif s == len(sums) - 1:
                self._gradient_norm()
            optimizer.step()
            if turn is not None:
                turn.hold()

    def _gradient_norm(self) -> Any:
        """Each replica's norm, (R, 1, 1)."""
        grad = self.live.grad[:, None, :]
        self.live.backend.linalg.bmm_nt(grad, grad, self._norm)
        return self.live.backend.xp.sqrt(self._norm, out=self._norm)

    def _clip(self) -> None:
        """Scale gradients that are longer than the limit down to it."""
        xp = self.live.backend.xp
        xp.maximum(self._gradient_norm()[:, 0], self.clip, out=self._scale)
        xp.divide(self.clip, self._scale, out=self._scale)
        xp.multiply(self.live.grad, self._scale, out=self.live.grad)

    def _figures(self, lr: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The epoch's figures (R,) and the sums of every step (S, R, 3), on the host."""
        to_host = self.live.backend.to_host
        penalty = self.penalty.value()
        sums = to_host(self.sums)[..., 0].astype(float)
        loss, accuracy = means(sums)
        cost = to_host(penalty)[:, 0].astype(float) if self.penalty.active else np.zeros(len(self.rows))
        figures = {
            "lr": lr[-1],
            "train_loss": loss,
            "train_cost": loss + cost,
            "train_accuracy": accuracy,
            "grad_norm": to_host(self._norm)[:, 0, 0].astype(float),
        }
        if self.val is not None:
            loss, accuracy = evaluate_batches(self.live, self.loss, self.validation)
            figures |= {"val_loss": loss, "val_cost": loss + cost, "val_accuracy": accuracy}
        return figures, sums

    # -- who goes on ---------------------------------------------------------------------------------------------------

    def _judge(self, figures: dict[str, np.ndarray], sums: np.ndarray, lr: np.ndarray) -> None:
        """Keep the weights worth keeping; let diverged and finished replicas leave."""
        good = np.isfinite(sums[:, :, 0]).all(axis=0) & self._finite()
        metric = figures[self.monitor]
        score = np.where(np.isfinite(metric), -metric if self.monitor.endswith("accuracy") else metric, np.inf)
        better = good & (score < self.best)
        self.waited = np.where(better & (score <= self.best - self.tol), 0, self.waited + 1)
        self.best[better] = score[better]
        self.history.best_epoch[self.rows[better]] = len(self.history)
        self._keep(better if self.keep_best else good)
        self.schedule.update(np.where(good, score, np.inf))
        stopped = np.zeros(len(good), bool)
        if self.patience is not None:
            stopped = good & (self.waited >= self.patience)
        for i in np.flatnonzero(~good):
            self.history.status[self.rows[i]] = "diverged"
        for i in np.flatnonzero(stopped):
            self.history.status[self.rows[i]] = "stopped"
        leaving = ~good | stopped
        if not leaving.any():
            return
        self._say_goodbye(leaving)
        if all(status == "diverged" for status in self.history.status):
            raise self._divergence(sums, lr)

    def _finite(self) -> np.ndarray:
        """Which replicas' weights are all finite, (R,)."""
        xp = self.live.backend.xp
        return self.live.backend.to_host(xp.isfinite(self.live.theta).all(axis=1))

    def _keep(self, which: np.ndarray) -> None:
        """Copy the weights and statistics of the replicas `which` (R,) to the kept ones."""
        where = self.live.backend.asarray(which[:, None])
        for kept, current in zip(self.kept, (self.live.theta, self.live.state), strict=True):
            self.live.backend.xp.copyto(kept, current, where=where)

    def _say_goodbye(self, leaving: np.ndarray) -> None:
        """Write the kept weights of the leaving replicas to the user's network, and shrink the stack."""
        self._deliver(leaving, self.kept)
        self.narrow(np.flatnonzero(~leaving))

    def narrow(self, stay: np.ndarray) -> None:
        """Go on with the live replicas `stay` only."""
        self.rows = self.rows[stay]
        if len(stay) == 0:
            return
        index = self.live.backend.asarray(stay)
        self.live.release()
        self.live = self.live.select(stay)
        self.optimizer = self.optimizer.select(stay, self.live)
        self.loss_settings = self.loss_settings.select(stay)
        self.penalty_settings = self.penalty_settings.select(stay)
        self.schedule = self.schedule.select(stay)
        self.clip_norm = None if self.clip_norm is None else select_values(self.clip_norm, stay)
        self.shuffles = [self.shuffles[i] for i in stay]
        self.train, self.val = self.train.select(stay), None if self.val is None else self.val.select(stay)
        self.best, self.waited = self.best[stay], self.waited[stay]
        self.kept = self.kept[0][index], self.kept[1][index]
        self._bind()

    def _deliver(self, which: np.ndarray, source: tuple[Any, Any]) -> None:
        """Copy rows of `source` (theta, state) of the live replicas `which` to the user's network."""
        backend = self.network.backend
        here = backend.asarray(np.flatnonzero(which))
        there = backend.asarray(self.rows[which])
        self.network.theta[there] = source[0][here]
        self.network.state[there] = source[1][here]

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
        everyone = np.ones(len(self.rows), bool)
        if len(self.rows) and (self.live is not self.network or self.keep_best):
            self._deliver(everyone, self.kept if self.keep_best else (self.live.theta, self.live.state))
        self.rows = self.rows[:0]
        self.network.release()  # its buffers know the training data

    def _divergence(self, sums: np.ndarray, lr: np.ndarray) -> DivergenceError:
        bad = ~np.isfinite(sums[:, :, 0])
        step = int(bad.any(axis=1).argmax()) if bad.any() else len(sums) - 1
        what = "loss became nan" if np.isnan(sums[step, bad[step].argmax(), 0]) else "loss became infinite"
        what = what if bad.any() else "weights became nan or infinite"
        error = DivergenceError(
            f"fit: the {what} in epoch {len(self.history)}, "
            f"step {step + 1} of {len(sums)} (learning rate {lr[step].max():g}); try a smaller learning rate, "
            "clip_norm, or standardized inputs; the last good weights are kept"
        )
        error.history = self.history
        return error
