"""`StackedSearchCV`: scikit-learn's search over hyper-parameters, with configurations x folds trained as stacks."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.base import clone, is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing as rows_of

from ..errors import ConfigError
from ..parsing import is_whole
from .base import XBEstimator
from .stack import Task, fit_stacked, start


class StackedSearchCV(GridSearchCV):
    """GridSearchCV or RandomizedSearchCV for xbnet's estimators: all configurations and folds train as a few stacks.

    It takes the place of either: same `cv_results_`, `best_estimator_`, `best_params_`, `predict` and so on. On NumPy
    with one BLAS thread the scores are those of `GridSearchCV`, bit for bit.

    Parameters
    ----------
    estimator : XBClassifier, XBRegressor, or a Pipeline that ends in one
        The steps of a pipeline before it are fitted on each fold's training part.
    param_grid : dict or list of dicts
        Parameter name -> values; with `n_iter` also distributions with ``rvs``, as in `RandomizedSearchCV`.
    n_iter : int, default=None
        How many configurations to draw; None tries all.
    scoring, refit, cv, error_score, return_train_score
        As in `GridSearchCV`. A network that diverges counts as a fit that failed.
    n_jobs : int, default=None
        Threads, among which the networks are shared out; None: one per core.
    verbose : int, default=0
        Say how many networks there are.
    random_state : int, RandomState or None
        Of the draws.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, multimetric_
        As in `GridSearchCV`. Times are a network's share of all.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from xbnet import StackedSearchCV, XBClassifier
    >>> X, y = make_classification(random_state=0)
    >>> grid = {"learning_rate_init": [0.01, 0.1], "alpha": [0, 0.01]}
    >>> search = StackedSearchCV(XBClassifier((5,), max_iter=2, random_state=0), grid, refit=False).fit(X, y)
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

    def fit(self, X: Any, y: Any = None, *, groups: Any = None, sample_weight: Any = None, **fit_params: Any) -> Any:
        """Search, and refit the best configuration on all of X.

        Parameters
        ----------
        X, y
            As the estimator takes them.
        groups
            For `cv`.
        sample_weight
            (N,), for training and, as `GridSearchCV` has it, for scorers that take weights; for training only where
            the estimator is a pipeline: then they are those of its last step.
        **fit_params
            Only ``LASTSTEP__sample_weight``, as `GridSearchCV` over a pipeline takes it.

        Returns
        -------
        self
        """
        sample_weight = self._weights(sample_weight, fit_params)
        candidates = self._candidates()
        splits = list(check_cv(self.cv, y, classifier=is_classifier(self.estimator)).split(X, y, groups))
        self._check_folds(y, splits)
        scorer = check_scoring(self.estimator, scoring=self.scoring)
        self.scorer_ = getattr(scorer, "_scorers", scorer)
        self.multimetric_ = isinstance(self.scorer_, dict)
        refit_name = self._refit_name()
        self.n_splits_ = len(splits)
        if self.verbose:
            print(f"Fitting {len(splits)} folds for each of {len(candidates)} candidates as stacks")
        started = time.perf_counter()
        models, tasks = self._start(candidates, splits, X, y, sample_weight)
        good = fit_stacked(tasks, self.n_jobs)
        fit_time = (time.perf_counter() - started) / len(tasks)
        self._complain(good)
        score_weight = sample_weight if self._scores_take_weights(sample_weight) else None
        self.cv_results_ = self._results(candidates, splits, models, good, scorer, X, y, score_weight, fit_time)
        self._choose(candidates, refit_name, X, y, sample_weight)
        return self

    # -- before training -------------------------------------------------------------------------------------------

    def _weights(self, sample_weight: Any, fit_params: dict[str, Any]) -> Any:
        last = f"{self.estimator.steps[-1][0]}__sample_weight" if isinstance(self.estimator, Pipeline) else None
        if last in fit_params and sample_weight is None:
            sample_weight = fit_params.pop(last)
        if fit_params:
            raise ConfigError(f"StackedSearchCV.fit: expected no other parameters, got {', '.join(fit_params)}")
        return sample_weight

    def _scores_take_weights(self, sample_weight: Any) -> bool:
        """Whether `GridSearchCV` hands the weights to the scorers; that of some older scikit-learns never does."""
        ask = getattr(self, "_check_scorers_accept_sample_weight", None)
        return sample_weight is not None and ask is not None and not isinstance(self.estimator, Pipeline) and ask()

    def _candidates(self) -> list[dict[str, Any]]:
        if self.n_iter is None:
            candidates = list(ParameterGrid(self.param_grid))
        else:
            candidates = list(ParameterSampler(self.param_grid, self.n_iter, random_state=self.random_state))
        if not candidates:
            raise ConfigError("StackedSearchCV: expected at least one configuration, got an empty grid")
        known = self.estimator.get_params()
        for candidate in candidates:
            for key in candidate:
                if key not in known and key.partition("__")[0] not in known:
                    raise ConfigError(f"StackedSearchCV: {type(self.estimator).__name__} has no parameter {key!r}")
        return candidates

    def _check_folds(self, y: Any, splits: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        """Every class must be in every training part."""
        if not is_classifier(self.estimator) or np.ndim(y) != 1:
            return
        classes = np.unique(y)
        for number, (train, _) in enumerate(splits):
            missing = np.setdiff1d(classes, rows_of(y, train))
            if len(missing):
                raise ConfigError(
                    f"StackedSearchCV: fold {number} has no sample of class {missing.tolist()[0]!r} to train on; use "
                    "fewer folds, or stratified ones"
                )

    def _refit_name(self) -> str:
        """The scorer that ranks for `refit`."""
        if not self.multimetric_:
            return "score"
        if self.refit is not False and not callable(self.refit) and self.refit not in self.scorer_:
            raise ConfigError(
                f"StackedSearchCV: with several scorers refit must be one of {', '.join(self.scorer_)}, a function or "
                f"False, got {self.refit!r}"
            )
        return self.refit if isinstance(self.refit, str) else ""

    def _start(
        self, candidates: list[dict[str, Any]], splits: list[Any], X: Any, y: Any, sample_weight: Any
    ) -> tuple[list[Any], list[Task]]:
        """A model per configuration and fold (folds run fastest), all but its network fitted; and its task."""
        models, tasks = [], []
        prepared: dict[Any, tuple[Any, Any]] = {}
        for candidate in candidates:
            for number, (train, _) in enumerate(splits):
                model = clone(self.estimator).set_params(**clone(candidate, safe=False))
                X_train, y_train = rows_of(X, train), rows_of(y, train)
                w_train = None if sample_weight is None else rows_of(sample_weight, train)
                key: tuple[Any, ...] = (number,)
                final = model
                if isinstance(model, Pipeline):
                    final, before = model.steps[-1][1], model[:-1]
                    key = (number, repr(sorted((k, repr(v)) for k, v in before.get_params().items())))
                    if key not in prepared:
                        prepared[key] = before, before.fit_transform(X_train, y_train)
                    before, X_train = prepared[key]
                    model.steps[:-1] = before.steps
                if not isinstance(final, XBEstimator):
                    raise ConfigError(
                        "StackedSearchCV: expected an XBClassifier or XBRegressor, or a Pipeline that ends in one, "
                        f"got {type(final).__name__}; use GridSearchCV for others"
                    )
                if final.n_members > 1:
                    raise ConfigError("StackedSearchCV: expected n_members=1; the search makes the stacks itself")
                models.append(model)
                tasks.append(start(final, key, X_train, y_train, w_train))
        return models, tasks

    # -- after training ----------------------------------------------------------------------------------------------

    def _complain(self, good: list[bool]) -> None:
        """What `GridSearchCV` says of fits that failed."""
        if all(good):
            return
        text = f"{good.count(False)} fits of {len(good)} failed: the loss of the network became NaN or infinite"
        if self.error_score == "raise":
            raise ConfigError(f"StackedSearchCV: {text}; try smaller learning rates, or clip_norm")
        if not any(good):
            raise ConfigError(f"StackedSearchCV: all {len(good)} fits failed: every network diverged")
        warnings.warn(f"{text}; their score is {self.error_score}", FitFailedWarning, stacklevel=3)

    def _results(
        self,
        candidates: list[dict[str, Any]],
        splits: list[Any],
        models: list[Any],
        good: list[bool],
        scorer: Any,
        X: Any,
        y: Any,
        sample_weight: Any,
        fit_time: float,
    ) -> dict[str, Any]:
        """`cv_results_`."""
        shape = len(candidates), len(splits)
        names = list(self.scorer_) if self.multimetric_ else ["score"]
        kinds = ["test", "train"] if self.return_train_score else ["test"]
        scores = {(kind, name): np.full(shape, np.nan) for name in names for kind in kinds}
        score_times = np.zeros(shape)
        for i in range(len(candidates)):
            for k, (train, test) in enumerate(splits):
                place = i * len(splits) + k
                for kind in kinds:
                    rows = test if kind == "test" else train
                    started = time.perf_counter()
                    found = self.error_score
                    if good[place]:
                        weights = {} if sample_weight is None else {"sample_weight": rows_of(sample_weight, rows)}
                        found = scorer(models[place], rows_of(X, rows), rows_of(y, rows), **weights)
                    if kind == "test":
                        score_times[i, k] = time.perf_counter() - started
                    for name in names:
                        scores[kind, name][i, k] = found[name] if isinstance(found, dict) else found
        results: dict[str, Any] = {}
        for key, times in (("fit_time", np.full(shape, fit_time)), ("score_time", score_times)):
            results[f"mean_{key}"], results[f"std_{key}"] = times.mean(axis=1), times.std(axis=1)
        results |= _parameter_columns(candidates)
        results["params"] = candidates
        for (kind, name), table in scores.items():
            for k in range(len(splits)):
                results[f"split{k}_{kind}_{name}"] = table[:, k]
            results[f"mean_{kind}_{name}"], results[f"std_{kind}_{name}"] = table.mean(axis=1), table.std(axis=1)
            if kind == "test":
                results[f"rank_{kind}_{name}"] = _ranks(table.mean(axis=1))
        return results

    def _choose(self, candidates: list[dict[str, Any]], name: str, X: Any, y: Any, sample_weight: Any) -> None:
        """Pick the best configuration, and refit it."""
        if self.refit is False and self.multimetric_:
            return
        if callable(self.refit):
            index = self.refit(self.cv_results_)
            if not is_whole(index) or not 0 <= index < len(candidates):
                raise ConfigError(
                    f"StackedSearchCV: expected refit to return 0 to {len(candidates) - 1}, got {index!r}"
                )
            self.best_index_ = int(index)
        else:
            self.best_index_ = int(self.cv_results_[f"rank_test_{name}"].argmin())
            self.best_score_ = self.cv_results_[f"mean_test_{name}"][self.best_index_]
        self.best_params_ = candidates[self.best_index_]
        if self.refit is False:
            return
        self.best_estimator_ = clone(self.estimator).set_params(**clone(self.best_params_, safe=False))
        weights = {}
        if sample_weight is not None:
            last = f"{self.estimator.steps[-1][0]}__" if isinstance(self.estimator, Pipeline) else ""
            weights[f"{last}sample_weight"] = sample_weight
        started = time.perf_counter()
        self.best_estimator_.fit(X, y, **weights)
        self.refit_time_ = time.perf_counter() - started
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_


def _parameter_columns(candidates: list[dict[str, Any]]) -> dict[str, np.ma.MaskedArray]:
    """``param_NAME`` -> values, masked where a configuration has no such parameter."""
    columns: dict[str, np.ma.MaskedArray] = {}
    for key in dict.fromkeys(key for candidate in candidates for key in candidate):
        present = [candidate[key] for candidate in candidates if key in candidate]
        column: np.ma.MaskedArray = np.ma.MaskedArray(np.empty(len(candidates), dtype=_type_of(present)), mask=True)
        for i, candidate in enumerate(candidates):
            if key in candidate:
                column[i] = candidate[key]
        columns[f"param_{key}"] = column
    return columns


def _type_of(values: list[Any]) -> np.dtype:
    """A type that holds all values as they are: of numbers where they are numbers, else object."""
    try:
        found = np.result_type(*values)
    except (TypeError, ValueError):
        return np.dtype(object)
    return np.dtype(object) if any(np.min_scalar_type(value).kind == "O" for value in values) else found


def _ranks(means: np.ndarray) -> np.ndarray:
    """1 for the largest; ties share the smaller rank, NaN comes last."""
    if np.isnan(means).all():
        return np.ones(len(means), dtype=np.int32)
    return rankdata(-np.nan_to_num(means, nan=np.nanmin(means) - 1), method="min").astype(np.int32)
