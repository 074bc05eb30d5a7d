"""Whole epochs by a compiled machine: the step as a program that is played replica by replica, see `backends.machine`.

The step is recorded once per size of batch, without being done, and lowered to a program. Threads take replicas: so a
member ends in the same bits with any other members. Where batches are made by Python (sparse samples, mirrored images),
or a part has to be called back, steps are taken one by one, and the machine plays what lies between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...backends.machine.load import machine, why_not
from ...backends.machine.program import Program
from ...backends.machine.record import NotRecordable
from ...errors import ConfigError
from ..batches import Batch
from .programs import BatchProgram, HasCalls, StepProgram, ValidationProgram
from .run import Run

LONG_ENOUGH = 1.4
"""Seconds that a job has to save for "auto": what it takes to load numba and the machine, and a little more."""

WIDE = 64
"""Units; wider layers are bound by BLAS, which both levels use, so that the machine saves little there or nothing."""


def saves(trainer: Run, replicas: int) -> float:
    """Seconds of processor time that the machine saves in the trainer's job, about, if it is one of this many replicas.

    The machine saves a step's calls of NumPy, about ten per layer and fifteen around them, of 0.4 microseconds each;
    and in each replica 7 nanoseconds for each unit and sample of the batch, since numbers stay in the cache and in
    vectors. (4 to 20 were measured, in stacks of 5-10-7-5 to 64-64-10 with batches of 16 to 200.) Steps that have to be
    taken one by one save too little to count; see `has_program` for those of which only a trial tells.
    """
    parts: tuple[Any, ...] = (*trainer.live.layers, trainer.loss, trainer.optimizer, trainer.penalty)
    by_batch = trainer.flips is not None or trainer.train.sparse or not all(part.replayable for part in parts)
    steps = 0 if by_batch else trainer.recipe.epochs * trainer.batches.steps
    units = sum(layer.n_outputs for layer in trainer.live.layers if layer.n_outputs <= WIDE)
    samples = min(trainer.batches.batch_size, trainer.batches.data.n)
    return steps * (4e-7 * (10 * len(trainer.live.layers) + 15) + 7e-9 * samples * units * replicas)


def has_program(trainer: Run) -> bool:
    """Whether a step is one program, with nothing in it that is called back: it is tried, in some 10 ms."""
    if why_not() is not None:
        return False
    batches = trainer.batches
    data = Batch(trainer.train.x, trainer.train.y, trainer.train.w)
    try:
        StepProgram(trainer.step, data, min(batches.batch_size, batches.data.n), batches.which is None, wants_norm=True)
    except NotRecordable:
        return False
    return True


def pays(trainer: Run) -> bool:
    """Whether "auto" takes the machine: whether it saves clearly more time than it takes to load.

    Only the job counts, as it was asked for, so that it ends in the same bits each time. It doesn't matter whether
    this process has loaded the machine before (a second and a half, if not), nor whether it is on disk (where not,
    it takes some twenty seconds to compile, once for all jobs to come). A sweep asks for all its replicas together, in
    `sweeps/engine.py`, so that it doesn't matter either how they are cut into stacks.
    """
    return saves(trainer, trainer.live.replicas) > LONG_ENOUGH and has_program(trainer)


class Compiled:
    """The machine plays the steps of an epoch."""

    name = "compiled"

    def __init__(self, trainer: Run):
        self.machine = machine(trainer.live.dtype)
        self.programs: dict[tuple, StepProgram] = {}
        self.by_batch: dict[tuple, BatchProgram] = {}
        self.validations: dict[tuple, ValidationProgram] = {}
        self.gathers = trainer.flips is None and not trainer.train.sparse
        try:
            for is_last in {trainer.batches.steps == 1, True} if self.gathers else ():
                self.program(trainer, is_last)
        except HasCalls:
            self.gathers = False
        self.validates = trainer.val is not None and not trainer.val.sparse

    @staticmethod
    def why_not(trainer: Run) -> str | None:
        """The reason why this trainer can't be served, or None."""
        backend = trainer.live.backend
        if not backend.on_host:
            return f"the machine works on arrays of NumPy, not on those of backend {backend.name!r}"
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
        if not self.gathers:
            self._run_by_batch(trainer)
            return
        batches = trainer.batches
        S, order = batches.steps, batches.order()
        columns = np.ascontiguousarray(trainer.columns.swapaxes(0, 1))  # (S, K, R, 1)
        last = (S - 1) * batches.batch_size
        for step, samples, steps in (
            (False, order[:, :last], slice(0, S - 1)),
            (True, order[:, last:], slice(S - 1, S)),
        ):
            if samples.size:
                program = self.program(trainer, step)
                program.run(self.machine, samples, batches.which, columns[steps], np.asarray(trainer.sums)[steps])

    def _run_by_batch(self, trainer: Run) -> None:
        mask, last = trainer.step.mask, trainer.batches.steps - 1
        for s, batch in enumerate(trainer.epoch_batches()):
            key = batch.x.shape, s == last, mask is not None and (mask.holds,)
            if key not in self.by_batch:
                try:
                    self.by_batch[key] = BatchProgram(trainer.step, batch, wants_norm=s == last)
                except NotRecordable as error:
                    raise ConfigError(f"fit: execution 'compiled' is not possible: {error}; use 'auto'") from None
            trainer.sums[s] = self.by_batch[key].run(self.machine, trainer.columns[:, s])

    def validate(self, validation: Any, sums: Any, keep: Callable[[slice, np.ndarray], object] | None) -> None:
        """See `Evaluation.run`; what has to be called back, or comes sparse, is validated as on other levels."""
        network, batches = validation.network, validation.batches
        data, n, B = batches.data, batches.data.n, batches.batch_size
        outputs = None if keep is None else np.empty((network.replicas, n, network.n_outputs), network.dtype)
        whole = n // B
        order = np.arange(n)[None] if batches.order is None else batches.order
        try:
            for rows, start, steps in ((B, 0, slice(0, whole)), (n - whole * B, whole * B, slice(whole, whole + 1))):
                if not self.validates or not rows:
                    continue
                if (rows, keep is None) not in self.validations:
                    given = Batch(data.x, data.y, data.w)
                    self.validations[rows, keep is None] = ValidationProgram(
                        network, validation.loss, given, rows, batches.which is None, keep is not None
                    )
                program = self.validations[rows, keep is None]
                some = None if outputs is None else outputs[:, start:]
                program.run(self.machine, order[:, start:], batches.which, sums[steps], some)
        except NotRecordable:
            self.validates = False
        if not self.validates:
            validation.run(sums, keep)
        elif keep is not None:
            keep(slice(0, n), np.asarray(outputs))


def program_of(step: Any, rows: int) -> Program:
    """The program of a step on batches of that many rows, which all replicas share.

    Raises
    ------
    NotRecordable
        There is none.
    """
    network, targets = step.network, step.loss.task != "classification"
    x = np.empty((rows, network.n_inputs), network.dtype)
    y = np.empty((rows, network.n_outputs), network.dtype) if targets else np.empty(rows, np.intp)
    try:
        return StepProgram(step, Batch(x, y, None), rows, shared=True, wants_norm=False).program
    except HasCalls:
        raise NotRecordable(
            "a part of it does more than array operations, and is called back between two programs"
        ) from None
