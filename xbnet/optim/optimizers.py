"""Optimizers: the papers' rules, on all of theta (R, P) at once; `Optimizer` is what they share."""

from __future__ import annotations

import numpy as np

from ..backends.arrays import Array
from ..parsing import check_keys, choose_with_settings, parse_number
from ..replicas import PerReplica, powers
from .optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent: theta <- theta - lr grad (Robbins & Monro 1951).

    Parameters
    ----------
    lr
        Learning rate, >= 0: a number, or one per replica (R,).

    Raises
    ------
    ConfigError
        A value that is no finite number, or out of range; so do all optimizers.

    Examples
    --------
    >>> SGD(lr=[0.1, 0.01])  # for a stack of two
    SGD(lr=[0.1, 0.01])
    """

    name = "sgd"
    replayable = True
    kernel = "sgd"

    def __init__(self, lr: PerReplica = 0.1):
        super().__init__(lr)

    def update(self, theta: Array, grad: Array, lr: Array) -> None:
        self.xp.multiply(grad, lr, out=self.work)
        self.xp.subtract(theta, self.work, out=theta)


class Momentum(Optimizer):
    """v <- momentum v + grad; theta <- theta - lr v (Polyak 1964).

    Parameters
    ----------
    lr
        Learning rate, >= 0: a number, or one per replica (R,).
    momentum
        Share of the velocity that a step keeps, in [0, 1): a number, or one per replica (R,).

    Examples
    --------
    >>> Momentum(lr=0.05)
    Momentum(lr=0.05, momentum=0.9)
    """

    name = "momentum"
    replayable = True
    kernel = "momentum"
    slots = ("velocity",)

    def __init__(self, lr: PerReplica = 0.1, momentum: PerReplica = 0.9):
        super().__init__(lr, momentum=momentum)

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        return lr, self.values["momentum"]

    def update(self, theta: Array, grad: Array, lr: Array, momentum: Array) -> None:
        xp, v = self.xp, self.part["velocity"]
        xp.multiply(v, momentum, out=v)
        xp.add(v, grad, out=v)
        xp.multiply(v, lr, out=self.work)
        xp.subtract(theta, self.work, out=theta)


class Nesterov(Momentum):
    """v <- momentum v + grad; theta <- theta - lr (grad + momentum v) (Sutskever et al. 2013).

    Parameters
    ----------
    lr
        Learning rate, >= 0: a number, or one per replica (R,).
    momentum
        Share of the velocity that a step keeps, in [0, 1): a number, or one per replica (R,).

    Examples
    --------
    >>> Nesterov(momentum=0.95)
    Nesterov(lr=0.1, momentum=0.95)
    """

    name = "nesterov"
    replayable = True
    kernel = "nesterov"

    def update(self, theta: Array, grad: Array, lr: Array, momentum: Array) -> None:
        xp, v = self.xp, self.part["velocity"]
        xp.multiply(v, momentum, out=v)
        xp.add(v, grad, out=v)
        xp.multiply(v, momentum, out=self.work)
        xp.add(self.work, grad, out=self.work)
        xp.multiply(self.work, lr, out=self.work)
        xp.subtract(theta, self.work, out=theta)


class RMSProp(Optimizer):
    """s <- decay s + (1 - decay) grad^2; theta <- theta - lr grad / (sqrt(s) + eps) (Tieleman & Hinton 2012).

    The state is s / (1 - decay): the factor goes into the step length and eps, which saves a pass over theta.

    Parameters
    ----------
    lr
        Learning rate, >= 0: a number, or one per replica (R,).
    decay
        Share of the mean of squares that a step keeps, in [0, 1): a number, or one per replica (R,).
    eps
        Added to the root, >= 0, so that no step divides by zero: a number, or one per replica (R,).

    Examples
    --------
    >>> RMSProp()
    RMSProp(lr=0.01, decay=0.99, eps=1e-08)
    """

    name = "rmsprop"
    replayable = True
    kernel = "rmsprop"
    slots = ("squares",)

    def __init__(self, lr: PerReplica = 0.01, decay: PerReplica = 0.99, eps: PerReplica = 1e-8):
        super().__init__(lr, decay=decay, eps=eps)

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        decay = self.values["decay"]
        return lr / np.sqrt(1 - decay), decay, self.values["eps"] / np.sqrt(1 - decay)

    def update(self, theta: Array, grad: Array, length: Array, decay: Array, eps: Array) -> None:
        xp, s, work = self.xp, self.part["squares"], self.work
        xp.multiply(s, decay, out=s)
        xp.multiply(grad, grad, out=work)
        xp.add(s, work, out=s)
        xp.sqrt(s, out=work)
        xp.add(work, eps, out=work)
        xp.divide(grad, work, out=work)
        xp.multiply(work, length, out=work)
        xp.subtract(theta, work, out=theta)


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1).

    m <- beta1 m + (1 - beta1) grad; s <- beta2 s + (1 - beta2) grad^2;
    theta <- theta - lr m / (1 - beta1^t) / (sqrt(s / (1 - beta2^t)) + eps).

    Both corrections are folded into the step length and eps, as the paper proposes in its section 2. So are the factors
    of grad and grad^2: the state is m / (1 - beta1) and s / (1 - beta2), which saves two passes over theta.

    Parameters
    ----------
    lr
        Learning rate, >= 0: a number, or one per replica (R,).
    beta1, beta2
        Shares of the means of grad and of grad^2 that a step keeps, in [0, 1): numbers, or one per replica (R,).
    eps
        Added to the root, >= 0, so that no step divides by zero: a number, or one per replica (R,).

    Examples
    --------
    >>> Adam(lr=0.003)
    Adam(lr=0.003, beta1=0.9, beta2=0.999, eps=1e-08)
    """

    name = "adam"
    replayable = True
    kernel = "adam"
    slots = ("sum", "squares")

    def __init__(
        self, lr: PerReplica = 0.001, beta1: PerReplica = 0.9, beta2: PerReplica = 0.999, eps: PerReplica = 1e-8
    ):
        super().__init__(lr, beta1=beta1, beta2=beta2, eps=eps)

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        beta1, beta2 = self.values["beta1"], self.values["beta2"]
        root = np.sqrt((1 - powers(beta2, t)) / (1 - beta2))
        return lr * (1 - beta1) / (1 - powers(beta1, t)) * root, beta1, beta2, self.values["eps"] * root

    def update(self, theta: Array, grad: Array, length: Array, beta1: Array, beta2: Array, eps: Array) -> None:
        xp, m, s, work = self.xp, self.part["sum"], self.part["squares"], self.work
        xp.multiply(m, beta1, out=m)
        xp.add(m, grad, out=m)
        xp.multiply(s, beta2, out=s)
        xp.multiply(grad, grad, out=work)
        xp.add(s, work, out=s)
        xp.sqrt(s, out=work)
        xp.add(work, eps, out=work)
        xp.divide(m, work, out=work)
        xp.multiply(work, length, out=work)
        xp.subtract(theta, work, out=theta)


class AdamW(Adam):
    """Adam, after weights <- (1 - lr weight_decay) weights; biases don't decay (Loshchilov & Hutter 2019).

    Parameters
    ----------
    lr
        Learning rate, >= 0: a number, or one per replica (R,).
    beta1, beta2
        Shares of the means of grad and of grad^2 that a step keeps, in [0, 1): numbers, or one per replica (R,).
    eps
        Added to the root, >= 0, so that no step divides by zero: a number, or one per replica (R,).
    weight_decay
        >= 0: a number, or one per replica (R,). A step shrinks weights by its learning rate times this.

    Examples
    --------
    >>> AdamW(weight_decay=0.1)
    AdamW(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-08, weight_decay=0.1)
    """

    name = "adamw"
    replayable = True
    kernel = "adamw"

    def __init__(
        self,
        lr: PerReplica = 0.001,
        beta1: PerReplica = 0.9,
        beta2: PerReplica = 0.999,
        eps: PerReplica = 1e-8,
        weight_decay: PerReplica = 0.01,
    ):
        Optimizer.__init__(self, lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        return 1 - lr * self.values["weight_decay"], *super().coefficients(lr, t)

    def update(self, theta: Array, grad: Array, shrink: Array, *adam: Array) -> None:
        self.xp.multiply(self.weights, shrink, out=self.weights)
        super().update(theta, grad, *adam)


RULES = (SGD, Momentum, Nesterov, RMSProp, Adam, AdamW)
OPTIMIZERS: dict[str, type[Optimizer]] = {rule.name: rule for rule in RULES}


def get_optimizer(optimizer: str | Optimizer, **hyper: PerReplica) -> Optimizer:
    """The optimizer of ``NAME`` or ``NAME:key=value,key=value``; an `Optimizer` is returned as it is.

    Parameters
    ----------
    optimizer
        E.g. "adam" or "adam:beta2=0.99,eps=1e-6".
    **hyper
        Further hyper-parameters, by name.

    Returns
    -------
    Optimizer
        Not bound to a network yet.

    Raises
    ------
    ConfigError
        An unknown name, a hyper-parameter that the rule has not, or a value that is no number or out of range.

    Examples
    --------
    >>> get_optimizer("adam:beta2=0.99", lr=0.01)
    Adam(lr=0.01, beta1=0.9, beta2=0.99, eps=1e-08)
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    kind, where, settings = choose_with_settings("optimizer", optimizer, OPTIMIZERS)
    hyper = {key: parse_number(where, key, text) for key, text in settings.items()} | hyper
    check_keys(where, hyper, kind().hyper)
    return kind(**hyper)
