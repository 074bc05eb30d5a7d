"""The operations of the hot path in which array libraries differ: batched products, narrow sums, gathering.

All arrays carry the replica axis R in front. A size-1 replica axis on an operand is shared by all
replicas. `out` is always overwritten and never aliases an input.

An `Ops` belongs to one backend (`backend.ops`); layers, losses and optimizers call nothing else where libraries
disagree. The class below is the reference implementation, which every faster one is tested against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .arrays import Array, Namespace
from .parts import Applies, Elementwise, Evaluates, SampleArrays, Samples, Updates


class Made(dict[Any, Any]):
    """Read-only helper arrays, each made when it is first asked for: ``made[arguments]`` is ``make(*arguments)``.

    `wait` is for arrays that threads share while each works on a stream of its own: it waits until the array is there.
    """

    def __init__(self, make: Callable[..., Any], wait: Callable[[], Any] | None = None):
        super().__init__()
        self.make, self.wait = make, wait

    def __missing__(self, arguments: tuple[Any, ...]) -> Array:
        made = self.make(*arguments)
        if self.wait is not None:
            self.wait()
        self[arguments] = made
        return made


COMPOSITE = ("difference", "bias_activation", "activation_gradient", "loss", "update", "apply")
"""Operations that are written in terms of `xp` and of the others."""


class Ops:
    """The operations in the dialect that NumPy, CuPy and dpnp share.

    Sums over the narrow last axis and over the batch are products with a vector of ones: a narrow
    reduction costs NumPy a call per row, the product one call in all.

    Parameters
    ----------
    xp
        The array namespace.
    matmul
        Stands in for ``xp.matmul``.
    wait
        Waits for what the calling thread has asked of the device, see `Made`.
    capturable
        Whether all operations may be captured in a CUDA graph.

    Examples
    --------
    >>> import numpy as np
    >>> ops, out = Ops(np), np.empty((1, 2, 1))
    >>> ops.row_sum(np.array([[[1.0, 2.0], [3.0, 4.0]]]), out).ravel().tolist()
    [3.0, 7.0]
    """

    def __init__(
        self,
        xp: Namespace,
        matmul: Callable[..., Any] | None = None,
        wait: Callable[[], Any] | None = None,
        *,
        capturable: bool = False,
    ):
        self.xp, self.matmul, self.capturable = xp, matmul or xp.matmul, capturable
        self.ones_row = Made(lambda n, dtype: xp.ones((1, 1, n), dtype=dtype), wait)
        self.ones_column = Made(lambda n, dtype: xp.ones((1, n, 1), dtype=dtype), wait)
        self.numbers = Made(lambda n, dtype: xp.arange(n)[None, None].astype(dtype), wait)
        self.row_starts = Made(lambda R, B, C: (xp.arange(R * B) * C).reshape(R, B), wait)  # in a flat (R, B, C) array

    def bmm(self, a: Array, b: Array, out: Array) -> Array:
        """a (R, M, K), b (R, K, N) -> out (R, M, N)."""
        return self.matmul(a, b, out=out)

    def bmm_tn(self, a: Array, b: Array, out: Array) -> Array:
        """a (R, K, M), b (R, K, N) -> out (R, M, N) = a^T b."""
        return self.matmul(a.swapaxes(1, 2), b, out=out)

    def bmm_nt(self, a: Array, b: Array, out: Array) -> Array:
        """a (R, M, K), b (R, N, K) -> out (R, M, N) = a b^T."""
        return self.matmul(a, b.swapaxes(1, 2), out=out)

    def row_sum(self, x: Array, out: Array) -> Array:
        """x (R, B, C) -> out (R, B, 1), summed over the last axis."""
        return self.matmul(x, self.ones_column[x.shape[2], x.dtype], out=out)

    def batch_sum(self, x: Array, out: Array) -> Array:
        """x (R, B, C) -> out (R, 1, C), summed over the batch."""
        return self.matmul(self.ones_row[x.shape[1], x.dtype], x, out=out)

    def row_max(self, x: Array, out: Array, index: Array, work: Array) -> Array:
        """x (R, B, C) -> out (R, B, 1), the largest of each row, and index (R, B), the first place it is at.

        `x` and `out` are contiguous; `work` (R, B) is overwritten and holds integers like `index`.
        """
        self.xp.argmax(x, axis=2, out=index)
        self.xp.add(index, self.row_starts[x.shape], out=work)
        self.gather(x.reshape(-1), work, out=out.reshape(index.shape))
        return out

    def gather(self, x: Array, index: Array, out: Array) -> Array:
        """x (N, ...), index (R, B) of integers in [0, N) -> out (R, B, ...)."""
        return self.xp.take(x, index, axis=0, out=out)

    def lookup(self, W: Array, codes: Array, out: Array) -> Array:
        """W (R, K, D), codes (R or 1, B, 1) -> out (R, B, D): rows of the nearest codes, 0 for none of 0 to K - 1."""
        return self.matmul(self._one_hot(W, codes), W, out=out)

    def lookup_gradient(self, dy: Array, codes: Array, out: Array) -> Array:
        """dy (R, B, D), codes (R or 1, B, 1) -> out (R, K, D): for each code the sum of its rows of dy."""
        return self.matmul(self._one_hot(out, codes).swapaxes(1, 2), dy, out=out)

    def _one_hot(self, W: Array, codes: Array) -> Array:
        away = self.xp.abs(codes - self.numbers[W.shape[1], W.dtype])
        return self.xp.less(away, 0.5).astype(W.dtype)

    def random(self, streams: Sequence[np.random.Generator], out: Array) -> Array:
        """Draw numbers in [0, 1) on the host, those of replica i from streams[i].

        Parameters
        ----------
        streams
            R generators on the host.
        out
            (R, ...), overwritten.

        Returns
        -------
        Array
            `out`.
        """
        host = np.empty(out.shape, out.dtype)
        for stream, row in zip(streams, host, strict=True):
            stream.random(out=row, dtype=row.dtype)
        self.xp.copyto(out, self.xp.asarray(host))
        return out

    # -- composite operations --------------------------------------------------------------------------------------

    def difference(self, a: Array, b: Array, out: Array) -> Array:
        """a (R or 1, ...) - b (R or 1, ...) -> out (R, ...): dpnp stretches no two operands to the result's shape."""
        if len(a) < len(out):
            self.xp.copyto(out, a)
            a = out
        return self.xp.subtract(a, b, out=out)

    def bias_activation(
        self, activation: Elementwise | None, z: Array, b: Array | None, out: Array, work: Sequence[Array]
    ) -> Array:
        """Add a bias, and apply an activation: z += b, then out = activation(z).

        Parameters
        ----------
        activation
            None: there is none.
        z
            (R, B, O), overwritten by z + b.
        b
            (R, 1, O), or None.
        out
            (R, B, O), overwritten; without an activation z itself.
        work
            A pair of arrays like z, scratch for the activation.

        Returns
        -------
        Array
            `out`.
        """
        if b is not None:
            self.xp.add(z, b, out=z)
        if activation is not None:
            activation.forward(self.xp, z, out, work)
        return out

    def activation_gradient(
        self,
        activation: Elementwise | None,
        dy: Array,
        z: Array | None,
        y: Array,
        db: Array | None,
        work: Sequence[Array],
    ) -> None:
        """Multiply dy by the activation's derivative at z, and sum it over the batch to db.

        Parameters
        ----------
        activation
            None: there is none.
        dy
            (R, B, O), the gradient by y; overwritten by that by z.
        z, y
            (R, B, O), where y = activation(z).
        db
            (R, 1, O), overwritten by the sum over the batch; None: it is not wanted.
        work
            A pair of arrays like z, scratch.
        """
        if activation is not None and z is not None:
            activation.backward(self.xp, dy, z, y, work)
        if db is not None:
            self.batch_sum(dy, db)

    def loss(
        self,
        loss: Evaluates,
        logits: Array,
        labels: Array,
        dlogits: Array | None,
        sample_weight: Array | None,
        sums: Array,
    ) -> None:
        """Compute values, hits, their sums, and the gradient of a bound loss.

        Parameters
        ----------
        loss
            A bound loss.
        logits, labels, dlogits, sample_weight, sums
            As in `Loss.evaluate`.
        """
        loss.evaluate(logits, labels, dlogits, sample_weight, sums)

    def update(self, step: Updates, columns: Array, wants_norm: bool) -> None:
        """Apply penalty, gradient mask, clipping and the optimizer's rule; see `Step.update`.

        Parameters
        ----------
        step
            Penalty, gradient mask, clipping and optimizer of a step.
        columns
            (K, R, 1), the values of `Optimizer.coefficients`.
        wants_norm
            Whether the gradient's norm is reported.
        """
        step.update(columns, wants_norm)

    def apply(self, optimizer: Applies, columns: Array) -> None:
        """Apply the rule of a bound optimizer; see `Optimizer.apply`.

        Parameters
        ----------
        optimizer
            A bound optimizer.
        columns
            (K, R, 1), the values of `Optimizer.coefficients`.
        """
        optimizer.apply(columns)

    def gather_batch(
        self, data: SampleArrays, index: Array, which: Array | None, spread: Array | None, out: Samples
    ) -> Samples:
        """Gather a batch of samples.

        Parameters
        ----------
        data
            The samples `x`, `y` and `w`, of N rows each.
        index
            (U, B) of integers in [0, N).
        which
            (1, R), the row of `index` that each replica follows; None: there is one for all.
        spread
            (1, R, B) of integers, scratch; None: there is one row for all.
        out
            Arrays of a batch, overwritten.

        Returns
        -------
        Samples
            `out`.
        """
        if which is not None and spread is not None:
            index = self.gather(index, which, spread)[0]
        self.gather(data.x, index, out.x)
        self.gather(data.y, index, out.y)
        if data.w is not None and out.w is not None:
            self.gather(data.w, index, out.w)
        return out
