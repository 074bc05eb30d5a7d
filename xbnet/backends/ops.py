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


class Made(dict):
    """Read-only helper arrays, each made when it is first asked for: ``made[arguments]`` is ``make(*arguments)``.

    `wait` is for arrays that threads share while each works on a stream of its own: it waits until the array is there.
    """

    def __init__(self, make: Callable[..., Any], wait: Callable[[], Any] | None = None):
        super().__init__()
        self.make, self.wait = make, wait

    def __missing__(self, arguments: tuple) -> Any:
        made = self.make(*arguments)
        if self.wait is not None:
            self.wait()
        self[arguments] = made
        return made


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
    """

    def __init__(
        self,
        xp: Any,
        matmul: Callable[..., Any] | None = None,
        wait: Callable[[], Any] | None = None,
        *,
        capturable: bool = False,
    ):
        self.xp, self.matmul, self.capturable = xp, matmul or xp.matmul, capturable
        self.ones_row = Made(lambda n, dtype: xp.ones((1, 1, n), dtype=dtype), wait)
        self.ones_column = Made(lambda n, dtype: xp.ones((1, n, 1), dtype=dtype), wait)
        self.row_starts = Made(lambda R, B, C: (xp.arange(R * B) * C).reshape(R, B), wait)  # in a flat (R, B, C) array

    def bmm(self, a: Any, b: Any, out: Any) -> Any:
        """a (R, M, K), b (R, K, N) -> out (R, M, N)."""
        return self.matmul(a, b, out=out)

    def bmm_tn(self, a: Any, b: Any, out: Any) -> Any:
        """a (R, K, M), b (R, K, N) -> out (R, M, N) = a^T b."""
        return self.matmul(a.swapaxes(1, 2), b, out=out)

    def bmm_nt(self, a: Any, b: Any, out: Any) -> Any:
        """a (R, M, K), b (R, N, K) -> out (R, M, N) = a b^T."""
        return self.matmul(a, b.swapaxes(1, 2), out=out)

    def row_sum(self, x: Any, out: Any) -> Any:
        """x (R, B, C) -> out (R, B, 1), summed over the last axis."""
        return self.matmul(x, self.ones_column[x.shape[2], x.dtype], out=out)

    def batch_sum(self, x: Any, out: Any) -> Any:
        """x (R, B, C) -> out (R, 1, C), summed over the batch."""
        return self.matmul(self.ones_row[x.shape[1], x.dtype], x, out=out)

    def row_max(self, x: Any, out: Any, index: Any, work: Any) -> Any:
        """x (R, B, C) -> out (R, B, 1), the largest of each row, and index (R, B), the first place it is at.

        `x` and `out` are contiguous; `work` (R, B) is overwritten and holds integers like `index`.
        """
        self.xp.argmax(x, axis=2, out=index)
        self.xp.add(index, self.row_starts[x.shape], out=work)
        self.gather(x.reshape(-1), work, out=out.reshape(index.shape))
        return out

    def gather(self, x: Any, index: Any, out: Any) -> Any:
        """x (N, ...), index (R, B) of integers in [0, N) -> out (R, B, ...)."""
        return self.xp.take(x, index, axis=0, out=out)

    def random(self, streams: Sequence[np.random.Generator], out: Any) -> Any:
        """out (R, ...) from the host: numbers in [0, 1), those of replica i drawn from streams[i]."""
        host = np.empty(out.shape, out.dtype)
        for stream, row in zip(streams, host, strict=True):
            stream.random(out=row, dtype=row.dtype)
        self.xp.copyto(out, self.xp.asarray(host))
        return out
