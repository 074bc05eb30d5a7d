"""The steps of training in which one kernel does what the plain text does in many: fewer launches, the same results.

The plain text of layers, losses and optimizers is what is meant; where a backend has a `Fused`, they hand over to it.
A training step of L fully connected layers is then 5 L + 1 launches: one to gather the batch, 3 L - 1 products, L - 1
times bias and activation, one for the last bias and the loss, L bias gradients (with the activation's derivative), one
update of theta.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .launch import Launcher

ACTIVATIONS = ("identity", "relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "softplus")
"""In the order of `Function` in ``layer.cuh``."""
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
"""Up to so many rows a block adds up a bias gradient by itself; longer sums are products, spread over the device."""
LARGEST_LOSS = 1 << 17
"""Up to so many logits of a replica one block computes the loss; beyond, launches cost little beside the work."""
COUNTED_BY_INT = 2**30
"""Up to so many elements kernels count by ints, which divide quicker; not 2**31, for they look a stride ahead."""


class Fused:
    """Fused kernels of one backend.

    Parameters
    ----------
    launcher
        Runs them.
    xp, ops
        Of the backend.
    """

    def __init__(self, launcher: Launcher, xp: Any, ops: Any):
        self.launcher, self.xp, self.ops = launcher, xp, ops

    def gather(self, data: Any, index: Any, which: Any, batch: Any) -> None:
        """The rows `index` (U, B) of ``data.x, data.y, data.w`` to `batch`, for the replicas' orders `which` (1, R)."""
        x, y, w = batch
        R, B, inputs = x.shape
        labels, targets = (y, None) if y.ndim == 2 else (None, y)
        self._launch("gather.cuh", "gather", x, _blocks(x.size), THREADS, 0, (
            data.x, data.y if targets is None else None, data.y if labels is None else None, data.w, index, which,
            *ints(R, B, inputs, y.shape[2] if labels is None else 0), x, labels, targets, w,
        ))  # fmt: skip

    def gathers(self, batch: Any) -> bool:
        """Whether `gather` serves batches of that size."""
        return batch.x.size <= COUNTED_BY_INT

    def bias_activation(self, activation: Any, z: Any, b: Any, y: Any) -> Any:
        """Z (R, B, O) += b (R, 1, O); y = activation(z), where y is not z itself. Returns y."""
        kind = np.int32(_kind(activation))
        arguments = (kind, z, b, _row_stride(b), None if y is z else y, *ints(*z.shape))
        self._elements("layer.cuh", "bias_activation", z, z.size, arguments)
        return y

    def activation_gradient(self, activation: Any, dy: Any, z: Any, y: Any, db: Any) -> None:
        """Dy (R, B, O) *= the activation's derivative; db (R, 1, O) = its sum over the batch."""
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
        self.ops.batch_sum(dy, db)

    def takes_loss(self, logits: Any) -> bool:
        """Whether `softmax_cross_entropy` serves logits (R, B, C)."""
        return logits.shape[1] * logits.shape[2] <= LARGEST_LOSS

    def softmax_cross_entropy(
        self, logits: Any, labels: Any, dlogits: Any, report: Any, sums: Any,
        *, bias: Any, sample_weight: Any, class_weight: Any, keep: Any, rest: Any, tiny: float,
    ) -> None:  # fmt: skip
        """See ``loss.cuh``: `report` (R, 3, B), `sums` (R, 3, 1) and `dlogits` (or None) are overwritten."""
        R, B, C = logits.shape
        threads = min(512, max(32, 1 << (B - 1).bit_length()))
        weights_shared = np.int32(sample_weight is not None and sample_weight.shape[0] < R)
        shared = (3 * threads + 1) * logits.dtype.itemsize
        self._launch("loss.cuh", "softmax_cross_entropy", logits, R, threads, shared, (
            logits, bias, np.int64(0) if bias is None else _row_stride(bias), labels, np.int32(labels.shape[0] < R),
            sample_weight, weights_shared, class_weight, keep, rest, dlogits, report, sums, *ints(B, C),
            logits.dtype.type(tiny),
        ))  # fmt: skip

    def square_sums(self, theta: Any, grad: Any, weights: int, twice_l2: Any, l1: Any, parts: Any) -> Any:
        """Parts (R, n), whose rows add up to the squared norm of each replica's gradient, penalties included."""
        R, P = theta.shape
        n = parts.shape[1]
        arguments = (theta, grad, twice_l2, l1, *ints(P, weights, n), parts)
        self._launch("update.cuh", "square_sums", theta, R * n, THREADS, THREADS * theta.dtype.itemsize, arguments)
        return parts

    def update(
        self, rule: str, theta: Any, grad: Any, state: list[Any], columns: Any, weights: int,
        twice_l2: Any, l1: Any, clip: Any, parts: Any,
    ) -> None:  # fmt: skip
        """One step of the optimizer `rule` on theta (R, P), with penalties and clipping; `columns` (K, R, 1).

        `twice_l2` and `l1` (R, 1) penalize the first `weights` entries of each row; `clip` (R, 1) is the largest norm
        of the gradient, whose `parts` `square_sums` gave. Each may be None.
        """
        R, P = theta.shape
        tiles = min(-(-P // THREADS), max(1, MOST_BLOCKS // R))
        first, second = [*state, None, None][:2]
        n = 0 if parts is None else parts.shape[1]
        self._launch("update.cuh", "update", theta, R * tiles, THREADS, theta.dtype.itemsize, (
            theta, grad, first, second, columns, _row_stride(columns), twice_l2, l1, clip, parts,
            *ints(n, P, weights, tiles),
        ), RULES[rule])  # fmt: skip

    def _elements(self, source: str, name: str, like: Any, count: int, arguments: tuple) -> None:
        """Launch a kernel whose threads stride over `count` elements."""
        self._launch(source, name, like, _blocks(count), THREADS, 0, arguments, _index(count))

    def _launch(
        self, source: str, name: str, like: Any, blocks: int, threads: int, shared: int, arguments: tuple, *more: str
    ) -> None:
        template = ", ".join((TYPES[like.dtype.name], *more))
        self.launcher.launch(source, f"{name}<{template}>", (blocks,), threads, shared, arguments)


def ints(*values: int) -> tuple[np.int32, ...]:
    """Sizes as kernels take them."""
    return tuple(np.int32(value) for value in values)


def _row_stride(rows: Any) -> np.int64:
    """Elements from one replica's row to the next."""
    return np.int64(rows.strides[0] // rows.itemsize)


def _blocks(count: int) -> int:
    return min(MOST_BLOCKS, -(-count // THREADS))


def _index(count: int) -> str:
    return "int" if count <= COUNTED_BY_INT else "long long"


def _kind(activation: Any) -> int:
    return 0 if activation is None else ACTIVATIONS.index(activation.name)
