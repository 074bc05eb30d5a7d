"""Rounding, measured: the same computation with the result of every array operation moved by a unit in the last place.

What such moves do to f and to its gradient is what rounding may have done (stochastic arithmetic: Vignes, "Discrete
stochastic arithmetic for validating results of numerical software", 2004). Cancellation within a layer or a loss shows,
as no bound from the sizes of inputs and outputs could tell it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import Backend

ROUNDED = ("bmm", "bmm_tn", "bmm_nt", "row_sum", "batch_sum")
"""The operations of `Linalg` that round; the others only move numbers."""


class Rounding:
    """Stands between layers, loss and penalty and their array operations.

    Attributes
    ----------
    size
        Every result is moved by up to this share of itself; 0: none is.
    """

    def __init__(self, backend: Backend, dtype: Any):
        self.backend, self.dtype, self.size = backend, dtype, 0.0
        self.rng = np.random.default_rng(0)

    def attach(self, user: Any) -> None:
        """Put itself between `user` and its `xp` and `linalg`."""
        user.xp = Operations(user.xp, self, lambda keywords: "out" in keywords)
        user.linalg = Operations(user.linalg, self, lambda keywords: True, ROUNDED)

    def factors(self, shape: tuple[int, ...]) -> Any:
        """Random numbers near 1, on the device."""
        return self.backend.asarray(1 + self.rng.uniform(-self.size, self.size, shape), self.dtype)

    def moved(self, array: Any) -> Any:
        """A moved copy of an array; the array itself if nothing is to be moved."""
        return array * self.factors(array.shape) if self.size else array


class Operations:
    """An array namespace, or a `Linalg`, whose results are moved in place where they are rounded."""

    def __init__(self, operations: Any, rounding: Rounding, rounds: Callable[[dict], bool], names: tuple = ()):
        self._operations, self._rounding, self._rounds, self._names = operations, rounding, rounds, names

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._operations, name)
        if not callable(operation) or isinstance(operation, type) or (self._names and name not in self._names):
            return operation
        rounding = self._rounding

        def rounded(*arguments: Any, **keywords: Any) -> Any:
            result = operation(*arguments, **keywords)
            if rounding.size and self._rounds(keywords) and result.dtype == rounding.dtype:
                result *= rounding.factors(result.shape)
            return result

        return rounded
