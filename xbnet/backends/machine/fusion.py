"""Neighbours that are done in one pass over their numbers."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np

from .record import Operation
from .views import NARROW, Views, address

Found = tuple[Operation, np.ndarray | None]
"""One operation for some, and the intermediate result that is not made any more; None: all results are made."""


def same(a: Any, b: Any) -> bool:
    """Whether two operands are the same numbers."""
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray):
        return False
    return a is b or (a.shape == b.shape and a.strides == b.strides and address(a) == address(b))


def fuse(operations: list[Operation], moved: Container[Any], views: Views) -> list[Operation]:
    """The operations, with those that pay put together."""
    done: list[Operation] = []
    at = 0
    while at < len(operations):
        for length, match in PATTERNS:
            found = match(*operations[at : at + length]) if at + length <= len(operations) else None
            gone = found is not None and (found[1] is None or _gone(found[1], moved, views, operations[at + length :]))
            if found is not None and gone and _alike(found[0], moved, views):
                done.append(found[0])
                at += length
                break
        else:
            done.append(operations[at])
            at += 1
    return done


def _gone(array: np.ndarray, moved: Container[Any], views: Views, rest: list[Operation]) -> bool:
    """Whether nobody misses this intermediate result."""
    return views.of(array).key in moved and unread(array, rest)


def _alike(op: Operation, moved: Container[Any], views: Views) -> bool:
    """Whether the operands that a fused operation walks through have one layout."""
    return (
        op.name not in ("tanh_gradient", "relu_gradient")
        or len({views.of(a).key in moved for a in (*op.operands, *op.out)}) == 1
    )


def unread(array: np.ndarray, rest: list[Operation]) -> bool:
    """Whether this intermediate result is overwritten before anybody reads it; nobody reads a part of it."""
    for op in rest:
        if any(same(x, array) for x in op.operands):
            return False
        if any(same(x, array) for x in op.out):
            return op.name != "where"
    return True


def _tanh_gradient(first: Operation, second: Operation, third: Operation) -> Found | None:
    """dy -= dy y^2, by way of a work array."""
    if (first.name, second.name, third.name) != ("multiply", "multiply", "subtract"):
        return None
    (y, y2), (w,) = first.operands, first.out
    dy = second.operands[1]
    right = same(y, y2) and same(second.operands[0], w) and same(second.out[0], w) and not same(y, dy)
    right = right and same(third.operands[0], dy) and same(third.operands[1], w) and same(third.out[0], dy)
    return (Operation("tanh_gradient", (y,), (dy,)), w) if right else None


def _subtract_scaled(first: Operation, second: Operation) -> Found | None:
    """theta -= g c, by way of a work array."""
    if (first.name, second.name) != ("multiply", "subtract"):
        return None
    (g, c), (w,), (theta, w2) = first.operands, first.out, second.operands
    if not (same(w, w2) and same(theta, second.out[0]) and isinstance(c, np.ndarray) and c.shape[1:] == (1,)):
        return None
    if g.ndim != 2 or g.shape != theta.shape or same(g, theta):
        return None
    return Operation("subtract_scaled", (g, c), (theta,)), w


def _bias(first: Operation, second: Operation) -> Found | None:
    """z = x W, then z += b: the product begins with b."""
    if first.name != "bmm" or second.name != "add" or len(first.operands) != 2:
        return None
    (z,), (z2, b) = first.out, second.operands
    right = same(z, z2) and same(z, second.out[0]) and isinstance(b, np.ndarray) and b.shape[1:] == (1, z.shape[2])
    right = right and z.shape[2] <= NARROW
    return (Operation("bmm", (*first.operands, b), (z,)), None) if right else None


def _copy(first: Operation, second: Operation) -> Found | None:
    """A result that is only made to be copied."""
    if second.name != "copyto" or len(first.out) != 1 or first.name.startswith("gather"):
        return None
    (w,), (w2,), (out,) = first.out, second.operands, second.out
    if not same(w, w2) or out.shape != w.shape or out.dtype.kind != "f" or any(same(w, x) for x in first.operands):
        return None
    return Operation(first.name, first.operands, (out,)), w


def _relu_gradient(first: Operation, second: Operation, third: Operation) -> Found | None:
    """dy *= min(ceil(y), 1), by way of a work array."""
    if (first.name, second.name, third.name) != ("ceil", "minimum", "multiply") or second.operands[1] != 1.0:
        return None
    (y,), (w,), (dy, w2) = first.operands, first.out, third.operands
    right = same(second.operands[0], w) and same(second.out[0], w) and same(w2, w) and same(third.out[0], dy)
    return (Operation("relu_gradient", (y,), (dy,)), w) if right and not same(y, dy) else None


def _bias_relu(first: Operation, second: Operation) -> Found | None:
    """z += b and y = max(z, 0), where samples are rows; in narrow layers the product takes the bias."""
    if (first.name, second.name) != ("add", "maximum") or not isinstance(second.operands[1], float):
        return None
    (z, b), (z2, number), (y,) = first.operands, second.operands, second.out
    right = same(z, first.out[0]) and same(z, z2) and number == 0 and not same(y, z)
    right = right and isinstance(b, np.ndarray) and b.shape[1:] == (1, z.shape[2]) and z.shape[2] > NARROW
    return (Operation("bias_relu", (z, b), (y,)), z) if right else None


PATTERNS = (
    (3, _tanh_gradient), (3, _relu_gradient), (2, _subtract_scaled), (2, _bias_relu), (2, _bias), (2, _copy)
)  # fmt: skip
