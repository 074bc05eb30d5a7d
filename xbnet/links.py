"""What turns a network's outputs into predictions, on the host: link -> (values, decisions)."""

from __future__ import annotations

import numpy as np


def softmax(z: np.ndarray) -> np.ndarray:
    """Logits (..., C) -> probabilities that sum to 1 over the last axis."""
    # NumPy's max and sum along a short last axis take a call per row; argmax and a product with ones don't.
    C = z.shape[-1]
    flat = z.reshape(-1)
    top = z.reshape(-1, C).argmax(axis=1)
    top += np.arange(0, flat.size, C)
    e = z - flat.take(top).reshape(*z.shape[:-1], 1)
    np.exp(e, out=e)
    return np.divide(e, e @ np.ones((C, 1), e.dtype), out=e)


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Logits -> probabilities, each on its own."""
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def identity(z: np.ndarray) -> np.ndarray:
    """Outputs as they are."""
    return z


def most_probable(p: np.ndarray) -> np.ndarray:
    """Labels (...,): the first of the largest."""
    return p.argmax(axis=-1)


def at_least_half(p: np.ndarray) -> np.ndarray:
    """0 or 1 per class."""
    return (p >= 0.5).astype(int)


LINKS = {
    "softmax": (softmax, most_probable),
    "sigmoid": (sigmoid, most_probable),
    "multilabel": (sigmoid, at_least_half),
    "scores": (identity, most_probable),
    "identity": (identity, identity),
}
