"""The regressor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import Tags

from ..backends.arrays import ArrayLike, Rows
from ..datasets import Scaler
from ..errors import ConfigError
from ..nn.losses import Loss, get_loss
from .base import XBEstimator
from .namespace import back_to
from .rules import HalfPoissonDeviance, HalfSquaredError
from .validation import r_squared

if TYPE_CHECKING:
    from sklearn.neural_network import MLPRegressor

LOSSES = {"auto": HalfSquaredError, "squared_error": HalfSquaredError, "poisson": HalfPoissonDeviance}
"""scikit-learn's, which are no names of xbnet's own losses."""


class XBRegressor(RegressorMixin, XBEstimator):
    """A neural network for regression, with scikit-learn's interface.

    Where there is a `schema_`, the network learns targets of mean 0 and standard deviation 1, and the loss is that of
    these; but not for "poisson", whose targets are counts. The score is R^2.

    Parameters
    ----------
    loss : str or Loss, default="auto"
        "squared_error" (as is "auto"): half of it, summed over the outputs; "poisson": half the Poisson deviance of
        exp(output) from y >= 0; or a loss of xbnet's, such as "mse".
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate_init, max_iter, shuffle, random_state, tol,
    verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2, epsilon,
    n_iter_no_change, residual, dropout, batch_norm, schedule, clip_norm, n_members, backend, dtype, execution,
    schema, one_hot, embed_numbers, sharing, preset
        The same as in `XBClassifier`, and so are all attributes but `classes_`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.linspace(-2, 2, 200)[:, None]
    >>> model = XBRegressor((16,), "tanh", learning_rate_init=0.03, n_iter_no_change=5, tol=0.001, random_state=0)
    >>> model = model.fit(X, np.sin(2 * X[:, 0]))
    >>> bool(model.score(X, np.sin(2 * X[:, 0])) > 0.9)
    True
    """

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = False
        return tags

    def partial_fit(self, X: Rows, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> Self:
        """Train one epoch, going on from where the last call ended: n calls do what ``fit`` does in n epochs.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self
        """
        return self._partial_fit(X, y, sample_weight, self._learn_targets)

    @classmethod
    def from_sklearn(cls, mlp: MLPRegressor, **parameters: Any) -> XBRegressor:
        """Make a fitted regressor with the weights of a fitted `MLPRegressor`; see `XBClassifier.from_sklearn`.

        Parameters
        ----------
        mlp
            The network; its parameters are copied.
        **parameters
            Other arguments of this class.

        Returns
        -------
        XBRegressor
        """
        from sklearn.neural_network import MLPRegressor

        from .convert import parameters_of, take_weights

        estimator = cls(**{**parameters_of(mlp, MLPRegressor), "dtype": mlp.coefs_[0].dtype.name, **parameters})
        estimator._learn_targets(np.zeros(1) if mlp.n_outputs_ == 1 else np.zeros((1, mlp.n_outputs_)))
        return take_weights(estimator, mlp)

    def to_sklearn(self) -> MLPRegressor:
        """A fitted `MLPRegressor` with these weights; see `XBClassifier.to_sklearn`."""
        from sklearn.neural_network import MLPRegressor

        from .convert import scikit_learn_of

        return scikit_learn_of(self, MLPRegressor)

    def _learn_targets(self, y: np.ndarray) -> None:
        self._flat = y.ndim == 1
        self._task, self.n_outputs_ = "regression", 1 if self._flat else y.shape[1]
        self._target_scale = None
        if getattr(self, "schema_", None) is not None and self.loss != "poisson":
            found = Scaler.fit(np.asarray(y, np.float64).reshape(len(y), self.n_outputs_))
            self._target_scale = found.mean, found.scale

    def _encode(self, y: np.ndarray) -> np.ndarray:
        if y[:1].size != self.n_outputs_:
            raise ConfigError(f"XBRegressor: expected y with {self.n_outputs_} columns, as before, got {y[:1].size}")
        if self.loss == "poisson" and np.min(y) < 0:
            raise ConfigError(f"XBRegressor: expected y >= 0 for loss='poisson', got {np.min(y)}")
        y = np.asarray(y).reshape(len(y), self.n_outputs_)
        if self._target_scale is not None:
            mean, scale = self._target_scale
            y = (y - mean) / scale
        return y.astype(self.dtype)

    def _weigh(self, y: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        return sample_weight

    def _loss(self) -> Loss:
        own = LOSSES.get(self.loss) if isinstance(self.loss, str) else None
        return get_loss(self.loss) if own is None else own()

    def _predictions(self, decisions: np.ndarray) -> np.ndarray:
        if self._target_scale is not None:
            mean, scale = self._target_scale
            decisions = decisions * scale + mean
        return decisions[:, 0] if self._flat else decisions

    def _score_of(self, y: np.ndarray, predicted: np.ndarray, w: np.ndarray | None) -> float:
        return r_squared(y, predicted, w)

    def predict(self, X: Rows) -> np.ndarray:
        """Predict values (N,) or (N, O), as y was, for X (N, I), or for a table; float32 for float32, else float64."""
        single = str(getattr(X, "dtype", "")).endswith("float32")
        return back_to(self._now()._predict(X).astype(np.float32 if single else np.float64, copy=False), X)
