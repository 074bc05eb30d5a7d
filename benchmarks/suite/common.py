"""Helpers of the asv suite: networks of a given size, the parts of a training step, and throughput."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import xbnet

BACKENDS = ["numpy", "cupy", "dpnp"]
INPUTS, CLASSES = 32, 10


def open_backend(name: str) -> xbnet.Backend:
    """The backend; where it can't be used, asv shows n/a."""
    try:
        return xbnet.get_backend(name)
    except xbnet.BackendError as error:
        raise NotImplementedError(f"{name} is not usable here") from error


class Parts:
    """A network of `depth` hidden layers of `width` units, its training step on one batch, and the step's parts."""

    def __init__(self, backend: str, depth: int = 4, width: int = 64, batch: int = 256, replicas: int = 1):
        self.backend = open_backend(backend)
        layers = [*(xbnet.Linear(width, "tanh") for _ in range(depth)), xbnet.Linear(CLASSES)]
        self.network = xbnet.Network(layers, INPUTS, replicas=replicas, backend=self.backend, rng=0)
        self.loss = xbnet.SoftmaxCrossEntropy().bind(self.network)
        self.optimizer = xbnet.SGD(0.0).bind(self.network)  # at rate 0 every call sees the same numbers
        rng = np.random.default_rng(0)
        self.x = self.backend.asarray(rng.normal(size=(1, batch, INPUTS)), self.network.dtype)
        self.labels = self.backend.asarray(rng.integers(0, CLASSES, (1, batch)), np.intp)
        self.samples = replicas * batch
        # A product is 2 operations per weight and sample; backward has two per layer, but no dx in the first.
        weights, first = depth_weights(depth, width), INPUTS * width
        self.flops = {
            "forward": 2 * weights * self.samples,
            "backward": 2 * (2 * weights - first) * self.samples,
            "step": 2 * (3 * weights - first) * self.samples,
        }
        # A user's loop calls `Step`, which replays; commits before it came have only the parts.
        self.train = xbnet.Step(self.network, "cross_entropy", xbnet.SGD(0.0)) if hasattr(xbnet, "Step") else None
        for _ in range(5):  # buffers are allocated, kernels compiled, the step recorded
            self.one_by_one()
            self.step()
        self.evaluate_loss()
        self.dlogits = self.network.output_gradient.copy()

    def forward(self) -> None:
        self.logits = self.network.forward(self.x, training=True)
        self.backend.synchronize()

    def evaluate_loss(self) -> None:
        self.loss(self.logits, self.labels, self.network.output_gradient)
        self.backend.synchronize()

    def backward(self) -> None:
        # backward uses up the gradient that it starts from
        self.backend.xp.copyto(self.network.output_gradient, self.dlogits)
        self.network.backward()
        self.backend.synchronize()

    def update(self) -> None:
        self.optimizer.step()
        self.backend.synchronize()

    def step(self) -> None:
        if self.train is None:
            self.one_by_one()
        else:
            self.train(self.x, self.labels)
            self.backend.synchronize()

    def one_by_one(self) -> None:
        self.logits = self.network.forward(self.x, training=True)
        self.loss(self.logits, self.labels, self.network.output_gradient)
        self.network.backward()
        self.optimizer.step()
        self.backend.synchronize()


def depth_weights(depth: int, width: int) -> int:
    """Weights of INPUTS - width x depth - CLASSES."""
    return INPUTS * width + (depth - 1) * width * width + width * CLASSES


def seconds(function: Callable[[], Any], total: float = 0.3) -> float:
    """Median time of a call, over as many as fit into `total` seconds, at least 5."""
    times: list[float] = []
    until = time.perf_counter() + total
    while len(times) < 5 or time.perf_counter() < until:
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
