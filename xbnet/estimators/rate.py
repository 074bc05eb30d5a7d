"""``learning_rate_init="auto"``: the rate that the rate finder proposes for the rows of a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError
from ..optim.optimizer import Optimizer
from ..training.rates import EPOCHS, Rates, rates_around, try_rates
from ..training.samples import Samples
from .build import optimizer_of, part, recipe_of

if TYPE_CHECKING:
    from .base import XBEstimator

RATES, STEPS = 100, 300
"""So many rates are tried, for about so many steps each, as `find_lr` does."""


def find_rate(
    e: XBEstimator,
    X: np.ndarray,
    y: np.ndarray,
    w: np.ndarray | None,
    val: tuple[np.ndarray, np.ndarray, np.ndarray | None] | None,
) -> Rates:
    """Try a hundred rates on copies of the estimator's first network, from its weights, and propose one.

    Parameters
    ----------
    e
        With its initial network; neither that nor its random streams change.
    X, y, w, val
        See `XBEstimator._train`; of many rows a part is taken.
    """
    if isinstance(e.solver, Optimizer):
        raise ConfigError(
            f"{type(e).__name__}: expected solver by its name with learning_rate_init='auto', got {e.solver!r}, which "
            "has a rate of its own"
        )
    recipe = recipe_of(e, X.shape[0], 1, patient=False)
    most = STEPS // EPOCHS * int(recipe.batch_size or 0)
    seed = e.network_.seeds[0]
    draw = np.random.default_rng(seed)
    rows, weight = _some(X.shape[0], most, draw), e._weigh(y, w)
    given: dict[str, Any] = {} if weight is None else {"sample_weight": weight[rows]}
    if val is not None:
        few = _some(val[0].shape[0], most, draw)
        given |= {"val": part(val[0][few], e._encode(val[1][few]))}
        given |= {} if val[2] is None else {"val_weight": val[2][few]}
    samples = Samples("X", e._task, e.n_outputs_, part(X[rows], e._encode(y[rows])), **given)
    optimizer = optimizer_of(e)
    return try_rates(e.network_, e._loss(), optimizer, samples, recipe, rates_around(RATES, optimizer), STEPS, seed)


def _some(n: int, most: int, draw: np.random.Generator) -> np.ndarray:
    return np.arange(n) if n <= most else np.sort(draw.choice(n, most, replace=False))
