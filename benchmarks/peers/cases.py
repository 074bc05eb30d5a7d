"""The work of every rival: networks, their initial weights, data, and repetitions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Case:
    """SGD steps with softmax cross-entropy in float32, on batches gathered from data that are in memory.

    Attributes
    ----------
    name
        Its name in the table.
    widths
        Inputs, hidden layers, classes.
    batch
        B.
    activation
        Activation of the hidden layers: "tanh" or "relu".
    blocks
        Residual blocks x + W2 s(x W1 + b) of the first width, in front of the linear layers.
    dropout
        The rate after each hidden layer, which is normalized over the batch (linear, activation, batch normalization,
        dropout); None: neither.
    replicas
        R networks with learning rates of their own, on shared batches.
    steps
        Steps of one epoch over the data.
    lr
        Learning rate, of the first replica.
    """

    name: str
    widths: tuple[int, ...]
    batch: int
    activation: str = "tanh"
    blocks: int = 0
    dropout: float | None = None
    replicas: int = 1
    steps: int = 1
    lr: float = 0.05

    @property
    def learning_rates(self) -> np.ndarray:
        """(R,), falling from lr to lr / 2."""
        return np.linspace(self.lr, self.lr / 2, self.replicas).astype(np.float32)

    def without_chance(self) -> Case:
        """The same with a dropout rate of 0: what rivals compute can be compared."""
        return replace(self, dropout=0.0) if self.dropout else self

    def start(self) -> list[dict[str, np.ndarray]]:
        """The first parameters of each layer: W (R, I, O), b (R, 1, O); blocks W1, b, W2; gain, offset (R, 1, O)."""
        rng = np.random.default_rng(1)

        def draw(*shape: int) -> np.ndarray:
            return rng.normal(0, np.sqrt(1 / shape[0]), (self.replicas, *shape)).astype(np.float32)

        def zeros(n: int) -> np.ndarray:
            return np.zeros((self.replicas, 1, n), np.float32)

        n, depth = self.widths[0], max(self.blocks, 1)
        blocks = [{"W1": draw(n, n), "b": zeros(n), "W2": draw(n, n) / np.float32(depth)} for _ in range(self.blocks)]
        layers: list[dict[str, np.ndarray]] = []
        for i, o in pairwise(self.widths):
            layers.append({"W": draw(i, o), "b": zeros(o)})
            if self.dropout is not None:
                layers.append({"gain": zeros(o) + 1, "offset": zeros(o)})
        return blocks + (layers if self.dropout is None else layers[:-1])

    def data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x (N, I), labels (N,) that can be learnt, and the rows of each step (steps, B): each sample once, in order.

        In order, because scikit-learn takes no other order; the others gather the rows nevertheless.
        """
        rng = np.random.default_rng(0)
        n = self.steps * self.batch
        x = rng.normal(size=(n, self.widths[0])).astype(np.float32)
        labels = (x @ rng.normal(size=(self.widths[0], self.widths[-1]))).argmax(axis=1)
        labels[: self.widths[-1]] = np.arange(self.widths[-1])  # no class is missing
        return x, labels, np.arange(n).reshape(self.steps, self.batch)


SINGLE = (
    Case("5-10-7-5, batch 64", (5, 10, 7, 5), 64, steps=128),
    Case("2-16-16-16-16-5, batch 64", (2, 16, 16, 16, 16, 5), 64, steps=128),
    Case("784-300-10, batch 128", (784, 300, 10), 128, "relu", steps=16),
    Case("256x4-10, batch 256", (256, 256, 256, 256, 256, 10), 256, "relu", steps=8),
    Case("1024x4-10, batch 512", (1024, 1024, 1024, 1024, 1024, 10), 512, "relu", steps=1, lr=0.01),
    Case("residual 64 wide, 20 deep, batch 64", (64, 5), 64, blocks=20, steps=16, lr=0.01),
    Case("64-64-10, dropout, batch norm, batch 64", (64, 64, 10), 64, "relu", dropout=0.1, steps=64),
)
STACKS = tuple(
    Case(f"{R:,} stacked 5-10-7-5, batch 64", (5, 10, 7, 5), 64, replicas=R, steps=steps)
    for R, steps in ((9, 32), (100, 8), (1000, 1))
)
