"""CUDA's operations: one kernel does what the reference implementation does by many, with the same results.

A training step of L fully connected layers is then 5 L + 2 launches: one to gather the batch, 3 L - 1 products, L times
bias and activation, one for the loss, L bias gradients (with the activation's derivative), one update of theta.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..arrays import Array
from ..constants import ACTIVATIONS
from ..ops import Ops
from .launch import Launcher

RULES = {
    "sgd": "SGD",
    "momentum": "Momentum",
    "nesterov": "Nesterov",
    "rmsprop": "RMSProp",
    "adam": "Adam",
    "adamw": "AdamW",
}
"""Name of an optimizer -> its rule in ``update.cuh``."""
TYPES = {"float32": "float", "float64": "double"}

THREADS = 256
MOST_BLOCKS = 1 << 16
SHORT_BATCH = 256
"""Up to this many rows a block adds up a bias gradient by itself; longer sums are products, spread over the device."""
LARGEST_LOSS = 1 << 17
"""Up to this many logits of a replica one block computes the loss; beyond, the work outweighs the launches."""
COUNTED_BY_INT = 2**30
"""Up to this many elements kernels count by ints, which divide quicker; not 2**31, for they look a stride ahead."""


class CudaOps(Ops):
    """`Ops` by the project's own kernels. A user's activation takes the way of the reference implementation.

    Parameters
    ----------
    launcher
        Runs the kernels.
    xp, matmul, wait, capturable
        See `Ops`.
    """

    def __init__(
        self,
        launcher: Launcher,
        xp: Any,
        matmul: Callable[..., Any] | None = None,
        wait: Callable[[], Any] | None = None,
        *,
        capturable: bool = False,
    ):
        super().__init__(xp, matmul, wait, capturable=capturable)
        self.launcher = launcher
        self._parts: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def gather_batch(self, data: Any, index: Any, which: Any, spread: Any, out: Any) -> Any:
        """See `Ops`."""
        x, y, w = out
        if max(x.size, y.size) > COUNTED_BY_INT:
            return super().gather_batch(data, index, which, spread, out)
        R, B, inputs = x.shape
        labels, targets = (y, None) if y.ndim == 2 else (None, y)
        self._launch("gather.cuh", "gather", x, _blocks(x.size), THREADS, 0, (
            data.x, data.y if targets is None else None, data.y if labels is None else None, data.w, index, which,
            *ints(R, B, inputs, y.shape[2] if labels is None else 0), x, labels, targets, w,
        ))  # fmt: skip
        return out

    def lookup(self, W: Array, codes: Array, out: Array) -> Array:
        """See `Ops`."""
        (R, B, D), K = out.shape, W.shape[1]
        (out_next, out_row), (codes_next, codes_row) = _steps(out), _steps(codes)
        self._launch("gather.cuh", "lookup", out, _blocks(R * B * D), THREADS, 0, (
            W, _row_stride(W), codes, codes_next, codes_row, *ints(R, B, K, D), out, out_next, out_row,
        ), _index(max(R * B * D, K * D, B * int(codes_row), B * int(out_row))))  # fmt: skip
        return out

    def lookup_gradient(self, dy: Array, codes: Array, out: Array) -> Array:
        """See `Ops`."""
        (R, B, D), K = dy.shape, out.shape[1]
        (dy_next, dy_row), (codes_next, codes_row) = _steps(dy), _steps(codes)
        self._launch("gather.cuh", "lookup_gradient", out, _blocks(R * K * D), THREADS, 0, (
            dy, dy_next, dy_row, codes, codes_next, codes_row, *ints(R, B, K, D), out, _row_stride(out),
        ), _index(max(R * K * D, B * int(dy_row), B * int(codes_row))))  # fmt: skip
        return out

    def bias_activation(self, activation: Any, z: Any, b: Any, out: Any, work: Any) -> Any:
        """See `Ops`."""
        if b is None or not has_kernel(activation):
            return super().bias_activation(activation, z, b, out, work)
        kind = np.int32(_kind(activation))
        arguments = (kind, z, b, _row_stride(b), None if out is z else out, *ints(*z.shape))
        self._elements("layer.cuh", "bias_activation", z, z.size, arguments)
        return out

    def activation_gradient(self, activation: Any, dy: Any, z: Any, y: Any, db: Any, work: Any) -> None:
        """See `Ops`."""
        if db is None or not has_kernel(activation):
            super().activation_gradient(activation, dy, z, y, db, work)
            return
        kind, (R, B, O) = _kind(activation), dy.shape  # noqa: E741
        z, y = (z, y) if kind else (None, None)
        if B <= SHORT_BATCH:
            shared = THREADS * dy.dtype.itemsize
            arguments = (np.int32(kind), dy, z, y, db, _row_stride(db), *ints(B, O))
            blocks, index = R * -(-O // 32), _index(dy.size)
            self._launch("layer.cuh", "activation_gradient", dy, blocks, THREADS, shared, arguments, index)
            return
        if kind:
            count = np.int32(dy.size) if _index(dy.size) == "int" else np.int64(dy.size)
            arguments = (np.int32(kind), dy, z, y, count)
            self._elements("layer.cuh", "activation_derivative", dy, dy.size, arguments)
        self.batch_sum(dy, db)

    def loss(self, loss: Any, logits: Any, labels: Any, dlogits: Any, sample_weight: Any, sums: Any) -> None:
        """See `Ops`, and ``loss.cuh``."""
        R, B, C = logits.shape
        if loss.kernel != "softmax_cross_entropy" or B * C > LARGEST_LOSS:
            super().loss(loss, logits, labels, dlogits, sample_weight, sums)
            return
        threads = min(512, max(32, 1 << (B - 1).bit_length()))
        weights_shared = np.int32(sample_weight is not None and sample_weight.shape[0] < R)
        shared = (3 * threads + 1) * logits.dtype.itemsize
        keep, rest = (loss.keep, loss.floor) if loss.smooths else (None, None)
        self._launch("loss.cuh", "softmax_cross_entropy", logits, R, threads, shared, (
            logits, labels, np.int32(labels.shape[0] < R), sample_weight, weights_shared, loss.class_weights,
            keep, rest, dlogits, loss.report, sums, *ints(B, C), logits.dtype.type(loss.tiny),
        ))  # fmt: skip

    def update(self, step: Any, columns: Any, wants_norm: bool) -> None:
        """See `Ops`; in one pass over theta, which leaves `grad` without the penalties' gradient."""
        optimizer, penalty = step.optimizer, step.penalty
        known = optimizer.kernel in RULES and (not penalty.active or getattr(penalty, "kernel", None) is not None)
        if not known or step.mask is not None:
            super().update(step, columns, wants_norm)
            return
        net = step.network
        parts: Any = None
        twice_l2 = penalty.twice_l2 if penalty.active and penalty.uses_l2 else None
        l1 = penalty.l1 if penalty.active and penalty.uses_l1 else None
        if step.clip is not None or wants_norm:
            parts = self._parts_of(step)
            self.square_sums(net.theta, net.grad, net.n_weights, twice_l2, l1, parts)
        self.apply(optimizer, columns, twice_l2, l1, step.clip, parts)
        if wants_norm:
            self.row_sum(parts[:, None, :], step.norm)
            self.xp.sqrt(step.norm, out=step.norm)

    def _parts_of(self, step: Any) -> Any:
        """Memory (R, n) for the parts of a step's squared norms; it stays as long as the step."""
        if step not in self._parts:
            R, P = step.network.theta.shape
            self._parts[step] = self.xp.zeros((R, min(64, -(-P // 1024))), dtype=step.network.dtype)
        return self._parts[step]

    def square_sums(self, theta: Any, grad: Any, weights: int, twice_l2: Any, l1: Any, parts: Any) -> Any:
        """Parts (R, n), whose rows add up to the squared norm of each replica's gradient, penalties included."""
        R, P = theta.shape
        n = parts.shape[1]
        arguments = (theta, grad, twice_l2, l1, *ints(P, weights, n), parts)
        self._launch("update.cuh", "square_sums", theta, R * n, THREADS, THREADS * theta.dtype.itemsize, arguments)
        return parts

    def apply(
        self, optimizer: Any, columns: Any, twice_l2: Any = None, l1: Any = None, clip: Any = None, parts: Any = None
    ) -> None:
        """See `Ops`; with penalties and clipping, where they are wanted.

        `twice_l2` and `l1` (R, 1) penalize the weights; `clip` (R, 1) is the largest norm of the gradient, whose
        `parts` `square_sums` gave.
        """
        if optimizer.kernel not in RULES:
            super().apply(optimizer, columns)
            return
        net = optimizer.network
        R, P = net.theta.shape
        tiles = min(-(-P // THREADS), max(1, MOST_BLOCKS // R))
        first, second = [*(optimizer.state[slot] for slot in optimizer.slots), None, None][:2]
        n = 0 if parts is None else parts.shape[1]
        self._launch("update.cuh", "update", net.theta, R * tiles, THREADS, net.theta.dtype.itemsize, (
            net.theta, net.grad, first, second, columns, _row_stride(columns), twice_l2, l1, clip, parts,
            *ints(n, P, net.n_weights, tiles),
        ), RULES[optimizer.kernel])  # fmt: skip

    def _elements(self, source: str, name: str, like: Any, count: int, arguments: tuple[Any, ...]) -> None:
        """Launch a kernel whose threads stride over `count` elements."""
        self._launch(source, name, like, _blocks(count), THREADS, 0, arguments, _index(count))

    def _launch(
        self,
        source: str,
        name: str,
        like: Any,
        blocks: int,
        threads: int,
        shared: int,
        arguments: tuple[Any, ...],
        *more: str,
    ) -> None:
        template = ", ".join((TYPES[like.dtype.name], *more))
        self.launcher.launch(source, f"{name}<{template}>", (blocks,), threads, shared, arguments)


def ints(*values: int) -> tuple[np.int32, ...]:
    """Sizes as kernels take them."""
    return tuple(np.int32(value) for value in values)


def _row_stride(rows: Any) -> np.int64:
    """Elements from one replica's row to the next."""
    return np.int64(rows.strides[0] // rows.itemsize)


def _steps(array: Any) -> tuple[np.int64, np.int32]:
    """Elements from one replica of (R or 1, B, n) to the next, 0 where they share it, and from one row to the next."""
    shared = array.shape[0] == 1
    return np.int64(0) if shared else _row_stride(array), np.int32(array.strides[1] // array.itemsize)


def _blocks(count: int) -> int:
    return min(MOST_BLOCKS, -(-count // THREADS))


def _index(count: int) -> str:
    return "int" if count <= COUNTED_BY_INT else "long long"


def has_kernel(activation: Any) -> bool:
    """Whether kernels know this activation; None: the identity."""
    return activation is None or activation.kernel is not None


def _kind(activation: Any) -> int:
    return 0 if activation is None else ACTIVATIONS.index(activation.kernel)
