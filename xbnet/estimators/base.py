"""What classifier and regressor share: from arrays to a trained network, and on from there."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from types import SimpleNamespace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from ..datasets import Part
from ..errors import ConfigError
from ..history import History
from ..network import Network
from ..resume import pack, unpack
from ..schedules import get_schedule
from ..tensorfile import Tensors
from ..training import Trainer
from .build import batch_size_of, check_parameters, layers_of, optimizer_of
from .namespace import to_numpy
from .rules import BatchPenalty, Order, draw_weights


class XBEstimator(BaseEstimator):
    """The common part; see `XBClassifier` and `XBRegressor`."""

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Any = 10,
        residual: int = 0,
        dropout: float = 0.0,
        batch_norm: bool = False,
        loss: Any = "auto",
        schedule: Any = None,
        clip_norm: Any = None,
        n_members: int = 1,
        backend: Any = "numpy",
        dtype: Any = "float32",
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.residual = residual
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.loss = loss
        self.schedule = schedule
        self.clip_norm = clip_norm
        self.n_members = n_members
        self.backend = backend
        self.dtype = dtype

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

    @abstractmethod
    def _loss(self) -> Any:
        """The loss object."""

    @abstractmethod
    def _monitor(self, y_val: np.ndarray) -> tuple[str, float]:
        """For early stopping: the figure to watch, and `tol` in its unit."""

    @abstractmethod
    def _validation_score(self, record: dict[str, Any], y_val: np.ndarray) -> float:
        """The score of an epoch on the validation part."""

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Train for at most `max_iter` epochs.

        Parameters
        ----------
        X
            (N, I): array or DataFrame.
        y
            (N,) or (N, O).
        sample_weight
            (N,), >= 0; a row of weight 0 is as good as absent.
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
        X, y, w = self._validate(X, y, sample_weight, fresh)
        if fresh:
            self._learn_targets(y)
            self._start()
        val = None
        if X_val is not None:
            val = self._validate(X_val, y_val, sample_weight_val, False)
        elif self.early_stopping:
            X, y, w, val = self._split(X, y, w)
        self._train(X, y, w, val, self.max_iter, stop=True)
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, learn: Any) -> Any:
        """One epoch more, from where the last one ended."""
        check_parameters(self)
        if self.early_stopping:
            raise ConfigError(f"{type(self).__name__}: partial_fit does not support early_stopping=True")
        fresh = not hasattr(self, "network_")
        X, y, w = self._validate(X, y, sample_weight, fresh)
        if fresh:
            learn(y)
            self._start()
        self._train(X, y, w, None, 1, stop=False)
        return self

    def _validate(self, X: Any, y: Any, sample_weight: Any, reset: bool) -> tuple[Any, Any, Any]:
        """Host arrays X (N, I), y, weights or None; rows of weight 0 are dropped."""
        X, y = validate_data(
            self,
            to_numpy(X),
            to_numpy(y),
            dtype=np.dtype(self.dtype),
            multi_output=True,
            y_numeric=is_regressor(self),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if sample_weight is None:
            return X, y, None
        w = _check_sample_weight(to_numpy(sample_weight), X, dtype=np.float64, ensure_non_negative=True)
        keep = w > 0
        if not keep.any():
            raise ConfigError(f"{type(self).__name__}: expected sample_weight with at least one value > 0")
        return (X, y, w) if keep.all() else (X[keep], y[keep], w[keep])

    def _start(self) -> None:
        """A fresh network, its random streams, and an empty history."""
        layers, drawn = layers_of(self, self.n_outputs_)
        main = check_random_state(self.random_state)
        states = [main]
        if self.n_members > 1:
            self.member_seeds_ = main.randint(np.iinfo(np.int32).max, size=self.n_members)
            states = [np.random.RandomState(seed) for seed in self.member_seeds_]
        # A copy of the stream seeds the rest, so that it takes nothing from the weights' and the orders'.
        seeds = [int(copy.deepcopy(state).randint(np.iinfo(np.int32).max)) for state in states]
        self.network_ = Network(
            layers, self.n_features_in_, replicas=self.n_members, backend=self.backend, dtype=self.dtype, rng=seeds
        )
        draw_weights(self.network_, drawn, states, self.activation == "logistic")
        self._random_state = main
        self._orders = [Order(state, self.shuffle) for state in states]
        self._run_state: Any = None
        self.history_ = History(self.n_members)
        self.loss_curve_: list[float] = []
        self.validation_scores_: list[float] | None = None
        self.validation_loss_curve_: list[float] | None = None

    def _split(self, X: Any, y: Any, w: Any) -> tuple[Any, Any, Any, Any]:
        """Split a validation part off, as scikit-learn does."""
        arrays = (X, y) if w is None else (X, y, w)
        stratify = y if self._task == "multilabel" and y.ndim == 1 else None  # two classes only, as scikit-learn does
        parts = train_test_split(
            *arrays, random_state=self._random_state, test_size=self.validation_fraction, stratify=stratify
        )
        train, val = parts[::2], parts[1::2]
        if len(val[0]) < 2:
            raise ConfigError(
                f"{type(self).__name__}: the validation set is too small; raise validation_fraction or give X_val"
            )
        return (*train, None, (*val, None)) if w is None else (*train, val)

    def _train(self, X: Any, y: Any, w: Any, val: Any, epochs: int, stop: bool) -> None:
        trainer = self._trainer(X, y, w, val, epochs, stop)
        if self._run_state is not None:
            trainer.history = self.history_
            unpack(trainer, Tensors("the estimator's state", *self._run_state))
            self.history_.status = ["running"] * self.n_members
        self.history_ = trainer.history
        y_val = None if val is None else val[1]
        if val is not None and self.validation_scores_ is None:
            self.validation_scores_, self.validation_loss_curve_ = [], []
        for _ in range(epochs):
            if not len(trainer.rows):
                break
            self._note(trainer.run_epoch(), y_val)
        state = pack(trainer, history=False)
        converged = not len(trainer.rows)
        trainer.finish()
        # Once members have left, there is nothing of the optimizer's to go on from.
        self._run_state = state if not converged and len(state[0]["rows"]) == self.n_members else None
        self.n_iter_ = len(self.history_)
        self.n_layers_ = len(self.network_.layers) + 1
        self.t_ = self.n_iter_ * len(X)
        self.loss_ = self.loss_curve_[-1]
        self.best_loss_ = None if self.early_stopping else min(self.loss_curve_)
        self.best_validation_score_ = max(self.validation_scores_) if self.validation_scores_ else None
        if stop and not converged:
            warnings.warn(
                f"{type(self).__name__}: {epochs} epochs (max_iter) are over and the loss still fell; "
                "raise max_iter or learning_rate_init",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _trainer(self, X: Any, y: Any, w: Any, val: Any, epochs: int, stop: bool) -> Trainer:
        n = len(X)
        data = SimpleNamespace(
            name="X",
            task=self._task,
            n_outputs=self.n_outputs_,
            train=Part(X, self._encode(y)),
            val=None if val is None else Part(val[0], self._encode(val[1])),
        )
        monitor, tol = self._monitor(val[1]) if self.early_stopping else ("train_cost", self.tol)
        patience = None if self.n_iter_no_change == np.inf or not stop else int(self.n_iter_no_change) + 1
        return Trainer(
            self.network_,
            self._loss(),
            optimizer_of(self),
            data,
            epochs=len(self.history_) + epochs if stop else max(self.max_iter, len(self.history_) + epochs),
            batch_size=batch_size_of(self, n),
            rng=None,
            schedule=copy.deepcopy(get_schedule(self.schedule)),
            penalty=BatchPenalty(self.alpha),  # type: ignore[arg-type]
            clip_norm=self.clip_norm,
            patience=patience,
            monitor=monitor,
            sample_weight=self._weigh(y, w),
            val_weight=None if val is None else val[2],
            tol=tol,
            keep_best=self.early_stopping,
            shuffles=self._orders,
        )

    def _note(self, record: dict[str, Any], y_val: Any) -> None:
        """Put an epoch's figures, means over the members, into the curves."""
        self.loss_curve_.append(float(np.nanmean(record["train_cost"])))
        if y_val is not None and self.validation_scores_ is not None and self.validation_loss_curve_ is not None:
            self.validation_loss_curve_.append(float(np.nanmean(record["val_loss"])))
            self.validation_scores_.append(self._validation_score(record, y_val))
        if self.verbose:
            print(f"Iteration {record['epoch']}, loss = {self.loss_curve_[-1]:.8f}")
            if self.validation_scores_:
                print(f"Validation score: {self.validation_scores_[-1]:f}")

    # -- predicting --------------------------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> np.ndarray:
        """The link's values (N, O), averaged over the members."""
        check_is_fitted(self)
        X = validate_data(self, to_numpy(X), reset=False, dtype=self.network_.dtype)
        values = self.network_.predict_proba(X)
        return values.mean(axis=0) if self.network_.replicas > 1 else values

    @property
    def coefs_(self) -> list[np.ndarray]:
        """W (I, O) of every linear layer; (R, I, O) for several members."""
        return self._blocks("W")

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """B (O,) of every linear layer; (R, O) for several members."""
        return [b[..., 0, :] for b in self._blocks("b")]

    def _blocks(self, name: str) -> list[np.ndarray]:
        check_is_fitted(self, "network_")
        net = self.network_
        found = [net.backend.to_host(v) for k, v in net.parameters.items() if k.split(".")[1] == name]
        return [v[0] for v in found] if net.replicas == 1 else found
