"""`StackedSearchCV`: scikit-learn's search over hyper-parameters, with configurations x folds trained as stacks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import joblib
import numpy as np
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from ..backends.backend import get_backend
from ..backends.memory import free_bytes
from ..sweeps.executors import cores
from .meeting import Stacking, Task
from .rungs import Rungs
from .stack import fit_stacked


class StackedSearchCV(GridSearchCV):
    """GridSearchCV or RandomizedSearchCV for xbnet's estimators: all configurations and folds train as a few stacks.

    It takes the place of either: same `cv_results_`, `best_estimator_`, `best_params_`, `predict` and so on. On NumPy
    with one BLAS thread the scores are those of `GridSearchCV`, bit for bit, at the same level of execution. With
    ``execution="auto"`` a search may take the compiled level where each fit alone is too short for it: then they are
    the same to rounding, and near ties can rank otherwise. ``execution="replay"`` in the estimator gives the same bits.

    Parameters
    ----------
    estimator : estimator
        An XBClassifier or XBRegressor, alone or within a Pipeline or any other estimator of scikit-learn's form.
        Whatever else is in it is fitted as `GridSearchCV` does it, and so is a network that can't be in a stack: one
        with several members, with `warm_start`, or of a class with its own way to train.
    param_grid : dict or list of dicts
        Parameter name -> values; with `n_iter` also distributions with ``rvs``, as in `RandomizedSearchCV`.
    n_iter : int, default=None
        How many configurations to draw; None tries all.
    scoring, refit, cv, verbose, error_score, return_train_score
        The same as in `GridSearchCV`. A network that diverges counts as a fit that failed.
    n_jobs : int, default=None
        Threads, among which the networks are shared out; None or -1: one per core, -2: one less.
    random_state : int, RandomState or None
        The seed of the draws.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, multimetric_
        The same as in `GridSearchCV`. A `fit_time` is the time until the network's stack was trained.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from xbnet import StackedSearchCV, XBClassifier
    >>> X, y = make_classification(random_state=0)
    >>> grid = {"learning_rate_init": [0.01, 0.1], "alpha": [0, 0.01]}
    >>> search = StackedSearchCV(XBClassifier((5,), tol=0.1, random_state=0), grid, refit=False).fit(X, y)
    >>> len(search.cv_results_["params"])
    4
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        n_iter: int | None = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ):
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.n_iter = n_iter
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Search, and refit the best configuration on all of X.

        Parameters
        ----------
        X, y
            Data in any form that the estimator takes.
        **params
            `groups`, `sample_weight`, ``STEP__sample_weight`` and so on, as `GridSearchCV.fit` takes them.

        Returns
        -------
        self
        """
        with joblib.parallel_config(backend=stacking(X, self.n_jobs)):
            return super().fit(X, y, **params)

    @property
    def param_distributions(self) -> Any:
        """The space under the name that `RandomizedSearchCV` has for it."""
        return self.param_grid

    def _run_search(self, evaluate_candidates: Any, *, callback_ctx: Any) -> None:
        kind: Any = GridSearchCV if self.n_iter is None else RandomizedSearchCV
        kind._run_search(self, evaluate_candidates, callback_ctx=callback_ctx)


def stacking(X: Any, n_jobs: int | None, rungs: Rungs | None = None) -> Stacking:
    """A backend for joblib under which the fits on parts of X wait for one another, as many as memory allows.

    They are trained by `rungs`; None: by `fit_stacked`.
    """

    def train(tasks: Sequence[Task]) -> None:
        fit_stacked(tasks, n_jobs)

    # Each of them holds its rows, and as many as floats that go into the network.
    each = max(1, 2 * _bytes_of(X))
    most = max(2 * cores(), free_bytes(get_backend("numpy")) // 2 // each)
    return Stacking(train, most) if rungs is None else Stacking(rungs.train, most, rungs.begin)


def _bytes_of(X: Any) -> int:
    """Bytes of an array, a sparse matrix or a DataFrame; 8 per row for what does not say."""
    if hasattr(X, "memory_usage"):
        return int(X.memory_usage(deep=True).sum())
    parts = [getattr(X, name, None) for name in ("nbytes", "data", "indices")]
    return sum(int(getattr(part, "nbytes", part)) for part in parts if isinstance(part, (int, np.ndarray)))


def attempt(evaluate: Callable[..., dict[str, Any]], *given: object, **named: object) -> dict[str, Any] | ValueError:
    """The results of `evaluate_candidates`; its error, and a warning, where none of these fits succeeded.

    scikit-learn takes that for a mistake, but they are only a part of the search.
    """
    try:
        return evaluate(*given, **named)
    except ValueError as error:
        if not str(error).startswith("\nAll the"):
            raise
        warnings.warn(str(error), FitFailedWarning, stacklevel=2)
        return error


@contextmanager
def task_of(callback_ctx: Any, search: Any, name: str, parts: int | None) -> Iterator[Any]:
    """A part of a search, for scikit-learn's callbacks."""
    part = callback_ctx.subcontext(task_name=name, max_subtasks=parts, sequential_subtasks=name == "search")
    task = part.call_on_fit_task_begin(estimator=search)
    yield task
    task.call_on_fit_task_end(estimator=search)
