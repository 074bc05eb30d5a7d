"""Forward passes on arrays that stay: replayed, or the program of a network that the machine has trained."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from ..backends.arrays import Array
from ..backends.machine.load import machine
from ..backends.machine.lower import lower
from ..backends.machine.record import NotRecordable, Operation, record
from ..backends.machine.threads import play
from ..backends.replay import Replays

if TYPE_CHECKING:
    from .network import Network

PLAYED_ROWS = 16
"""Rows from which on the machine predicts: to begin a program takes longer than a few rows by NumPy."""


class ForwardProgram:
    """The program of a network's forward pass on an array (1, n, I), played for all replicas."""

    def __init__(self, network: Network, rows: Array, out: np.ndarray, operations: list[Operation]):
        self.machine, self.replicas, self.out = machine(network.dtype), network.replicas, out
        self.program = lower(operations, network.dtype, rows.shape[1], network.memory(), {})
        self.addresses, self.own = self.program.addresses(self.replicas, {}), self.program.memory(self.replicas)

    def run(self) -> np.ndarray:
        """The logits (R, n, O), overwritten by the next run."""
        play(self.program, self.machine, self.addresses, self.replicas, 1, self.own)
        return self.out


def forward_program(network: Network, rows: Array) -> ForwardProgram | None:
    """The program for these rows; None where there is none, or a layer has to be called back."""
    outside = SimpleNamespace(xp=network.backend.xp, ops=network.backend.ops, replayable=True)
    network.use(rows.shape[1])
    found: list[np.ndarray] = []

    def forward() -> None:
        logits = network.forward(rows)
        found[:] = [np.empty(logits.shape, network.dtype)]
        outside.xp.copyto(found[0], logits)

    places = [*((network.layers, k) for k in range(len(network.layers))), ({"outside": outside}, "outside")]
    try:
        operations = record(places, forward, network.replicas)
        has_calls = any(op.name == "call" for op in operations)
        return None if has_calls else ForwardProgram(network, rows, found[0], operations)
    except NotRecordable:
        return None


class Passes:
    """A network's forward passes on arrays that stay, one for each number of rows.

    Parameters
    ----------
    network
        Where its `compiled` says so, the machine plays them.
    """

    def __init__(self, network: Network):
        self.network = network
        self._programs: dict[int, ForwardProgram | None] = {}
        self._replays = Replays([(network.layers, k) for k in range(len(network.layers))], network.backend.specialized)

    def run(self, rows: Array) -> Array:
        """The logits (R, n, O) of rows (1, n, I), overwritten by the next pass."""
        network, n = self.network, rows.shape[1]
        if network.compiled and n >= PLAYED_ROWS:
            if n not in self._programs:
                self._programs[n] = forward_program(network, rows)
            program = self._programs[n]
            if program is not None:
                return program.run()
        return self._replays.run(n, network.use(n), network.forward, rows)

    def clear(self) -> None:
        """Forget the arrays."""
        self._programs.clear()
        self._replays.clear()
