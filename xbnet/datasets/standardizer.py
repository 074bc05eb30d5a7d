"""`Standardizer`: mean 0 and standard deviation 1 for every input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .checks import Array, row_slices


@dataclass(frozen=True, eq=False)
class Standardizer:
    """``(x - mean) / scale``, with a mean and a scale per input.

    Parameters
    ----------
    mean, scale : float64 array (I,)
        In the units of the inputs; no scale is zero.

    Examples
    --------
    >>> standardizer = Standardizer(mean=np.array([1.0]), scale=np.array([2.0]))
    >>> standardizer(np.array([[1.0], [5.0]])).tolist()
    [[0.0], [2.0]]
    """

    mean: Array
    scale: Array

    @classmethod
    def fit(cls, x: Array) -> Standardizer:
        """Take mean and standard deviation (divisor N) of each column; a constant column gets scale 1.

        Both are summed in float64, whatever the type of `x`.

        Raises
        ------
        DataError
            If a column's values are so large that its variance is not finite.
        """
        n, total = len(x), np.zeros(x.shape[1])
        squares = np.zeros_like(total)
        with np.errstate(over="ignore", invalid="ignore"):
            for rows in row_slices(x):
                total += x[rows].sum(axis=0, dtype=np.float64)
            mean = total / n
            for rows in row_slices(x):
                squares += ((x[rows] - mean) ** 2).sum(axis=0)
        scale = np.sqrt(squares / n)
        if not np.isfinite(scale).all():
            column = int(np.argmin(np.isfinite(scale)))
            raise DataError(
                f"Standardizer.fit: expected columns with a finite variance, got values as large as "
                f"{float(np.abs(x[:, column]).max()):.3g} in column {column}; rescale that column"
            )
        # Not scale == 0: the mean of equal values is rounded, so their deviation from it may not be 0.
        scale[x.min(axis=0) == x.max(axis=0)] = 1.0
        return cls(mean, scale)

    def __call__(self, x: Array, out: Array | None = None) -> Array:
        """Transform ``x (N, I)`` into `out`, which may be x; by default a new array of its floating type.

        That is float32 for integers.
        """
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            raise DataError(f"Standardizer: expected x (N, I={len(self.mean)}), got {x.shape}")
        if out is None:
            out = np.empty(x.shape, x.dtype if x.dtype.kind == "f" else np.float32)
        for rows in row_slices(x):
            out[rows] = (x[rows] - self.mean) / self.scale
        return out
