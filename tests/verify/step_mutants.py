"""Broken steps, one mistake each: what a test of training must never let pass, and what it has to name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from xbnet.nn.layers import Dropout
from xbnet.nn.losses import SoftmaxCrossEntropy
from xbnet.nn.losses.base import Loss
from xbnet.optim import optimizers, schedules, strategies
from xbnet.optim.penalties import BoundPenalty
from xbnet.replicas import powers
from xbnet.training import augmentation, batches, best, step, trainer
from xbnet.training.execution import compiled, replay

Change = tuple[Any, str, Callable[..., Any]]
"""Class, method, and what stands in its place: a function of the method that was there."""


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes
    ----------
    part
        What it is a mistake of, for the table in the docs.
    change
        What is changed.
    run
        The case of the catalogue that meets it.
    named
        What the failure has to say.
    level
        Of execution.
    """

    part: str
    change: Change
    run: str
    named: str = "eager: wrong in every step"
    level: str = "eager"


# -- rules -------------------------------------------------------------------------------------------------------------


def uphill(was):
    def update(self, theta, grad, lr):
        self.xp.multiply(grad, lr, out=self.work)
        self.xp.add(theta, self.work, out=theta)

    return update


def first_replicas_rate(was):
    def coefficients(self, lr, t):
        return (np.broadcast_to(lr[:, :1], lr.shape),)

    return coefficients


def dampened(was):
    """v <- momentum v + (1 - momentum) grad."""

    def update(self, theta, grad, lr, momentum):
        grad *= 1 - momentum
        was(self, theta, grad, lr, momentum)

    return update


def without_looking_ahead(was):
    return optimizers.Momentum.update


def eps_in_the_root(was):
    def update(self, theta, grad, length, decay, eps):
        s = self.part["squares"]
        s *= decay
        s += grad * grad
        theta -= length * grad / np.sqrt(s + eps)

    return update


def decay_the_other_way(was):
    def coefficients(self, lr, t):
        length, decay, eps = was(self, lr, t)
        return length, 1 - decay, eps

    return coefficients


def without_the_first_correction(was):
    def coefficients(self, lr, t):
        length, *rest = was(self, lr, t)
        return length * (1 - powers(self.values["beta1"], t)), *rest

    return coefficients


def one_step_late(was):
    def coefficients(self, lr, t):
        return was(self, lr, np.maximum(t - 1, 1))

    return coefficients


def wrong_in_the_third_step(was):
    def coefficients(self, lr, t):
        length, *rest = was(self, lr, t)
        return np.where(t == 3, 1.001, 1.0) * length, *rest

    return coefficients


def eps_as_it_is(was):
    def coefficients(self, lr, t):
        length, beta1, beta2, _ = was(self, lr, t)
        return length, beta1, beta2, self.values["eps"]

    return coefficients


def off_by_a_millionth(was):
    def update(self, theta, grad, *columns):
        before = theta.copy()
        was(self, theta, grad, *columns)
        theta += 1e-6 * (theta - before)

    return update


def one_number(was):
    """Of replica 2, the last weight of the first layer."""

    def update(self, theta, grad, *columns):
        before = theta[-1, 19]
        was(self, theta, grad, *columns)
        theta[-1, 19] += 1e-3 * (theta[-1, 19] - before)

    return update


def decays_biases(was):
    def update(self, theta, grad, shrink, *adam):
        theta *= shrink
        optimizers.Adam.update(self, theta, grad, *adam)

    return update


def decays_without_the_rate(was):
    def coefficients(self, lr, t):
        _, *adam = was(self, lr, t)
        return 1 - 0.01 * self.values["weight_decay"], *adam

    return coefficients


def decay_in_the_gradient(was):
    """L2 as Adam has it, which is not decoupled."""

    def update(self, theta, grad, shrink, *adam):
        grad[:, : self.weights.shape[1]] += 0.3 * self.weights
        optimizers.Adam.update(self, theta, grad, *adam)

    return update


def forgets_when_someone_leaves(was):
    def select(self, index, network, **more):
        twin = was(self, index, network, **more)
        for array in twin.state.values():
            array.fill(0)
        return twin

    return select


def counts_anew_when_someone_leaves(was):
    def select(self, index, network, **more):
        twin = was(self, index, network, **more)
        twin.steps = 0
        return twin

    return select


def state_of_others(was):
    def select(self, index, network, **more):
        twin = was(self, index, network, **more)
        for slot in twin.state:
            twin.state[slot] = twin.state[slot][::-1].copy()
        return twin

    return select


# -- schedules ---------------------------------------------------------------------------------------------------------


def without_floors(was):
    return lambda self, epochs, total: powers(self.gamma, epochs / getattr(self, "every", 1))


def shifted(by):
    return lambda was: lambda self, epochs, total: was(self, epochs + by, total)


def longer(was):
    return lambda self, epochs, total: was(self, epochs, total + 1)


def by_epoch(was):
    return lambda self, epochs, total: was(self, np.floor(epochs), total)


def patient(was):
    """By an epoch more."""

    def update(self, metric):
        self.patience += 1
        was(self, metric)
        self.patience -= 1

    return update


def of_the_first_replica(was):
    def factors(self, epochs, total):
        found = was(self, epochs, total)
        return np.broadcast_to(found[:, :1], found.shape)

    return factors


def planned_once(was):
    def plan(self):
        rates = was(self)
        self.first_rates = vars(self).get("first_rates", rates)[:, : len(self.riders)]
        self.columns = self.optimizer.columns(self.first_rates)
        return self.first_rates

    return plan


# -- penalties, clipping, weights --------------------------------------------------------------------------------------


def half_of_l2(was):
    def add_gradient(self, loss=None):
        was(self, loss)
        if self.uses_l2:
            self._grad -= 0.5 * self.twice_l2 * self._weights

    return add_gradient


def on_biases_too(was):
    def update(self, columns, wants_norm):
        net, n = self.network, self.network.n_weights
        if self.penalty.active:
            net.grad[:, n:] += self.penalty.l1 * np.sign(net.theta[:, n:])
        was(self, columns, wants_norm)

    return update


def anothers_penalty(was):
    def add_gradient(self, loss=None):
        kept = self.twice_l2
        self.twice_l2 = np.roll(kept, 1, axis=0)
        was(self, loss)
        self.twice_l2 = kept

    return add_gradient


def penalized_after_clipping(was):
    def update(self, columns, wants_norm):
        if self.clip is not None:
            self._clip(self.clip)
        self.penalty.add_gradient(self.loss)
        self.ops.apply(self.optimizer, columns)

    return update


def always_as_long(was):
    """Short gradients are made longer."""

    def clip(self, limit):
        norm = self._gradient_norm()[:, 0]
        self.network.grad[...] *= limit / norm

    return clip


def one_norm_for_all(was):
    def clip(self, limit):
        self._gradient_norm()
        norm = np.sqrt((self.norm**2).sum())
        self.network.grad[...] *= limit / np.maximum(norm, limit)

    return clip


def clipped_number_by_number(was):
    def clip(self, limit):
        self._gradient_norm()
        np.clip(self.network.grad, -limit, limit, out=self.network.grad)

    return clip


def norm_after_clipping(was):
    def clip(self, limit):
        was(self, limit)
        self._gradient_norm()

    return clip


def mean_over_whole_batches(was):
    """The last batch is divided by the size of the others."""

    def scale(self, dlogits):
        self.largest = max(getattr(self, "largest", 0), self._batch)
        dlogits /= self.largest

    return scale


def sizes_of_the_first_network(was):
    """A network's size of batch, kept by the module: right as long as nobody takes another."""
    known: dict[int, Any] = {}

    def evaluate(self, logits, labels, dlogits):
        was(self, logits, labels, dlogits)
        if dlogits is not None:
            known.setdefault(len(known) and -1, self._batch)
            if self._batch == known[0] - 1:
                dlogits *= self._batch / known[0]

    return evaluate


def divided_by_the_rows(was):
    """Instead of by the sum of the weights."""

    def scale(self, dlogits):
        if not self.weighted:
            was(self, dlogits)
        else:
            dlogits *= self.w / self._batch

    return scale


def weights_once(was):
    """Sample weights count, the classes' don't."""

    def weigh(self, labels, sample_weight):
        kept, self.class_weights = self.class_weights, None
        self.weighted = sample_weight is not None
        was(self, labels, sample_weight)
        self.class_weights = kept

    return weigh


def smoothed_over_the_others(was):
    """e / (C - 1) in place of e / C."""

    def prepare(self, network):
        was(self, network)
        self.floor *= self.n_outputs / (self.n_outputs - 1)

    return prepare


# -- masks -------------------------------------------------------------------------------------------------------------


def the_body_first(was):
    return lambda self, network, epoch: 1 - was(self, network, epoch)


def never(was):
    return lambda self, epoch: False


def nothing(was):
    return lambda self, *arguments: None


def reversed_factors(was):
    return lambda self, network, epoch: was(self, network, epoch)[::-1]


def everything_moves(was):
    return lambda self, network, epoch: np.ones_like(was(self, network, epoch))


def mask_of_the_first_epoch(was):
    def set_mask(self, mask, epoch):
        return was(self, mask, 0)

    return set_mask


# -- batches and who trains --------------------------------------------------------------------------------------------


def same_order_again(was):
    def order(self):
        if not hasattr(self, "kept"):
            self.kept = was(self)
        return self.kept

    return order


def one_order_for_all(was):
    def order(self):
        found = was(self)
        return np.broadcast_to(found[:1], found.shape).copy()

    return order


def labels_of_the_rows_before(was):
    def gather(self, index, data=None):
        batch = was(self, index, data)
        batch.y[...] = np.roll(batch.y, 1, axis=-1)
        return batch

    return gather


def weights_of_the_first_batch(was):
    def gather(self, index, data=None):
        batch = was(self, index, data)
        self.kept = getattr(self, "kept", {})
        kept = self.kept.setdefault(index.shape[1], batch.w.copy())
        batch.w[...] = kept
        return batch

    return gather


def last_batch_of_other_rows(was):
    def by_step(self, order):
        whole, last = was(self, order)
        return whole, None if last is None else np.ascontiguousarray(order[:, : last.shape[1]])

    return by_step


def not_mirrored(was):
    return lambda self, backend, x, mask: was(self, backend, x, mask & False)


def one_mask_for_all(was):
    def draw(self):
        was(self)
        self.mask[...] = self.mask[:1]

    return draw


def rates_of_the_first(was):
    """Those who stay get the learning rates of those who came first."""

    def bind(self):
        first = getattr(self, "lr", None)
        was(self)
        if first is not None:
            self.lr = first[: len(self.lr)]

    return bind


def orders_of_the_first(was):
    def narrow(self, stay):
        kept = list(self.shuffles)
        self.shuffles = [kept[i] for i in np.argsort(np.r_[stay, np.setdiff1d(np.arange(len(kept)), stay)])]
        was(self, stay)

    return narrow


def kept_of_another(was):
    def settle(self):
        if self._arrays[0] is not self.network.theta:
            self._arrays = np.roll(self._arrays[0], 1, axis=0), self._arrays[1]
        was(self)

    return settle


# -- levels of execution -----------------------------------------------------------------------------------------------


def columns_of_the_first_step(was):
    """A replay that never copies the learning rates of later steps."""

    def run_steps(self, trainer):
        first = self.__dict__.setdefault("first", trainer.columns[:, :1].copy())
        trainer.columns = np.repeat(first, trainer.columns.shape[1], axis=1)
        return was(self, trainer)

    return run_steps


def one_key_for_all_masks(was):
    """A record of a turn in which everything moves serves one in which something stands still."""

    def call(self, key, batch, columns, wants_norm=False):
        hidden, self.step.mask = self.step.mask, None
        try:
            return was(self, key, batch, columns, wants_norm)
        finally:
            self.step.mask = hidden

    return call


def wants_no_norm(was):
    return lambda self, key, batch, columns, wants_norm=False: was(self, key, batch, columns, False)


def table_one_step_late(was):
    def run(self, play, order, which, columns, sums):
        return was(self, play, order, which, np.ascontiguousarray(np.roll(columns, 1, axis=0)), sums)

    return run


def rows_of_the_first_order(was):
    def run(self, play, order, which, columns, sums):
        return was(self, play, order, None, columns, sums)

    return run


def last_step_by_the_first_columns(was):
    def run_steps(self, run):
        run.columns = run.columns.copy()
        run.columns[:, -1] = run.columns[:, 0]
        was(self, run)

    return run_steps


def last_rows_again(was):
    """The short last batch has one of its rows several times."""

    def run(self, play, order, which, columns, sums):
        if len(columns) == 1:
            order = order[:, :1].repeat(order.shape[1], axis=1)
        return was(self, play, order, which, columns, sums)

    return run


LATE = "wrong in every step from the "
SHORT = "wrong in the short last batch of every epoch, first in step 3 of 9"
AFTER = "wrong in every step after replica 1 has left, first in step 5 of 12, with the second batch size (3)"

MUTANTS = {
    "sgd goes uphill": Mutant("rule", (optimizers.SGD, "update", uphill), "optimizers/sgd"),
    "one learning rate for all": Mutant(
        "rule", (optimizers.SGD, "coefficients", first_replicas_rate), "optimizers/sgd",
        "wrong in every step, first in step 1 of 9, in replicas 1 and 2, in all blocks",
    ),
    "momentum is dampened": Mutant("rule", (optimizers.Momentum, "update", dampened), "optimizers/momentum"),
    "nesterov does not look ahead": Mutant(
        "rule", (optimizers.Nesterov, "update", without_looking_ahead), "optimizers/nesterov"
    ),
    "rmsprop: eps within the root": Mutant("rule", (optimizers.RMSProp, "update", eps_in_the_root), "optimizers/rmsprop"),
    "rmsprop: decay and 1 - decay": Mutant(
        "rule", (optimizers.RMSProp, "coefficients", decay_the_other_way), "optimizers/rmsprop"
    ),
    "adam: first moment not corrected": Mutant(
        "rule", (optimizers.Adam, "coefficients", without_the_first_correction), "optimizers/adam"
    ),
    "adam: counts from 0": Mutant(
        "rule", (optimizers.Adam, "coefficients", one_step_late), "optimizers/adam", LATE + "second on"
    ),
    "adam: wrong in the third step": Mutant(
        "rule", (optimizers.Adam, "coefficients", wrong_in_the_third_step), "optimizers/adam",
        "eager: wrong in step 3 of 9, the short last batch, in all replicas, in all blocks: ",
    ),
    "adam: eps not corrected": Mutant("rule", (optimizers.Adam, "coefficients", eps_as_it_is), "optimizers/adam"),
    "off by a millionth": Mutant("rule", (optimizers.Momentum, "update", off_by_a_millionth), "optimizers/momentum"),
    "one number of one replica": Mutant(
        "rule", (optimizers.SGD, "update", one_number), "optimizers/sgd",
        "wrong in every step, first in step 1 of 9, in replica 2, 0.Linear.W: 0.W[r=2, i=3, o=4] moved by ",
    ),
    "adamw: biases decay": Mutant(
        "weight decay", (optimizers.AdamW, "update", decays_biases), "optimizers/adamw",
        LATE + "second on, first in step 2 of 9, in all replicas, 0.Linear.b and 1.Linear.b: ",
    ),
    "adamw: decay without the rate": Mutant(
        "weight decay", (optimizers.AdamW, "coefficients", decays_without_the_rate), "optimizers/adamw",
        "in replicas 1 and 2, 0.Linear.W and 1.Linear.W: ",
    ),
    "adamw: decay in the gradient": Mutant(
        "weight decay", (optimizers.AdamW, "update", decay_in_the_gradient), "optimizers/adamw"
    ),
    "step: no floors": Mutant(
        "schedule", (schedules.Step, "factors", without_floors), "schedules/step", "wrong in step 2 of 12"
    ),
    "exponential: an epoch early": Mutant("schedule", (schedules.Exponential, "factors", shifted(1)), "schedules/exponential"),
    "inverse time: one rate for all": Mutant(
        "schedule", (schedules.InverseTime, "factors", of_the_first_replica), "schedules/inverse_time",
        "in replicas 1 and 2, in all blocks",
    ),
    "cosine: one epoch longer": Mutant(
        "schedule", (schedules.Cosine, "factors", longer), "schedules/cosine", LATE + "second on"
    ),
    "triangular: half a cycle late": Mutant("schedule", (schedules.Triangular, "factors", shifted(0.5)), "schedules/triangular"),
    "warm-up by whole epochs": Mutant(
        "schedule", (schedules.Warmup, "factors", by_epoch), "schedules/warmup", "wrong in step 2 of 12"
    ),
    "plateau: too patient": Mutant("schedule", (schedules.Plateau, "update", patient), "schedules/plateau", "wrong in "),
    "rates of the first epoch": Mutant(
        "schedule", (trainer.Trainer, "_plan", planned_once), "schedules/cosine", LATE + "fourth on"
    ),
    "half of l2": Mutant(
        "penalty", (BoundPenalty, "add_gradient", half_of_l2), "cost/l2",
        "in replicas 1 and 2, 0.Linear.W and 1.Linear.W: ",
    ),
    "l1 on biases": Mutant(
        "penalty", (step.BoundStep, "update", on_biases_too), "cost/l1",
        "wrong in every step from the second on, first in step 2 of 9, in replicas 1 and 2, 0.Linear.b and 1.Linear.b: ",
    ),
    "another replica's penalty": Mutant("penalty", (BoundPenalty, "add_gradient", anothers_penalty), "cost/l2"),
    "penalties after clipping": Mutant(
        "clipping", (step.BoundStep, "update", penalized_after_clipping), "cost/clipping with penalties"
    ),
    "short gradients made longer": Mutant(
        "clipping", (step.BoundStep, "_clip", always_as_long), "cost/clipping", "in replicas 1 and 2, in all blocks"
    ),
    "one norm for all replicas": Mutant("clipping", (step.BoundStep, "_clip", one_norm_for_all), "cost/clipping"),
    "clipped number by number": Mutant("clipping", (step.BoundStep, "_clip", clipped_number_by_number), "cost/clipping"),
    "the norm after clipping": Mutant(
        "clipping", (step.BoundStep, "_clip", norm_after_clipping), "cost/clipping", "grad_norm of replica 0 is 0.05, expected "
    ),
    "mean over a whole batch": Mutant(
        "last batch", (Loss, "_scale", mean_over_whole_batches), "optimizers/sgd",
        "eager: " + SHORT + ", in all replicas, in all blocks",
    ),
    "last batch of other rows": Mutant(
        "last batch", (batches.Batches, "by_step", last_batch_of_other_rows), "optimizers/sgd", SHORT
    ),
    "another batch size": Mutant(
        "last batch", (SoftmaxCrossEntropy, "_evaluate", sizes_of_the_first_network), "optimizers/sgd",
        "eager: wrong in every step but those of the short last batch, first in step 1 of 12, "
        "with the second batch size (3), in all replicas, in all blocks",
    ),
    "weights divided by the rows": Mutant(
        "weights", (Loss, "_scale", divided_by_the_rows), "losses/cross_entropy sample weights"
    ),
    "classes not weighted": Mutant("weights", (Loss, "_weigh", weights_once), "losses/cross_entropy all"),
    "weights of the first batch": Mutant(
        "weights", (batches.Batches, "gather", weights_of_the_first_batch), "losses/mse sample weights", "wrong in "
    ),
    "smoothed over the other classes": Mutant(
        "weights", (SoftmaxCrossEntropy, "_prepare", smoothed_over_the_others), "losses/cross_entropy smoothed",
        "in replicas 1 and 2, in all blocks",
    ),
    "the body first": Mutant("mask", (strategies.Alternating, "factors", the_body_first), "strategies/alternating"),
    "no fresh start at a turn": Mutant(
        "mask", (strategies.Alternating, "restarts", never), "strategies/alternating", LATE + "fourth on"
    ),
    "what stands still decays": Mutant(
        "mask", (strategies.GradientMask, "hold", nothing), "strategies/weighted with a frozen stage",
        "in all replicas, 0.Linear.W: ",
    ),
    "factors the other way round": Mutant("mask", (strategies.Weighted, "factors", reversed_factors), "strategies/weighted"),
    "earlier stages move": Mutant(
        "mask", (strategies.NewStage, "factors", everything_moves), "strategies/layerwise", "in stage 2 of the strategy"
    ),
    "the mask of the first epoch": Mutant(
        "mask", (strategies.Strategy, "set_mask", mask_of_the_first_epoch), "strategies/alternating", "wrong in "
    ),
    "the order of the first epoch": Mutant(
        "batches", (batches.Shuffled, "order", same_order_again), "losses/cross_entropy", LATE + "fourth on"
    ),
    "one order for all": Mutant(
        "batches", (batches.Shuffled, "order", one_order_for_all), "losses/cross_entropy", "in replicas 1 and 2, in all blocks"
    ),
    "labels of other rows": Mutant("batches", (batches.Batches, "gather", labels_of_the_rows_before), "losses/cross_entropy"),
    "images not mirrored": Mutant(
        "batches", (augmentation.Flips, "_flip", not_mirrored), "batches/mirrored images", "wrong in "
    ),
    "one dropout mask for all": Mutant("batches", (Dropout, "draw", one_mask_for_all), "layers/dropout", "each replica alone, as in the stack: "),
    "averages lost when one leaves": Mutant(
        "replicas that left", (optimizers.Optimizer, "select", forgets_when_someone_leaves), "optimizers/momentum", AFTER
    ),
    "steps counted anew when one leaves": Mutant(
        "replicas that left", (optimizers.Optimizer, "select", counts_anew_when_someone_leaves), "optimizers/adam", AFTER
    ),
    "averages of another": Mutant(
        "replicas that left", (optimizers.Optimizer, "select", state_of_others), "optimizers/rmsprop", AFTER
    ),
    "rates of others": Mutant(
        "replicas that left", (trainer.Trainer, "_bind", rates_of_the_first), "optimizers/sgd",
        AFTER + ", in replica 2, in all blocks",
    ),
    "the order of others": Mutant(
        "replicas that left", (trainer.Trainer, "narrow", orders_of_the_first), "optimizers/sgd", AFTER
    ),
    "weights of another are kept": Mutant(
        "replicas that left", (best.Kept, "settle", kept_of_another), "optimizers/sgd",
        "the network does not hold the weights that the last step made, in replica",
    ),
    "replay: rates of the first step": Mutant(
        "level", (replay.Replay, "run_steps", columns_of_the_first_step), "schedules/cosine",
        "replay: " + LATE + "second on", "replay",
    ),
    "replay: no mask": Mutant(
        "level", (replay.ReplayedStep, "__call__", one_key_for_all_masks), "strategies/weighted",
        "replay: wrong in every step", "replay",
    ),
    "replay: no norm": Mutant(
        "level", (replay.ReplayedStep, "__call__", wants_no_norm), "optimizers/sgd", "grad_norm of replica ", "replay"
    ),
}  # fmt: skip

COMPILED = {
    "compiled: rates one step late": Mutant(
        "level", (compiled.StepProgram, "run", table_one_step_late), "schedules/cosine",
        "compiled: wrong in step 1 of 12", "compiled",
    ),
    "compiled: one order for all": Mutant(
        "level", (compiled.StepProgram, "run", rows_of_the_first_order), "losses/cross_entropy",
        "compiled: wrong in step 1 of 9, in replicas 1 and 2", "compiled",
    ),
    "compiled: the last step by the first's rates": Mutant(
        "level", (compiled.Compiled, "run_steps", last_step_by_the_first_columns), "schedules/cosine",
        "compiled: wrong in step 1 of 12", "compiled",
    ),
    "compiled: the last batch repeats a row": Mutant(
        "level", (compiled.StepProgram, "run", last_rows_again), "losses/cross_entropy",
        "compiled: wrong in step 3 of 9, the short last batch", "compiled",
    ),
}  # fmt: skip
