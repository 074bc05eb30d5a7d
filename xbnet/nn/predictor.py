"""Host rows in, host predictions out: many rows run through a network in chunks that stay in the cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.arrays import Array, Rows, Sparse
from ..backends.replay import MOST
from ..errors import DataError, expect_shape
from .layers.build import buffer_shapes
from .outputs import LINKS
from .passes import Passes

if TYPE_CHECKING:
    from .network import Network

CACHE = 1 << 20
"""Bytes of one replica's activations that a chunk may take."""
FEWEST_ROWS, MOST_ROWS = 256, 4096


def chunk_rows(bytes_per_row: int) -> int:
    """Rows per forward pass when many are predicted or evaluated, a power of two.

    It follows from the layers' widths alone. BLAS may round a product of other sizes otherwise: so what a network
    predicts does not depend on how many it is stacked with.
    """
    rows = CACHE // max(1, bytes_per_row)
    return min(MOST_ROWS, max(FEWEST_ROWS, 1 << (rows.bit_length() - 1) if rows else 0))


class Predictor:
    """Runs host rows through a network, in arrays of its own, so that the passes can be replayed."""

    def __init__(self, network: Network):
        self.network, self._step = network, rows_at_once(network)
        self._rows: dict[int, Any] = {}
        self._passes = Passes(network)

    def run(self, given: Rows, finish: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """``finish(logits (R, n, C))`` of chunks of rows (N, I), joined: (N, ...) for one replica, or (R, N, ...).

        The last bit of a row may depend on how many rows come with it, for BLAS chooses its routine by their number; it
        doesn't depend on how many networks are stacked.

        Raises
        ------
        ShapeError, DataError
            They have another shape, or hold something that is no number, or none that the network's dtype can hold.
        """
        network = self.network
        x, sparse = self._checked(given)
        backend, R, N, step = network.backend, network.replicas, x.shape[0], self._step
        out: Any = None
        with np.errstate(over="ignore", invalid="ignore"):  # a product raises flags where all is finite
            for start in range(0, max(N, 1), step):
                part = x[start : start + step]
                part = part.toarray() if sparse else part
                rows = self._chunk(len(part))
                if backend.on_host:
                    rows[0] = part
                    _check_finite(backend.to_host(rows[0]), start)
                else:
                    part = np.ascontiguousarray(part, network.dtype)
                    _check_finite(part, start)
                    rows[0] = backend.asarray(part)
                logits = backend.to_host(self._passes.run(rows))
                done = finish(logits)
                if step >= N:
                    out = done.copy() if np.may_share_memory(done, logits) else done  # the next logits come there
                    break
                if out is None:
                    out = np.empty((R, N, *done.shape[2:]), done.dtype)
                out[:, start : start + step] = done
        return out[0] if R == 1 else out

    def _checked(self, given: Rows) -> tuple[Any, bool]:
        """The rows as an array or a sparse matrix of numbers, and whether they are sparse."""
        network = self.network
        if type(given) is np.ndarray and given.dtype == network.dtype and given.shape[1:] == (network.n_inputs,):
            return given, False  # quickly, for who predicts row by row
        encode = "; of a table: data.schema.encode(table)" if hasattr(given, "columns") else ""
        sparse = isinstance(given, Sparse)
        x: Any = given.tocsr() if isinstance(given, Sparse) else np.asarray(given)
        expect_shape("Network.predict", "x", x, N=None, I=network.n_inputs)
        if x.dtype.kind not in "fiub":
            raise DataError(
                f"Network.predict: expected x to hold numbers, got {x.dtype}; convert it to a float array{encode}"
            )
        return x, sparse

    def _chunk(self, n: int) -> Array:
        """The array (1, n, I) for n rows, the same one each time; there are as many as there may be records."""
        if n not in self._rows:
            if len(self._rows) >= MOST:
                self._rows.clear()
                self._passes.clear()
            self._rows[n] = self.network.backend.xp.empty((1, n, self.network.n_inputs), dtype=self.network.dtype)
        return self._rows[n]


def rows_at_once(network: Network) -> int:
    """Rows per forward pass when many are predicted or evaluated."""
    width = network.n_inputs + sum(math.prod(shape) for _, shape in buffer_shapes(network.layers, 1).values())
    return chunk_rows(width * network.dtype.itemsize)


def predict_proba(network: Network, x: Rows) -> np.ndarray:
    """Predict probabilities, or the values of a regression, on the host.

    Parameters
    ----------
    x
        (N, I), on the host.

    Returns
    -------
    numpy.ndarray
        (N, C), or (R, N, C) for a stack.
    """
    return network.run_rows(x, LINKS[network.link][0])


def predict(network: Network, x: Rows) -> np.ndarray:
    """Predict for host rows x (N, I): labels (N,) or (R, N), 0 or 1 (..., C) if multi-label, values (..., O)."""
    return network.run_rows(x, LINKS[network.link][2])


@cache
def _zeros(bits: int, dtype: np.dtype) -> np.ndarray:
    """Powers of two, of which all sizes are cut: so there are few to remember, however many sizes come."""
    return np.zeros(1 << bits, dtype)


def _check_finite(rows: np.ndarray, first: int) -> None:
    """Raise `DataError` unless the contiguous rows (n, I) are finite; they begin with row `first` of all."""
    zeros = _zeros(rows.size.bit_length(), rows.dtype)[: rows.size]
    if rows.reshape(-1).dot(zeros) == 0:  # one pass; 0 times what is not finite is NaN
        return
    row, column = np.argwhere(~np.isfinite(rows))[0]
    raise DataError(
        f"Network.predict: expected numbers that are finite in {rows.dtype}, got {rows[row, column]} in row "
        f"{first + row}, column {column}; drop or fill such rows"
    )
