"""Everything that the library has, as cases to verify: what `xbnet verify --all` runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..nn.activations import ACTIVATIONS
from ..nn.layers import LAYERS, BatchNorm, Layer, LayerNorm, Linear, Residual
from ..nn.losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from ..nn.network import Network
from .gradient import gradient_test, jacobian_test
from .results import Verification

DEPTHS = range(1, 21)
N_INPUTS, N_CLASSES, ROWS = 4, 3, 6


@dataclass(frozen=True)
class Case:
    """One test.

    Attributes
    ----------
    name
        "layers/batch norm", "depth/residual 12", ...
    run
        Runs it.
    """

    name: str
    run: Callable[[], Any]


LOSSES: dict[str, tuple[Callable[[], Loss], dict[str, Any]]] = {
    "cross_entropy": (SoftmaxCrossEntropy, {}),
    "cross_entropy smoothed": (lambda: SoftmaxCrossEntropy(label_smoothing=0.1), {}),
    "cross_entropy class weights": (lambda: SoftmaxCrossEntropy(class_weight=[1.0, 0.3, 2.5]), {}),
    "cross_entropy sample weights": (SoftmaxCrossEntropy, {"sample_weight": np.linspace(0.2, 3.0, ROWS)}),
    "cross_entropy l2": (SoftmaxCrossEntropy, {"l2": 0.05}),
    "cross_entropy l1": (SoftmaxCrossEntropy, {"l1": 0.05}),
    "cross_entropy all": (
        lambda: SoftmaxCrossEntropy(class_weight=[1.0, 0.3, 2.5], label_smoothing=0.1),
        {"sample_weight": np.linspace(0.2, 3.0, ROWS), "l2": 0.05, "l1": 0.01},
    ),
    "binary_cross_entropy": (BinaryCrossEntropy, {}),
    "binary_cross_entropy multilabel": (BinaryCrossEntropy, {"task": "multilabel"}),
    "binary_cross_entropy class weights": (lambda: BinaryCrossEntropy(class_weight=[1.0, 0.3, 2.5]), {}),
    "mse": (MeanSquaredError, {"task": "regression"}),
    "mse classification": (MeanSquaredError, {}),
    "mse sample weights": (MeanSquaredError, {"task": "regression", "sample_weight": np.linspace(0.2, 3.0, ROWS)}),
}


def catalogue(backend: Any = "numpy", dtype: Any = "float64", replicas: int = 2, seed: int = 0) -> Iterator[Case]:
    """All cases: the reports' example, every layer, activation and loss, depths 1 to 20."""
    rng = np.random.default_rng(seed)
    x, labels, targets = (
        rng.standard_normal((ROWS, N_INPUTS)),
        rng.integers(0, N_CLASSES, ROWS),
        rng.standard_normal((ROWS, N_CLASSES)),
    )
    yes_or_no = (targets > 0).astype(float)
    stack = {"replicas": replicas, "backend": backend, "dtype": dtype, "rng": seed}

    def network(layers: list[Layer]) -> Network:
        return Network(layers, N_INPUTS, **stack)

    def layer(make: Callable[[], Layer]) -> Callable[[], Verification]:
        return lambda: jacobian_test(make(), x, **stack)

    def loss(make: Callable[[], Loss], settings: dict[str, Any]) -> Callable[[], Verification]:
        y = {"regression": targets, "multilabel": yes_or_no}.get(settings.get("task", ""), labels)
        small = network([Linear(5, "tanh"), Linear(N_CLASSES)])
        return lambda: gradient_test(small, make(), x, y, rng=seed, **settings)

    def deep(depth: int, block: Callable[[], Layer]) -> Callable[[], Verification]:
        blocks = [block() for _ in range(depth - 1)]
        return lambda: gradient_test(network([*blocks, Linear(N_CLASSES)]), "cross_entropy", x, labels, rng=seed)

    yield from report_example(network, seed)
    yield from sizes(rng, backend, dtype, seed)
    for kind in LAYERS.values():
        for what, example in kind.examples().items():
            yield Case(f"layers/{words(kind.__name__)} {what}".strip(), layer(partial(copy, example)))
    for name in ACTIVATIONS:
        yield Case(f"activations/{name}", layer(partial(Linear, 3, name)))
        yield Case(f"activations/{name} in a residual block", layer(partial(Residual, name)))
    for name, (make_loss, settings) in LOSSES.items():
        yield Case(f"losses/{name}", loss(make_loss, settings))
    for depth in DEPTHS:
        yield Case(f"depth/standard {depth}", deep(depth, lambda: Linear(N_INPUTS, "tanh")))
        yield Case(f"depth/residual {depth}", deep(depth, lambda: Residual("tanh")))


def words(name: str) -> str:
    """``BatchNorm`` -> "batch norm", ``PReLU`` -> "prelu"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", name).lower()


def keeps_width(layer: Layer, width: int) -> bool:
    """Whether a layer takes any width, as one for certain columns, codes or members doesn't, and leaves it as it is."""
    tried = copy(layer)
    try:
        tried.build(width)
    except ConfigError:
        return False
    return tried.n_outputs == width and tried.answers == 1


def sizes(rng: np.random.Generator, backend: Any, dtype: Any, seed: int) -> Iterator[Case]:
    """Other sizes than the rest has: wide layers, one row and many, one replica and three, small and large inputs."""
    width, inputs = 20, 18
    firsts = [(kind, next(iter(kind.examples().values()))) for kind in LAYERS.values() if kind is not Linear]
    every = [(kind, example) for kind, example in firsts if keeps_width(example, width)]

    def case(rows: int, replicas: int, size: float, first: Layer) -> Callable[[], Verification]:
        middle = [copy(example) for kind, example in every if rows > 1 or kind is not BatchNorm]
        layers = [first, Linear(width, "tanh"), *middle, Linear(N_CLASSES)]
        net = Network(layers, inputs, replicas=replicas, backend=backend, dtype=dtype, rng=seed)
        x = size * rng.standard_normal((replicas, rows, inputs))
        y = rng.integers(0, N_CLASSES, (replicas, rows))
        return lambda: gradient_test(net, "cross_entropy", x, y, l2=0.01, rng=seed)

    yield Case("sizes/33 rows, one replica", case(33, 1, 1.0, Linear(width, "gelu")))
    yield Case("sizes/one row, three replicas", case(1, 3, 1.0, Linear(width, "gelu")))
    yield Case("sizes/inputs of 0.001", case(7, 3, 1e-3, Linear(width, "gelu")))
    yield Case("sizes/inputs of 1,000", case(17, 2, 1e3, LayerNorm()))


def report_example(network: Callable[..., Network], seed: int) -> Iterator[Case]:
    """The one example of the course reports: x = [1, 2, 3, 4] with label 0."""
    x, y = np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([0])

    def gradient(layers: list[Layer]) -> Callable[[], Verification]:
        return lambda: gradient_test(network(layers), "cross_entropy", x, y, rng=seed)

    def jacobian(layers: list[Layer]) -> Callable[[], Verification]:
        return lambda: jacobian_test(network(layers), x, rng=seed)

    yield Case("example/softmax objective", gradient([Linear(N_CLASSES)]))
    yield Case("example/one layer", jacobian([Linear(3, "tanh")]))
    yield Case("example/two layers, Jacobian", jacobian([Linear(5, "tanh"), Linear(N_CLASSES)]))
    yield Case("example/two layers, gradient", gradient([Linear(5, "tanh"), Linear(N_CLASSES)]))
