"""scikit-learn's rules where they differ from xbnet's, so that an estimator follows `MLPClassifier` number by number.

Read in scikit-learn's `_multilayer_perceptron.py` and `_stochastic_optimizers.py`: initial weights and biases from
one stream, orders that build on each other, a penalty that is divided by the weight of the batch, Adam's eps outside
the bias correction, and losses that sum over outputs.
"""

from __future__ import annotations

import copy
import os
import threading
from typing import Any

import numpy as np
from scipy.special import xlogy

from ..backends.arrays import Array
from ..backends.ops import Made
from ..backends.parts import StepPart
from ..nn.losses import BinaryCrossEntropy, Loss, MeanSquaredError
from ..nn.network import Network
from ..nn.parameters import block_slices
from ..optim.optimizers import Adam
from ..replicas import PerReplica, replica_values, select_values


def draw_weights(network: Network, drawn: list[int], states: list[np.random.RandomState], logistic: bool) -> None:
    """Overwrite the linear layers `drawn` by W, b uniform in +-sqrt(6 / (I + O)), replica i's from states[i].

    Parameters
    ----------
    network
        R networks.
    drawn
        Positions of `Linear` layers.
    states
        One per replica.
    logistic
        The bound is sqrt(2 / (I + O)).
    """
    theta = network.backend.to_host(network.theta).copy()
    slices = block_slices(network.specs)
    for row, state in zip(theta, states, strict=True):
        for k in drawn:
            layer: Any = network.layers[k]
            bound = np.sqrt((2 if logistic else 6) / (layer.n_inputs + layer.n_outputs))
            row[slices[f"{k}.W"]] = state.uniform(-bound, bound, (layer.n_inputs, layer.n_outputs)).ravel()
            row[slices[f"{k}.b"]] = state.uniform(-bound, bound, layer.n_outputs)
    network.theta[...] = network.backend.asarray(theta)


def free_stream() -> None:
    """Let the child of a fork draw from NumPy's own stream, which estimators without a random_state share.

    A thread of the parent that drew from it held its lock, and will never give it back here: then a new stream takes
    the old one's place. Nothing is locked before the fork, for other libraries wait there for locks of their own.
    """
    lock = np.random.get_bit_generator().lock  # type: ignore[attr-defined]
    if lock.acquire(blocking=False):
        lock.release()
    else:
        np.random.set_bit_generator(np.random.MT19937())  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=free_stream)


_twin = threading.local()  # a stream of each thread's own: to make one takes longer than to copy a state


def draw_ahead(state: np.random.RandomState) -> int:
    """The seed that a stream would draw next; the stream, which others may share, is only read."""
    kept = state.get_state()
    if not isinstance(kept, tuple):  # of another generator than scikit-learn's
        return int(copy.deepcopy(state).randint(np.iinfo(np.int32).max))
    if not hasattr(_twin, "stream"):
        _twin.stream = np.random.RandomState(0)
    _twin.stream.set_state(kept)
    return int(_twin.stream.randint(np.iinfo(np.int32).max))


class Order:
    """Orders of the rows, each a permutation of the one before, as scikit-learn shuffles; or no order at all.

    Parameters
    ----------
    random_state
        Its stream.
    shuffle
        False: always 0, 1, 2, ...
    """

    def __init__(self, random_state: np.random.RandomState, shuffle: bool):
        self.random_state, self.shuffle = random_state, shuffle
        self.order = np.arange(0)

    def permutation(self, n: int) -> np.ndarray:
        """The next order of n rows."""
        if len(self.order) != n:
            self.order = np.arange(n)
        if self.shuffle:
            index = np.arange(n)
            self.random_state.shuffle(index)
            self.order = self.order[index]
        return self.order

    @property
    def state(self) -> dict[str, Any]:
        """Return the state on which the next orders depend."""
        return {"stream": self.random_state.get_state(), "order": self.order}

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self.random_state.set_state(state["stream"])
        self.order = state["order"]


class PlainAdam(Adam):
    """Adam with theta <- theta - lr' mean / (sqrt(square) + eps): eps takes no part in the correction of the bias."""

    replayable = True
    kernel = "adam"

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        """As `Adam.coefficients`, with eps at the end that is the same at each step."""
        return *super().coefficients(lr, t)[:-1], self.values["eps"] / np.sqrt(1 - self.values["beta2"])


class BatchPenalty:
    """alpha / 2 times the sum of squared weights, divided by the batch's weight: `alpha` as scikit-learn means it.

    Parameters
    ----------
    alpha
        >= 0, a number or one per replica.
    """

    def __init__(self, alpha: PerReplica):
        self.alpha = alpha

    def select(self, index: np.ndarray) -> BatchPenalty:
        """For the replicas `index`."""
        return BatchPenalty(select_values(self.alpha, index))

    def bind(self, network: Network) -> BoundBatchPenalty:
        """For one network."""
        return BoundBatchPenalty(self.alpha, network)


class BoundBatchPenalty(StepPart):
    """A `BatchPenalty` on the weights of one network."""

    replayable = True

    def __init__(self, alpha: PerReplica, network: Network):
        xp, R, n = network.backend.xp, network.replicas, network.n_weights
        alphas = replica_values("alpha", alpha, R)
        self.xp, self.ops = xp, network.backend.ops
        self.active = bool(alphas.any()) and n > 0
        self._alpha = network.per_replica("alpha", alphas)[:, :, None]
        self._largest, self._tiny = network.per_replica("alpha", np.inf), float(np.finfo(network.dtype).tiny)
        # Divided in float64 and then rounded, once per divisor.
        shape = () if R == 1 and network.backend.on_host else (R, 1)  # which need not be stretched
        self._alpha_over = Made(lambda divisor: network.per_replica("alpha", alphas / divisor).reshape(shape))
        self._weights, self._grad = network.theta[:, :n], network.grad[:, :n]
        self._row = self._weights[:, None, :]
        self._work = xp.zeros((R, n), dtype=network.dtype)
        columns = (xp.zeros((R, 1, 1), dtype=network.dtype) for _ in range(6))
        self._square, self._sum, self._factor, self._rows, self._some, self._divisor = columns

    def add_gradient(self, loss: Loss) -> None:
        """Add alpha W / (weight of the batch) to the gradient, and note the penalty."""
        B = loss.values.shape[1]
        if loss.weighted:
            self._add_weighted(B, loss.summed[:, 2:])
        else:
            self._add(self._alpha_over[(B,)])

    def _add_weighted(self, B: int, total: Array) -> None:
        """Without memory of its own, so that it may be captured in a CUDA graph."""
        xp, some, divisor = self.xp, self._some, self._divisor
        xp.sign(total, out=some)  # no weight: no penalty, not 1 / 0
        xp.maximum(total, self._tiny, out=divisor)
        for value, out in ((self._alpha, self._factor), (float(B), self._rows)):
            xp.multiply(some, value, out=out)
            xp.divide(out, divisor, out=out)
        self._add(self._factor[:, 0], self._rows)

    def _add(self, factor: Array, rows: Array | None = None) -> None:
        xp = self.xp
        self.ops.bmm_nt(self._row, self._row, self._square)
        if rows is not None:
            xp.multiply(self._square, rows, out=self._square)
        xp.add(self._sum, self._square, out=self._sum)
        xp.multiply(self._weights, factor, out=self._work)
        xp.add(self._grad, self._work, out=self._grad)

    def value(self, rows: int) -> Array:
        """The mean penalty per row (R, 1) of an epoch of that many rows, on the device."""
        finite = self.xp.minimum(self._sum[:, 0], self._largest)  # so that 0 times an overflow is 0
        mean = finite * self._alpha_over[(2 * rows,)]
        self._sum.fill(0)
        return mean


class SummedBinaryCrossEntropy(BinaryCrossEntropy):
    """Binary cross-entropy summed over the outputs, not averaged."""

    replayable = True

    def _evaluate(self, logits: Array, labels: Array, dlogits: Array | None) -> None:
        super()._evaluate(logits, labels, dlogits)
        _scale(self, dlogits, self.n_outputs)


class HalfSquaredError(MeanSquaredError):
    """Half the squared error, summed over the outputs."""

    replayable = True

    def spread(self, targets: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
        """Half the variance of the targets, a sum over outputs."""
        return super().spread(targets, sample_weight) * targets.shape[1] / 2

    def _evaluate(self, logits: Array, labels: Array, dlogits: Array | None) -> None:
        super()._evaluate(logits, labels, dlogits)
        _scale(self, dlogits, self.n_outputs / 2)


class HalfPoissonDeviance(Loss):
    """t log(t / p) - t + p with p = exp(output), summed over the outputs; targets t >= 0. The gradient is p - t."""

    name = "poisson"
    links = {"regression": "exp"}  # noqa: RUF012

    replayable = True

    def spread(self, targets: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
        """The loss of the targets' mean."""
        targets = np.asarray(targets, float)
        mean = np.average(targets, axis=0, weights=sample_weight)
        return float(np.average(xlogy(targets, targets) - xlogy(targets, mean), axis=0, weights=sample_weight).sum())

    def _evaluate(self, logits: Array, labels: Array, dlogits: Array | None) -> None:
        xp, targets = self.xp, self._target_rows(labels)
        xp.exp(logits, out=self.e)
        if dlogits is not None:
            xp.subtract(self.e, targets, out=dlogits)
        xp.multiply(logits, targets, out=self.work0)
        xp.subtract(self.e, self.work0, out=self.e)
        xp.maximum(targets, self.tiny, out=self.work0)  # 0 log 0 is 0
        xp.log(self.work0, out=self.work0)
        xp.subtract(self.work0, 1.0, out=self.work0)
        xp.multiply(self.work0, targets, out=self.work0)
        xp.add(self.e, self.work0, out=self.e)
        self.ops.row_sum(self.e, self.s)
        xp.copyto(self.values_column, self.s)


def _scale(loss: Loss, dlogits: Array | None, factor: float) -> None:
    if factor == 1:
        return
    loss.xp.multiply(loss.values_column, factor, out=loss.values_column)
    if dlogits is not None:
        loss.xp.multiply(dlogits, factor, out=dlogits)
