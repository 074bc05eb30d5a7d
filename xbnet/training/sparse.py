"""Samples whose inputs are mostly zeros: they stay sparse, and become dense batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends.arrays import Array, DTypeLike
from ..backends.backend import Backend


class SparseRows:
    """The rows of a SciPy matrix or array in CSR form, in the place of a dense array (N, I).

    Parameters
    ----------
    csr
        (N, I).
    backend
        Where dense rows go; None: to NumPy arrays.
    """

    ndim = 2

    def __init__(self, csr: Any, backend: Backend | None = None):
        self.csr, self.backend = csr, backend
        self.shape, self.dtype = csr.shape, csr.dtype
        self._all: Array | None = None
        self.nbytes = csr.data.nbytes + csr.indices.nbytes + csr.indptr.nbytes

    def __len__(self) -> int:
        return int(self.shape[0])

    def on(self, backend: Backend, dtype: DTypeLike) -> SparseRows:
        """The same rows for a backend's network of that dtype."""
        return SparseRows(self.csr.astype(dtype, copy=False), backend)

    def __getitem__(self, place: tuple[None, slice]) -> Array:
        """Consecutive rows as a dense (1, n, I) on the device: ``rows[None, start:stop]``; all of them are kept."""
        rows = place[1]
        if rows != slice(0, len(self)):
            return self._put(self.csr[rows].toarray()[None])
        if self._all is None:
            self._all = self._put(self.csr.toarray()[None])
        return self._all

    def gather(self, index: Array, which: Array | None, out: Array) -> None:
        """The rows `index` (U, B) to out (U, B, I), or to out (R, B, I) by the order `which` (1, R) of each replica."""
        dense = [self._put(self.csr[order].toarray()) for order in self._host(index)]
        orders = range(len(dense)) if which is None else self._host(which)[0]
        for r, u in enumerate(orders):
            out[r] = dense[u]

    def _put(self, dense: np.ndarray) -> Array:
        return dense if self.backend is None else self.backend.asarray(dense)

    def _host(self, array: Any) -> np.ndarray:
        return array if self.backend is None else self.backend.to_host(array)
