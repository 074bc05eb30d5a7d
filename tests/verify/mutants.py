"""Broken code, one mistake each: what a gradient test must never let pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import xbnet
from xbnet.nn.activations import ACTIVATIONS
from xbnet.optim.penalties import BoundPenalty

# -- layers ------------------------------------------------------------------------------------------------------------


class GradientTimes7(xbnet.Linear):
    def backward(self, dy, dx):
        super().backward(dy, dx)
        self.dW *= 7


class GradientZero(xbnet.Linear):
    def backward(self, dy, dx):
        super().backward(dy, dx)
        self.dW[...] = 0


class InputGradientTimes7(xbnet.Linear):
    def backward(self, dy, dx):
        super().backward(dy, dx)
        if dx is not None:
            dx *= 7


class TransposedGradient(xbnet.Linear):
    """Of a square W, so that no shape tells."""

    def backward(self, dy, dx):
        super().backward(dy, dx)
        self.dW[...] = self.dW.swapaxes(1, 2).copy()


class MissingTranspose(xbnet.Linear):
    """dx = dz W instead of dz W^T, for a square W."""

    def backward(self, dy, dx):
        super().backward(dy, None)
        if dx is not None:
            self.ops.bmm(dy, self.W, dx)


class OneSampleBias(xbnet.Linear):
    """db of the first sample instead of the sum over the batch."""

    def backward(self, dy, dx):
        super().backward(dy, dx)
        self.db[...] = dy[:, :1]


class ForgottenBias(xbnet.Linear):
    """db is never written: it keeps what was there."""

    def backward(self, dy, dx):
        kept = self.db.copy()
        super().backward(dy, dx)
        self.db[...] = kept


class AccumulatedGradient(xbnet.Linear):
    """dW += instead of dW =."""

    def backward(self, dy, dx):
        before = self.dW.copy()
        super().backward(dy, dx)
        self.dW += before


class DividedByReplicas(xbnet.Linear):
    def backward(self, dy, dx):
        super().backward(dy, dx)
        self.dW /= len(self.dW)
        self.db /= len(self.db)


class SummedOverReplicas(xbnet.Linear):
    """A gradient that leaks from one replica into the others."""

    def backward(self, dy, dx):
        super().backward(dy, dx)
        self.dW[...] = self.dW.sum(axis=0, keepdims=True)


class MixedReplicas(xbnet.Linear):
    """A forward that lets replica 0 see a little of the last one; forward and backward still fit in replica 0's own."""

    def forward(self, x, training):
        y = super().forward(x, training)
        y[0] += 1e-3 * y[-1]
        return y


class StaleInput(xbnet.Linear):
    """x is kept from the first forward on."""

    def forward(self, x, training):
        y = super().forward(x, training)
        if not hasattr(self, "first") or self.first.shape != x.shape:
            self.first = x.copy()
        self.x = self.first
        return y


class StaleActivation(xbnet.Linear):
    """s'(z) of the forward before."""

    def forward(self, x, training):
        before = (self.z.copy(), self.y.copy())
        y = super().forward(x, training)
        self.before = before
        return y.copy()

    def backward(self, dy, dx):
        self.z, self.y = self.before
        super().backward(dy, dx)


class NoActivationGradient(xbnet.Linear):
    def backward(self, dy, dx):
        activation, self.activation = self.activation, None
        super().backward(dy, dx)
        self.activation = activation


class SharedBuffer(xbnet.Linear):
    """z lies in scratch memory, which the next layer overwrites."""

    def buffers(self):
        return {"y": super().buffers()["y"]}

    def scratch(self):
        return {"z": (xbnet.BATCH, self.n_outputs)} | super().scratch()


class OverwrittenInput(xbnet.Linear):
    """A layer that changes its input, which the layer before it still needs."""

    def forward(self, x, training):
        y = super().forward(x, training)
        x *= 0.5
        return y


class OnlyWithoutDx(xbnet.Linear):
    """A gradient that is right only where dx is wanted; training does not ask the first layer for it."""

    def backward(self, dy, dx):
        super().backward(dy, dx)
        if dx is None:
            self.dW *= 1.001


class OneWrongWeight(xbnet.Linear):
    """A single entry, off by a thousandth."""

    def backward(self, dy, dx):
        super().backward(dy, dx)
        self.dW[-1, 2, 1] *= 1.001


class NoSkipGradient(xbnet.Residual):
    """dx without the path past the block."""

    def backward(self, dy, dx):
        kept = dy.copy()
        super().backward(dy, dx)
        if dx is not None:
            dx -= kept


class ResidualSign(xbnet.Residual):
    def backward(self, dy, dx):
        super().backward(dy, dx)
        self.dW2 *= -1


class RedrawnMask(xbnet.Dropout):
    """Backward draws a mask of its own."""

    def backward(self, dy, dx):
        self.draw()
        super().backward(dy, dx)


class UnscaledDropout(xbnet.Dropout):
    """Backward forgets 1 / (1 - rate)."""

    def backward(self, dy, dx):
        super().backward(dy, dx)
        if dx is not None:
            dx /= self.scale


class DrawsWhileFrozen(xbnet.Dropout):
    """Draws in every forward, whatever `frozen` says: f is another at every step."""

    def forward(self, x, training):
        self.frozen = False
        return super().forward(x, training)


class ConstantStatistics(xbnet.BatchNorm):
    """dx as if mean and variance did not depend on x."""

    def backward(self, dy, dx):
        super().backward(dy, dx)
        if dx is not None:
            dx[...] = dy * self.gain * self.inv_std


class MissingBatchMean(xbnet.BatchNorm):
    """dx without the term mean(g)."""

    def backward(self, dy, dx):
        super().backward(dy, dx)
        if dx is not None:
            dx += self.doffset / dy.shape[1] * self.gain * self.inv_std


class MissingGain(xbnet.BatchNorm):
    """dx without the gain: right as long as all gains are 1, as they are at first."""

    def backward(self, dy, dx):
        super().backward(dy, dx)
        if dx is not None:
            dx /= self.gain


class BatchInsteadOfRow(xbnet.LayerNorm):
    """The mean over the batch where the one over the row belongs."""

    def backward(self, dy, dx):
        super().backward(dy, dx)
        if dx is not None:
            dx -= dx.mean(axis=1, keepdims=True)


# -- losses ------------------------------------------------------------------------------------------------------------


class OffByOneClass(xbnet.SoftmaxCrossEntropy):
    """The gradient for the class after the label."""

    def _evaluate(self, logits, labels, dlogits):
        super()._evaluate(logits, labels, dlogits)
        if dlogits is not None:
            super()._evaluate(logits, (labels + 1) % self.n_outputs, dlogits)
            gradient = dlogits.copy()
            super()._evaluate(logits, labels, dlogits)
            dlogits[...] = gradient


class SumInsteadOfMean(xbnet.SoftmaxCrossEntropy):
    def _scale(self, dlogits):
        pass


class LossDividedByReplicas(xbnet.SoftmaxCrossEntropy):
    def _scale(self, dlogits):
        super()._scale(dlogits)
        dlogits /= self.replicas


class LossSign(xbnet.MeanSquaredError):
    def _scale(self, dlogits):
        super()._scale(dlogits)
        dlogits *= -1


class UnweightedGradient(xbnet.SoftmaxCrossEntropy):
    """Sample weights that reach the loss but not its gradient."""

    def _scale(self, dlogits):
        dlogits /= self._batch


class UnsmoothedGradient(xbnet.SoftmaxCrossEntropy):
    """Smoothed in the value, not in the gradient."""

    def _evaluate(self, logits, labels, dlogits):
        super()._evaluate(logits, labels, dlogits)
        if dlogits is not None:
            onehot = self.ops.gather(self._eye, labels, self.targets[: labels.shape[0]])
            dlogits[...] = self.e / self.s - onehot


# -- activations and penalties -----------------------------------------------------------------------------------------


def wrong_at_one_point(xp, dy, z, y, work):
    """tanh', but 0.9 of it for z in (0.4, 0.6)."""
    ACTIVATIONS["tanh"].backward(xp, dy, z, y, work)
    dy[(z > 0.4) & (z < 0.6)] *= 0.9


def sigmoid_for_tanh(xp, dy, z, y, work):
    ACTIVATIONS["sigmoid"].backward(xp, dy, z, y, work)


def leaks(xp, dy, z, y, work):
    """relu' with a leak of 0.01 on the left."""
    ACTIVATIONS["leaky_relu"].backward(xp, dy, z, y, work)


def flipped_sign(xp, dy, z, y, work):
    ACTIVATIONS["elu"].backward(xp, dy, z, y, work)
    dy[z < 0] *= -1


WRONG_AT_ONE_POINT = replace(ACTIVATIONS["tanh"], backward=wrong_at_one_point)
SIGMOID_FOR_TANH = replace(ACTIVATIONS["tanh"], backward=sigmoid_for_tanh)
LEAKS = replace(ACTIVATIONS["relu"], backward=leaks)
FLIPPED_SIGN = replace(ACTIVATIONS["elu"], backward=flipped_sign)


def half_penalty(self: BoundPenalty) -> None:
    """l2 W instead of 2 l2 W."""
    self._grad += self._l2 * self._weights


# -- the table ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """Layers (or a loss) with one mistake, and what the report must point at."""

    layers: Callable[[], list[Any]]
    loss: Any = "cross_entropy"
    settings: tuple[tuple[str, Any], ...] = ()
    blames: str = ""


def between(layer: Any, width: int = 4) -> Callable[[], list[Any]]:
    """A network with the mutant in the middle."""
    return lambda: [xbnet.Linear(width, "tanh"), layer(), xbnet.Linear(3)]


def plain() -> list[Any]:
    return [xbnet.Linear(4, "tanh"), xbnet.Linear(3)]


UNSTEADY = "the same f and gradient twice"
WEIGHTS = (("sample_weight", np.linspace(0.2, 3.0, 6)),)

MUTANTS = {
    "gradient times 7": Mutant(between(lambda: GradientTimes7(4, "tanh")), blames="1.W["),
    "gradient zero": Mutant(between(lambda: GradientZero(4, "tanh")), blames="1.W["),
    "input gradient times 7": Mutant(between(lambda: InputGradientTimes7(4, "tanh")), blames="0.W["),
    "transposed W gradient": Mutant(between(lambda: TransposedGradient(4, "tanh")), blames="1.W["),
    "missing transpose in dx": Mutant(between(lambda: MissingTranspose(4)), blames="0.W["),
    "bias of one sample": Mutant(between(lambda: OneSampleBias(4)), blames="1.b["),
    "bias not written": Mutant(between(lambda: ForgottenBias(4)), blames="1.b["),
    "gradient accumulated": Mutant(between(lambda: AccumulatedGradient(4)), blames="1.W["),
    "divided by R": Mutant(between(lambda: DividedByReplicas(4)), blames="1.W["),
    "summed over R": Mutant(between(lambda: SummedOverReplicas(4)), blames="1.W["),
    "mixed replicas": Mutant(between(lambda: MixedReplicas(4)), blames="no path between replicas"),
    "stale input": Mutant(between(lambda: StaleInput(4, "tanh")), blames="1.W["),
    "stale activation": Mutant(between(lambda: StaleActivation(4, "tanh")), blames=UNSTEADY),
    "no activation gradient": Mutant(between(lambda: NoActivationGradient(4, "tanh")), blames="1.W["),
    "shared buffer overwritten": Mutant(
        lambda: [SharedBuffer(4, "gelu"), xbnet.Linear(4, "gelu"), xbnet.Linear(3)], blames="0.W["
    ),
    "input overwritten": Mutant(between(lambda: OverwrittenInput(4)), blames="1.W["),
    "wrong without dx": Mutant(lambda: [OnlyWithoutDx(4, "tanh"), xbnet.Linear(3)], blames="0.W["),
    "one wrong weight": Mutant(between(lambda: OneWrongWeight(4)), blames="1.W[r=1, i=2, o=1]"),
    "no skip gradient": Mutant(between(lambda: NoSkipGradient("tanh")), blames="0.W["),
    "residual sign": Mutant(between(lambda: ResidualSign("tanh")), blames="1.W2["),
    "dropout mask not reused": Mutant(between(lambda: RedrawnMask(0.5)), blames=UNSTEADY),
    "dropout not rescaled": Mutant(between(lambda: UnscaledDropout(0.5)), blames="0.W["),
    "dropout drawn while frozen": Mutant(between(lambda: DrawsWhileFrozen(0.5)), blames=UNSTEADY),
    "batch-norm statistics constant": Mutant(between(ConstantStatistics), blames="0.W["),
    "batch mean missing": Mutant(between(MissingBatchMean), blames="0.W["),
    "gain missing": Mutant(between(MissingGain), blames="0.W["),
    "batch instead of row": Mutant(between(BatchInsteadOfRow), blames="0.W["),
    "off by one class": Mutant(plain, OffByOneClass(), blames="0.W["),
    "sum instead of mean": Mutant(plain, SumInsteadOfMean(), blames="0.W["),
    "loss divided by R": Mutant(plain, LossDividedByReplicas(), blames="0.W["),
    "loss with a wrong sign": Mutant(plain, LossSign(), blames="0.W["),
    "weights not in the gradient": Mutant(plain, UnweightedGradient(), WEIGHTS, blames="0.W["),
    "smoothing not in the gradient": Mutant(plain, UnsmoothedGradient(label_smoothing=0.1), blames="0.W["),
    "wrong derivative at one point": Mutant(
        lambda: [xbnet.Linear(20, WRONG_AT_ONE_POINT), xbnet.Linear(3)], blames="0.W["
    ),
    "derivative of another activation": Mutant(between(lambda: xbnet.Linear(4, SIGMOID_FOR_TANH)), blames="1.W["),
    "relu leaks backward": Mutant(lambda: [xbnet.Linear(10, LEAKS), xbnet.Linear(3)], blames="0.W["),
    "sign on the left": Mutant(lambda: [xbnet.Linear(10, FLIPPED_SIGN), xbnet.Linear(3)], blames="0.W["),
}
