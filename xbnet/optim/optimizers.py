"""Optimizers: the papers' rules, on all of theta (R, P) at once.

On NumPy an update runs over theta in blocks: a rule passes over its arrays several times, and a block of them stays
in the cache in between. Every hyper-parameter is a number, or one value per replica. What a rule needs from them at
step t is computed on the host in float64 for many steps ahead (`plan`) and lies on the device as columns (R, 1): a
step copies nothing from the host, and a stacked replica sees the same bits as one alone.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ..backends.parts import StepPart
from ..errors import ConfigError, unknown_name
from ..parsing import check_keys, parse_number, parse_settings
from ..replicas import numbers, powers, replica_values, select_values
from .tiles import Block, cut_blocks

STEPS_AHEAD = 64
"""How far `step` plans where nobody else has planned."""


class Optimizer(StepPart):
    """What all optimizers share.

    Parameters
    ----------
    lr
        Learning rate, >= 0.
    **hyper
        The rule's other hyper-parameters.

    Notes
    -----
    `bind` gives a copy that belongs to one network. Its `state` is one array (R, P) per slot, zero at first. While it
    updates a block, `part` is the block's share of the state, and `work` a scratch array of the block's shape.
    """

    name = ""
    slots: tuple[str, ...] = ()

    # Set by `bind`:
    network: Any
    xp: Any
    values: dict[str, np.ndarray]  # hyper-parameters (R,)
    state: dict[str, Any]  # slot -> (R, P)
    steps: Any  # that were taken: a number, or one per replica (R,)
    ops: Any
    table: Any  # (K, S, R, 1): the K columns of `coefficients` for each of the S steps that are planned
    blocks: list[Block]
    part: dict[str, Any]
    work: Any
    weights: Any

    _next = _planned = 0

    def __init__(self, lr: Any = 0.1, **hyper: Any):
        self.hyper = {"lr": lr, **hyper}
        for key, value in self.hyper.items():
            values = numbers(f"{self.name}.{key}", value)
            upper = 1.0 if key in ("momentum", "beta1", "beta2", "decay") else np.inf
            if not np.all((values >= 0) & (values < upper)):
                raise ConfigError(f"{self.name}: expected {key} in [0, {upper:g}), got {value!r}")

    def bind(self, network: Any, state: dict[str, Any] | None = None) -> Any:
        """A copy that updates this network's theta by its grad, with this state: by default none yet."""
        bound = copy.copy(self)
        bound.network, bound.xp, bound.ops = network, network.backend.xp, network.backend.ops
        bound.values = {k: replica_values(f"{self.name}.{k}", v, network.replicas) for k, v in self.hyper.items()}
        zeros = lambda: bound.xp.zeros(network.theta.shape, dtype=network.dtype)  # noqa: E731
        bound.state = {slot: zeros() for slot in self.slots} if state is None else state
        bound.steps = bound._next = bound._planned = 0
        bound.table, bound.blocks = None, []
        return bound

    def reset(self) -> None:
        """Forget what was learned: the state is zero again, in the same memory, and so is the number of steps."""
        for array in self.state.values():
            array.fill(0)
        self.steps = self._next = self._planned = 0

    def select(self, index: np.ndarray, network: Any, *, successor: bool = False) -> Any:
        """The same bound optimizer for the replicas `index`, which `network` holds.

        A `successor` takes the state away from this one, slot by slot, so that there is little of it twice.
        """
        if successor:
            self.blocks, self.part, self.work, self.weights = [], {}, None, None
        twin, where = copy.copy(self), network.backend.asarray(index)
        twin.hyper = {k: select_values(v, index) for k, v in self.hyper.items()}
        take = self.state.pop if successor else self.state.__getitem__
        twin = twin.bind(network, {slot: take(slot)[where] for slot in self.slots})
        twin.steps = select_values(self.steps, index)
        return twin

    def plan(self, lr: np.ndarray) -> None:
        """Set the learning rates (S, R) of the next S steps."""
        t = self.steps + 1 + np.arange(len(lr))[:, None]
        table = np.stack([np.broadcast_to(values, lr.shape) for values in self.coefficients(lr, t)])[..., None]
        self.take(self.network.backend.asarray(table, self.network.dtype))

    def take(self, table: Any) -> None:
        """Use the columns of a table (K, S, R, 1) on the device, as `plan` makes them, in the next S steps."""
        self.table, self._next, self._planned = table, 0, table.shape[1]

    @property
    def planned(self) -> int:
        """Steps whose learning rates are set."""
        return self._planned - self._next

    def ahead(self, steps: int) -> Any:
        """The table (K, steps, R, 1) of the next steps, a view; as many must be planned."""
        return self.table[:, self._next : self._next + steps]

    def skip(self, steps: int) -> None:
        """Go on as after this many steps of the plan: they were taken."""
        self._next, self.steps = self._next + steps, self.steps + steps

    def step(self) -> None:
        """Update theta by grad. Without a plan, with the learning rate given at the start."""
        columns = self.columns()
        self.ops.apply(self, columns)  # a kernel, or the method below
        self.skip(1)

    def columns(self) -> Any:
        """What `coefficients` gave for the next step, (K, R, 1); `skip` goes on to the step after it."""
        if self._next == self._planned:
            if not hasattr(self, "network"):
                raise ConfigError(
                    f"{self.name}: expected an optimizer that is bound to a network; call bind(network) first"
                )
            self.plan(np.broadcast_to(self.values["lr"], (STEPS_AHEAD, self.network.replicas)))
        return self.table[:, self._next]

    def apply(self, columns: Any) -> None:
        """Update theta by grad, block by block, with columns (K, R, 1)."""
        self.blocks = self.blocks or list(cut_blocks(self.network, self.state))  # not before: kernels need none
        for block in self.blocks:
            self.part, self.work, self.weights = block.state, block.work, block.weights
            self.update(block.theta, block.grad, *columns[:, block.rows])

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        """What `update` gets at the steps t (S, 1) >= 1 with the learning rates lr (S, R): tables (S, R)."""
        return (lr,)

    def update(self, theta: Any, grad: Any, *columns: Any) -> None:
        """The rule, in place on a block of theta; `grad` is only read, `columns` are from `coefficients`.

        theta and grad are (R', P'), rows and columns of the network's; columns are (R', 1).
        """
        raise NotImplementedError(f"{type(self).__name__}.update")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.hyper.items())})"


class SGD(Optimizer):
    """theta <- theta - lr grad."""

    name = "sgd"
    replayable = True
    kernel = "sgd"

    def __init__(self, lr: Any = 0.1):
        super().__init__(lr)

    def update(self, theta: Any, grad: Any, lr: Any) -> None:
        self.xp.multiply(grad, lr, out=self.work)
        self.xp.subtract(theta, self.work, out=theta)


class Momentum(Optimizer):
    """v <- momentum v + grad; theta <- theta - lr v (Polyak 1964)."""

    name = "momentum"
    replayable = True
    kernel = "momentum"
    slots = ("velocity",)

    def __init__(self, lr: Any = 0.1, momentum: Any = 0.9):
        super().__init__(lr, momentum=momentum)

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        return lr, self.values["momentum"]

    def update(self, theta: Any, grad: Any, lr: Any, momentum: Any) -> None:
        xp, v = self.xp, self.part["velocity"]
        xp.multiply(v, momentum, out=v)
        xp.add(v, grad, out=v)
        xp.multiply(v, lr, out=self.work)
        xp.subtract(theta, self.work, out=theta)


class Nesterov(Momentum):
    """v <- momentum v + grad; theta <- theta - lr (grad + momentum v) (Sutskever et al. 2013)."""

    name = "nesterov"
    replayable = True
    kernel = "nesterov"

    def update(self, theta: Any, grad: Any, lr: Any, momentum: Any) -> None:
        xp, v = self.xp, self.part["velocity"]
        xp.multiply(v, momentum, out=v)
        xp.add(v, grad, out=v)
        xp.multiply(v, momentum, out=self.work)
        xp.add(self.work, grad, out=self.work)
        xp.multiply(self.work, lr, out=self.work)
        xp.subtract(theta, self.work, out=theta)


class RMSProp(Optimizer):
    """s <- decay s + (1 - decay) grad^2; theta <- theta - lr grad / (sqrt(s) + eps) (Tieleman & Hinton 2012).

    What is kept is s / (1 - decay): the factor goes into the step length and eps, which spares a pass over theta.
    """

    name = "rmsprop"
    replayable = True
    kernel = "rmsprop"
    slots = ("squares",)

    def __init__(self, lr: Any = 0.01, decay: Any = 0.99, eps: Any = 1e-8):
        super().__init__(lr, decay=decay, eps=eps)

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        decay = self.values["decay"]
        return lr / np.sqrt(1 - decay), decay, self.values["eps"] / np.sqrt(1 - decay)

    def update(self, theta: Any, grad: Any, length: Any, decay: Any, eps: Any) -> None:
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
    of grad and grad^2: what is kept is m / (1 - beta1) and s / (1 - beta2), which spares two passes over theta.
    """

    name = "adam"
    replayable = True
    kernel = "adam"
    slots = ("sum", "squares")

    def __init__(self, lr: Any = 0.001, beta1: Any = 0.9, beta2: Any = 0.999, eps: Any = 1e-8):
        super().__init__(lr, beta1=beta1, beta2=beta2, eps=eps)

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        beta1, beta2 = self.values["beta1"], self.values["beta2"]
        root = np.sqrt((1 - powers(beta2, t)) / (1 - beta2))
        return lr * (1 - beta1) / (1 - powers(beta1, t)) * root, beta1, beta2, self.values["eps"] * root

    def update(self, theta: Any, grad: Any, length: Any, beta1: Any, beta2: Any, eps: Any) -> None:
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
    """Adam, after weights <- (1 - lr weight_decay) weights; biases don't decay (Loshchilov & Hutter 2019)."""

    name = "adamw"
    replayable = True
    kernel = "adamw"

    def __init__(
        self, lr: Any = 0.001, beta1: Any = 0.9, beta2: Any = 0.999, eps: Any = 1e-8, weight_decay: Any = 0.01
    ):
        Optimizer.__init__(self, lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        return 1 - lr * self.values["weight_decay"], *super().coefficients(lr, t)

    def update(self, theta: Any, grad: Any, shrink: Any, *adam: Any) -> None:
        self.xp.multiply(self.weights, shrink, out=self.weights)
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
    hyper = {key: parse_number(where, key, text) for key, text in settings.items()} | hyper
    check_keys(where, hyper, OPTIMIZERS[name]().hyper)
    return OPTIMIZERS[name](**hyper)
