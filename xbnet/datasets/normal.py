"""Scaling of a column's numbers beyond a mean and a scale: smooth clipping, normal quantiles."""

from __future__ import annotations

import math

import numpy as np

from .checks import Array

BOUND = 3.0
"""Smooth clipping keeps numbers between this and its negative."""
FAR = 1e9
"""Clipped numbers from here on are `BOUND` to the last bit; so squares don't overflow."""
LEAST = 1e-7 - 2.0**-52
"""The share of the values below the least one, and of those above the greatest, as scikit-learn has it."""

# Wichura's algorithm AS 241 (PPND16; Applied Statistics 37, 1988), with a relative error of about 1e-16: ratios of
# polynomials, numerator and denominator, highest power first. In the middle they are taken of 0.180625 - (p - 1/2)^2,
# in the tails of sqrt(-log(the smaller of p and 1 - p)), less 1.6 or 5.
MIDDLE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
TAIL = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)  # fmt: skip
CENTRE, HALF, SHIFT = 0.180625, 0.425, 1.6
"""Constants of the middle: its own, and how far from 1/2 it reaches; and the number subtracted from the tails' root.
The table's second tail begins at exp(-25), below `LEAST`, and is not needed."""


def smooth_clip(z: Array) -> Array:
    """``z / sqrt(1 + (z / 3)^2)``: about z near 0, and never beyond -3 and 3 (Holzmueller et al. 2024).

    Examples
    --------
    >>> smooth_clip(np.array([0.0, 0.3, 4.0, -1e300])).round(3).tolist()
    [0.0, 0.299, 2.4, -3.0]
    """
    near = np.clip(z, -FAR, FAR)
    return near / np.sqrt(1 + (near / BOUND) ** 2)


def normal_quantile(p: Array) -> Array:
    """Return the p-quantile of the standard normal distribution, for p from `LEAST` to 1 - `LEAST`.

    Examples
    --------
    >>> normal_quantile(np.array([0.5, 0.975, 0.001])).round(6).tolist()
    [0.0, 1.959964, -3.090232]
    """
    from_half = p - 0.5
    middle = np.minimum(np.abs(from_half), HALF)
    inner = CENTRE - middle * middle
    root = np.sqrt(-np.log(np.minimum(p, 1 - p))) - SHIFT
    tail = np.copysign(np.polyval(TAIL[0], root) / np.polyval(TAIL[1], root), from_half)
    centre = from_half * np.polyval(MIDDLE[0], inner) / np.polyval(MIDDLE[1], inner)
    return np.where(np.abs(from_half) <= HALF, centre, tail)


def to_normal(x: Array, quantiles: Array) -> Array:
    """Each value's rank among those of the training part, as the number that has this rank in a normal distribution.

    Between two quantiles it is linear in the rank; of equal quantiles it takes the middle. What is at one end or beyond
    is about -5.2 or 5.2. A column of one value is 0.

    Parameters
    ----------
    x
        (n,) finite.
    quantiles
        (Q,) in order, at the shares 0, 1 / (Q - 1), ..., 1.
    """
    if quantiles[0] == quantiles[-1]:
        return np.zeros(x.shape)
    shares = np.linspace(0, 1, len(quantiles))
    # From either side, for they differ where quantiles are equal, as in scikit-learn's QuantileTransformer.
    p = 0.5 * (np.interp(x, quantiles, shares) - np.interp(-x, -quantiles[::-1], -shares[::-1]))
    p = np.where(x >= quantiles[-1], 1.0, np.where(x <= quantiles[0], 0.0, p))
    return normal_quantile(np.clip(p, LEAST, 1 - LEAST))


def from_normal(z: Array, quantiles: Array) -> Array:
    """The values for what `to_normal` gave."""
    p = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in z])
    return np.interp(p, np.linspace(0, 1, len(quantiles)), quantiles)
