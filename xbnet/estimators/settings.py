"""The parameters that classifier and regressor share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.base import BaseEstimator

from ..backends.arrays import DTypeLike
from ..backends.backend import Backend
from ..nn.activations import Activation
from ..nn.layers import Layer
from ..nn.losses import Loss
from ..optim.optimizer import Optimizer
from ..optim.schedules import Schedule


class Settings(BaseEstimator):
    """Parameters as scikit-learn wants them: kept as they are, and checked in `fit`; `XBClassifier` explains them."""

    def __init__(
        self,
        hidden_layer_sizes: int | Layer | Sequence[int | Layer] = (100,),
        activation: str | Activation = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
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
        schema: bool | str = "auto",
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
        self.schema = schema
