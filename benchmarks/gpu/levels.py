"""xbnet's levels of execution, driven by the `Trainer` as `fit` drives it, without the figures of an epoch."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

import xbnet
from xbnet.backends.cuda.emulated import EmulatedLauncher
from xbnet.backends.cuda.ops import CudaOps
from xbnet.training.recipe import Recipe
from xbnet.training.samples import Samples, check_data
from xbnet.training.trainer import Trainer

from .cases import LR, MOMENTUM, Case
from .rival import Rival, Unable


class Fixed:
    """In place of a generator: the same order in every epoch."""

    def __init__(self, rows: np.ndarray):
        self.order = rows.ravel()

    def permutation(self, n: int) -> np.ndarray:
        return self.order


@cache
def emulated() -> xbnet.Backend:
    """NumPy's arrays, with the project's kernels through a C++ compiler."""
    launcher, plain = EmulatedLauncher(), xbnet.get_backend("numpy")
    ops = CudaOps(launcher, plain.xp)
    return replace(plain, name="emulated", ops=ops, launcher=launcher, specialized={})


class Level(Rival):
    """Their common part."""

    level = ""

    def __init__(self, case: Case, device: str):
        super().__init__(case, device)
        try:
            name = "cupy:precision=tf32" if case.tf32 else "cupy"
            backend = emulated() if device == "cpu" else xbnet.get_backend(name)
            layers = [xbnet.Linear(width, "relu") for width in case.widths[1:-1]] + [xbnet.Linear(case.widths[-1])]
            self.network = xbnet.Network(layers, case.widths[0], replicas=case.replicas, backend=backend, rng=0)
            for k, (w, b) in enumerate(case.start()):
                self.network.parameters[f"{k}.W"][...] = backend.asarray(w)
                self.network.parameters[f"{k}.b"][...] = backend.asarray(b)
            x, y, rows = case.data()
            self.trainer = Trainer(
                self.network,
                xbnet.SoftmaxCrossEntropy(),
                xbnet.Momentum(LR, MOMENTUM),
                Samples.of(check_data((x, y))),
                Recipe(epochs=1, batch_size=case.batch, execution=self.level),
                shuffles=[Fixed(rows)] * case.replicas,
            )
        except xbnet.XbnetError as error:
            raise Unable(str(error)) from None

    def run(self, epochs: int) -> None:
        for _ in range(epochs):
            self.trainer._plan()
            self.trainer.execution.run_steps(self.trainer)

    def wait(self) -> None:
        self.network.backend.synchronize()
        if self.device == "cuda":
            self.network.backend.xp.cuda.Device().synchronize()

    def events(self) -> Any:
        if self.device == "cpu":
            return None
        cuda = self.network.backend.xp.cuda
        return cuda.Event(), cuda.Event(), lambda first, last: cuda.get_elapsed_time(first, last) / 1e3

    def weights(self) -> np.ndarray:
        to_host, parameters = self.network.backend.to_host, self.network.parameters
        parts = [to_host(parameters[f"{k}.{name}"]) for k in range(len(self.network.layers)) for name in "Wb"]
        return np.concatenate([part.astype(float).ravel() for part in parts])

    @staticmethod
    def version() -> str:
        return f"xbnet {xbnet.__version__}"


class Eager(Level):
    """A call per operation."""

    level = "eager"


class Graph(Level):
    """A CUDA graph per chunk of steps."""

    level = "graph"


class Persistent(Level):
    """A kernel per epoch."""

    level = "persistent"
