"""The common base of classifier and regressor: from arrays to a trained network, and on from there."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_X_y, column_or_1d, validate_data

from ..backends.arrays import ArrayLike, Rows
from ..datasets.odd import say_if_collapsed
from ..errors import ConfigError, DivergenceError
from ..history import History
from ..nn.layers import Layer
from ..nn.network import Network
from ..parsing import float_type
from ..training.memory import expect_training
from ..training.samples import Samples
from ..training.trainer import Trainer
from .build import check_parameters, finds_rate, layers_of, optimizer_of, part, recipe_of, simple, warn_of_batch_size
from .meeting import current_call, train_together
from .namespace import library, to_numpy
from .predicting import Predicting
from .rate import find_rate
from .rules import Order, draw_ahead, draw_weights
from .running import check_same, run_epochs
from .tables import encode_rows, learn_schema, number_layers
from .validation import Validation, counted_rows, split_off


class XBEstimator(Predicting):
    """The common part; see `XBClassifier` and `XBRegressor`."""

    # -- what the two kinds say --------------------------------------------------------------------------------------

    @abstractmethod
    def _learn_targets(self, y: np.ndarray) -> None:
        """Note what kind of targets there are; sets `n_outputs_` and `_task`."""

    @abstractmethod
    def _encode(self, y: np.ndarray) -> np.ndarray:
        """Targets as the loss takes them."""

    @abstractmethod
    def _weigh(self, y: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        """Weights (N,) of the rows, all together."""

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Rows,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        X_val: Rows | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train for at most `max_iter` epochs.

        Parameters
        ----------
        X
            (N, I): array, DataFrame or sparse matrix, which becomes dense a batch at a time.
        y
            (N,) or (N, O).
        sample_weight
            (N,), >= 0; a row of weight 0 has no effect.
        X_val, y_val, sample_weight_val
            A validation part: its loss and score are recorded after each epoch, and `early_stopping` watches it
            instead of a part of X.

        Returns
        -------
        self
        """
        check_parameters(self)
        if (X_val is None) != (y_val is None):
            raise ConfigError(f"{type(self).__name__}.fit: expected X_val and y_val together, or neither")
        fresh = not (self.warm_start and hasattr(self, "network_"))
        if not fresh:
            check_same(self, "fit")
        now = self._now() if fresh else self
        call = current_call() if fresh and X_val is None else None
        start = None if call is None else call.starts.of(now, X, y, sample_weight)
        given = (X, y, sample_weight, X_val, y_val, sample_weight_val)
        rows = now._begin(*given, fresh=fresh) if start is None else start.give(now)
        self.__dict__ = now.__dict__  # all at once, for threads that predict meanwhile
        if not self._train(*rows, self.max_iter, stop=True):  # it has to train alone, with streams of its own
            self._train(*self._begin(*given), self.max_iter, stop=True)
        return self

    def _begin(
        self, X: Rows, y: ArrayLike, weight: ArrayLike | None, *validation: Any, fresh: bool = True
    ) -> tuple[Any, Any, Any, Any]:
        """Everything before training: X, y, weights and the validation part to train on, or None."""
        rows, targets, w = self._validate(X, y, weight, fresh)
        if fresh:
            self._learn_targets(targets if is_classifier(self) else self._with_weight(rows, targets, w)[1])
            self._start()
        rows, targets, w = self._with_weight(rows, targets, w)
        X_val, y_val, w_val = validation or (None, None, None)
        if X_val is not None:
            return rows, targets, w, self._with_weight(*self._validate(X_val, y_val, w_val, False))
        return split_off(self, rows, targets, w) if self.early_stopping else (rows, targets, w, None)

    def _partial_fit(
        self, X: Rows, y: ArrayLike, sample_weight: ArrayLike | None, learn: Callable[[np.ndarray], None]
    ) -> Self:
        """One epoch more, from where the last one ended."""
        check_parameters(self)
        if self.early_stopping:
            raise ConfigError(f"{type(self).__name__}: partial_fit does not support early_stopping=True")
        fresh = not hasattr(self, "network_")
        if not fresh:
            check_same(self, "partial_fit")
        rows, targets, w = self._validate(X, y, sample_weight, fresh)
        if fresh:
            learn(targets if is_classifier(self) else self._with_weight(rows, targets, w)[1])
            self._start()
        self._train(*self._with_weight(rows, targets, w), None, 1, stop=False)
        return self

    def _validate(
        self, X: Rows, y: Any, sample_weight: ArrayLike | None, reset: bool
    ) -> tuple[Any, np.ndarray, np.ndarray | None]:
        """Host arrays X (N, I), which may be sparse, y, weights or None."""
        namespace, X, y = library(X), to_numpy(X), y.toarray() if issparse(y) else to_numpy(y)
        dtype = float_type(type(self).__name__, self.dtype)
        rules = {"dtype": dtype, "multi_output": True, "y_numeric": is_regressor(self)}
        if reset:
            self._namespace = namespace
            counted = counted_rows(to_numpy(sample_weight), y)
            self.schema_, X = learn_schema(self, X, counted)
            self._target_name = str(getattr(y, "name", None) or "y")
        if getattr(self, "schema_", None) is None:
            if reset:
                cure = "scale X (schema=True, StandardScaler), or dtype='float64'"
                say_if_collapsed(type(self).__name__, X, self.dtype, cure)
            X, y = validate_data(self, X, y, reset=reset, accept_sparse="csr", **rules)
        else:
            X, y = check_X_y(X if reset else encode_rows(self, X), y, estimator=self, **rules)
        if reset:
            self._number_layers = number_layers(self, X, counted)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if sample_weight is None:
            return X, y, None
        return X, y, _check_sample_weight(to_numpy(sample_weight), X, dtype=np.float64, ensure_non_negative=True)

    def _with_weight(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> tuple[Any, Any, Any]:
        """Without the rows of weight 0, now that their classes are known."""
        if w is None:
            return X, y, None
        keep = w > 0
        if not keep.any():
            raise ConfigError(f"{type(self).__name__}: expected sample_weight with at least one value > 0")
        return (X, y, w) if keep.all() else (X[keep], y[keep], w[keep])

    def _start(self) -> None:
        """A fresh network, its random streams, and an empty history."""
        layers, drawn = layers_of(self, self.n_outputs_)
        main = check_random_state(self.random_state)
        states = [main]
        if self._n_networks > 1:
            self.member_seeds_ = main.randint(np.iinfo(np.int32).max, size=self._n_networks)
            states = [np.random.RandomState(seed) for seed in self.member_seeds_]
        # What seeds the rest takes nothing from the streams of the weights and the orders.
        seeds = [draw_ahead(state) for state in states]
        shape: dict[str, Any] = {"replicas": self._n_networks, "backend": self.backend, "dtype": self.dtype}
        expect_training(layers, self._n_inputs(), optimizer_of(self), **shape)
        network = Network(layers, self._n_inputs(), rng=seeds, **shape)
        draw_weights(network, drawn, states, self.activation == "logistic")
        self._built = self._design(layers)
        self._random_state, self._split_state = main, None
        self._orders = [Order(state, self.shuffle) for state in states]
        self._run_state: Any = None
        for name in ("learning_rate_", "rates_"):  # of the fit before
            self.__dict__.pop(name, None)
        self.t_ = 0
        self.history_ = History(self._n_networks)
        self.loss_curve_: list[float] = []
        self.validation_scores_: list[float] | None = None
        self.validation_loss_curve_: list[float] | None = None
        self.network_ = network  # last: whoever has one can be trained further

    def _n_inputs(self) -> int:
        schema = getattr(self, "schema_", None)
        return self.n_features_in_ if schema is None else schema.n_inputs

    def _design(self, layers: Sequence[Layer] | None = None) -> dict[str, Any]:
        """Return the settings that can't change when training goes on; `layers` are those of the settings."""
        layers = layers_of(self, self.n_outputs_)[0] if layers is None else layers
        told = [f"{type(layer).__name__}({simple(layer.config())})" for layer in layers]
        names = ("n_members", "sharing", "embed_numbers", "dtype", "backend")
        found = {name: str(getattr(self, name)) for name in names}
        return {"layers": ", ".join(told), "solver": type(optimizer_of(self)).__name__, **found}

    def _train(self, X: Any, y: np.ndarray, w: np.ndarray | None, val: Any, epochs: int, stop: bool) -> bool:
        """Whether it has trained: where a search's fits have begun together, none may go on from there alone."""
        shared = self.__dict__.pop("_shared", None)
        if val is not None and self.validation_scores_ is None:
            self.validation_scores_, self.validation_loss_curve_ = [], []
        if finds_rate(self) and not hasattr(self, "learning_rate_"):
            self.rates_ = find_rate(self, X, y, w, val)
            self.learning_rate_ = self.rates_.lr
        status = train_together(self, X, y, w, val, shared) if stop and self._may_wait() else ""
        if shared is not None and not status:
            return False
        warn_of_batch_size(self, X.shape[0])
        converged, cut_short = status == "stopped", False
        if status == "diverged":
            raise DivergenceError(
                f"{type(self).__name__}: the loss or the weights became nan or infinite in epoch {self.n_iter_}; "
                "try a smaller learning rate, clip_norm, or standardized inputs"
            )
        if not status:
            converged, cut_short = run_epochs(self, self._trainer(X, y, w, val, epochs, stop), epochs)
        self.n_layers_ = len(self._network.layers) + 1
        self.loss_ = self.loss_curve_[-1]
        self.best_loss_ = None if self.early_stopping else min(self.loss_curve_)
        self.best_validation_score_ = max(self.validation_scores_) if self.validation_scores_ else None
        if self.early_stopping:
            values = np.asarray(self.network_.predict_proba(val[0])).reshape(self._n_networks, val[0].shape[0], -1)
            self.best_validation_score_ = self._score_members(val[1], values, val[2])
        if cut_short:
            warnings.warn(
                f"{type(self).__name__}: interrupted after {len(self.loss_curve_)} epochs; it can predict, and go on",
                stacklevel=3,
            )
        elif stop and not converged:
            warnings.warn(
                f"{type(self).__name__}: {epochs} epochs (max_iter) are over and the loss still fell; "
                "raise max_iter or learning_rate_init",
                ConvergenceWarning,
                stacklevel=3,
            )
        return True

    def _stacks(self) -> bool:
        """Whether it can train as a part of a stack: alone, and by nobody else's rules."""
        ours = all(getattr(type(self), name) is getattr(XBEstimator, name) for name in ("_train", "_trainer", "_note"))
        return ours and self._n_networks == 1 and not self.warm_start

    def _may_wait(self) -> bool:
        return self._stacks() and not len(self.history_)

    def _trainer(
        self, X: Any, y: np.ndarray, w: np.ndarray | None, val: tuple[Any, Any, Any] | None, epochs: int, stop: bool
    ) -> Trainer:
        samples = Samples(
            "X",
            self._task,
            self.n_outputs_,
            part(X, self._encode(y)),
            None if val is None else part(val[0], self._encode(val[1])),
            sample_weight=self._weigh(y, w),
            val_weight=None if val is None else val[2],
        )
        scorer = None
        if val is not None:
            n = self._n_networks
            scorer = Validation([self] * n, [val[1]] * n, [val[2]] * n, val[0])
        more = len(self.history_) + epochs
        trainer = Trainer(
            self.network_,
            self._loss(),
            optimizer_of(self),
            samples,
            recipe_of(self, X.shape[0], more if stop else max(self.max_iter, more), patient=stop),
            shuffles=self._orders,
            scorer=scorer,
            history=self.history_,
        )
        if scorer is not None:
            scorer.kept = trainer.kept
        return trainer

    def _note(self, record: dict[str, Any], validation: Any) -> None:
        """Put an epoch's figures into the curves: costs are means over the members."""
        self.loss_curve_.append(_mean(record["train_cost"]))
        if validation is not None and self.validation_scores_ is not None and self.validation_loss_curve_ is not None:
            self.validation_loss_curve_.append(_mean(record["val_loss"]))
            self.validation_scores_.append(validation.together)
        if self.verbose:
            print(f"Iteration {record['epoch']}, loss = {self.loss_curve_[-1]:.8f}")
            if validation is not None:
                print(f"Validation score: {validation.together:f}")


def _mean(values: np.ndarray) -> float:
    """Over the members that are still training; in a tenth of the time of `nanmean`."""
    return float(values[0] if len(values) == 1 else values[~np.isnan(values)].mean())
