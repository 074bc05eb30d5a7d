"""The papers' rules of an update, as they are written there, in float64: what a step of training is held against.

Nothing here calls an optimizer of the library, nor shares a line with one. Arrays are ``(R, P)``, a row per replica,
and hyper-parameters are columns ``(R, 1)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ...optim.optimizers import SGD, Adam, AdamW, Momentum, Nesterov, Optimizer, RMSProp

Memory = dict[str, np.ndarray]
Rule = Callable[..., np.ndarray]
"""``rule(theta, grad, memory, t, **hyper)``: the new theta. `memory` is a dictionary that stays, empty before step
t = 1; `hyper` are the optimizer's hyper-parameters by their names, `lr` after the schedule. A rule that treats weights
and biases differently takes ``weights`` too, (P,) true where theta holds a weight."""


def sgd(theta: np.ndarray, grad: np.ndarray, memory: Memory, t: int, *, lr: np.ndarray) -> np.ndarray:
    """Robbins and Monro 1951: theta_t = theta_t-1 - lr g_t."""
    return theta - lr * grad


def momentum(
    theta: np.ndarray, grad: np.ndarray, memory: Memory, t: int, *, lr: np.ndarray, momentum: np.ndarray
) -> np.ndarray:
    """Polyak 1964, the heavy ball: v_t = mu v_t-1 + g_t; theta_t = theta_t-1 - lr v_t."""
    v = memory["v"] = momentum * memory.get("v", 0.0) + grad
    return theta - lr * v


def nesterov(
    theta: np.ndarray, grad: np.ndarray, memory: Memory, t: int, *, lr: np.ndarray, momentum: np.ndarray
) -> np.ndarray:
    """Sutskever et al. 2013, equations 3 and 4, written at the point where the gradient is taken.

    Their v is -lr times this one (for a constant rate), and their theta + mu v is theta here.
    """
    v = memory["v"] = momentum * memory.get("v", 0.0) + grad
    return theta - lr * (grad + momentum * v)


def rmsprop(
    theta: np.ndarray, grad: np.ndarray, memory: Memory, t: int, *, lr: np.ndarray, decay: np.ndarray, eps: np.ndarray
) -> np.ndarray:
    """Tieleman and Hinton 2012, lecture 6e: a running mean of the squared gradient; divide by its root."""
    square = memory["mean square"] = decay * memory.get("mean square", 0.0) + (1 - decay) * grad**2
    return theta - lr * grad / (np.sqrt(square) + eps)


def adam(
    theta: np.ndarray,
    grad: np.ndarray,
    memory: Memory,
    t: int,
    *,
    lr: np.ndarray,
    beta1: np.ndarray,
    beta2: np.ndarray,
    eps: np.ndarray,
) -> np.ndarray:
    """Kingma and Ba 2015, algorithm 1."""
    m = memory["m"] = beta1 * memory.get("m", 0.0) + (1 - beta1) * grad
    v = memory["v"] = beta2 * memory.get("v", 0.0) + (1 - beta2) * grad**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return theta - lr * m_hat / (np.sqrt(v_hat) + eps)


def adamw(
    theta: np.ndarray,
    grad: np.ndarray,
    memory: Memory,
    t: int,
    *,
    weights: np.ndarray,
    lr: np.ndarray,
    weight_decay: np.ndarray,
    **hyper: np.ndarray,
) -> np.ndarray:
    """Loshchilov and Hutter 2019, algorithm 2: lr weight_decay theta_t-1 is subtracted in addition to Adam's step.

    Biases, gains and offsets don't decay. As in PyTorch, lr stands for both alpha and the schedule.
    """
    return adam(theta, grad, memory, t, lr=lr, **hyper) - np.where(weights, lr * weight_decay * theta, 0.0)


RULES: dict[type[Optimizer], Rule] = {
    SGD: sgd,
    Momentum: momentum,
    Nesterov: nesterov,
    RMSProp: rmsprop,
    Adam: adam,
    AdamW: adamw,
}


def apply_rule(
    rule: Rule,
    theta: np.ndarray,
    grad: np.ndarray,
    memory: Memory,
    t: int,
    weights: np.ndarray,
    hyper: dict[str, np.ndarray],
) -> np.ndarray:
    """The new theta (R, P) by a rule, which is handed `weights` where it asks for them."""
    more: dict[str, Any] = {"weights": weights} if "weights" in inspect.signature(rule).parameters else {}
    return np.asarray(rule(theta, grad, memory, t, **more, **hyper), dtype=float)


def penalized(
    theta: np.ndarray, grad: np.ndarray, weights: np.ndarray, l2: np.ndarray, l1: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The gradient of loss + l2 sum W^2 + l1 sum |W|, and the penalty (R,): biases are left out."""
    W = np.where(weights, theta, 0.0)
    value = np.zeros(len(theta))
    for factor, size in ((l2[:, 0], (W**2).sum(axis=1)), (l1[:, 0], np.abs(W).sum(axis=1))):
        value += np.where(factor > 0, factor * size, 0.0)  # 0 times infinity is no penalty
    return grad + 2 * l2 * W + l1 * np.sign(W), value


def clipped(grad: np.ndarray, largest: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The gradient, of at most this norm per replica (Pascanu et al. 2013, algorithm 1), and its norm before (R,)."""
    norm = np.sqrt((grad**2).sum(axis=1))
    if largest is None:
        return grad, norm
    over = norm > largest[:, 0]
    factor = np.where(over, largest[:, 0] / np.where(over, norm, 1.0), 1.0)
    return grad * factor[:, None], norm
