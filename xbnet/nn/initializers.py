"""Initial values of parameters, drawn on the host so that every backend starts from the same numbers.

An initializer is any function ``(rng, shape) -> array of that shape`` with a NumPy `Generator`; for a weight,
``shape = (I, O)``: inputs, outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from ..errors import ConfigError, unknown_name

Initializer = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def glorot(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform in +-sqrt(6 / (I + O)) (Glorot & Bengio 2010, equation 16)."""
    bound = math.sqrt(6 / max(1, sum(shape[-2:])))
    return rng.uniform(-bound, bound, shape)


def he(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal with standard deviation sqrt(2 / I) (He et al. 2015, equation 10)."""
    return rng.normal(0.0, math.sqrt(2 / max(1, shape[-2])), shape)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], std: float) -> np.ndarray:
    return rng.normal(0.0, std, shape)


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], a: float) -> np.ndarray:
    return rng.uniform(-a, a, shape)


def normal(std: float) -> Initializer:
    """Normal with mean 0 and standard deviation `std`."""
    return partial(_normal, std=std)


def uniform(a: float) -> Initializer:
    """Uniform in [-a, a)."""
    return partial(_uniform, a=a)


def zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """All zeros."""
    return np.zeros(shape)


def ones(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """All ones."""
    return np.ones(shape)


INITIALIZERS: dict[str, Initializer] = {"glorot": glorot, "he": he, "zeros": zeros, "ones": ones}
WITH_NUMBER: dict[str, Callable[[float], Initializer]] = {"normal": normal, "uniform": uniform}


def get_initializer(initializer: str | Initializer) -> Initializer:
    """The initializer of a name: "glorot", "he", "zeros", "ones", "normal:STD", "uniform:A".

    Raises
    ------
    ConfigError
        An unknown name, or a missing, non-numeric or negative number behind the colon.
    """
    if callable(initializer):
        return initializer
    name, colon, number = str(initializer).partition(":")
    if name in INITIALIZERS and not colon:
        return INITIALIZERS[name]
    if name in WITH_NUMBER:
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0 <= value < math.inf:
            raise ConfigError(f"initializer: expected {name}:NUMBER with a number >= 0, got {initializer!r}")
        return WITH_NUMBER[name](value)
    raise unknown_name("initializer", "initializer", initializer, [*INITIALIZERS, *WITH_NUMBER])
