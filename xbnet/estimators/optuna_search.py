"""`StackedOptunaSearchCV`: what a sampler of Optuna proposes, with all trials that are open trained as stacks."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any

import joblib
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.utils import check_random_state

from ..errors import ConfigError
from ..parsing import number, whole
from ..sweeps.halving import Halving, best_of, make_brackets, survivors
from ..sweeps.studies import Space, make_study, optuna, tell
from .rungs import Rungs, epochs_ahead
from .search import StackedSearchCV, attempt, stacking, task_of


class StackedOptunaSearchCV(StackedSearchCV):
    """Optuna's search in scikit-learn's form, for xbnet's estimators: it takes the place of `OptunaSearchCV`.

    So many trials are open `at_once`, and their networks and folds train as a few stacks. With `factor` a trial goes on
    at a rung only if it is among the best 1 / `factor` of all that have come there so far; Optuna is informed that the
    others are pruned, and new ones take their places next to those that continue. No epoch is trained twice.

    Parameters
    ----------
    estimator
        The same as in `StackedSearchCV`.
    param_distributions : dict
        Parameter name -> a list of values, text like ``"loguniform:1e-4,1"`` (uniform, loguniform, integers,
        logintegers), or a distribution of Optuna.
    n_trials : int, default=100
        How many configurations the sampler proposes.
    sampler : str, sampler or study, default="tpe"
        "tpe" (tree-structured Parzen estimators) or "random", or a sampler of Optuna, or a study that maximizes.
    at_once : int, default=32
        Trials that are open at a time. The more, the faster, and the less each knows of the others.
    factor : int or float, default=None
        At each rung one trial in `factor` goes on, for `factor` times the epochs; None: all train to the end.
    resource : str, default="max_iter"
        With `factor` the parameter that says how many epochs: for the last step of a pipeline ``"STEP__max_iter"``.
    max_resources : int, default=200
        With `factor` the epochs of the last rung.
    min_resources : int, default=1
        With `factor` the epochs of the first rung, at least.
    scoring, refit, cv, verbose, error_score, return_train_score, n_jobs
        The same as in `StackedSearchCV`. With several scores `refit` names the one that is searched by.
    random_state : int, RandomState or None
        The seed of the sampler.

    Attributes
    ----------
    study_ : optuna.Study
        With all trials, their values and those at rungs.
    cv_results_, best_estimator_, best_params_, best_score_, best_index_
        The same as in `StackedSearchCV`. With `factor` there is a row for each rung that a trial came to, with
        "n_resources" and the number of the "trial", and the best is one of those that have trained to the end. Where
        all fits that were made at a time have failed, `study_` has their trials, and there are no rows of them.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from xbnet import StackedOptunaSearchCV, XBClassifier
    >>> X, y = make_classification(random_state=0)
    >>> space = {"learning_rate_init": "loguniform:1e-3,1", "alpha": [0, 0.01]}
    >>> net = XBClassifier((5,), n_iter_no_change=50, random_state=0)
    >>> search = StackedOptunaSearchCV(net, space, n_trials=8, factor=3, max_resources=9, random_state=0, refit=False)
    >>> len(search.fit(X, y).study_.trials)
    8
    """

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_trials: int = 100,
        sampler: Any = "tpe",
        at_once: int = 32,
        factor: float | None = None,
        resource: str = "max_iter",
        max_resources: int = 200,
        min_resources: int = 1,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ):
        GridSearchCV.__init__(
            self,
            estimator,
            {},  # Optuna knows the space
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_distributions = param_distributions
        self.n_trials = n_trials
        self.sampler = sampler
        self.at_once = at_once
        self.factor = factor
        self.resource = resource
        self.max_resources = max_resources
        self.min_resources = min_resources
        self.random_state = random_state

    param_distributions: Any = None

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Search, and refit the best configuration on all of X.

        Parameters
        ----------
        X, y
            As the estimator takes them.
        **params
            As `GridSearchCV.fit` takes them.

        Returns
        -------
        self

        Raises
        ------
        BackendError
            Optuna is not installed.
        ConfigError
            The space or a setting makes no sense.
        """
        name = type(self).__name__
        for key in ("n_trials", "at_once", "max_resources", "min_resources"):
            whole(name, key, getattr(self, key))
        if self.factor is not None:
            number(name, "factor", self.factor, "(1, inf)")
            if self.resource in self.param_distributions:
                raise ConfigError(f"{name}: expected a space without {self.resource}, which is the resource of factor")
        if isinstance(self.scoring, (list, tuple, set, dict)):
            self._column([f"mean_test_{one}" for one in self.scoring])
        if self.factor is None:
            return super().fit(X, y, **params)
        factor = self.factor

        def ahead(share: float, epochs: int) -> tuple[int, float]:
            return epochs_ahead(share * self.n_trials * self.n_splits_, epochs, self.max_resources, factor)

        backend = stacking(X, self.n_jobs, Rungs(self.n_jobs, ahead))
        with joblib.parallel_config(backend=backend), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is the search that ends the fits
            return GridSearchCV.fit(self, X, y, **params)

    def _run_search(self, evaluate_candidates: Any, *, callback_ctx: Any) -> None:
        name, seed = type(self).__name__, check_random_state(self.random_state).randint(2**31 - 1)
        space = Space(self.param_distributions, name)
        self.study_ = make_study(self.sampler, "maximize", seed, name)
        rungs: tuple[int, ...] = (0,)
        if self.factor is not None:
            how = Halving(self.factor, self.min_resources)
            [bracket] = make_brackets(range(self.n_trials), self.max_resources, how, np.random.default_rng(0))
            rungs = bracket.rungs
        reached: dict[int, dict[int, float]] = {level: {} for level in range(len(rungs))}
        trials: list[Any] = []
        here: dict[int, int] = {}  # open trial -> the rung that it trains up to
        failure, succeeded = None, False
        done = False  # nothing more is asked for
        with task_of(callback_ctx, self, "search", None) as outer:
            while here or not done:
                while len(here) < self.at_once and not done:
                    here[len(trials)] = 0
                    trials.append(self.study_.ask(space.distributions))
                    done = len(trials) == self.n_trials
                rows = [space.row(trials[t].params) for t in here]
                more: dict[str, list[Any]] = {"trial": list(here)}
                if self.factor is not None:
                    more["n_resources"] = [rungs[level] for level in here.values()]
                    rows = [{**row, self.resource: n} for row, n in zip(rows, more["n_resources"], strict=True)]
                scores = dict.fromkeys(here, np.nan)
                with task_of(outer, self, "trials", len(rows) * self.n_splits_) as inner:
                    results = attempt(
                        evaluate_candidates, rows, self._checked_cv_orig, more_results=more, callback_ctx=inner
                    )
                if isinstance(results, ValueError):
                    failure = results
                else:
                    succeeded, column = True, self._column(results)
                    scores = dict(zip(here, map(float, results[column][-len(rows) :]), strict=True))
                for t, score in scores.items():
                    reached[here[t]][t] = score
                here, over = self._settle(trials, here, scores, reached, rungs)
                done = done or over
        if failure is not None and not succeeded:
            raise failure

    def _column(self, columns: Collection[str]) -> str:
        """The one of `cv_results_` that is searched by."""
        named = f"mean_test_{self.refit}"  # of several
        if named not in columns and "mean_test_score" not in columns:
            raise ConfigError(
                f"{type(self).__name__}: expected refit to name one of several scores, got {self.refit!r}"
            )
        return named if named in columns else "mean_test_score"

    def _settle(
        self,
        trials: list[Any],
        here: dict[int, int],
        scores: dict[int, float],
        reached: dict[int, dict[int, float]],
        rungs: tuple[int, ...],
    ) -> tuple[dict[int, int], bool]:
        """Tell Optuna who has ended; the others with their next rungs, and whether the sampler is through."""
        states, left, over = optuna().trial.TrialState, {}, False
        for t, score in scores.items():
            level, trial = here[t], trials[t]
            if not np.isfinite(score):
                over |= tell(self.study_, trial, state=states.FAIL)
            elif level == len(rungs) - 1:
                over |= tell(self.study_, trial, score)
            else:
                trial.report(score, rungs[level])
                others = reached[level]
                if t in best_of(others, survivors(len(others), self.factor or 1)):
                    left[t] = level + 1
                else:
                    over |= tell(self.study_, trial, state=states.PRUNED)
        return left, over

    @staticmethod
    def _select_best_index(refit: Any, refit_metric: str, results: dict[str, Any]) -> int:
        """Ratings of those that have trained to the end."""
        if callable(refit) or "n_resources" not in results:
            return GridSearchCV._select_best_index(refit, refit_metric, results)
        there = np.flatnonzero(np.asarray(results["n_resources"]) == np.max(results["n_resources"]))
        scores = np.asarray(results[f"mean_test_{refit_metric}"])[there]
        return int(there[0 if np.isnan(scores).all() else np.nanargmax(scores)])
