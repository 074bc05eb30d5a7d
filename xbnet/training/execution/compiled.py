"""Whole epochs by a compiled machine: the step as a program that is played replica by replica, see `backends.machine`.

The step is recorded once per size of batch, without being done, and lowered to a program. What changes from step to
step (the rows of the samples, the optimizer's columns, the sums, the numbers drawn for masks) lies in tables along
which the program moves. Threads take replicas, never parts of one: so a member ends in the same bits, whoever is
beside it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...backends.blas import blas_threads, is_held
from ...backends.machine.load import count_cores, machine, why_not
from ...backends.machine.lower import lower
from ...backends.machine.program import Program
from ...backends.machine.record import record
from ...optim.tiles import Block
from ..batches import Batch
from .run import Run

DRAWN = 1 << 22
"""Numbers for masks, of all replicas, that are drawn at a time."""

AT_ONCE = 1 << 31
"""Multiplications that are played at a time, about: between two such stretches Ctrl-C is heard."""

WORTH_A_THREAD = 1 << 20
"""Multiplications that a thread has to do, at least: to begin one takes as long as a small share of them."""


class Compiled:
    """The machine plays the steps of an epoch."""

    name = "compiled"

    def __init__(self, trainer: Run):
        self.play = machine(trainer.live.dtype)
        self.programs: dict[tuple, StepProgram] = {}
        for wants_norm in {trainer.batches.steps == 1, True}:
            self.program(trainer, wants_norm)

    @staticmethod
    def why_not(trainer: Run) -> str | None:
        """The reason why this trainer can't be served, or None."""
        backend = trainer.live.backend
        if not backend.on_host:
            return f"the machine works on arrays of NumPy, not on those of backend {backend.name!r}"
        if trainer.train.streamed:
            return "the samples don't all lie in memory"
        if trainer.train.sparse:
            return "sparse samples become dense batch by batch"
        if trainer.flips is not None:
            return "images are mirrored by masks that are drawn step by step"
        return why_not()

    def program(self, trainer: Run, is_last: bool) -> StepProgram:
        """The program of the epoch's last step, whose batch may be shorter, or of those before it."""
        batches, mask = trainer.batches, trainer.step.mask
        rows = batches.data.n - (batches.steps - 1) * batches.batch_size if is_last else batches.batch_size
        key = rows, is_last, mask is not None and (mask.holds,)
        if key not in self.programs:
            data = Batch(trainer.train.x, trainer.train.y, trainer.train.w)
            self.programs[key] = StepProgram(trainer.step, data, rows, batches.which is None, wants_norm=is_last)
        return self.programs[key]

    def run_steps(self, trainer: Run) -> None:
        """See `Eager.run_steps`."""
        batches, optimizer = trainer.batches, trainer.optimizer
        S, order = batches.steps, batches.order()
        columns = np.ascontiguousarray(optimizer.ahead(S).swapaxes(0, 1))  # (S, K, R, 1)
        last = (S - 1) * batches.batch_size
        for step, samples, steps in (
            (False, order[:, :last], slice(0, S - 1)),
            (True, order[:, last:], slice(S - 1, S)),
        ):
            if samples.size:
                program = self.program(trainer, step)
                program.run(self.play, samples, batches.which, columns[steps], np.asarray(trainer.sums)[steps])
        optimizer.skip(S)


class StepProgram:
    """The program of a step, and the tables along which it moves.

    Parameters
    ----------
    step
        A `BoundStep`.
    data
        Arrays x (N, I), y (N,) or (N, C), w (N,) or None, of which batches are gathered.
    rows
        Of a batch.
    shared
        Whether all replicas see the same batches.
    wants_norm
        Whether the norm of the gradient is wanted.
    """

    def __init__(self, step: Any, data: Batch, rows: int, shared: bool, wants_norm: bool):
        network, loss, optimizer, R = step.network, step.loss, step.optimizer, step.network.replicas
        U = 1 if shared else R
        place = lambda *shape, dtype=network.dtype: np.empty(shape, dtype)  # noqa: E731
        index = place(1, rows, dtype=np.intp)
        places: list[Any] = [None if a is None else place(U, rows, *a.shape[1:], dtype=a.dtype) for a in data]
        batch = Batch(*places)
        count = len(optimizer.coefficients(np.ones((1, R)), np.ones((1, 1))))
        columns, sums, work = place(count, R, 1), place(R, 3, 1), place(*network.theta.shape)
        network.use(rows)
        loss._use(network.output_gradient)
        theta, grad = network.theta, network.grad
        whole = Block(slice(None), theta, grad, theta[:, : network.n_weights], optimizer.state, work)
        outside = SimpleNamespace(xp=network.backend.xp, ops=network.backend.ops, replayable=True)
        parts = [*network.layers, loss, optimizer, step, outside]
        parts += [step.penalty] if step.penalty.active else []
        parts += [] if step.mask is None else [step.mask]

        def run() -> None:
            for source, target in zip(data, batch, strict=True):
                if target is not None:
                    outside.ops.gather(source, index, target)
            step.run(batch, columns, sums, wants_norm)

        blocks, optimizer.blocks = optimizer.blocks, [whole]
        try:
            operations = record(parts, run)
        finally:
            optimizer.blocks = blocks
        private = [*network.memory(), *loss.memory(), *(a for a in batch if a is not None), work]
        slots = {"order": index, "columns": columns, "sums": sums}
        self.rows, self.replicas = rows, R
        self.program: Program = lower(operations, network.dtype, rows, private, slots)
        self.program.name(theta=theta, grad=grad, state=network.state, x=data.x, y=data.y, w=data.w, norm=step.norm)
        self.program.name(**optimizer.state)
        self.parallel = not self.program.uses_blas or blas_threads() == 1

    def run(self, play: Any, order: np.ndarray, which: Any, columns: np.ndarray, sums: np.ndarray) -> None:
        """Take S steps.

        Parameters
        ----------
        play
            The machine.
        order, which
            Samples (U, n) of all steps, one step behind the other, and the row of them that each replica follows
            (1, R); None: the first.
        columns
            What the optimizer goes by, (S, K, R, 1).
        sums
            (S, R, 3, 1), overwritten.
        """
        R, program, B, S = self.replicas, self.program, self.rows, len(columns)
        rows = np.zeros(R, np.intp) if which is None else which[0]
        most = max(1, AT_ONCE // (R * program.work))
        if program.drawn:
            most = min(most, max(1, DRAWN // (R * program.drawn)))
        for first in range(0, S, most):
            steps = min(most, S - first)
            slots = {
                "order": (order[:, first * B :], rows * order.strides[0], B * order.itemsize),
                "columns": (columns[first:], columns.strides[2], columns.strides[0]),
                "sums": (sums[first:], sums.strides[1], sums.strides[0]),
            }
            slots |= program.draw(steps, R)
            self._share(partial(program.play, play, program.addresses(R, slots), steps), steps)

    def _share(self, play: Callable[[int, int], None], steps: int) -> None:
        """Let threads play replicas [first, last)."""
        R, cores = self.replicas, 1 if is_held() or not self.parallel else count_cores()
        threads = max(1, min(R, cores, R * steps * self.program.work // WORTH_A_THREAD))
        cuts = [R * k // threads for k in range(threads + 1)]
        others = [threading.Thread(target=play, args=cut) for cut in pairwise(cuts[1:])]
        for thread in others:
            thread.start()
        play(cuts[0], cuts[1])
        for thread in others:
            thread.join()


def program_of(step: Any, rows: int) -> Program:
    """The program of a step on batches of that many rows, which all replicas share."""
    network, targets = step.network, step.loss.task != "classification"
    x = np.empty((rows, network.n_inputs), network.dtype)
    y = np.empty((rows, network.n_outputs), network.dtype) if targets else np.empty(rows, np.intp)
    return StepProgram(step, Batch(x, y, None), rows, shared=True, wants_norm=False).program
