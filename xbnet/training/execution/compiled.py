"""Whole epochs in one call of a compiled machine: the recorded step as a program, played replica by replica."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...backends.machine.lower import Lowering
from ...backends.machine.program import Program
from ...backends.machine.record import NotRecordable, Operation, recording
from ...backends.machine.views import address
from ...optim.tiles import Block


class Compiled:
    """A program per size of batch."""

    name = "compiled"

    def __init__(self, trainer: Any):
        from ...backends.machine.load import machine  # numba is heavy

        self.machine = machine()
        batches = trainer.batches
        self.programs: dict[tuple, Program] = {}
        for is_last in (False, True):
            if is_last or batches.steps > 1:
                self.program(trainer, is_last)

    @staticmethod
    def why_not(trainer: Any) -> str | None:
        """The reason why this trainer can't be served, or None."""
        live = trainer.live
        if live.backend.name != "numpy":
            return f"the machine is for NumPy, not for backend {live.backend.name!r}"
        return None

    def program(self, trainer: Any, is_last: bool) -> Program:
        batches = trainer.batches
        B = batches.data.n - (batches.steps - 1) * batches.batch_size if is_last else batches.batch_size
        step = Step(trainer, B, is_last)
        program = Lowering(step.operations, trainer.live.dtype, B, step.private, step.slots).build()
        self.programs[is_last] = program
        return program

    def run_steps(self, trainer: Any, turn: Any) -> None:
        """See `Eager.run_steps`."""
        batches, optimizer, live = trainer.batches, trainer.optimizer, trainer.live
        S, R = batches.steps, live.replicas
        order, table = batches.order(), optimizer.ahead(S)
        which = np.zeros(R, int) if batches.which is None else batches.which[0]
        for is_last, start, steps in ((False, 0, S - 1), (True, S - 1, 1)):
            if not steps:
                continue
            slots = {
                "order": (address(order) + which * order.strides[0] + start * batches.batch_size * 8, batches.batch_size * 8),
                "sums": (address(trainer.sums) + start * trainer.sums.strides[0] + np.arange(R) * trainer.sums.strides[1], trainer.sums.strides[0]),
            }
            for k, column in enumerate(table):
                slots[f"column{k}"] = (address(column) + start * column.strides[0] + np.arange(R) * column.strides[1], column.strides[0])
            self.play(self.programs[is_last], slots, R, steps)
        optimizer.skip(S)

    def play(self, program: Program, slots: Any, R: int, steps: int) -> None:
        bases, step, moving = program.addresses(R, slots)
        own = np.empty(program.own + 64, np.uint8)
        at = address(own)
        at += -at % 64
        t = program.dtype.type(0)
        self.machine(program.lines, program.base, step, moving, program.once, bases, at, 0, R, steps, t)


class Step:
    """A training step as operations, by the text of its parts."""

    def __init__(self, trainer: Any, B: int, is_last: bool):
        net, loss, penalty, optimizer, batches = trainer.live, trainer.loss, trainer.penalty, trainer.optimizer, trainer.batches
        R, data = net.replicas, trainer.train
        U = 1 if batches.which is None else R
        index = np.zeros((U, B), np.intp)
        x, y = np.empty((U, B, *data.x.shape[1:]), data.x.dtype), np.empty((U, B, *data.y.shape[1:]), data.y.dtype)
        w = None if data.w is None else np.empty((U, B), data.w.dtype)
        sums = np.empty((R, 3, 1), net.dtype)
        columns = [np.empty((R, 1), net.dtype) for _ in optimizer.coefficients(np.ones((1, R)), np.ones((1, 1)))]
        work = np.empty(net.theta.shape, net.dtype)
        self.slots = {"order": index, "sums": sums} | {f"column{k}": c for k, c in enumerate(columns)}
        net._use(B)
        between = net._use_backward()
        loss._use(between[-1])
        steps = trainer._steps
        steps.xp, steps.ops = net.backend.xp, net.backend.ops
        batches.xp, batches.ops = net.backend.xp, net.backend.ops
        users = [*net.layers, loss, penalty, optimizer, batches]
        with recording(users) as operations:
            batches.ops.gather(data.x, index, x)
            batches.ops.gather(data.y, index, y)
            if w is not None:
                batches.ops.gather(data.w, index, w)
            logits = x
            for layer in net.layers:
                logits = layer.forward(logits, True)
            loss.weighted = w is not None or loss.class_weights is not None
            loss._summed = loss._sums
            loss._weigh(y, w)
            loss._evaluate(logits, y, between[-1])
            loss._scale(between[-1])
            loss.ops.bmm(loss.report, loss.w, loss._sums)
            loss.sums(sums)
            dy = between[-1]
            for k in range(len(net.layers) - 1, 0, -1):
                net.layers[k].backward(dy, between[k])
                dy = between[k]
            net.layers[0].backward(dy, None)
            if penalty.active:
                penalty._add_gradient()
            if trainer.clip is not None or is_last:
                grad = net.grad[:, None, :]
                batches.ops.bmm_nt(grad, grad, trainer.norm)
                batches.xp.sqrt(trainer.norm, out=trainer.norm)
            if trainer.clip is not None:
                scale = steps._scale
                batches.xp.maximum(trainer.norm[:, 0], trainer.clip, out=scale)
                batches.xp.divide(trainer.clip, scale, out=scale)
                batches.xp.multiply(net.grad, scale, out=net.grad)
            optimizer.part, optimizer.work, optimizer.weights = optimizer.state, work, net.theta[:, : net.n_weights]
            optimizer.update(net.theta, net.grad, *columns)
        loss._last = (None,) * 4
        net._forget_tapes()
        self.operations = operations
        self.private = [*net.memory(), *loss.memory(), x, y, work, index] + ([] if w is None else [w])
        self.kept = [x, y, w, index, sums, columns, work]
