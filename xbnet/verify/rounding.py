"""Rounding, measured: the same computation with the result of every array operation moved by a unit in the last place.

What such moves do to f and its gradient, rounding may do as well (stochastic arithmetic: Vignes, "Discrete
stochastic arithmetic for validating results of numerical software", 2004). Cancellation within a layer or a loss shows,
as no bound from the sizes of inputs and outputs could tell it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..backends.backend import Backend
from ..backends.ops import Ops

ROUNDED = ("bmm", "bmm_tn", "bmm_nt", "row_sum", "batch_sum")
"""The operations of `Ops` that round; the others only move numbers."""


class Rounding:
    """Comes between layers, loss and penalty and their array operations while rounding is measured.

    Attributes
    ----------
    size
        Every result is moved by up to this share of itself; 0: nothing is, and nothing is between.
    """

    def __init__(self, backend: Backend, dtype: Any):
        self.backend, self.dtype, self.size = backend, dtype, 0.0
        self.rng = np.random.default_rng(0)
        self._users: list[tuple[Any, dict[str, Any], dict[str, Any]]] = []

    def attach(self, user: Any) -> None:
        """From now on, what `user` does by its `xp` and `ops` is moved where `size` is set."""
        plain = {"xp": user.xp, "ops": user.ops}
        xp = Operations(user.xp, self, lambda name, keywords: "out" in keywords)
        moved = {"xp": xp, "ops": LayerOperations(user.ops, xp, self)}
        self._users.append((user, plain, moved))

    @contextmanager
    def of_size(self, size: float) -> Iterator[None]:
        """Move results by up to `size` of themselves within this context."""
        self.size = size
        for user, _, moved in self._users:
            vars(user).update(moved)
        try:
            yield
        finally:
            self.size = 0.0
            for user, plain, _ in self._users:
                vars(user).update(plain)

    def factors(self, shape: tuple[int, ...]) -> Any:
        """Random numbers near 1, on the device."""
        return self.backend.asarray(1 + self.rng.uniform(-self.size, self.size, shape), self.dtype)

    def moved(self, array: Any) -> Any:
        """A moved copy of an array; the array itself if nothing is to be moved."""
        return array * self.factors(array.shape) if self.size else array


class Operations:
    """An array namespace, or a `Ops`, whose results are moved in place where they are rounded."""

    def __init__(self, operations: Any, rounding: Rounding, rounds: Callable[[str, dict[Any, Any]], bool]):
        self._operations, self._rounding, self._rounds = operations, rounding, rounds

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._operations, name)
        if not callable(operation) or isinstance(operation, type):
            return operation

        def rounded(*arguments: Any, **keywords: Any) -> Any:
            result = operation(*arguments, **keywords)
            if self._rounds(name, keywords) and result.dtype == self._rounding.dtype:
                result *= self._rounding.factors(result.shape)
            return result

        vars(self)[name] = rounded  # from now on it is found without asking here
        return rounded


class LayerOperations(Operations):
    """`Ops` whose results are moved; what is made of several operations is taken apart, so that each of them is."""

    bias_activation = Ops.bias_activation
    activation_gradient = Ops.activation_gradient

    def __init__(self, operations: Any, xp: Operations, rounding: Rounding):
        super().__init__(operations, rounding, lambda name, keywords: name in ROUNDED)
        self.xp = xp
