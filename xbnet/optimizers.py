"""Optimizers: the papers' rules, on all of theta (R, P) at once.

Every hyper-parameter is a number, or one value per replica. What a rule needs from them at step t is computed on
the host in float64 for many steps ahead (`plan`) and lies on the device as columns (R, 1): a step copies nothing
from the host, and a stacked replica sees the same bits as one alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import ConfigError, unknown_name
from .replicas import numbers, powers, replica_values, select_values
from .settings import check_keys, number, parse_settings

STEPS_AHEAD = 64
"""How far `step` plans where nobody else has planned."""


class Optimizer:
    """What all optimizers share.

    Parameters
    ----------
    lr
        Learning rate, >= 0.
    **hyper
        The rule's other hyper-parameters.

    Notes
    -----
    `bind` gives a copy that belongs to one network. Its `state` is one array (R, P) per slot, zero at first.
    """

    name = ""
    slots: tuple[str, ...] = ()

    # Set by `bind`:
    network: Any
    xp: Any
    values: dict[str, np.ndarray]  # hyper-parameters (R,)
    state: dict[str, Any]  # slot -> (R, P)
    work: Any  # (R, P)
    steps: int

    _columns: Sequence[tuple] = ()
    _next = 0

    def __init__(self, lr: Any = 0.1, **hyper: Any):
        self.hyper = {"lr": lr, **hyper}
        for key, value in self.hyper.items():
            values = numbers(f"{self.name}.{key}", value)
            upper = 1.0 if key in ("momentum", "beta1", "beta2", "decay") else np.inf
            if not np.all((values >= 0) & (values < upper)):
                raise ConfigError(f"{self.name}: expected {key} in [0, {upper:g}), got {value!r}")

    def bind(self, network: Any) -> Any:
        """A copy that updates this network's theta by its grad."""
        bound = copy.copy(self)
        bound.network, bound.xp = network, network.backend.xp
        bound.values = {k: replica_values(f"{self.name}.{k}", v, network.replicas) for k, v in self.hyper.items()}
        zeros = lambda: network.backend.xp.zeros(network.theta.shape, dtype=network.dtype)  # noqa: E731
        bound.state = {slot: zeros() for slot in self.slots}
        bound.work = zeros()
        bound.steps = 0
        bound._columns, bound._next = [], 0
        return bound

    def select(self, index: np.ndarray, network: Any) -> Any:
        """The same bound optimizer for the replicas `index`, which `network` holds."""
        twin = copy.copy(self)
        twin.hyper = {k: select_values(v, index) for k, v in self.hyper.items()}
        twin = twin.bind(network)
        where = network.backend.asarray(index)
        for slot in self.slots:
            twin.state[slot][...] = self.state[slot][where]
        twin.steps = self.steps
        return twin

    def plan(self, lr: np.ndarray) -> None:
        """Set the learning rates (S, R) of the next S steps."""
        t = self.steps + 1 + np.arange(len(lr))[:, None]
        tables = [np.broadcast_to(c, lr.shape) for c in self.coefficients(lr, t)]
        network = self.network
        on_device = [network.backend.asarray(table[:, :, None], network.dtype) for table in tables]
        self._columns = list(zip(*on_device, strict=True))
        self._next = 0

    def step(self) -> None:
        """Update theta by grad. Without a plan, with the learning rate given at the start."""
        if self._next == len(self._columns):
            if not hasattr(self, "network"):
                raise ConfigError(
                    f"{self.name}: expected an optimizer that is bound to a network; call bind(network) first"
                )
            self.plan(np.broadcast_to(self.values["lr"], (STEPS_AHEAD, self.network.replicas)))
        self.update(self.network.theta, self.network.grad, *self._columns[self._next])
        self._next += 1
        self.steps += 1

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        """What `update` gets at the steps t (S, 1) >= 1 with the learning rates lr (S, R): tables (S, R)."""
        return (lr,)

    def update(self, theta: Any, grad: Any, *columns: Any) -> None:
        """The rule, in place on theta (R, P); `grad` is only read, `columns` (R, 1) are from `coefficients`."""
        raise NotImplementedError(f"{type(self).__name__}.update")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.hyper.items())})"


class SGD(Optimizer):
    """theta <- theta - lr grad."""

    name = "sgd"

    def __init__(self, lr: Any = 0.1):
        super().__init__(lr)

    def update(self, theta: Any, grad: Any, lr: Any) -> None:
        self.xp.multiply(grad, lr, out=self.work)
        self.xp.subtract(theta, self.work, out=theta)


class Momentum(Optimizer):
    """v <- momentum v + grad; theta <- theta - lr v (Polyak 1964)."""

    name = "momentum"
    slots = ("velocity",)

    def __init__(self, lr: Any = 0.1, momentum: Any = 0.9):
        super().__init__(lr, momentum=momentum)

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        return lr, self.values["momentum"]

    def update(self, theta: Any, grad: Any, lr: Any, momentum: Any) -> None:
        xp, v = self.xp, self.state["velocity"]
        xp.multiply(v, momentum, out=v)
        xp.add(v, grad, out=v)
        xp.multiply(v, lr, out=self.work)
        xp.subtract(theta, self.work, out=theta)


class Nesterov(Momentum):
    """v <- momentum v + grad; theta <- theta - lr (grad + momentum v) (Sutskever et al. 2013)."""

    name = "nesterov"

    def update(self, theta: Any, grad: Any, lr: Any, momentum: Any) -> None:
        xp, v = self.xp, self.state["velocity"]
        xp.multiply(v, momentum, out=v)
        xp.add(v, grad, out=v)
        xp.multiply(v, momentum, out=self.work)
        xp.add(self.work, grad, out=self.work)
        xp.multiply(self.work, lr, out=self.work)
        xp.subtract(theta, self.work, out=theta)


class RMSProp(Optimizer):
    """s <- decay s + (1 - decay) grad^2; theta <- theta - lr grad / (sqrt(s) + eps) (Tieleman & Hinton 2012)."""

    name = "rmsprop"
    slots = ("square",)

    def __init__(self, lr: Any = 0.01, decay: Any = 0.99, eps: Any = 1e-8):
        super().__init__(lr, decay=decay, eps=eps)

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        return lr, self.values["decay"], 1 - self.values["decay"], self.values["eps"]

    def update(self, theta: Any, grad: Any, lr: Any, decay: Any, rest: Any, eps: Any) -> None:
        xp, s, work = self.xp, self.state["square"], self.work
        xp.multiply(s, decay, out=s)
        xp.multiply(grad, grad, out=work)
        xp.multiply(work, rest, out=work)
        xp.add(s, work, out=s)
        xp.sqrt(s, out=work)
        xp.add(work, eps, out=work)
        xp.divide(grad, work, out=work)
        xp.multiply(work, lr, out=work)
        xp.subtract(theta, work, out=theta)


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1).

    m <- beta1 m + (1 - beta1) grad; s <- beta2 s + (1 - beta2) grad^2;
    theta <- theta - lr m / (1 - beta1^t) / (sqrt(s / (1 - beta2^t)) + eps).

    Both corrections are folded into the step length and eps, as the paper proposes in its section 2.
    """

    name = "adam"
    slots = ("mean", "square")

    def __init__(self, lr: Any = 0.001, beta1: Any = 0.9, beta2: Any = 0.999, eps: Any = 1e-8):
        super().__init__(lr, beta1=beta1, beta2=beta2, eps=eps)

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        beta1, beta2 = self.values["beta1"], self.values["beta2"]
        root = np.sqrt(1 - powers(beta2, t))
        return lr * root / (1 - powers(beta1, t)), beta1, 1 - beta1, beta2, 1 - beta2, self.values["eps"] * root

    def update(
        self, theta: Any, grad: Any, length: Any, beta1: Any, rest1: Any, beta2: Any, rest2: Any, eps: Any
    ) -> None:
        xp, m, s, work = self.xp, self.state["mean"], self.state["square"], self.work
        xp.multiply(m, beta1, out=m)
        xp.multiply(grad, rest1, out=work)
        xp.add(m, work, out=m)
        xp.multiply(s, beta2, out=s)
        xp.multiply(grad, grad, out=work)
        xp.multiply(work, rest2, out=work)
        xp.add(s, work, out=s)
        xp.sqrt(s, out=work)
        xp.add(work, eps, out=work)
        xp.divide(m, work, out=work)
        xp.multiply(work, length, out=work)
        xp.subtract(theta, work, out=theta)


class AdamW(Adam):
    """Adam, after weights <- (1 - lr weight_decay) weights; biases don't decay (Loshchilov & Hutter 2019)."""

    name = "adamw"

    def __init__(
        self, lr: Any = 0.001, beta1: Any = 0.9, beta2: Any = 0.999, eps: Any = 1e-8, weight_decay: Any = 0.01
    ):
        Optimizer.__init__(self, lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        return 1 - lr * self.values["weight_decay"], *super().coefficients(lr, t)

    def update(self, theta: Any, grad: Any, shrink: Any, *adam: Any) -> None:
        weights = theta[:, : self.network.n_weights]
        self.xp.multiply(weights, shrink, out=weights)
        super().update(theta, grad, *adam)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    optimizer.name: optimizer for optimizer in (SGD, Momentum, Nesterov, RMSProp, Adam, AdamW)
}


def get_optimizer(optimizer: str | Optimizer, **hyper: Any) -> Optimizer:
    """The optimizer of ``NAME`` or ``NAME:key=value,key=value``; an `Optimizer` is returned as it is.

    Parameters
    ----------
    optimizer
        E.g. "adam" or "adam:beta2=0.99,eps=1e-6".
    **hyper
        Further hyper-parameters, by name.

    Raises
    ------
    ConfigError
        An unknown name, a hyper-parameter that the rule has not, or a value that is no number or out of range.
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    name, settings = parse_settings("optimizer", optimizer) if isinstance(optimizer, str) else (optimizer, {})
    if not isinstance(name, str) or name not in OPTIMIZERS:
        raise unknown_name("optimizer", "optimizer", name, OPTIMIZERS)
    where = f"optimizer {name!r}"
    hyper = {key: number(where, key, text) for key, text in settings.items()} | hyper
    check_keys(where, hyper, OPTIMIZERS[name]().hyper)
    return OPTIMIZERS[name](**hyper)
