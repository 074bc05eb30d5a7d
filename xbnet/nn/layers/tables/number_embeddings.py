"""The embedding of a table's numbers that a setting names: the same for the command, sweeps and estimators."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ....errors import ConfigError
from ..base import Layer
from .periodic import PeriodicEmbedding
from .piecewise import PiecewiseLinearEmbedding, quantile_bins

EMBED_NUMBERS = ("none", "periodic", "piecewise_linear")
"""Ways in which numbers may be embedded, see `embed_numbers`."""


def embed_numbers(
    how: str,
    x: np.ndarray,
    numbers: Sequence[int],
    codes: Collection[int] = (),
    *,
    where: str,
    dtype: str = "float32",
) -> list[Layer]:
    """What a network has in front of its hidden layers where its inputs that are numbers are embedded.

    Parameters
    ----------
    how
        "none"; "periodic": `PeriodicEmbedding` by its defaults, those of RealMLP; or "piecewise_linear":
        `PiecewiseLinearEmbedding` into 4 outputs, by 16 bins of equally many rows.
    x
        The inputs (N, I) of the training part.
    numbers
        Which of the I are numbers, as `Dataset.numbers` and `Schema.numbers` have them. Those of fewer than three
        values in x are left as they are: a line between two points is all that there is to learn.
    codes
        Which of the I an `Embedding` in front of this one takes out.
    where
        Who asks for it, with the setting: an error begins with it.
    dtype
        That of the network.

    Returns
    -------
    list of Layer
        One, or none.

    Raises
    ------
    ConfigError
        No input is left to be embedded.

    Examples
    --------
    >>> x = np.array([[0.0, 1.0, 5.0], [1.0, 2.0, 6.0], [0.0, 3.0, 7.0]])
    >>> embed_numbers("periodic", x, [0, 1, 2], where="here")[0].columns
    [1, 2]
    """
    if how == "none":
        return []
    found = [at for at in numbers if _has_three(x[:, at])]
    if not found:
        raise ConfigError(f"{where}: expected inputs that are numbers, of three values or more, got none; leave it out")
    places = [at - sum(code < at for code in codes) for at in found]  # `Embedding` moves what it takes to the end
    if how == "periodic":
        return [PeriodicEmbedding(columns=places)]
    return [PiecewiseLinearEmbedding(quantile_bins(x[:, found], dtype=dtype), columns=places)]


def _has_three(values: np.ndarray) -> bool:
    return bool(((values != values.min()) & (values != values.max())).any())
