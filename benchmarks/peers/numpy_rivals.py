"""xbnet, and its floor: the bare sequence of a step's matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import xbnet
from xbnet.backends.machine.load import machine
from xbnet.optim.penalties import Penalty
from xbnet.training.batches import Batch
from xbnet.training.execution.compiled import StepProgram
from xbnet.training.execution.replay import ReplayedStep
from xbnet.training.step import BoundStep

from .cases import Case
from .rival import Rival


class Xbnet(Rival):
    """The steps of `fit`, with the sums of loss and hits that it keeps of each."""

    def __init__(self, case: Case):
        super().__init__(case)
        layers = [xbnet.Residual(case.activation) for _ in range(case.blocks)]
        batch_norm, rate = case.dropout is not None, case.dropout or 0.0
        hidden, outputs = case.widths[1:-1], case.widths[-1]
        layers += xbnet.mlp(hidden, outputs, case.activation, batch_norm=batch_norm, dropout=rate)
        self.network = xbnet.Network(layers, case.widths[0], replicas=case.replicas, rng=0)
        places = [k for k, layer in enumerate(self.network.layers) if layer.parameters()]
        self.parameters: list[dict[str, Any]] = [
            {name: self.network.parameters[f"{k}.{name}"] for name in layer}
            for k, layer in zip(places, case.start(), strict=True)
        ]
        for mine, layer in zip(self.parameters, case.start(), strict=True):
            for name, value in layer.items():
                mine[name][...] = value
        loss, penalty = xbnet.SoftmaxCrossEntropy().bind(self.network), Penalty().bind(self.network)
        self.optimizer = xbnet.SGD(case.learning_rates.astype(float)).bind(self.network)
        norm = np.empty((case.replicas, 1, 1), np.float32)
        self.bound = BoundStep(self.network, loss, self.optimizer, penalty, None, norm)
        self.step = ReplayedStep(self.bound)
        self.sums = np.empty((case.steps, case.replicas, 3, 1), np.float32)
        self.x, self.y, self.rows = case.data()
        xb, yb = np.empty((1, case.batch, case.widths[0]), np.float32), np.empty((1, case.batch), np.intp)
        self.batch = Batch(xb, yb, None)
        self.rates = np.broadcast_to(case.learning_rates.astype(float), (case.steps, case.replicas))

    def run(self, epochs: int) -> None:
        for _ in range(epochs):
            self.step.run_all(self.batches(), self.optimizer.columns(self.rates), self.sums)

    def batches(self) -> Iterator[Batch]:
        gather = self.network.backend.ops.gather
        for index in self.rows[:, None]:
            gather(self.x, index, self.batch.x)
            gather(self.y, index, self.batch.y)
            yield self.batch

    def weights(self) -> list[dict[str, np.ndarray]]:
        return self.parameters

    @staticmethod
    def version() -> str:
        return f"xbnet {xbnet.__version__} on NumPy {np.__version__}"


class XbnetCompiled(Xbnet):
    """The same, played by the compiled machine."""

    def __init__(self, case: Case):
        super().__init__(case)
        self.machine = machine(self.network.dtype)
        data = Batch(self.x, self.y, None)
        self.program = StepProgram(self.bound, data, case.batch, shared=True, wants_norm=False)
        self.order = self.rows.reshape(1, -1)

    def run(self, epochs: int) -> None:
        for _ in range(epochs):
            columns = np.ascontiguousarray(self.optimizer.columns(self.rates).swapaxes(0, 1))
            self.program.run(self.machine, self.order, None, columns, self.sums)


class BareProducts(Rival):
    """The matrix products of the step and nothing else: forward, by the weights, by the inputs of all but the first.

    No library that calls the same BLAS can be faster. It computes no step, so its numbers mean nothing.
    """

    checked = False

    def __init__(self, case: Case):
        super().__init__(case)
        sizes = [value.shape[1:] for layer in case.start() for name, value in layer.items() if name.startswith("W")]
        rng = np.random.default_rng(0)

        def draw(*shape: int) -> np.ndarray:
            return rng.normal(size=(case.replicas, *shape)).astype(np.float32).squeeze()

        self.products = []
        for k, (i, o) in enumerate(sizes):
            x, w, dy = draw(case.batch, i), draw(i, o), draw(case.batch, o)
            self.products.append((x, w, np.empty_like(dy)))
            self.products.append((x.swapaxes(-1, -2), dy, np.empty_like(w)))
            if k > 0:
                self.products.append((dy, w.swapaxes(-1, -2), np.empty_like(x)))

    def run(self, epochs: int) -> None:
        matmul, products = np.matmul, self.products
        for _ in range(epochs * self.case.steps):
            for a, b, out in products:
                matmul(a, b, out=out)

    @staticmethod
    def version() -> str:
        return ""
