"""Functionals: one number f per replica of a network's outputs, the cost or a product with a random cotangent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..nn.losses import Loss
from ..nn.network import Network
from .rounding import Rounding


@dataclass(frozen=True, eq=False)
class Cost:
    """f = sum_b w_b loss_b / sum_b w_b, as training sees it.

    The mean is taken here, on the host and in float64, from the loss's plain values; so that a loss is not its own
    judge.

    Attributes
    ----------
    loss
        Not bound.
    labels
        Integers (R or 1, B), or targets (R or 1, B, C).
    sample_weight
        (R or 1, B), or None.
    task
        See `Loss.bind`.
    """

    loss: Loss
    labels: np.ndarray
    sample_weight: np.ndarray | None
    task: str

    def weights(self) -> np.ndarray:
        """Weights of the examples, (R or 1, B)."""
        ones = np.ones((1, self.labels.shape[1]))
        weights = ones if self.sample_weight is None else self.sample_weight * ones
        by_class: Any = self.loss.class_weight
        return weights if by_class is None else weights * by_class[self.labels]

    def select(self, index: np.ndarray) -> Cost:
        """For the replicas `index`."""
        weight = None if self.sample_weight is None else _rows(self.sample_weight, index)
        return Cost(self.loss.select(index), _rows(self.labels, index), weight, self.task)

    def bind(self, network: Network, rows: np.ndarray, rounding: Rounding) -> Any:
        """``f(outputs, gradient)`` for the batch of these rows: see `InnerProduct.bind`."""
        loss, backend, weights = self.part(network), network.backend, self.weights()[:, rows]
        rounding.attach(loss)
        on_device, sample_weight = self.targets(network, rows)

        def cost(outputs: Any, gradient: Any = None) -> tuple[np.ndarray, np.ndarray]:
            values = backend.to_host(loss(outputs, on_device, gradient, sample_weight)).astype(float)
            total = weights.sum(axis=1)
            values = values.reshape(len(values), weights.shape[1], -1).mean(axis=2)  # of a row's answers, if several
            return (values * weights).sum(axis=1) / total, (np.abs(values) * weights).sum(axis=1) / total

        return cost

    def part(self, network: Network) -> Loss:
        """The function that a step calls with outputs, targets, the gradient's place and weights."""
        return self.loss.bind(network, self.task)

    def targets(self, network: Network, rows: np.ndarray) -> tuple[Any, Any]:
        """Labels or targets of these rows, and their weights or None, on the network's backend."""
        labels, weight, put = self.labels[:, rows], self.sample_weight, network.backend.asarray
        on_device = put(labels, np.intp if labels.dtype.kind in "iu" else network.dtype)
        return on_device, None if weight is None else put(weight[:, rows], network.dtype)


@dataclass(frozen=True, eq=False)
class InnerProduct:
    """f = <outputs, u>: its gradient is the transposed Jacobian times u.

    u is random: a constant one is blind where the outputs have a constant sum, as those of a softmax.

    Attributes
    ----------
    u
        (R, B, O).
    """

    u: np.ndarray

    def select(self, index: np.ndarray) -> InnerProduct:
        """For the replicas `index`."""
        return InnerProduct(self.u[index])

    def bind(self, network: Network, rows: np.ndarray, rounding: Rounding) -> Any:
        """``f(outputs, gradient)`` for the batch of these rows.

        It returns f (R,) and the size of the numbers it is made of (R,), on the host in float64; `gradient
        (R, B, O)` is overwritten by the gradient by the outputs.
        """
        backend, u = network.backend, self.u[:, rows]
        on_device = backend.asarray(u, network.dtype)

        def product(outputs: Any, gradient: Any = None) -> tuple[np.ndarray, np.ndarray]:
            if gradient is not None:
                gradient[...] = on_device
            terms = backend.to_host(outputs).astype(float) * u
            return terms.sum(axis=(1, 2)), np.abs(terms).sum(axis=(1, 2))

        return product

    def part(self, network: Network) -> Product:
        """See `Cost.part`."""
        return Product(network)

    def targets(self, network: Network, rows: np.ndarray) -> tuple[Any, Any]:
        """See `Cost.targets`."""
        return network.backend.asarray(self.u[:, rows], network.dtype), None


class Product:
    """Hands in u as the gradient by the outputs, as a step that is recorded can."""

    replayable = True

    def __init__(self, network: Network):
        self.xp, self.ops = network.backend.xp, network.backend.ops

    def __call__(self, outputs: Any, u: Any, gradient: Any, sample_weight: Any = None) -> None:
        """Overwrite gradient (R, B, O) by u."""
        self.xp.copyto(gradient, u)


def _rows(array: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The replicas `index` of an array whose leading axis is R, or 1 and shared."""
    return array if array.shape[0] == 1 else array[index]
