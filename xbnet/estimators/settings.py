"""The parameters that classifier and regressor share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any, Self, TypeVar

import numpy as np
from sklearn.base import BaseEstimator

from ..backends.arrays import DTypeLike
from ..backends.backend import Backend
from ..nn.activations import Activation
from ..nn.layers import Layer
from ..nn.losses import Loss
from ..optim.optimizer import Optimizer
from ..optim.schedule import Schedule
from ..training import tables as usual

Init = TypeVar("Init", bound=Callable[..., None])

FOR_TABLES: dict[str, Any] = {
    **{"hidden_layer_sizes": usual.HIDDEN, "n_members": usual.MEMBERS, "activation": usual.ACTIVATION},
    **{"learning_rate_init": usual.LEARNING_RATE, "schedule": usual.SCHEDULE, "max_iter": usual.EPOCHS},
    **{"early_stopping": "loss", "n_iter_no_change": usual.PATIENCE - 1, "tol": 0.0},
    **{"validation_fraction": usual.VALIDATION, "alpha": usual.ALPHA, "schema": True},
}
"""Parameters with which an estimator trains as `xbnet train` does on a table."""

PRESETS = {"tables": FOR_TABLES}


def preset_of(preset: Any) -> dict[str, Any]:
    """The parameters that a preset stands for; `fit` refuses others."""
    return PRESETS.get(preset, {}) if isinstance(preset, str) else {}


def with_preset(init: Init) -> Init:
    """The same `__init__`, in which a preset's parameters stand for those that nobody gives.

    So a parameter is what `get_params` says, and a clone, to which all are given, is the same.
    """
    signature = inspect.signature(init)

    @wraps(init)
    def begin(self: Any, *given: Any, **named: Any) -> None:
        preset = preset_of(named.get("preset"))
        known = signature.bind(self, *given, **named).arguments if preset else {}
        init(self, *given, **named, **{name: value for name, value in preset.items() if name not in known})

    return begin  # type: ignore[return-value]


class Settings(BaseEstimator):
    """Parameters as scikit-learn wants them: kept as they are, and checked in `fit`; `XBClassifier` explains them."""

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
        self.execution = execution
        self.schema = schema
        self.one_hot = one_hot
        self.embed_numbers = embed_numbers
        self.sharing = sharing
        self.preset = preset

    @property
    def _n_networks(self) -> int:
        """R: members that share their weights are one network."""
        return int(self.n_members) if self.sharing == "none" else 1

    def set_params(self, **parameters: Any) -> Self:
        """As in scikit-learn; a `preset` brings its parameters, and parameters given explicitly take precedence."""
        found: Self = super().set_params(**{**preset_of(parameters.get("preset")), **parameters})
        return found

    @classmethod
    @cache
    def _get_param_names(cls) -> list[str]:
        """As scikit-learn finds them, which takes it a millisecond each time: a search asks thousands of times."""
        return super()._get_param_names()

    @classmethod
    def for_tables(cls, **parameters: Any) -> Any:
        """``cls(preset="tables")``: parameters that `xbnet train` takes for a table, in place of scikit-learn's.

        It learns a `Schema`, and trains a stack of four small networks, whose probabilities or values are averaged, in
        few epochs on a rate that falls; each keeps the weights with the least validation loss. On most tables
        ``embed_numbers="periodic"`` lowers the loss further, in two to twenty times the time.

        Parameters
        ----------
        **parameters
            Settings that differ from these, and `random_state`.

        Examples
        --------
        >>> from xbnet import XBClassifier
        >>> model = XBClassifier.for_tables(n_members=8, random_state=0)
        >>> model.hidden_layer_sizes, model.n_members, model.schema
        ((32,), 8, True)
        """
        return cls(preset="tables", **parameters)
