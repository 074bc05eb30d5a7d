"""The program of a forward pass, by which a network predicts that the machine has trained."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from .load import machine
from .lower import lower
from .record import NotRecordable, Operation, record
from .threads import play


class ForwardProgram:
    """The program of a network's forward pass on an array (1, n, I), played for all replicas."""

    def __init__(self, network: Any, rows: Any, out: np.ndarray, operations: list[Operation]):
        self.machine, self.replicas, self.out = machine(network.dtype), network.replicas, out
        self.program = lower(operations, network.dtype, rows.shape[1], network.memory(), {})
        self.addresses, self.own = self.program.addresses(self.replicas, {}), self.program.memory(self.replicas)

    def run(self) -> np.ndarray:
        """The logits (R, n, O), overwritten by the next run."""
        play(self.program, self.machine, self.addresses, self.replicas, 1, self.own)
        return self.out


def forward_program(network: Any, rows: Any) -> ForwardProgram | None:
    """The program for these rows; None where there is none, or a layer has to be called back."""
    out = np.empty((network.replicas, rows.shape[1], network.n_outputs), network.dtype)
    outside = SimpleNamespace(xp=network.backend.xp, ops=network.backend.ops, replayable=True)
    network.use(rows.shape[1])
    places = [*((network.layers, k) for k in range(len(network.layers))), ({"outside": outside}, "outside")]
    try:
        operations = record(places, lambda: outside.xp.copyto(out, network.forward(rows)), network.replicas)
        return None if any(op.name == "call" for op in operations) else ForwardProgram(network, rows, out, operations)
    except NotRecordable:
        return None
