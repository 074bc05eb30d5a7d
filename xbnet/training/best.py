"""The weights that each replica of a run would end with if it left now: its best, or its last good ones."""

from __future__ import annotations

import numpy as np

from ..backends.arrays import Array
from ..nn.network import Network

NUMBERS_AT_ONCE = 1 << 16
"""Rows are copied in groups of about this many numbers, for a selection of rows is a copy in itself."""


class Kept:
    """The kept weights and statistics of a network that is being trained.

    At first they are a copy. Once replicas have left, those that go on train in a network of their own (see
    `Network.select`), and the network itself holds what is kept: that needs no memory.

    Parameters
    ----------
    network
        The user's, with all R replicas.
    """

    def __init__(self, network: Network):
        self.network = network
        self._arrays = network.theta.copy(), network.state.copy()

    def keep(self, live: Network, rows: np.ndarray, which: np.ndarray) -> None:
        """Keep the present weights of the replicas `which` (R,) of `live`, which are the network's `rows` (R,)."""
        if not which.any():
            return
        if live is not self.network:
            self.write(live, rows, which)
            return
        # A mask makes the copy ten times as slow.
        mask = {} if which.all() else {"where": live.backend.asarray(which[:, None])}
        for kept, current in zip(self._arrays, (live.theta, live.state), strict=True):
            live.backend.xp.copyto(kept, current, **mask)

    def write(self, live: Network, rows: np.ndarray, which: np.ndarray) -> None:
        """Write the weights of the replicas `which` of `live` to the network."""
        here, there = np.flatnonzero(which), rows[which]
        group = max(1, NUMBERS_AT_ONCE // max(1, live.theta.shape[1]))
        asarray, network = live.backend.asarray, self.network
        for i in range(0, len(here), group):
            source, target = asarray(here[i : i + group]), asarray(there[i : i + group])
            network.theta[target] = live.theta[source]
            network.state[target] = live.state[source]

    def settle(self) -> None:
        """Give the network what is kept; from now on it is not the one that trains."""
        network = self.network
        if self._arrays[0] is not network.theta:
            network.theta[...], network.state[...] = self._arrays
            self._arrays = network.theta, network.state

    def of(self, rows: np.ndarray) -> tuple[Array, Array]:
        """Return the kept weights and statistics of the network's `rows`."""
        index, (theta, state) = self.network.backend.asarray(rows), self._arrays
        return theta[index], state[index]

    def network_of(self, r: int) -> Network:
        """A copy of the network's replica r, with what is kept of it."""
        one = self.network.select([r])
        one.theta[...], one.state[...] = (kept[r : r + 1] for kept in self._arrays)
        return one

    def restore(self, rows: np.ndarray, theta: Array, state: Array) -> None:
        """Set what is kept of the network's `rows`."""
        index = self.network.backend.asarray(rows)
        self._arrays[0][index], self._arrays[1][index] = theta, state
