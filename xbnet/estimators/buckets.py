"""Which estimators can train in one stack."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse

from ..nn.layers import Layer
from .build import optimizer_of

if TYPE_CHECKING:
    from .meeting import Task

PER_REPLICA = ("learning_rate_init", "alpha", "momentum", "beta_1", "beta_2", "epsilon", "dropout", "clip_norm")
"""Parameters in which the estimators of one stack may differ."""
ELSEWHERE = ("random_state", "class_weight", "verbose")
"""Parameters that have done their work before training, or do it after."""


def bucket(task: Task, *but: str) -> Hashable:
    """Tasks with equal buckets can train in one stack; the parameters `but` are left out."""
    e = task.estimator
    settings = {k: v for k, v in e.get_params(deep=False).items() if k not in (*PER_REPLICA, *ELSEWHERE, *but)}
    sizes = e.hidden_layer_sizes if isinstance(e.hidden_layer_sizes, (list, tuple)) else [e.hidden_layer_sizes]
    own_layers = any(isinstance(size, Layer) for size in sizes)
    return (
        type(e),
        by_value(settings),
        type(optimizer_of(e)),
        e.dropout if own_layers else e.dropout > 0,
        e.clip_norm is None,
        by_value([layer.config() for layer in e._number_layers]),
        (e.n_features_in_, e.n_outputs_, e._task),
        (task.X.shape[0], None if task.val is None else task.val[0].shape[0]),
        issparse(task.X),
        (task.w is None, task.val is None or task.val[2] is None),
        None if task.stands is None else (task.stands.epochs, task.stands.trainer.history.execution),
    )


class Buckets:
    """`bucket`, asked once for tasks that began together: where these may differ, it looks at no more than the key."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Hashable] = {}

    def __call__(self, task: Task) -> Hashable:
        """See `bucket`."""
        e, stands = task.estimator, task.stands
        if task.shared is None:
            return bucket(task)
        where = None if stands is None else (stands.epochs, stands.trainer.history.execution)
        key = id(task.shared), e.max_iter, e.dropout, e.clip_norm is None, e.momentum, where
        if key not in self._known:
            self._known[key] = bucket(task)
        return self._known[key]


def number_data(tasks: Sequence[Task]) -> list[int]:
    """Return a number for the data of each task: equal where all arrays hold the same."""
    known: dict[Any, list[tuple[int, list[Any]]]] = {}
    numbers: list[int] = []
    for i, task in enumerate(tasks):
        arrays = [task.X, task.y, task.w, *(task.val or ())]
        shapes = tuple(None if a is None else (a.shape, a.dtype.str) for a in arrays)
        first: Any = task.X[:1]
        first = first.toarray() if issparse(first) else first
        alike = known.setdefault((shapes, first.tobytes()), [])
        same = (number for number, others in alike if all(map(_same, arrays, others)))
        numbers.append(next(same, i))
        if numbers[-1] == i:
            alike.append((i, arrays))
    return numbers


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if issparse(a):
        return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("indptr", "indices", "data"))
    return np.array_equal(a, b)


def by_value(value: Any) -> Any:
    """Return a key that is equal for two settings if and only if they mean the same: all their contents, with types."""
    if value is None or type(value) in (bool, int, float, str):
        return type(value), value
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, (list, tuple)):
        return type(value), tuple(by_value(one) for one in value)
    if isinstance(value, dict):
        return dict, tuple((name, by_value(one)) for name, one in value.items())
    if isinstance(value, FunctionType):  # those that one `def` has made differ in what they close over
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return value.__code__, by_value((cells, value.__defaults__, value.__kwdefaults__))
    if isinstance(value, type) or not hasattr(value, "__dict__"):
        return (type(value), value) if getattr(type(value), "__hash__", None) else Itself(value)
    try:  # what `pickle` would keep is all that it holds
        made, given, *state = value.__reduce_ex__(2)
        return type(value), by_value(made), by_value(given), tuple(by_value(part) for part in state[:1])
    except Exception:
        return Itself(value)


class Itself:
    """A key that only the same object equals. The object lives as long: its id would return with another one."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)
