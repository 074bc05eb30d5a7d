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
    """Uniform in +-sqrt(6 / (I + O)) (Glorot & Bengio 2010, equation 16).

    Parameters
    ----------
    rng
        A generator of the host.
    shape
        (I, O); so it is for `he`, `lecun`, `zeros` and `ones`.

    Returns
    -------
    array of that shape, float64

    Examples
    --------
    >>> bool(abs(glorot(np.random.default_rng(0), (200, 100))).max() <= math.sqrt(6 / 300))
    True
    """
    bound = math.sqrt(6 / max(1, sum(shape[-2:])))
    return rng.uniform(-bound, bound, shape)


def he(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal with standard deviation sqrt(2 / I) (He et al. 2015, equation 10).

    Parameters
    ----------
    rng, shape
        See `glorot`.

    Returns
    -------
    array of that shape, float64

    Examples
    --------
    >>> round(float(he(np.random.default_rng(0), (200, 100)).std()), 2)
    0.1
    """
    return rng.normal(0.0, math.sqrt(2 / max(1, shape[-2])), shape)


def lecun(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal with standard deviation sqrt(1 / I) (LeCun et al. 1998, equation 16), as SELU wants it.

    Parameters
    ----------
    rng, shape
        See `glorot`.

    Returns
    -------
    array of that shape, float64

    Examples
    --------
    >>> round(float(lecun(np.random.default_rng(0), (100, 100)).std()), 1)
    0.1
    """
    return rng.normal(0.0, math.sqrt(1 / max(1, shape[-2])), shape)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], std: float) -> np.ndarray:
    return rng.normal(0.0, std, shape)


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], a: float) -> np.ndarray:
    return rng.uniform(-a, a, shape)


def normal(std: float) -> Initializer:
    """Normal with mean 0 and standard deviation `std`.

    Parameters
    ----------
    std
        >= 0.

    Returns
    -------
    function
        ``(rng, shape) -> array``.

    Examples
    --------
    >>> normal(0.01)(np.random.default_rng(0), (4, 3)).shape
    (4, 3)
    """
    return partial(_normal, std=std)


def uniform(a: float) -> Initializer:
    """Uniform in [-a, a).

    Parameters
    ----------
    a
        >= 0.

    Returns
    -------
    function
        ``(rng, shape) -> array``.

    Examples
    --------
    >>> bool(abs(uniform(0.1)(np.random.default_rng(0), (4, 3))).max() < 0.1)
    True
    """
    return partial(_uniform, a=a)


def zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """All zeros.

    Parameters
    ----------
    rng, shape
        See `glorot`; nothing is drawn.

    Returns
    -------
    array of that shape, float64

    Examples
    --------
    >>> zeros(np.random.default_rng(0), (1, 3))
    array([[0., 0., 0.]])
    """
    return np.zeros(shape)


def ones(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """All ones.

    Parameters
    ----------
    rng, shape
        See `glorot`; nothing is drawn.

    Returns
    -------
    array of that shape, float64

    Examples
    --------
    >>> ones(np.random.default_rng(0), (1, 3))
    array([[1., 1., 1.]])
    """
    return np.ones(shape)


INITIALIZERS: dict[str, Initializer] = {"glorot": glorot, "he": he, "lecun": lecun, "zeros": zeros, "ones": ones}
WITH_NUMBER: dict[str, Callable[[float], Initializer]] = {"normal": normal, "uniform": uniform}


def get_initializer(initializer: str | Initializer) -> Initializer:
    """The initializer of a name.

    Parameters
    ----------
    initializer
        "glorot", "he", "lecun", "zeros", "ones", "normal:STD", "uniform:A"; a function is returned as it is.

    Returns
    -------
    function
        ``(rng, shape) -> array``.

    Raises
    ------
    ConfigError
        An unknown name, or a missing, non-numeric or negative number after the colon.

    Examples
    --------
    >>> get_initializer("normal:0.01")(np.random.default_rng(0), (4, 3)).shape
    (4, 3)
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
