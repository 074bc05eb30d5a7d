"""Links: functions that turn a network's outputs into predictions, on the host.

`LINKS` holds three functions per link: of outputs to values (probabilities), of values to decisions, and of outputs to
decisions, which needs no probabilities.
"""

from __future__ import annotations

import numpy as np

FEW_CLASSES = 4
"""Up to this many classes, NumPy is quicker class by class than with rows that short."""


def softmax(z: np.ndarray) -> np.ndarray:
    """Logits (..., C) -> probabilities that sum to 1 over the last axis."""
    if z.size == z.shape[-1]:  # one row, in the order of those below
        one = z.reshape(-1) - z.max()
        np.exp(one, out=one)
        one /= np.add.accumulate(one)[-1]
        return one.reshape(z.shape)
    # A class per row: NumPy's operations along a short last axis take a call per row, those along the first none.
    e = z.reshape(-1, z.shape[-1]).T.copy()
    np.subtract(e, np.maximum.reduce(e, axis=0), out=e)
    np.exp(e, out=e)
    # NumPy adds whole rows in turn, but a single column in pairs: that would round otherwise than in a stack.
    total = np.add.reduce(e, axis=0) if e.shape[1] > 1 else np.add.accumulate(e, axis=0)[-1]
    p = np.empty(e.shape[::-1], e.dtype)
    if len(e) > FEW_CLASSES:
        np.divide(e, total, out=p.T)
    else:
        for c, row in enumerate(e):
            np.divide(row, total, out=p[:, c])
    return p.reshape(z.shape)


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Logits -> probabilities, each on its own; small ones keep their digits, so that none are tied at 0."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def log_softmax(z: np.ndarray) -> np.ndarray:
    """Logarithms of `softmax`, finite however small the probabilities are."""
    best = z.argmax(axis=-1)[..., None]
    shifted = z - np.take_along_axis(z, best, axis=-1)
    others = np.exp(shifted)
    np.put_along_axis(others, best, 0, axis=-1)  # for the best one this is log(1 / (1 + others)), which may be tiny
    return shifted - np.log1p(others.sum(axis=-1, keepdims=True))


def log_sigmoid(z: np.ndarray) -> np.ndarray:
    """Logarithms of `sigmoid`, by min(z, 0) - log(1 + exp(-|z|))."""
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))


def one_of_sigmoids(z: np.ndarray) -> np.ndarray:
    """Logits of yes-or-no questions (..., C), one of which is yes -> probabilities that sum to 1 over the last axis.

    That is sigmoid(z) over the sum of all, by way of the logarithms: no row is lost where all are small.
    """
    return softmax(log_sigmoid(z))


def log_one_of_sigmoids(z: np.ndarray) -> np.ndarray:
    """Logarithms of `one_of_sigmoids`."""
    return log_softmax(log_sigmoid(z))


def identity(z: np.ndarray) -> np.ndarray:
    """Outputs as they are."""
    return z


def exponential(z: np.ndarray) -> np.ndarray:
    """Logarithms of means -> means."""
    return np.exp(z)


def most_probable(p: np.ndarray) -> np.ndarray:
    """Labels (...,): the first of the largest."""
    if p.shape[-1] == 2:
        return (p[..., 1] > p[..., 0]).astype(np.intp)  # a third of argmax's time
    return p.argmax(axis=-1)


def at_least_half(p: np.ndarray) -> np.ndarray:
    """0 or 1 per class."""
    return (p >= 0.5).astype(int)


def at_least_zero(z: np.ndarray) -> np.ndarray:
    """0 or 1 per class: a logit of 0 is a probability of one half."""
    return (z >= 0).astype(int)


LINKS = {
    "softmax": (softmax, most_probable, most_probable),
    "sigmoid": (one_of_sigmoids, most_probable, most_probable),
    "multilabel": (sigmoid, at_least_half, at_least_zero),
    "scores": (identity, most_probable, most_probable),
    "identity": (identity, identity, identity),
    "exp": (exponential, identity, exponential),
}

LOGARITHMS = {"softmax": log_softmax, "sigmoid": log_one_of_sigmoids, "multilabel": log_sigmoid}
"""Link -> outputs to logarithms of probabilities, for the links that give such."""
