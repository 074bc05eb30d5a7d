"""A whole epoch in one kernel: a block of threads per replica, with weights in shared memory (`kernels/train.cuh`)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ...backends.constants import ACTIVATIONS
from ...backends.cuda.ops import RULES
from ...nn.losses import SoftmaxCrossEntropy
from ...nn.network import Network
from .run import Level, Run

SERVED = tuple(name for name in ACTIVATIONS if name not in ("gelu", "silu", "mish"))
"""Activations whose derivative their output tells; the kernel keeps nothing else."""
TYPES = {"float32": "float", "float64": "double", "int32": "int", "int64": "long long"}
UNROLLED = 4
"""Up to this many layers a kernel is compiled for the network's shape; one kernel serves all deeper ones."""
MAX_THREADS = 256
"""Most threads of a block, as the kernel says."""


class Persistent(Level):
    """One launch an epoch."""

    name = "persistent"

    def __init__(self, trainer: Run):
        live = trainer.live
        self.numbers = describe(live, trainer.batch_size)
        self.threads = count_threads(self.numbers)
        self.shared_bytes = shared_bytes(self.numbers, len(trainer.optimizer.slots), live.dtype.itemsize)
        shape = f"Fixed<{', '.join(map(str, self.numbers))}>"
        self.device_numbers = None
        if len(live.layers) > UNROLLED:
            shape = "Read"
            self.device_numbers = live.backend.asarray(np.array([len(self.numbers), *self.numbers], np.int32))
        types = TYPES[live.dtype.name], TYPES[trainer.train.y.dtype.name], RULES[str(trainer.optimizer.kernel)]
        self.kernel = f"train<{', '.join((*types, shape))}>"
        assert live.backend.launcher is not None, "`why_not` has asked"
        self.launcher = live.backend.launcher
        self.launcher.prepare("train.cuh", self.kernel, self.shared_bytes)

    @staticmethod
    def why_not(trainer: Run) -> str | None:
        """The reason why this trainer can't be served, or None."""
        live, loss, optimizer = trainer.live, trainer.loss, trainer.optimizer
        if live.backend.launcher is None:
            return f"backend {live.backend.name!r} runs no kernels"
        for layer in live.layers:
            if layer.kernel != "linear":
                return f"the kernel is for Linear layers, not for {type(layer).__name__}"
            activation: Any = layer.activation
            if activation and activation.kernel not in SERVED:
                return f"the kernel has no activation {activation.name!r}"
        if loss.kernel != SoftmaxCrossEntropy.kernel:
            return f"the kernel is for the loss {SoftmaxCrossEntropy.name!r}, not for {loss.name!r}"
        if optimizer.kernel not in RULES:
            return f"the kernel has no optimizer {type(optimizer).__name__}"
        if getattr(trainer.penalty, "kernel", None) is None:
            return f"the kernel has no penalty {type(trainer.penalty).__name__}"
        if trainer.train.streamed or trainer.train.sparse:
            return "the samples don't all lie on the device"
        if trainer.flips is not None:
            return "the kernel mirrors no images"
        if trainer.strategy.factors(live, 0) is not None:
            return f"strategy {trainer.strategy.name!r} changes the gradient"
        needed = shared_bytes(describe(live, trainer.batch_size), len(optimizer.slots), live.dtype.itemsize)
        if needed > live.backend.launcher.shared_limit:
            return (
                f"weights, optimizer and a batch take {needed:,} bytes of shared memory, "
                f"and a block has {live.backend.launcher.shared_limit:,}"
            )
        return None

    def run_steps(self, trainer: Run) -> None:
        """See `Eager.run_steps`; `network.grad` stays what it was."""
        live, loss, optimizer, penalty, data = (
            trainer.live, trainer.loss, trainer.optimizer, trainer.penalty, trainer.train,
        )  # fmt: skip
        batches = trainer.batches
        kind: Any = penalty  # `why_not` has asked for its kernel
        table: Any = optimizer.ahead(batches.steps)
        slots = [optimizer.state[slot] for slot in optimizer.slots] + [None, None]
        arguments = (
            live.theta, *slots[:2],
            data.x, data.y, data.w, loss.class_weights,
            live.backend.asarray(batches.order(), data.y.dtype),
            None if batches.which is None else live.backend.asarray(batches.which, data.y.dtype),
            np.int32(data.n),
            table, np.int64(table.strides[0] // table.itemsize),
            kind.twice_l2 if kind.uses_l2 else None, kind.l1 if kind.uses_l1 else None,
            trainer.clip, loss.keep, loss.floor,
            trainer.sums, trainer.norm, self.device_numbers,
        )  # fmt: skip
        self.launcher.launch("train.cuh", self.kernel, (live.replicas,), self.threads, self.shared_bytes, arguments)
        optimizer.skip(batches.steps)


def describe(network: Network, batch_size: int) -> tuple[int, ...]:
    """The numbers by which the kernel knows a network: B, I, then width and activation of each layer."""
    numbers = [batch_size, network.n_inputs]
    for layer in network.layers:
        activation: Any = layer.activation
        numbers += [layer.n_outputs, ACTIVATIONS.index(activation.kernel) if activation else 0]
    return tuple(numbers)


def _padded(n: int) -> int:
    return -(-n // 4) * 4


def count_threads(numbers: Sequence[int]) -> int:
    """As many as the widest phase has tasks, in warps of 32."""
    B, widths = _padded(numbers[0]) // 4, [numbers[1], *numbers[2::2]]
    tiles = [_padded(n) // 4 for n in widths]
    forward = [B * outputs for outputs in tiles[1:]]
    backward = [(B * tiles[k] if k else 0) + tiles[k] * tiles[k + 1] + widths[k + 1] for k in range(len(widths) - 1)]
    return min(MAX_THREADS, -(-max(forward + backward) // 32) * 32)


def shared_bytes(numbers: Sequence[int], slots: int, itemsize: int) -> int:
    """Return a block's bytes: weights, gradient, the optimizer's slots, a batch at every layer, two gradients of it."""
    B, widths = _padded(numbers[0]), [numbers[1], *numbers[2::2]]
    row, units = B + 4, [_padded(n) for n in widths]
    parameters = sum(i * (o + 4) + o for i, o in pairwise(units))
    hidden = max(units[1:-1], default=0)
    entries = (2 + slots) * parameters + (sum(units) + 2 * hidden) * row + 3 * B + count_threads(numbers) + 8 + B
    return entries * itemsize
