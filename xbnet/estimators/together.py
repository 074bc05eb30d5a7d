"""The networks of a stack that has trained: they predict the same rows together, and become single when asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import issparse

from ..backends.arrays import Rows
from ..nn.network import Network

MOST_ASKED = 4
"""Sets of rows of which all networks' outputs are kept: those of the folds that a search scores on."""
MOST_BYTES = 64 << 20
"""Bytes of all networks' activations and outputs up to which they predict together."""


class Together:
    """Trained networks that will be scored on the same rows.

    Parameters
    ----------
    network
        A copy that nobody trains.
    """

    def __init__(self, network: Network):
        self.network = network
        self._asked: list[tuple[np.ndarray, np.ndarray]] = []

    def logits(self, rows: Rows) -> np.ndarray | None:
        """Return those of all networks (R, N, O) for the inputs (N, I), or None, if each had better predict alone."""
        network = self.network
        if network.replicas == 1 or issparse(rows):
            return None
        rows = np.asarray(rows)
        for known, found in self._asked:
            if np.array_equal(known, rows):
                return found
        width = network.n_inputs + sum(layer.n_outputs for layer in network.layers)
        if len(self._asked) == MOST_ASKED or network.replicas * rows.shape[0] * width * rows.itemsize > MOST_BYTES:
            return None
        found = network.run_rows(rows, lambda logits: logits)
        self._asked.append((rows.copy(), found))
        return found


class Place:
    """One of the networks, with what a prediction asks of a `Network`.

    Parameters
    ----------
    together
        All of them.
    place
        Which of them it is.
    """

    replicas = 1

    def __init__(self, together: Together, place: int):
        self._together, self._place = together, place
        network = together.network
        self.dtype, self.link, self.layers = network.dtype, network.link, network.layers

    def network(self) -> Network:
        """A network of its own."""
        everyone = self._together.network
        found = everyone.select([self._place])
        found.compiled = everyone.compiled
        return found

    def run_rows(self, rows: Rows, finish: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """See `Network.run_rows`."""
        logits = self._together.logits(rows)
        if logits is None:
            return self.network().run_rows(rows, finish)
        with np.errstate(over="ignore", invalid="ignore"):
            return finish(logits[self._place : self._place + 1].copy())[0]  # who asks may write into what he gets
