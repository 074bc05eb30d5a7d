"""Distributions of random configurations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..errors import ConfigError


@dataclass(frozen=True)
class Distribution:
    """A range of numbers, ``low`` to ``high``."""

    low: float
    high: float
    name: ClassVar[str] = ""
    needs_positive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        numbers = all(isinstance(v, (int, float, np.number)) and math.isfinite(v) for v in (self.low, self.high))
        if not numbers or not self.low < self.high or (self.needs_positive and not self.low > 0):
            bound = "0 < low < high" if self.needs_positive else "low < high"
            raise ConfigError(f"{self.name}: expected numbers {bound}, got low={self.low!r}, high={self.high!r}")

    def draw(self, rng: np.random.Generator) -> Any:
        """One value."""
        raise NotImplementedError(f"{type(self).__name__}.draw")


class Uniform(Distribution):
    """Uniform in [low, high)."""

    name = "uniform"

    def draw(self, rng: np.random.Generator) -> float:
        """One value."""
        return float(rng.uniform(self.low, self.high))


class LogUniform(Distribution):
    """The logarithm is uniform: as many values between 0.001 and 0.01 as between 0.01 and 0.1."""

    name = "loguniform"
    needs_positive = True

    def draw(self, rng: np.random.Generator) -> float:
        """One value."""
        return float(np.exp(rng.uniform(math.log(self.low), math.log(self.high))))


class Integers(Distribution):
    """Whole numbers from low to high, both included."""

    name = "integers"

    def draw(self, rng: np.random.Generator) -> int:
        """One value."""
        return int(rng.integers(int(self.low), int(self.high), endpoint=True))


class LogIntegers(LogUniform):
    """Whole numbers from low to high whose logarithm is uniform."""

    name = "logintegers"

    def draw(self, rng: np.random.Generator) -> int:
        """One value."""
        return min(int(self.high), int(np.exp(rng.uniform(math.log(self.low), math.log(self.high + 1)))))


DISTRIBUTIONS: dict[str, type[Distribution]] = {
    kind.name: kind for kind in (Uniform, LogUniform, Integers, LogIntegers)
}


def as_distribution(value: object) -> Any:
    """A `Distribution`, from one, from text like ``loguniform:1e-4,1``, or a frozen one of scipy.stats; else None."""
    if isinstance(value, Distribution) or callable(getattr(value, "rvs", None)):
        return value
    if not isinstance(value, str) or value.partition(":")[0] not in DISTRIBUTIONS:
        return None
    name, _, text = value.partition(":")
    try:
        low, high = (float(word) for word in text.split(","))
    except ValueError:
        raise ConfigError(f"{name}: expected {name}:LOW,HIGH with two numbers, got {value!r}") from None
    return DISTRIBUTIONS[name](low, high)


def draw(distribution: Any, rng: np.random.Generator) -> Any:
    """One value of a `Distribution`, or of one of scipy.stats."""
    if isinstance(distribution, Distribution):
        return distribution.draw(rng)
    value = distribution.rvs(random_state=rng)
    return value.item() if isinstance(value, np.generic) else value
