"""The cases to train: shapes, data, initial weights, the float64 reference, and lower bounds of the time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

LR, MOMENTUM = 0.05, 0.9
CHECKED_EPOCHS = 3
"""Epochs of the runs that are compared with float64 NumPy: graphs are captured in the second."""
Layers = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Case:
    """SGD with momentum on softmax cross-entropy in float32, with relu, on batches gathered from resident data.

    Attributes
    ----------
    replicas, batch
        R networks that share their batches of B samples.
    widths
        Inputs, hidden layers, classes.
    tf32
        Products may round their operands to TF32.
    steps
        Steps of an epoch: this many batches are drawn, and repeated in each epoch.
    """

    replicas: int
    batch: int
    widths: tuple[int, ...]
    tf32: bool = False
    steps: int = 64

    @property
    def name(self) -> str:
        """Its name in tables."""
        text = f"{self.replicas:,} x {'-'.join(map(str, self.widths))}, batch {self.batch:,}"
        return text + ", tf32" * self.tf32

    @property
    def tolerance(self) -> float:
        """How far weights may be off, relative to how far they moved."""
        return 2e-2 if self.tf32 else 1e-4

    def checked(self) -> Case:
        """The same for the comparison with float64, which a CPU computes: not too long."""
        return replace(self, steps=8 if self.flop < 1e10 else 3)

    def small(self) -> Case:
        """The same shape in little, for a CPU."""
        widths = tuple(min(width, 48) for width in self.widths)
        return replace(self, replicas=min(self.replicas, 3), batch=min(self.batch, 32), widths=widths, tf32=False)

    def data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x (N, I), labels (N,), and the rows of each step (S, B): a random order, never zeros."""
        rng = np.random.default_rng(1)
        n = self.steps * self.batch
        x = rng.standard_normal((n, self.widths[0]), dtype=np.float32)
        y = rng.integers(0, self.widths[-1], n)
        y[: self.widths[-1]] = np.arange(min(n, self.widths[-1]))
        return x, y, rng.permutation(n).reshape(self.steps, self.batch)

    def start(self) -> Layers:
        """W (R, I, O) and b (R, 1, O) of each layer."""
        rng = np.random.default_rng(2)

        def draw(*shape: int) -> np.ndarray:
            return rng.standard_normal((self.replicas, *shape), dtype=np.float32)

        return [(draw(i, o) / np.float32(np.sqrt(i)), draw(1, o) * np.float32(0.1)) for i, o in pairwise(self.widths)]

    # -- what it takes -------------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> int:
        """P."""
        return sum(i * o + o for i, o in pairwise(self.widths))

    @property
    def flop(self) -> int:
        """Operations of a step's products: three per layer, without the gradient by the inputs of the first."""
        first = 2 * self.widths[0] * self.widths[1]
        return self.replicas * self.batch * (6 * sum(i * o for i, o in pairwise(self.widths)) - first)

    def floors(self, card: Card) -> dict[str, float]:
        """Seconds that a step takes at least on a card, by what it has to wait for."""
        products = self.flop / (card.tf32 if self.tf32 else card.fp32)
        touched = 32 * self.replicas * self.parameters  # W twice, its gradient written and read, velocity, theta
        memory = touched / card.bandwidth if touched > card.cache else 0.0
        launches = (5 * (len(self.widths) - 1) + 1) * card.node
        return {"arithmetic": products, "memory": memory, "graph of 5 L + 1 nodes": launches}


@dataclass(frozen=True)
class Card:
    """A GPU's data sheet: operations per second, bytes per second, bytes of L2, seconds per small node of a graph."""

    fp32: float
    tf32: float
    bandwidth: float
    cache: float
    node: float = 1.2e-6


CARDS = {"H200": Card(66.9e12, 494.7e12, 4.8e12, 60e6), "H100": Card(66.9e12, 494.7e12, 3.35e12, 50e6)}
"""By a word in the device's name. The node's time is from public measurements, not from these cards."""

CASES = (
    Case(1, 32, (64, 64, 64, 10)),
    Case(132, 32, (64, 64, 64, 10)),
    Case(1000, 64, (5, 10, 7, 5)),
    Case(1, 128, (784, 256, 10)),
    Case(64, 128, (784, 256, 10), steps=16),
    Case(8, 1024, (256, 256, 256, 256, 10), steps=16),
    Case(1, 4096, (1024, 1024, 1024, 1024, 10), tf32=True, steps=16),
)


def reference(case: Case, epochs: int) -> Layers:
    """The weights after this many epochs, in float64."""
    layers = [(w.astype(float), b.astype(float)) for w, b in case.start()]
    velocity = [(0 * w, 0 * b) for w, b in layers]
    x, y, rows = case.data()
    for index in np.tile(rows, (epochs, 1)):
        inputs = [np.broadcast_to(x[index].astype(float), (case.replicas, case.batch, case.widths[0]))]
        for k, (w, b) in enumerate(layers):
            z = inputs[-1] @ w + b
            inputs.append(z if k == len(layers) - 1 else np.maximum(z, 0))
        e = np.exp(inputs[-1] - inputs[-1].max(axis=-1, keepdims=True))
        dz = e / e.sum(axis=-1, keepdims=True)
        dz[:, np.arange(case.batch), y[index]] -= 1
        dz /= case.batch
        for k in range(len(layers) - 1, -1, -1):
            gradients = inputs[k].swapaxes(1, 2) @ dz, dz.sum(axis=1, keepdims=True)
            if k:
                dz = dz @ layers[k][0].swapaxes(1, 2) * (inputs[k] > 0)
            velocity[k] = tuple(MOMENTUM * v + g for v, g in zip(velocity[k], gradients, strict=True))
            layers[k] = tuple(p - LR * v for p, v in zip(layers[k], velocity[k], strict=True))
    return layers


def flat(layers: Layers, replicas: int | None = None) -> np.ndarray:
    """The weights of the first networks in a row, in float64: W and b of the first layer, of the second, ..."""
    return np.concatenate([np.asarray(part[:replicas], float).ravel() for layer in layers for part in layer])


def error(case: Case, found: np.ndarray, expected: Layers, replicas: int) -> float:
    """Error of the first networks, relative to the update: relative to the weights, a wrong gradient would hide."""
    right, start = flat(expected, replicas), flat(case.start(), replicas)
    return float(np.linalg.norm(found - right) / np.linalg.norm(right - start))
