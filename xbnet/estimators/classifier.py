"""The classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags

from ..backends.arrays import ArrayLike, DTypeLike, Rows
from ..backends.backend import Backend
from ..errors import ConfigError
from ..nn.activations import Activation
from ..nn.layers import Layer
from ..nn.losses import Loss
from ..optim.optimizer import Optimizer
from ..optim.schedule import Schedule
from .base import XBEstimator
from .classes import Classes
from .namespace import back_to
from .settings import with_preset

if TYPE_CHECKING:
    from sklearn.neural_network import MLPClassifier


class XBClassifier(Classes, ClassifierMixin, XBEstimator):
    """A neural network for classification, with scikit-learn's interface.

    With ``dtype="float64"`` and none of the parameters that `sklearn.neural_network.MLPClassifier` has not, it does
    the same as that one: initial weights, order of the samples, loss and updates agree to rounding. ``preset="tables"``
    takes other parameters, which suit tables.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int or Layer, default=(100,)
        Hidden widths; layer objects of xbnet may be among them.
    activation : str or Activation, default="relu"
        "relu", "tanh", "logistic", "identity", or any of xbnet's.
    solver : str or Optimizer, default="adam"
        "adam", "sgd" (with `momentum`), or any of xbnet's optimizers; an object brings its own settings.
    alpha : float, default=0.0001
        Strength of the L2 penalty on weights: alpha / 2 * sum W^2, divided by the weight of the batch.
    batch_size : int, "auto" or "full", default="auto"
        "auto" is min(200, N), and where there is a `schema_`, 32 to 256, growing with N.
    learning_rate_init : float or "auto", default=0.001
        Learning rate. "auto": half of the best of a hundred, see `find_lr`.
    max_iter : int, default=200
        Epochs at most.
    shuffle : bool, default=True
        A new order of the samples in each epoch.
    random_state : int, RandomState or None, default=None
        The seed of weights, orders, dropout and the validation split.
    tol : float, default=1e-4
        The least gain in the score, or fall of the loss, that counts as an improvement.
    verbose : bool, default=False
        Print a line per epoch.
    warm_start : bool, default=False
        `fit` goes on where the last one ended, with the optimizer's state.
    momentum, nesterovs_momentum : default=0.9, True
        Settings of "sgd".
    early_stopping : bool or "loss", default=False
        Stop by the score on a validation part, or by the loss on it, and keep the best weights.
    validation_fraction : float, default=0.1
        Split off for early stopping, unless `fit` gets X_val.
    beta_1, beta_2, epsilon : default=0.9, 0.999, 1e-8
        Settings of "adam".
    n_iter_no_change : int or np.inf, default=10
        Stop after more than this many epochs without an improvement by `tol`.
    residual, dropout, batch_norm : default=0, 0.0, False
        Residual blocks after the hidden layers; dropout rate, and batch normalization, after each hidden layer.
    loss : str or Loss, default="auto"
        "auto": the cross-entropy that suits the targets. "cross_entropy", "binary_cross_entropy", "mse", or an
        object.
    schedule : str or Schedule, default=None
        How the learning rate changes, e.g. "cosine"; see `xbnet.optim.schedules.get_schedule`.
    clip_norm : float, default=None
        The largest norm of the gradient.
    n_members : int, default=1
        Networks that are trained as one stack, each from a seed of its own; their probabilities are averaged.
    backend : str, default="numpy"
        "numpy", "cupy", "dpnp" or "auto".
    dtype : str, default="float32"
        "float32" or "float64".
    execution : str, default="auto"
        Who runs the steps, see `Recipe`: "auto" takes the compiled machine where that saves more time than its start.
    schema : "auto", bool or str, default="auto"
        Whether a `Schema` is learned of X, which turns its columns into inputs: categories, missing values and dates
        too, with numbers scaled: "standard" (as True does), "robust", "quantile" or "none"; a regressor's targets are
        standardized then as well, and put back in what it predicts. "auto": of a DataFrame with a column that is no
        plain number or lacks a value; others go in as they are. All else stays scikit-learn's: see `preset`.
    one_hot : int or None, default=None
        Where there is a schema, a category of more values becomes a code with a learned vector, see `Embedding`.
    embed_numbers : "none", "periodic" or "piecewise_linear", default="none"
        Learned embedding of each number or date of a schema, or each column of other X (scaled), of 3 values or more.
    sharing : "none", "tabm" or "tabm-mini", default="none"
        Whether the `n_members` are one network that shares the weights of its hidden layers, see `sharing_mlp`: they
        stop together, by the loss of their mean.
    preset : "tables" or None, default=None
        "tables": parameters that are not given take the values that `xbnet train` takes for a table.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class, times `sample_weight`.

    Attributes
    ----------
    classes_ : array (C,)
    network_ : Network
    history_ : History
        All figures of all epochs.
    loss_curve_, loss_, best_loss_ : list of float, float, float
        Training cost after each epoch; the last; the smallest (None with early stopping).
    validation_scores_, validation_loss_curve_ : list of float or None
        After each epoch, what `score` says of the validation part (all members together: those that have stopped with
        the weights that they keep), and the mean loss of the members that still train.
    best_validation_score_ : float or None
        With early stopping the score of the weights that are kept; otherwise the largest so far.
    learning_rate_, rates_ : float, Rates
        With "auto" the rate that was found, and what was tried for it.
    n_iter_, t_ : int
        Epochs and samples that were trained on since the weights were drawn, over all calls.
    coefs_, intercepts_ : lists of arrays
        W (I, O) and b (O,) of the linear layers.
    schema_ : Schema or None
        How X becomes inputs; None: as it is.
    n_features_in_, feature_names_in_
        The same as in scikit-learn.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = XBClassifier((16,), learning_rate_init=0.03, n_iter_no_change=3, tol=0.01, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    """

    @with_preset
    def __init__(
        self,
        hidden_layer_sizes: int | Layer | Sequence[int | Layer] = (100,),
        activation: str | Activation = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate_init: float | str = 0.001,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool | str = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        residual: int = 0,
        dropout: float = 0.0,
        batch_norm: bool = False,
        loss: str | Loss = "auto",
        schedule: str | Schedule | None = None,
        clip_norm: float | None = None,
        n_members: int = 1,
        backend: str | Backend = "numpy",
        dtype: DTypeLike = "float32",
        execution: str = "auto",
        schema: bool | str = "auto",
        one_hot: int | None = None,
        embed_numbers: str = "none",
        sharing: str = "none",
        preset: str | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
    ):
        super().__init__(
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate_init=learning_rate_init,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            residual=residual,
            dropout=dropout,
            batch_norm=batch_norm,
            loss=loss,
            schedule=schedule,
            clip_norm=clip_norm,
            n_members=n_members,
            backend=backend,
            dtype=dtype,
            execution=execution,
            schema=schema,
            one_hot=one_hot,
            embed_numbers=embed_numbers,
            sharing=sharing,
            preset=preset,
        )
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def partial_fit(
        self, X: Rows, y: ArrayLike, *, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train one epoch, going on from where the last call ended: n calls do what ``fit`` does in n epochs.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes
            All classes that will ever occur; needed at the first call.

        Returns
        -------
        self
        """
        if isinstance(self.class_weight, str):
            raise ConfigError(
                "XBClassifier.partial_fit: class_weight='balanced' needs all of y at once; "
                "give the weights as {class: weight}"
            )
        if not hasattr(self, "network_"):
            if classes is None:
                raise ConfigError("XBClassifier.partial_fit: classes must be passed on the first call to partial_fit")
            first = np.asarray(classes)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ConfigError(f"XBClassifier.partial_fit: expected classes {self.classes_}, as before, got {classes!r}")
        learn = lambda y: self._learn_targets(y if y.ndim == 2 else first)  # noqa: E731
        return self._partial_fit(X, y, sample_weight, learn)

    @classmethod
    def from_sklearn(cls, mlp: MLPClassifier, **parameters: Any) -> XBClassifier:
        """A fitted classifier with the weights of a fitted `MLPClassifier`.

        Parameters
        ----------
        mlp
            The network; its parameters are taken over.
        **parameters
            Other arguments of this class; dtype is by default that of the weights.

        Returns
        -------
        XBClassifier

        Raises
        ------
        ConfigError
            It is another kind of network, or uses a feature that xbnet lacks, e.g. solver="lbfgs".
        """
        from sklearn.neural_network import MLPClassifier

        from .convert import parameters_of, take_weights

        settings = {**parameters_of(mlp, MLPClassifier), "dtype": mlp.coefs_[0].dtype.name, **parameters}
        estimator = cls(**settings)
        multilabel = mlp._label_binarizer.y_type_.startswith("multilabel")
        estimator._learn_targets(np.eye(mlp.n_outputs_, dtype=int) if multilabel else mlp.classes_)
        return take_weights(estimator, mlp)

    def to_sklearn(self) -> MLPClassifier:
        """A fitted `MLPClassifier` with these weights, which predicts the same.

        Raises
        ------
        ConfigError
            scikit-learn lacks something: a schema, other layers, activations, losses, several members.
        """
        from sklearn.neural_network import MLPClassifier

        from .convert import scikit_learn_of

        return scikit_learn_of(self, MLPClassifier)

    def predict(self, X: Rows) -> np.ndarray:
        """Predict the classes (N,) for X (N, I), or for a table; 0 and 1 (N, C) for multi-label targets."""
        return back_to(self._now()._predict(X), X)
