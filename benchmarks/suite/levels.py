"""Levels of execution on NumPy next to each other: forward, backward, step and epoch, by depth."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

import xbnet
from xbnet.backends.machine.load import machine, why_not
from xbnet.backends.machine.lower import lower
from xbnet.backends.machine.record import record
from xbnet.backends.machine.threads import play
from xbnet.backends.replay import Replays

from .common import CLASSES, INPUTS, Parts

LEVELS = ["eager", "replay", "compiled"]


class Levels:
    """Hidden layers of 64 units, batch 64."""

    params = (LEVELS, [1, 4, 16])
    param_names = ("level", "depth")
    timeout = 300

    def setup(self, level: str, depth: int) -> None:
        if level == "compiled" and why_not():
            raise NotImplementedError("numba is not here")
        self.parts = parts = Parts("numpy", depth, batch=64)
        network = parts.network
        out = np.empty((1, 64, CLASSES), np.float32)
        end = SimpleNamespace(xp=np, ops=network.backend.ops, replayable=True)  # wants the outputs, or they are no work
        self.calls = {
            name: self.on_level(level, places, function)
            for name, places, function in (
                (
                    "forward",
                    [({"end": end}, "end")],
                    lambda: end.xp.copyto(out, network.forward(parts.x, training=True)),
                ),
                ("backward", [], lambda: self.backward(network)),
                ("step", [(vars(parts), "loss"), (vars(parts), "optimizer")], parts.one_by_one),
            )
        }
        if level == "replay":
            self.calls["step"] = parts.step  # as a user's loop has it
        rng = np.random.default_rng(0)
        x = rng.normal(size=(64 * 32, INPUTS)).astype(np.float32)
        self.data = xbnet.Dataset("noise", xbnet.Part(x, rng.integers(0, CLASSES, len(x))))
        self.fit(level, epochs=2)

    def backward(self, network: xbnet.Network) -> None:
        network._ready = True  # the forward pass is not what is timed
        network.backward()

    def on_level(self, level: str, places: list[Any], function: Callable[[], Any]) -> Callable[[], Any]:
        """The function, called, replayed or played."""
        network = self.parts.network
        places = [*((network.layers, k) for k in range(len(network.layers))), *places]
        if level == "eager":
            return function
        if level == "replay":
            replays = Replays(places, network.backend.specialized)
            return lambda: replays.run(0, 0, function)
        network.use(64)
        memory = [*network.memory(), *self.parts.loss.memory()]
        program = lower(record(places, function), network.dtype, 64, memory, {})
        addresses, compiled, own = program.addresses(1, {}), machine(network.dtype), program.memory(1)
        return lambda: play(program, compiled, addresses, 1, 1, own)

    def fit(self, level: str, epochs: int = 1) -> None:
        xbnet.fit(self.parts.network, "cross_entropy", "sgd", self.data, epochs=epochs, execution=level, progress=False)

    def time_forward(self, level: str, depth: int) -> None:
        self.calls["forward"]()

    def time_backward(self, level: str, depth: int) -> None:
        self.calls["backward"]()

    def time_step(self, level: str, depth: int) -> None:
        self.calls["step"]()

    def time_epoch(self, level: str, depth: int) -> None:
        self.fit(level)
