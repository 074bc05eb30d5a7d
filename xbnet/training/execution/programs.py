"""Programs of a step, played over whole epochs or batch by batch, and of the validation after an epoch.

What changes from step to step (the rows of the samples, the optimizer's columns, the sums, the numbers drawn for masks)
is in tables along which a program moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...backends.machine.lower import lower
from ...backends.machine.program import Program, Slot
from ...backends.machine.record import NotRecordable, Operation, Place, record
from ...backends.machine.threads import play
from ...optim.tiles import Block
from ..batches import Batch

DRAWN = 1 << 22
"""Numbers for masks, of all replicas, that are drawn at a time."""

AT_ONCE = 1 << 31
"""Multiplications that are played at a time, about: between two such stretches Ctrl-C is heard."""


class HasCalls(NotRecordable):
    """There is something that the machine has to call back, so steps are taken one by one."""


def record_step(step: Any, batch: Batch, columns: Any, sums: Any, wants_norm: bool, before: Any = None) -> Any:
    """Record the operations of a `BoundStep` on these arrays, after those of ``before(xp, ops)``, and its work memory.

    Raises
    ------
    NotRecordable
        A part gives new arrays, although it says that it is replayable.
    """
    network, loss, optimizer = step.network, step.loss, step.optimizer
    network.use(batch.x.shape[1])
    loss._use(network.output_gradient)
    theta, grad, work = network.theta, network.grad, np.empty_like(network.theta)
    whole = Block(slice(None), theta, grad, theta[:, : network.n_weights], optimizer.state, work)
    outside = SimpleNamespace(xp=network.backend.xp, ops=network.backend.ops, replayable=True)

    def run() -> None:
        if before is not None:
            before(outside.ops)
        step.run(batch, columns, sums, wants_norm)

    names = ["loss", "optimizer"] + ["penalty"] * step.penalty.active + ["mask"] * (step.mask is not None)
    places = [*_layers(network), *((vars(step), name) for name in names)]
    places += [({"step": step}, "step"), ({"outside": outside}, "outside")]
    blocks, optimizer.blocks = optimizer.blocks, [whole]
    try:
        operations = record(places, run, network.replicas)
    finally:
        optimizer.blocks = blocks
    return operations, [*network.memory(), *loss.memory(), work]


def _layers(network: Any) -> list[Place]:
    return [(network.layers, k) for k in range(len(network.layers))]


def _gathered(data: Batch, rows: int, replicas: int) -> tuple[Any, Batch]:
    """Arrays for the numbers of a batch's samples, and for the batch."""
    arrays: list[Any] = [None if a is None else np.empty((replicas, rows, *a.shape[1:]), a.dtype) for a in data]
    return np.empty((1, rows), np.intp), Batch(*arrays)


def _gather(data: Batch, index: Any, batch: Batch) -> Callable[[Any], None]:
    def before(ops: Any) -> None:
        for source, target in zip(data, batch, strict=True):
            if target is not None:
                ops.gather(source, index, target)

    return before


class Moving:
    """A program that gathers its batches from the samples, and moves along tables.

    Attributes
    ----------
    program, rows, replicas
        The program, B and R.
    """

    program: Program
    rows: int
    replicas: int

    def _lower(self, operations: Sequence[Operation], network: Any, private: list[Any], slots: dict[str, Any]) -> None:
        if any(op.name == "call" for op in operations):
            raise HasCalls
        self.program = lower(list(operations), network.dtype, self.rows, private, slots)

    def move(self, machine: Any, steps: int, order: np.ndarray, which: Any, tables: dict[str, Slot]) -> None:
        """Take this many steps.

        Parameters
        ----------
        machine
            See `load.machine`.
        order, which
            Samples (U, n) of all steps, one step after the other, and the row of them that each replica follows
            (1, R); None: the first.
        tables
            Where the other tables are.
        """
        R, program = self.replicas, self.program
        rows = np.zeros(R, np.intp) if which is None else which[0]
        tables = tables | {"order": (order, rows * order.strides[0], self.rows * order.itemsize)}
        most = max(1, AT_ONCE // (R * program.work))
        if program.drawn:
            most = min(most, max(1, DRAWN // (R * program.drawn)))
        for first in range(0, steps, most):
            now = min(most, steps - first)
            play(program, machine, program.addresses(R, tables | program.draw(now, R), first), R, now)


class StepProgram(Moving):
    """The program of a step that gathers its batch.

    Parameters
    ----------
    step
        A `BoundStep`.
    data
        Arrays x (N, I), y (N,) or (N, C), w (N,) or None, of which batches are gathered.
    rows
        Rows of a batch.
    shared
        Whether all replicas see the same batches.
    wants_norm
        Whether the norm of the gradient is wanted.

    Raises
    ------
    NotRecordable
        There is no such program.
    """

    def __init__(self, step: Any, data: Batch, rows: int, shared: bool, wants_norm: bool):
        network, R = step.network, step.network.replicas
        self.rows, self.replicas = rows, R
        index, batch = _gathered(data, rows, 1 if shared else R)
        count = len(step.optimizer.coefficients(np.ones((1, R)), np.ones((1, 1))))
        columns, sums = np.empty((count, R, 1), network.dtype), np.empty((R, 3, 1), network.dtype)
        operations, memory = record_step(step, batch, columns, sums, wants_norm, _gather(data, index, batch))
        private = [*memory, *(array for array in batch if array is not None)]
        self._lower(operations, network, private, {"order": index, "columns": columns, "sums": sums})
        self.program.name(theta=network.theta, grad=network.grad, state=network.state, norm=step.norm)
        self.program.name(x=data.x, y=data.y, w=data.w, **step.optimizer.state)

    def run(self, machine: Any, order: np.ndarray, which: Any, columns: np.ndarray, sums: np.ndarray) -> None:
        """Take S steps, by columns (S, K, R, 1), whose sums go to sums (S, R, 3, 1); see `move`."""
        tables = {
            "columns": (columns, columns.strides[2], columns.strides[0]),
            "sums": (sums, sums.strides[1], sums.strides[0]),
        }
        self.move(machine, len(columns), order, which, tables)


class ValidationProgram(Moving):
    """The program of one batch of a validation.

    Parameters
    ----------
    network, loss
        The replicas, and what is bound to them.
    data, rows, shared
        See `StepProgram`.
    wants_outputs
        Whether the network's outputs are wanted.

    Raises
    ------
    NotRecordable
        There is no such program.
    """

    def __init__(self, network: Any, loss: Any, data: Batch, rows: int, shared: bool, wants_outputs: bool):
        R = network.replicas
        self.rows, self.replicas = rows, R
        index, batch = _gathered(data, rows, 1 if shared else R)
        sums, outputs = np.empty((R, 3, 1), network.dtype), np.empty((R, rows, network.n_outputs), network.dtype)
        outside = SimpleNamespace(xp=network.backend.xp, ops=network.backend.ops, replayable=True)
        own = {"loss": loss, "outside": outside}
        network.use(rows)
        loss._use(outputs)

        def run() -> None:
            _gather(data, index, batch)(outside.ops)
            logits = network.forward(batch.x)
            own["loss"](logits, batch.y, None, batch.w, sums=sums)
            if wants_outputs:
                outside.xp.copyto(outputs, logits)

        operations = record([*_layers(network), (own, "loss"), (own, "outside")], run, R)
        private = [*network.memory(), *loss.memory(), *(array for array in batch if array is not None)]
        self._lower(operations, network, private, {"order": index, "sums": sums, "outputs": outputs})

    def run(self, machine: Any, order: np.ndarray, which: Any, sums: np.ndarray, outputs: Any) -> None:
        """Run over S batches, whose sums go to sums (S, R, 3, 1), and outputs to outputs (R, n, O) or nowhere."""
        tables: dict[str, Slot] = {"sums": (sums, sums.strides[1], sums.strides[0])}
        if outputs is not None:
            tables["outputs"] = (outputs, outputs.strides[0], self.rows * outputs.strides[1])
        self.move(machine, len(sums), order, which, tables)


class BatchProgram:
    """The program of a step on batches that the caller puts in the same arrays, with calls in between.

    Parameters
    ----------
    step, wants_norm
        See `StepProgram`.
    batch
        The arrays.
    """

    def __init__(self, step: Any, batch: Batch, wants_norm: bool):
        network, R = step.network, step.network.replicas
        self.network, self.replicas, self.rows = network, R, batch.x.shape[1]
        count = len(step.optimizer.coefficients(np.ones((1, R)), np.ones((1, 1))))
        self.columns, self.sums = np.empty((count, R, 1), network.dtype), np.empty((R, 3, 1), network.dtype)
        operations, private = record_step(step, batch, self.columns, self.sums, wants_norm)
        self.program = program = lower(operations, network.dtype, self.rows, private, {})
        self.drawn = {name: np.empty((R, size), network.dtype) for name, _, size, _ in program.random}
        slots = {name: (array, array.strides[0], 0) for name, array in self.drawn.items()}
        self.addresses, self.own = program.addresses(R, slots), program.memory(R)
        self.ends = [*program.calls, (len(program.lines), None)]

    def run(self, machine: Any, columns: Any) -> np.ndarray:
        """Take a step by columns (K, R, 1); its sums (R, 3, 1), which the next step overwrites."""
        self.columns[...] = columns
        self.network.use(self.rows)
        start = 0
        for k, (end, call) in enumerate(self.ends):
            self.program.draw_between(k, self.drawn)
            if end > start:
                play(self.program, machine, self.addresses, self.replicas, 1, self.own, slice(start, end))
            if call is not None:
                call()
            start = end
        return self.sums
