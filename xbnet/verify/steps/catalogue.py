"""Everything in a step that the library has, as small runs: what `xbnet verify --training --all` tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...backends.backend import Backend
from ...datasets import Dataset, Part
from ...nn.layers import LAYERS, BatchNorm, Dropout, Layer, Linear
from ...nn.losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from ...nn.network import Network
from ...optim.optimizers import SGD, Adam, AdamW, Momentum, Nesterov, Optimizer, RMSProp
from ...optim.schedules import (
    Cosine,
    Exponential,
    InverseTime,
    Plateau,
    Schedule,
    Step,
    Triangular,
    Warmup,
)
from ..catalogue import Case, words
from .results import TrainingVerification
from .training import training_test

N_INPUTS, N_CLASSES, ROWS = 4, 3, 11


@dataclass(frozen=True)
class Run:
    """One small run, by what is special about it.

    Attributes
    ----------
    layers, loss, optimizer
        Made again for each test, given R.
    task
        Task of the targets.
    settings
        Settings of `training_test`.
    """

    optimizer: Callable[[int], Optimizer] = lambda R: Momentum(spread(R, 0.1, 0.3), momentum=0.8)
    loss: Callable[[int], Loss] = lambda R: SoftmaxCrossEntropy()
    layers: Callable[[], list[Layer]] = lambda: [Linear(5, "tanh"), Linear(N_CLASSES)]
    task: str = "classification"
    settings: Callable[[int], dict[str, Any]] = field(default=lambda R: {})


def spread(R: int, low: float, high: float) -> list[float]:
    """A value per replica."""
    return [float(v) for v in np.linspace(low, high, R)]


def with_settings(**settings: Any) -> Run:
    """The same in all replicas."""
    return Run(settings=lambda R: settings)


OPTIMIZERS: dict[str, Callable[[int], Optimizer]] = {
    "sgd": lambda R: SGD(spread(R, 0.1, 0.4)),
    "momentum": lambda R: Momentum(0.1, momentum=spread(R, 0.5, 0.9)),
    "nesterov": lambda R: Nesterov(spread(R, 0.1, 0.2), momentum=spread(R, 0.9, 0.6)),
    "rmsprop": lambda R: RMSProp(spread(R, 0.01, 0.02), decay=spread(R, 0.8, 0.99), eps=1e-3),
    "adam": lambda R: Adam(spread(R, 0.01, 0.03), beta1=spread(R, 0.7, 0.9), beta2=spread(R, 0.9, 0.99), eps=1e-3),
    "adamw": lambda R: AdamW(spread(R, 0.01, 0.03), beta2=0.95, eps=1e-3, weight_decay=spread(R, 0.1, 0.5)),
}
SCHEDULES: dict[str, Callable[[int], Schedule]] = {
    "constant": lambda R: Schedule(),
    "step": lambda R: Step(every=1, gamma=spread(R, 0.3, 0.6)),
    "exponential": lambda R: Exponential(gamma=spread(R, 0.5, 0.8)),
    "inverse_time": lambda R: InverseTime(rate=spread(R, 0.5, 2.0)),
    "cosine": lambda R: Cosine(final=spread(R, 0.0, 0.2)),
    "triangular": lambda R: Triangular(half_cycle=spread(R, 0.7, 1.5), low=0.2),
    "warmup": lambda R: Warmup(epochs=spread(R, 0.5, 2.0), then=Exponential(gamma=0.7)),
    "plateau": lambda R: Plateau(factor=spread(R, 0.3, 0.5), patience=1),
}
WEIGHTS = np.array([0.2, 3.0, 1.0, 0.0, 2.0, 0.5, 0.0, 1.5, 0.3, 2.5, 1.0])
LOSSES: dict[str, Run] = {
    "cross_entropy": Run(),
    "cross_entropy smoothed": Run(loss=lambda R: SoftmaxCrossEntropy(label_smoothing=spread(R, 0.0, 0.3))),
    "cross_entropy class weights": Run(loss=lambda R: SoftmaxCrossEntropy(class_weight=[1.0, 0.3, 2.5])),
    "cross_entropy sample weights": with_settings(sample_weight=WEIGHTS),
    "cross_entropy all": Run(
        loss=lambda R: SoftmaxCrossEntropy(class_weight=[1.0, 0.3, 2.5], label_smoothing=0.1),
        settings=lambda R: {"sample_weight": WEIGHTS},
    ),
    "binary_cross_entropy": Run(loss=lambda R: BinaryCrossEntropy()),
    "binary_cross_entropy multilabel": Run(loss=lambda R: BinaryCrossEntropy(), task="multilabel"),
    "binary_cross_entropy class weights": Run(loss=lambda R: BinaryCrossEntropy(class_weight=[1.0, 0.3, 2.5])),
    "mse": Run(loss=lambda R: MeanSquaredError(), task="regression"),
    "mse classification": Run(loss=lambda R: MeanSquaredError()),
    "mse sample weights": Run(
        loss=lambda R: MeanSquaredError(), task="regression", settings=lambda R: {"sample_weight": WEIGHTS}
    ),
}
COSTS: dict[str, Run] = {
    "l2": Run(settings=lambda R: {"l2": spread(R, 0.0, 0.3)}),
    "l1": Run(settings=lambda R: {"l1": spread(R, 0.0, 0.1)}),
    "l1 and l2": Run(settings=lambda R: {"l1": 0.05, "l2": spread(R, 0.1, 0.3)}),
    "clipping": Run(settings=lambda R: {"clip_norm": spread(R, 0.05, 10.0)}),
    "clipping with penalties": Run(lambda R: Adam(0.02), settings=lambda R: {"clip_norm": 0.1, "l2": 0.2, "l1": 0.02}),
}
STRATEGIES: dict[str, Run] = {
    "alternating": Run(lambda R: Adam(0.02), settings=lambda R: {"strategy": "alternating"}),
    "alternating with decay": Run(
        lambda R: AdamW(0.02, weight_decay=0.3), settings=lambda R: {"strategy": "alternating"}
    ),
    "weighted": with_settings(strategy="weighted:ratio=0.3"),
    "weighted with a frozen stage": Run(
        lambda R: AdamW(0.02, weight_decay=0.3),
        settings=lambda R: {"strategy": "weighted:factors=0/1", "clip_norm": 0.2, "l2": 0.1},
    ),
    "layerwise": Run(
        layers=lambda: [Linear(5, "tanh"), Linear(4, "relu"), Linear(N_CLASSES)],
        settings=lambda R: {"strategy": "layerwise:epochs=2"},
    ),
}
BATCHES: dict[str, Run] = {
    "one row left": with_settings(batch_sizes=[5, 2]),
    "single rows": with_settings(batch_sizes=[1], epochs=2),
    "all rows": with_settings(batch_sizes=[ROWS]),
    "no row left": with_settings(batch_sizes=[11, 1], epochs=2),
    "mirrored images": with_settings(flip=0.5),
    "data in chunks": with_settings(device_memory=2000),
    "dropout and statistics": Run(
        layers=lambda: [Linear(5, "relu"), Dropout(0.3), BatchNorm(), Linear(N_CLASSES)],
        settings=lambda R: {"l2": 0.05},
    ),
}


def runs() -> Iterator[tuple[str, Run]]:
    """All of them, by name."""
    for name, optimizer in OPTIMIZERS.items():
        yield f"optimizers/{name}", Run(optimizer)
    for name, schedule in SCHEDULES.items():
        yield f"schedules/{name}", scheduled(name, schedule)
    for what, table in (("losses", LOSSES), ("cost", COSTS), ("strategies", STRATEGIES), ("batches", BATCHES)):
        yield from ((f"{what}/{name}", run) for name, run in table.items())
    for kind in LAYERS.values():
        for what, example in kind.examples().items():
            last = example.answers > 1  # it can only be the last layer
            yield f"layers/{words(kind.__name__)} {what}".strip(), in_front(example) if last else behind(example)


def scheduled(name: str, make: Callable[[int], Schedule]) -> Run:
    """With a schedule; a plateau comes where steps are too long."""
    steep = Run(lambda R: SGD(spread(R, 1.0, 9.0)))
    run = steep if name == "plateau" else Run()
    return replace(run, settings=lambda R: {"schedule": make(R), "epochs": 4})


def behind(layer: Layer) -> Run:
    """With this layer first."""
    return Run(layers=lambda: [copy(layer), Linear(N_CLASSES)])


def in_front(layer: Layer) -> Run:
    """With this layer last, behind one as wide as its members side by side."""
    return Run(layers=lambda: [Linear(2 * layer.answers, "tanh"), copy(layer)])


def training_catalogue(
    backend: str | Backend = "numpy",
    dtype: str = "float64",
    replicas: int = 3,
    seed: int = 0,
    levels: Sequence[str] | None = None,
) -> Iterator[Case]:
    """Every optimizer, schedule, loss, penalty, strategy, layer and way to cut batches, at these levels."""
    rng = np.random.default_rng(seed)
    x, noise = rng.standard_normal((ROWS, N_INPUTS)), rng.standard_normal((ROWS, N_CLASSES))
    targets = {
        "classification": np.r_[:N_CLASSES, rng.integers(0, N_CLASSES, ROWS - N_CLASSES)],
        "multilabel": (noise > 0).astype(int),
        "regression": noise,
    }
    targets["multilabel"][:2] = [[0] * N_CLASSES, [1] * N_CLASSES]  # both answers occur for each class

    def test(run: Run) -> Callable[[], TrainingVerification]:
        def go() -> TrainingVerification:
            network = Network(run.layers(), N_INPUTS, replicas=replicas, backend=backend, dtype=dtype, rng=seed)
            data = Dataset("samples", Part(x, targets[run.task]), image_shape=(1, 2, 2))
            settings = run.settings(replicas)
            return training_test(
                network, run.loss(replicas), run.optimizer(replicas), data, levels=levels, rng=seed, **settings
            )

        return go

    for name, run in runs():
        yield Case(name, test(run))
