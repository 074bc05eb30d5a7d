"""Early stopping: whose monitored figure has got better, and whose patience is over."""

from __future__ import annotations

import numpy as np

from ..history import MORE_IS_BETTER
from .recipe import SCORE, Recipe


class Stopping:
    """The best monitored figure of each of R replicas, and how long ago that was.

    Parameters
    ----------
    recipe
        Its monitor, patience and tol.
    replicas
        R.

    Attributes
    ----------
    best
        (R,) the lowest figure so far, or minus the highest where more is better.
    waited
        (R,) epochs since it got better, or at least by `tol`.
    """

    def __init__(self, recipe: Recipe, replicas: int):
        more_is_better = str(recipe.monitor).endswith((*MORE_IS_BETTER, SCORE))
        self.sign, self.tol = -1.0 if more_is_better else 1.0, recipe.tol
        self.patience = np.inf if recipe.patience is None else recipe.patience
        self.best = np.full(replicas, np.inf)
        self.waited = np.zeros(replicas, dtype=int)

    def loss(self, figure: np.ndarray, good: np.ndarray) -> np.ndarray:
        """The figure (R,), the lower the better; infinite for a replica that is not `good`."""
        return np.where(good & np.isfinite(figure), self.sign * figure, np.inf)

    def better(self, loss: np.ndarray) -> np.ndarray:
        """Note the losses of an epoch; who (R,) is better than ever."""
        better = loss < self.best
        enough = better if self.tol is None else np.isfinite(loss) & (loss <= self.best - self.tol)
        self.waited += 1
        self.waited[enough] = 0
        self.best[better] = loss[better]
        return better

    @property
    def over(self) -> np.ndarray:
        """Whose (R,) patience is over."""
        return self.waited >= self.patience

    def select(self, stay: np.ndarray) -> None:
        """Go on with the replicas `stay`."""
        self.best, self.waited = self.best[stay], self.waited[stay]
