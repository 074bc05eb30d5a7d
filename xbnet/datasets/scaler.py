"""`Scaler`: how the numbers that a table or an array holds become numbers that a network learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from ..errors import DataError, unknown_name
from .checks import Array, row_slices
from .columns import Column
from .normal import BOUND, from_normal, smooth_clip, to_normal

SCALINGS = ("none", "standard", "robust", "quantile")
MOST_QUANTILES, FEWEST_QUANTILES, ROWS_PER_QUANTILE = 1000, 10, 30
PARTS = ("mean", "scale", "clip", "quantiles")


@dataclass(frozen=True, eq=False)
class Scaler:
    """``(x - mean) / scale``, with a mean and a scale per input; then smooth clipping of some, or normal quantiles.

    Parameters
    ----------
    mean, scale : float64 array (I,)
        In the units of the inputs; no scale is zero.
    clip : bool array (I,), optional
        Inputs whose result is clipped smoothly to (-3, 3), as ``z / sqrt(1 + (z / 3)^2)``.
    quantiles : float64 array (Q, I), optional
        Q quantiles of each input, at equal shares from 0 to 1, that give it a normal distribution; NaN in all of them
        where it shall keep its own.

    Examples
    --------
    >>> scaler = Scaler(mean=np.array([1.0]), scale=np.array([2.0]))
    >>> scaler(np.array([[1.0], [5.0]])).tolist()
    [[0.0], [2.0]]
    >>> Scaler.fit(np.array([[0.0], [1.0], [2.0], [3.0], [1e6]]), "robust")(np.array([[2.0], [1e6]])).round(3).tolist()
    [[0.0], [3.0]]
    """

    mean: Array
    scale: Array
    clip: Array | None = None
    quantiles: Array | None = None

    @classmethod
    def fit(cls, x: Array, scaling: str = "standard") -> Self:
        """Take from ``x (N, I)`` what `scaling` needs of each column, in float64 whatever the type of `x`.

        Parameters
        ----------
        x
            Finite.
        scaling
            "standard": mean 0 and standard deviation 1 (divisor N). "robust": median 0 and distance of the quartiles 1,
            then smooth clipping; where the quartiles are equal, half of the range is 1 (RealMLP, Holzmueller et al.
            2024). "quantile": a normal distribution, by at most 1,000 quantiles, 30 rows each. "none": as they are.
            A constant column becomes 0.

        Returns
        -------
        Scaler

        Raises
        ------
        DataError
            If a column's values are so large that its variance, or its range, is not finite.
        """
        if scaling not in SCALINGS:
            raise unknown_name("scaling", "scaling", scaling, SCALINGS)
        if scaling == "standard":
            return cls(*_moments(x))
        if scaling == "robust":
            return cls(*_quartiles(x), clip=np.ones(x.shape[1], bool))
        plain = cls(np.zeros(x.shape[1]), np.ones(x.shape[1]))
        return plain if scaling == "none" else replace(plain, quantiles=_quantiles(x))

    @classmethod
    def of_columns(cls, columns: Sequence[Column]) -> Self:
        """Make the scaler of a schema's numeric inputs.

        Parameters
        ----------
        columns
            The columns of a schema; each has equally many quantiles, or none.

        Returns
        -------
        Scaler
        """
        *starts, n = np.cumsum([0, *(c.width for c in columns)]).tolist()
        mean, scale, clip = np.zeros(n), np.ones(n), np.zeros(n, bool)
        quantiles = np.full((max(len(c.quantiles) for c in columns), n), np.nan)
        for column, i in zip(columns, starts, strict=True):
            mean[i], scale[i], clip[i] = column.mean, column.std, column.clip
            if column.quantiles:
                quantiles[:, i] = column.quantiles
        return cls(mean, scale, clip if clip.any() else None, quantiles if len(quantiles) else None)

    @property
    def linear(self) -> bool:
        """Whether it does no more than to subtract and to divide."""
        return (self.clip is None or not self.clip.any()) and self.quantiles is None

    @property
    def idle(self) -> bool:
        """Whether it leaves all inputs as they are."""
        return self.linear and not np.any(self.mean) and bool(np.all(np.asarray(self.scale) == 1))

    def __call__(self, x: Array, out: Array | None = None) -> Array:
        """Transform ``x (N, I)`` into `out`, which may be x; by default a new array of its floating type.

        That is float32 for integers.
        """
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            raise DataError(f"Scaler: expected x (N, I={len(self.mean)}), got {x.shape}")
        if out is None:
            out = np.empty(x.shape, x.dtype if x.dtype.kind == "f" else np.float32)
        clipped = np.flatnonzero([] if self.clip is None else self.clip)
        for rows in row_slices(x):
            with np.errstate(over="ignore"):  # what is infinite then is refused, or clipped
                z = (x[rows] - self.mean) / self.scale
            if len(clipped) == x.shape[1]:
                z = smooth_clip(z)
            elif len(clipped):
                z[:, clipped] = smooth_clip(z[:, clipped])
            out[rows] = z
        for i in self._ranked():
            column = x[:, i].astype(np.float64)  # one at a time: so this takes no memory to speak of
            out[:, i] = to_normal(column, self.quantiles[:, i])  # type: ignore[index]
        return out

    def undo(self, z: Array) -> Array:
        """Invert the scaling.

        Parameters
        ----------
        z
            (N, I), scaled inputs.

        Returns
        -------
        numpy.ndarray
            (N, I); approximate where they were clipped or ranked.
        """
        z = np.array(z, float)
        for i in np.flatnonzero([] if self.clip is None else self.clip):
            near = np.clip(z[:, i] / BOUND, -1 + 1e-12, 1 - 1e-12)
            z[:, i] = BOUND * near / np.sqrt(1 - near**2)
        found = z * self.scale + self.mean
        for i in self._ranked():
            found[:, i] = from_normal(z[:, i], self.quantiles[:, i])  # type: ignore[index]
        return found

    def only(self, chosen: Array) -> Scaler:
        """Make the same scaler for chosen inputs; it leaves the others unchanged.

        Parameters
        ----------
        chosen
            (I,) of booleans.

        Returns
        -------
        Scaler
        """
        return Scaler(
            np.where(chosen, self.mean, 0.0),
            np.where(chosen, self.scale, 1.0),
            None if self.clip is None else self.clip & chosen,
            None if self.quantiles is None else np.where(chosen, self.quantiles, np.nan),
        )

    def column(self, i: int) -> dict[str, Any]:
        """Return the scaling of one input, as fields of a `Column`.

        Parameters
        ----------
        i
            Number of the input.

        Returns
        -------
        dict
        """
        ranked = self.quantiles is not None and not np.isnan(self.quantiles[0, i])
        return {
            "mean": float(self.mean[i]),
            "std": float(self.scale[i]),
            "clip": self.clip is not None and bool(self.clip[i]),
            "quantiles": tuple(self.quantiles[:, i].tolist()) if ranked else (),  # type: ignore[index]
        }

    def arrays(self) -> dict[str, Array]:
        """Its parts that are there by their names, as a file keeps them."""
        found = {name: getattr(self, name) for name in PARTS}
        return {name: np.asarray(value, np.float64) for name, value in found.items() if value is not None}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Make a scaler from the arrays of a file.

        Parameters
        ----------
        arrays
            As `arrays` returned them.

        Returns
        -------
        Scaler

        Raises
        ------
        ValueError
            They are not as a scaler has them; the text says what was expected.
        """
        parts = {name: np.array(value, np.float64) for name, value in arrays.items()}
        if not {"mean", "scale"} <= set(parts) <= set(PARTS):
            raise ValueError("a preparation has means and scales")
        mean, scale, clip, quantiles = parts["mean"], parts["scale"], parts.get("clip"), parts.get("quantiles")
        if mean.ndim != 1 or mean.shape != scale.shape or not np.isfinite([mean, scale]).all() or not (scale > 0).all():
            raise ValueError("a preparation has finite means and scales > 0")
        if clip is not None and (clip.shape != mean.shape or not np.isin(clip, (0, 1)).all()):
            raise ValueError("a preparation says for each input whether it is clipped, 0 or 1")
        if quantiles is not None:
            right = quantiles.ndim == 2 and quantiles.shape[1] == len(mean) and len(quantiles) > 1
            absent = np.isnan(quantiles[0]) if right else np.ones(1, bool)
            used = quantiles[:, ~absent] if right else quantiles
            right = right and bool(np.isnan(quantiles[:, absent]).all()) and bool(np.isfinite(used).all())
            if not right or (used[1:] < used[:-1]).any():
                raise ValueError("a preparation has quantiles of each input in order, or none of it")
        return cls(mean, scale, None if clip is None else clip.astype(bool), quantiles)

    def _ranked(self) -> Array:
        """Numbers of the inputs that get a normal distribution."""
        return np.empty(0, int) if self.quantiles is None else np.flatnonzero(~np.isnan(self.quantiles[0]))


def _moments(x: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each column."""
    n, total = len(x), np.zeros(x.shape[1])
    squares = np.zeros_like(total)
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in row_slices(x):
            total += x[rows].sum(axis=0, dtype=np.float64)
        mean = total / n
        for rows in row_slices(x):
            squares += ((x[rows] - mean) ** 2).sum(axis=0)
    scale = np.sqrt(squares / n)
    _check_finite(x, scale, "variance")
    # Not scale == 0: the mean of equal values is rounded, so their deviation from it may not be 0.
    scale[x.min(axis=0) == x.max(axis=0)] = 1.0
    return mean, scale


def _quartiles(x: Array) -> tuple[Array, Array]:
    """Median and distance of the quartiles of each column."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.array([np.percentile(x[:, i].astype(np.float64), (25, 50, 75)) for i in range(x.shape[1])])
        width = found[:, 2] - found[:, 0]
        half = (x.max(axis=0).astype(np.float64) - x.min(axis=0).astype(np.float64)) / 2
    _check_finite(x, width + half, "range")
    width = np.where(width == 0, half, width)
    return found[:, 1], np.where(width == 0, 1.0, width)


def _quantiles(x: Array) -> Array:
    """Quantiles (Q, I) of each column."""
    n = len(x)
    Q = min(MOST_QUANTILES, max(FEWEST_QUANTILES, n // ROWS_PER_QUANTILE), max(2, n))
    shares = np.linspace(0, 1, Q) * 100
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.array([np.percentile(x[:, i].astype(np.float64), shares) for i in range(x.shape[1])]).T
    _check_finite(x, found.sum(axis=0), "range")
    return np.maximum.accumulate(found)  # rounding may put two of them the wrong way round


def _check_finite(x: Array, found: Array, what: str) -> None:
    if not np.isfinite(found).all():
        column = int(np.argmin(np.isfinite(found)))
        raise DataError(
            f"Scaler.fit: expected columns with a finite {what}, got values as large as "
            f"{float(np.abs(x[:, column]).max()):.3g} in column {column}; rescale that column"
        )
