"""The problem to test, on the host, one evaluation of it, and how far rounding moves that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..nn.network import Network
from ..optim.penalties import Penalty
from .functionals import Cost, InnerProduct

Drawn = Mapping[tuple[int, str], np.ndarray]

THETA, X = "theta", "x"
"""Names of the blocks that are not one layer's: all parameters together, and the network's input."""


@dataclass(frozen=True, eq=False)
class Problem:
    """The problem to test, on the host.

    Attributes
    ----------
    network
        The user's; it is never run, nor changed.
    theta
        (R, P) float64, where to test.
    x
        (R or 1, B, I) float64.
    functional
        Functional that makes f of the outputs.
    penalty
        On the weights.
    """

    network: Network
    theta: np.ndarray
    x: np.ndarray
    functional: Cost | InnerProduct
    penalty: Penalty

    def select(self, index: np.ndarray) -> Problem:
        """For the replicas `index`."""
        return Problem(
            self.network.select(list(index)),
            self.theta[index],
            self.x if len(self.x) == 1 else self.x[index],
            self.functional.select(index),
            self.penalty.select(index),
        )

    def at(self, theta: np.ndarray, x: np.ndarray) -> Problem:
        """The same at another point."""
        return replace(self, theta=theta, x=x)


class Sample(NamedTuple):
    """One evaluation: f (R,), the size of the numbers it is made of (R,), whether it is beyond a kink (R,)."""

    f: np.ndarray
    scale: np.ndarray
    crossed: np.ndarray


class Noise(NamedTuple):
    """How far rounding moves f (R,), and what it did to each block's gradient, block -> (probes, R, n)."""

    f: np.ndarray
    gradient: dict[str, np.ndarray]

    def slope(self, block: str, direction: np.ndarray) -> np.ndarray:
        """How far rounding moves <grad, direction (R, n)>, (R,)."""
        return 2 * np.nan_to_num(np.abs((self.gradient[block] * direction).sum(axis=2)).max(axis=0))

    def entry(self, block: str) -> np.ndarray:
        """How far rounding moves an entry of a block's gradient, (R,)."""
        return np.nan_to_num(np.abs(self.gradient[block]).max(axis=(0, 2)))
