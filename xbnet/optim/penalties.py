"""Penalties on weights, never on biases: cost = loss + l2 * sum W^2 + l1 * sum |W|."""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np

from ..backends.arrays import Array
from ..backends.parts import StepPart
from ..errors import ConfigError
from ..nn.losses import Loss
from ..nn.network import Network
from ..replicas import PerReplica, numbers, replica_values, select_values


class AnyBoundPenalty(Protocol):
    """A penalty of any kind that is bound to a network, as a step and a trainer see it."""

    active: bool
    """Whether it adds anything; only then the rest is asked for."""

    def add_gradient(self, loss: Loss) -> None:
        """Add its gradient to the network's, after the loss's `backward`."""

    def value(self, rows: int) -> Array:
        """The penalty (R, 1) of an epoch of this many rows."""


class AnyPenalty(Protocol):
    """A penalty of any kind, as a trainer sees it."""

    def select(self, index: np.ndarray) -> Self:
        """For the replicas `index`."""

    def bind(self, network: Network) -> AnyBoundPenalty:
        """For one network."""


class Penalty:
    """L2 and L1 penalties on the weights.

    The cost is ``loss + l2 sum W^2 + l1 sum |W|`` and its gradient gains ``2 l2 W + l1 sign(W)``. PyTorch's
    `weight_decay` is 2 l2; scikit-learn's `alpha` is 2 l2 B.

    Parameters
    ----------
    l2, l1
        Each a number >= 0, or one per replica (R,).

    Raises
    ------
    ConfigError
        A value that is negative or not finite.

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([xbnet.Linear(2, initializer="ones")], n_inputs=3)  # six weights of 1
    >>> Penalty(l2=0.5).bind(network).value().item()
    3.0
    """

    def __init__(self, l2: PerReplica = 0.0, l1: PerReplica = 0.0):
        self.l2, self.l1 = l2, l1
        for name, value in (("l2", l2), ("l1", l1)):
            values = numbers(name, value)
            if not np.all(values >= 0) or not np.all(np.isfinite(values)):
                raise ConfigError(f"penalty: expected {name} >= 0, got {value!r}")

    def select(self, index: np.ndarray) -> Penalty:
        """Make the same penalty for some replicas.

        Parameters
        ----------
        index
            Replicas.

        Returns
        -------
        Penalty
        """
        return Penalty(select_values(self.l2, index), select_values(self.l1, index))

    def bind(self, network: Network) -> BoundPenalty:
        """Bind the penalty to a network.

        Parameters
        ----------
        network
            The network whose weights it is on.

        Returns
        -------
        BoundPenalty
        """
        return BoundPenalty(self, network)


class BoundPenalty(StepPart):
    """A penalty on the weights of one network.

    `columns` are 2 l2 and l1 (R, 1) for kernels that add the gradient by themselves, each None where it is not used.
    """

    replayable = True
    kernel = "l1 and l2"

    def __init__(self, penalty: Penalty, network: Network):
        xp, R, n = network.backend.xp, network.replicas, network.n_weights
        l2, l1 = replica_values("l2", penalty.l2, R), replica_values("l1", penalty.l1, R)
        self.uses_l2, self.uses_l1 = bool(l2.any()) and n > 0, bool(l1.any()) and n > 0
        self.active = self.uses_l2 or self.uses_l1
        self.xp, self.ops = xp, network.backend.ops
        self.columns: tuple[Array | None, Array | None] = (None, None)
        if not self.active:
            return
        self._l2, self.l1 = network.per_replica("l2", l2), network.per_replica("l1", l1)
        self.twice_l2 = network.per_replica("l2", 2 * l2)
        self.columns = self.twice_l2 if self.uses_l2 else None, self.l1 if self.uses_l1 else None
        self._largest = network.per_replica("penalty", float("inf"))
        self._work = xp.zeros((R, n), dtype=network.dtype)
        self._sum = xp.zeros((R, 1, 1), dtype=network.dtype)
        self._weights, self._grad = network.theta[:, :n], network.grad[:, :n]

    def add_gradient(self, loss: Loss | None = None) -> None:
        """Add the penalty's gradient to the network's; kinds that depend on the batch ask its `loss`."""
        xp, work = self.xp, self._work
        if self.uses_l2:
            xp.multiply(self._weights, self.twice_l2, out=work)
            xp.add(self._grad, work, out=self._grad)
        if self.uses_l1:
            xp.sign(self._weights, out=work)
            xp.multiply(work, self.l1, out=work)
            xp.add(self._grad, work, out=self._grad)

    def value(self, rows: int | None = None) -> Array:
        """The penalty of each replica, (R, 1), on the device, where it is `active`.

        Other kinds are means over the `rows` of the last epoch.
        """
        xp, work = self.xp, self._work
        total = xp.zeros(self._l2.shape, dtype=work.dtype)
        for used, factor, function in ((self.uses_l2, self._l2, xp.square), (self.uses_l1, self.l1, xp.abs)):
            if used:
                function(self._weights, out=work)
                self.ops.row_sum(work[:, None, :], self._sum)
                # Of weights whose sum overflows, 0 times the sum is still 0, as for a network that has no penalty.
                total += factor * xp.minimum(self._sum[:, 0], self._largest)
        return total
