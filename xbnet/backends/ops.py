"""The batched products of the hot path, and the few operations in which array libraries differ.

All arrays carry the replica axis R in front. A size-1 replica axis on an operand is shared by all
replicas. `out` is always overwritten and never aliases an input.

A `Linalg` belongs to one backend (`backend.linalg`); layers, losses and optimizers call nothing else
where libraries disagree. The plain versions below are the reference that every faster one is tested against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any


class Made(dict):
    """Read-only helper arrays, each made when it is first asked for: ``made[arguments]`` is ``make(*arguments)``.

    `wait` is for those that threads share which work on streams of their own: until the array is there.
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


@dataclass(frozen=True)
class Linalg:
    """The operations of one backend; see the functions of `plain_linalg` for what each one means.

    `capturable` says that all of them may be captured in a CUDA graph.
    """

    bmm: Callable[..., Any]
    bmm_tn: Callable[..., Any]
    bmm_nt: Callable[..., Any]
    row_sum: Callable[..., Any]
    batch_sum: Callable[..., Any]
    row_max: Callable[..., Any]
    gather: Callable[..., Any]
    capturable: bool = False


def plain_linalg(xp: Any, matmul: Callable[..., Any] | None = None, wait: Callable[[], Any] | None = None) -> Linalg:
    """The operations in the dialect that NumPy, CuPy and dpnp share.

    Sums over the narrow last axis and over the batch are products with a vector of ones: a narrow
    reduction costs NumPy a call per row, the product one call in all. `matmul` may stand in for ``xp.matmul``.
    `wait` waits for what the calling thread has asked of the device, see `Made`.
    """
    matmul = matmul or xp.matmul
    ones_row = Made(lambda n, dtype: xp.ones((1, 1, n), dtype=dtype), wait)
    ones_column = Made(lambda n, dtype: xp.ones((1, n, 1), dtype=dtype), wait)
    row_starts = Made(lambda R, B, C: (xp.arange(R * B) * C).reshape(R, B), wait)  # in a flattened (R, B, C) array

    def bmm(a: Any, b: Any, out: Any) -> Any:
        """A (R, M, K), b (R, K, N) -> out (R, M, N)."""
        return matmul(a, b, out=out)

    def bmm_tn(a: Any, b: Any, out: Any) -> Any:
        """A (R, K, M), b (R, K, N) -> out (R, M, N) = a^T b."""
        return matmul(a.swapaxes(1, 2), b, out=out)

    def bmm_nt(a: Any, b: Any, out: Any) -> Any:
        """A (R, M, K), b (R, N, K) -> out (R, M, N) = a b^T."""
        return matmul(a, b.swapaxes(1, 2), out=out)

    def row_sum(x: Any, out: Any) -> Any:
        """X (R, B, C) -> out (R, B, 1), summed over the last axis."""
        return matmul(x, ones_column[x.shape[2], x.dtype], out=out)

    def batch_sum(x: Any, out: Any) -> Any:
        """X (R, B, C) -> out (R, 1, C), summed over the batch."""
        return matmul(ones_row[x.shape[1], x.dtype], x, out=out)

    def row_max(x: Any, out: Any, index: Any, work: Any) -> Any:
        """X (R, B, C) -> out (R, B, 1), the largest of each row, and index (R, B), the first place it is at.

        `x` and `out` are contiguous; `work` (R, B) is overwritten and holds integers like `index`.
        """
        xp.argmax(x, axis=2, out=index)
        xp.add(index, row_starts[x.shape], out=work)
        gather(x.reshape(-1), work, out=out.reshape(index.shape))
        return out

    def gather(x: Any, index: Any, out: Any) -> Any:
        """X (N, ...), index (R, B) of integers in [0, N) -> out (R, B, ...)."""
        return xp.take(x, index, axis=0, out=out)

    return Linalg(bmm, bmm_tn, bmm_nt, row_sum, batch_sum, row_max, gather)


def numpy_linalg(np: Any) -> Linalg:
    """The same for NumPy, by the array methods that skip its Python wrappers."""
    plain = plain_linalg(np)
    row_starts = Made(lambda R, B, C: (np.arange(R * B) * C).reshape(R, B))

    def gather(x: Any, index: Any, out: Any) -> Any:
        # "clip" spares NumPy a buffer; the indices are in range by contract.
        return x.take(index, 0, out, "clip")

    def row_max(x: Any, out: Any, index: Any, work: Any) -> Any:
        x.argmax(axis=2, out=index)
        np.add(index, row_starts[x.shape], out=work)
        x.reshape(-1).take(work, out=out.reshape(index.shape), mode="clip")
        return out

    return replace(plain, row_max=row_max, gather=gather)
