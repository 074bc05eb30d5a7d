"""`StackedHalvingSearchCV`: scikit-learn's successive halving by epochs, in stacks that shrink at the rungs."""

from __future__ import annotations

import warnings
from typing import Any

import joblib
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV, ParameterSampler
from sklearn.utils import check_random_state

from ..errors import ConfigError
from ..sweeps.halving import Bracket, Halving, best_of, make_brackets, survivors
from .rungs import Rungs, epochs_ahead
from .search import attempt, stacking, task_of


class StackedHalvingSearchCV(HalvingGridSearchCV):
    """HalvingGridSearchCV or HalvingRandomSearchCV over epochs, for xbnet's estimators.

    All configurations and folds train as a few stacks to the first rung; the best 1 / `factor` of the configurations
    train on, as stacks that are that much smaller, from where they were: no epoch is trained twice. Scores, ranks and
    winner are those of `HalvingGridSearchCV` with ``resource="max_iter"``, bit for bit on NumPy with one BLAS thread
    and at the same level of execution (see `StackedSearchCV`). (With a learning-rate schedule, whose rates depend on
    the number of epochs, each rung starts again, as there.)

    Parameters
    ----------
    estimator
        The same as in `StackedSearchCV`.
    param_grid : dict or list of dicts
        Parameter name -> values; with `n_candidates` also distributions with ``rvs``.
    n_candidates : int, default=None
        How many configurations to draw; None tries all.
    factor : int or float, default=3
        At each rung one configuration in `factor` goes on, for `factor` times the epochs.
    resource : str, default="max_iter"
        The parameter that says how many epochs: for the last step of a pipeline ``"STEP__max_iter"``.
    max_resources : int, default=200
        Epochs of the last rung, at most.
    min_resources : int, "smallest" or "exhaust", default="exhaust"
        Epochs of the first rung; "exhaust": as many as bring the last rung near `max_resources`.
    brackets : "hyperband" or None, default=None
        "hyperband" shares the configurations out at random among brackets, whose first rungs are at `min_resources`
        (by default 1), and `factor` times as high from one to the next: then a configuration that starts slowly may
        still win. All that are at the same epoch train together, each is ranked within its bracket, and
        `cv_results_` has a column "bracket" (Li et al. 2018, "Hyperband", JMLR 18, algorithm 1).
    aggressive_elimination, cv, scoring, refit, error_score, return_train_score, verbose
        The same as in `HalvingGridSearchCV`.
    n_jobs : int, default=None
        The same as in `StackedSearchCV`.
    random_state : int, RandomState or None
        The seed of the draws.

    Attributes
    ----------
    cv_results_, best_estimator_, best_params_, best_score_, best_index_, n_resources_, n_candidates_, n_iterations_
        The same as in `HalvingGridSearchCV`; of several brackets, all configurations at each number of epochs.
    brackets_ : tuple
        With `brackets`: which configurations, in the order of the grid or the draws, and after how many epochs they
        were ranked.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from xbnet import StackedHalvingSearchCV, XBClassifier
    >>> X, y = make_classification(random_state=0)
    >>> grid = {"learning_rate_init": [0.001, 0.01, 0.1], "alpha": [0, 0.01, 1]}
    >>> net = XBClassifier((5,), n_iter_no_change=50, random_state=0)
    >>> search = StackedHalvingSearchCV(net, grid, max_resources=9, refit=False).fit(X, y)
    >>> search.n_resources_, search.n_candidates_
    ([1, 3, 9], [9, 3, 1])
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        n_candidates: int | None = None,
        factor: float = 3,
        resource: str = "max_iter",
        max_resources: int = 200,
        min_resources: Any = "exhaust",
        brackets: str | None = None,
        aggressive_elimination: bool = False,
        cv: Any = 5,
        scoring: Any = None,
        refit: Any = True,
        error_score: Any = np.nan,
        return_train_score: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        super().__init__(
            estimator,
            param_grid,
            factor=factor,
            resource=resource,
            max_resources=max_resources,
            min_resources=min_resources,
            aggressive_elimination=aggressive_elimination,
            cv=cv,
            scoring=scoring,
            refit=refit,
            error_score=error_score,
            return_train_score=return_train_score,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.n_candidates = n_candidates
        self.brackets = brackets

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Search, and refit the best configuration on all of X.

        Parameters
        ----------
        X, y
            Data in any form that the estimator takes.
        **params
            The same as in `HalvingGridSearchCV.fit`.

        Returns
        -------
        self
        """
        if self.brackets not in (None, "hyperband"):
            raise ConfigError(f"StackedHalvingSearchCV: expected brackets 'hyperband' or None, got {self.brackets!r}")
        backend = stacking(X, self.n_jobs, Rungs(self.n_jobs, self._ahead))
        with joblib.parallel_config(backend=backend), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is the search that ends the fits
            return super().fit(X, y, **params)

    def _ahead(self, share: float, epochs: int) -> tuple[int, float]:
        """See `fit_stacked`."""
        begin = len(self._generate_candidate_params())
        if self.brackets is not None:
            begin = sum(len(bracket.configurations) for bracket in self.brackets_ if bracket.rungs[0] == epochs)
        return epochs_ahead(share * begin * self.n_splits_, epochs, self.max_resources_, self.factor)

    def _generate_candidate_params(self) -> Any:
        if self.n_candidates is None:
            return super()._generate_candidate_params()
        return ParameterSampler(self.param_grid, self.n_candidates, random_state=self.random_state)

    def _run_search(self, evaluate_candidates: Any, *, callback_ctx: Any) -> None:
        if self.brackets is None:
            super()._run_search(evaluate_candidates, callback_ctx=callback_ctx)
            return
        candidates = list(self._generate_candidate_params())
        if any(self.resource in candidate for candidate in candidates):
            raise ValueError(
                f"Cannot use parameter {self.resource} as the resource since it is part of the searched parameters."
            )
        draws = np.random.default_rng(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        how = Halving(self.factor, self.min_resources_, hyperband=True)
        self.brackets_ = make_brackets(range(len(candidates)), self.max_resources_, how, draws)
        rungs = sorted({rung for bracket in self.brackets_ for rung in bracket.rungs})
        alive = {bracket: list(bracket.configurations) for bracket in self.brackets_}
        self.n_resources_, self.n_candidates_ = rungs, []
        failures: list[ValueError] = []
        with task_of(callback_ctx, self, "search", len(rungs)) as outer:
            for i, rung in enumerate(rungs):
                here = {bracket: configurations for bracket, configurations in alive.items() if rung in bracket.rungs}
                count = sum(map(len, here.values()))
                self.n_candidates_.append(count)
                with task_of(outer, self, "halving-iteration", count * self.n_splits_) as inner:
                    alive |= self._rank(evaluate_candidates, candidates, here, i, rung, failures, inner)
        if len(failures) == len(rungs):
            raise failures[-1]
        self.n_iterations_, self.n_remaining_candidates_ = len(rungs), sum(map(len, alive.values()))

    def _rank(
        self,
        evaluate_candidates: Any,
        candidates: list[dict[str, Any]],
        here: dict[Bracket, list[int]],
        i: int,
        rung: int,
        failures: list[ValueError],
        callback_ctx: Any,
    ) -> dict[Bracket, list[int]]:
        """Train the configurations of each bracket up to the rung: those of each that go on.

        Where none of all can be trained, `failures` grows; they may go on, and other brackets still come.
        """
        everyone = [c for configurations in here.values() for c in configurations]
        numbers = [self.brackets_.index(bracket) for bracket, found in here.items() for _ in found]
        more = {"iter": [i] * len(everyone), "n_resources": [rung] * len(everyone), "bracket": numbers}
        results = attempt(
            evaluate_candidates,
            [{**candidates[c], self.resource: rung} for c in everyone],
            self._checked_cv_orig,
            more_results=more,
            callback_ctx=callback_ctx,
        )
        if isinstance(results, ValueError):
            failures.append(results)
            scores = dict.fromkeys(everyone, np.nan)
        else:
            scores = dict(zip(everyone, results["mean_test_score"][-len(everyone) :], strict=True))
        return {
            bracket: best_of({c: scores[c] for c in found}, survivors(len(found), self.factor))
            for bracket, found in here.items()
        }
