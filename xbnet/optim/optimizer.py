"""The base of all optimizers: one network's state, its columns of hyper-parameters, and a step of `update`.

On NumPy an update runs over theta in blocks: a rule passes over its arrays several times, and a block of them stays
in the cache in between. Every hyper-parameter is a number, or one value per replica. What a rule needs from them at
step t is computed on the host in float64 for many steps ahead (`columns`) and is on the device as columns (R, 1): a
step copies nothing from the host, and a stacked replica sees the same bits as one alone.
"""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np

from ..backends.arrays import Array, Namespace
from ..backends.ops import Ops
from ..backends.parts import StepPart
from ..errors import ConfigError
from ..nn.network import Network
from ..replicas import PerReplica, numbers, replica_values, select_values
from .tiles import Block, cut_blocks


class Optimizer(StepPart):
    """The base class of optimizers.

    Parameters
    ----------
    lr
        Learning rate, >= 0: a number, or one per replica (R,).
    **hyper
        The rule's other hyper-parameters, each a number >= 0 or one per replica (R,). The shares momentum, beta1, beta2
        and decay are in [0, 1).

    Raises
    ------
    ConfigError
        A value that is no finite number, or out of range.

    Notes
    -----
    `bind` gives a copy that belongs to one network. Its `state` is one array (R, P) per slot, zero at first. While it
    updates a block, `part` is the block's share of the state, and `work` a scratch array of the block's shape.

    Examples
    --------
    A rule of your own updates one block of theta, with the functions of its network's array library:

    >>> class SignDescent(Optimizer):
    ...     name = "sign"
    ...     def update(self, theta, grad, lr):
    ...         self.xp.sign(grad, out=self.work)
    ...         self.xp.multiply(self.work, lr, out=self.work)
    ...         self.xp.subtract(theta, self.work, out=theta)
    >>> SignDescent(lr=0.01)
    SignDescent(lr=0.01)
    """

    name = ""
    slots: tuple[str, ...] = ()

    # Set by `bind`:
    network: Network
    xp: Namespace
    values: dict[str, np.ndarray]  # hyper-parameters (R,)
    state: dict[str, Array]  # slot -> (R, P)
    steps: int | np.ndarray  # that were taken (`fit` counts at an epoch's end); (R,) where replicas are of several ages
    ops: Ops
    blocks: list[Block]
    part: dict[str, Array]
    work: Array
    weights: Array

    def __init__(self, lr: PerReplica = 0.1, **hyper: PerReplica):
        self.hyper = {"lr": lr, **hyper}
        for key, value in self.hyper.items():
            values = numbers(f"{self.name}.{key}", value)
            upper = 1.0 if key in ("momentum", "beta1", "beta2", "decay") else np.inf
            if not np.all((values >= 0) & (values < upper)):
                raise ConfigError(f"{self.name}: expected {key} in [0, {upper:g}), got {value!r}")

    def bind(self, network: Network, state: dict[str, Array] | None = None) -> Self:
        """Make a copy that updates one network.

        Parameters
        ----------
        network
            The network whose theta is updated by its grad.
        state
            Arrays (R, P) by slot; None: zeros.

        Returns
        -------
        Optimizer
        """
        bound = copy.copy(self)
        bound.network, bound.xp, bound.ops = network, network.backend.xp, network.backend.ops
        bound.values = {k: replica_values(f"{self.name}.{k}", v, network.replicas) for k, v in self.hyper.items()}
        shape, dtype = network.theta.shape, network.dtype
        bound.state = {s: bound.xp.zeros(shape, dtype=dtype) for s in self.slots} if state is None else state
        bound.steps, bound.blocks = 0, []
        return bound

    def reset(self) -> None:
        """Forget what was learned: the state is zero again, in the same memory, and so is the number of steps."""
        for array in self.state.values():
            array.fill(0)
        self.steps = 0

    def select(self, index: np.ndarray, network: Network, *, successor: bool = False) -> Self:
        """Make the same bound optimizer for some replicas.

        Parameters
        ----------
        index
            Replicas.
        network
            The network that holds them.
        successor
            Take the state away from this optimizer, slot by slot, to save memory.

        Returns
        -------
        Optimizer
        """
        if successor:
            self.blocks, self.part = [], {}
            for name in ("work", "weights"):
                vars(self).pop(name, None)
        twin, where = copy.copy(self), network.backend.asarray(index)
        twin.hyper = {k: select_values(v, index) for k, v in self.hyper.items()}
        take = self.state.pop if successor else self.state.__getitem__
        twin = twin.bind(network, {slot: take(slot)[where] for slot in self.slots})
        twin.steps = select_values(self.steps, index)
        return twin

    def columns(self, lr: np.ndarray | None = None) -> Array:
        """The values of `coefficients` for the next steps, on the device.

        Parameters
        ----------
        lr
            Learning rates (S, R) of the next S steps; None: the one given at the start, for one step.

        Returns
        -------
        array
            (K, S, R, 1): K values for each step and replica, in the network's dtype.

        Raises
        ------
        ConfigError
            The optimizer is not bound to a network.
        """
        if not hasattr(self, "network"):
            raise ConfigError(f"{self.name}: expected an optimizer bound to a network; call bind(network) first")
        lr = self.values["lr"][None] if lr is None else lr
        t = self.steps + 1 + np.arange(len(lr))[:, None]
        table = np.stack([np.broadcast_to(values, lr.shape) for values in self.coefficients(lr, t)])[..., None]
        return self.network.backend.asarray(table, self.network.dtype)

    def step(self, lr: np.ndarray | None = None) -> None:
        """Update theta by grad.

        Parameters
        ----------
        lr
            Learning rates (R,); by default those given at the start.
        """
        columns = self.columns(None if lr is None else lr[None])
        self.ops.apply(self, columns[:, 0])  # a kernel, or the method below
        self.steps = self.steps + 1

    def apply(self, columns: Array) -> None:
        """Update theta by grad, block by block.

        Parameters
        ----------
        columns
            (K, R, 1), as `columns` returns them.
        """
        self.blocks = self.blocks or list(cut_blocks(self.network, self.state))  # not before: kernels need none
        for block in self.blocks:
            self.part, self.work, self.weights = block.state, block.work, block.weights
            self.update(block.theta, block.grad, *columns[:, block.rows])

    def coefficients(self, lr: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the values that `update` gets, for S steps and R replicas.

        Parameters
        ----------
        lr
            Learning rates (S, R).
        t
            Numbers of the steps, (S, 1) or (S, R), from 1.

        Returns
        -------
        tuple of numpy.ndarray
            Tables (S, R).
        """
        return (lr,)

    def update(self, theta: Array, grad: Array, *columns: Any) -> None:
        """Apply the rule to a block of theta, in place.

        Parameters
        ----------
        theta
            (R', P'), some rows and columns of the network's parameters.
        grad
            Their gradient, (R', P'), which is only read.
        columns
            The values that `coefficients` gives, (R', 1) each.
        """
        raise NotImplementedError(f"{type(self).__name__}.update")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.hyper.items())})"
