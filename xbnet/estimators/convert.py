"""Weights to and from scikit-learn's own networks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from ..datasets import Schema, Target
from ..errors import ConfigError
from ..nn.layers import Linear
from ..nn.layers.build import copy_layers
from ..nn.layers.tables import MemberOutputs
from ..nn.network import Network
from ..optim.optimizer import Optimizer
from .build import rate_of

if TYPE_CHECKING:
    from .base import XBEstimator

SHARED = (
    "hidden_layer_sizes",
    "activation",
    "solver",
    "alpha",
    "batch_size",
    "learning_rate_init",
    "max_iter",
    "shuffle",
    "random_state",
    "tol",
    "verbose",
    "warm_start",
    "momentum",
    "nesterovs_momentum",
    "early_stopping",
    "validation_fraction",
    "beta_1",
    "beta_2",
    "epsilon",
    "n_iter_no_change",
)
"""Parameters that both have, with the same meaning."""
ACTIVATIONS = {"identity": "identity", "relu": "relu", "tanh": "tanh", "sigmoid": "logistic"}
"""xbnet's name -> scikit-learn's."""


def parameters_of(mlp: BaseEstimator, kind: type[BaseEstimator]) -> dict[str, Any]:
    """An xbnet estimator's parameters from those of a fitted scikit-learn network of the class `kind`.

    Raises
    ------
    ConfigError
        The network is none of that kind, or uses a feature that xbnet lacks.
    """
    where = f"from_sklearn({type(mlp).__name__})"
    if not isinstance(mlp, kind):
        raise ConfigError(f"{where}: expected an {kind.__name__} of scikit-learn")
    check_is_fitted(mlp, "coefs_")
    if mlp.solver == "lbfgs":
        raise ConfigError(f"{where}: solver='lbfgs' has no counterpart; train with 'adam' or 'sgd'")
    if mlp.solver == "sgd" and mlp.learning_rate != "constant":
        raise ConfigError(f"{where}: learning_rate={mlp.learning_rate!r} has no counterpart; see `schedule`")
    found = {name: getattr(mlp, name) for name in SHARED}
    return found | ({"loss": mlp.loss} if getattr(mlp, "loss", "") == "poisson" else {})


def for_a_file(estimator: XBEstimator) -> tuple[Network, list[Any] | None]:
    """A network that a file can hold, and its classes: of two classes, both have an output there.

    With z the single output, softmax(0, z) = (1 - p, p) for p = sigmoid(z).
    """
    check_is_fitted(estimator, "network_")
    network, classes = estimator.network_, getattr(estimator, "classes_", None)
    if classes is None:
        return network, None
    if network.link != "multilabel" or estimator._flags:
        return network, classes.tolist()
    if len(classes) == 1:
        raise ConfigError(f"{type(estimator).__name__}.save: expected at least two classes, got one")
    *layers, last = copy_layers(network.layers)
    layers.append(MemberOutputs(2, members=last.members) if isinstance(last, MemberOutputs) else Linear(2))
    twin = Network(
        layers, network.n_inputs, replicas=network.replicas, backend=network.backend, dtype=network.dtype,
        rng=network.seeds,
    )  # fmt: skip
    for name, values in twin.parameters.items():
        before = network.parameters[name]
        if before.shape == values.shape:
            values[...] = before
        else:
            values[..., ::2], values[..., 1::2] = 0, before
    twin.state[...] = network.state
    return twin, classes.tolist()


def schema_for_a_file(estimator: XBEstimator, network: Network, classes: list[Any] | None) -> Schema | None:
    """The estimator's schema with its target, as a file has it."""
    schema = getattr(estimator, "schema_", None)
    if schema is None:
        return None
    name, n = estimator._target_name, network.n_outputs
    if classes is not None:
        several = network.link == "multilabel"
        names = tuple(f"{name}{i}" for i in range(n)) if several else (name,)
        labels = names if several else tuple(c if type(c) is int else str(c) for c in classes)
        return replace(schema, target=Target(names, "multilabel" if several else "classification", labels))
    names = (name,) if n == 1 else tuple(f"{name}{i}" for i in range(n))
    scaled = () if estimator._target_scale is None else (tuple(values.tolist()) for values in estimator._target_scale)
    return replace(schema, target=Target(names, "regression", None, *scaled))


def take_weights(estimator: XBEstimator, mlp: BaseEstimator) -> XBEstimator:
    """Give an estimator that knows its targets the weights of a fitted scikit-learn network."""
    estimator.n_features_in_ = mlp.n_features_in_
    if hasattr(mlp, "feature_names_in_"):
        estimator.feature_names_in_ = mlp.feature_names_in_
    estimator._start()
    network = estimator.network_
    layers = [layer for layer in network.layers if isinstance(layer, Linear)]
    for layer, W, b in zip(layers, mlp.coefs_, mlp.intercepts_, strict=True):
        layer.W[...] = network.backend.asarray(W[None], network.dtype)
        layer.b[...] = network.backend.asarray(b[None, None], network.dtype)
    network.link = estimator._loss().links[estimator._task]
    estimator.n_iter_ = 0
    estimator.n_layers_ = mlp.n_layers_
    return estimator


def scikit_learn_of(estimator: XBEstimator, kind: type[BaseEstimator]) -> BaseEstimator:
    """A fitted scikit-learn network of the class `kind` with an estimator's weights.

    Raises
    ------
    ConfigError
        It has something that scikit-learn lacks.
    """
    check_is_fitted(estimator, "network_")
    layers = estimator.network_.layers
    where = f"{type(estimator).__name__}.to_sklearn"
    names = {getattr(layer.activation, "kernel", "identity") for layer in layers[:-1] if isinstance(layer, Linear)}
    if not all(isinstance(layer, Linear) for layer in layers):
        raise ConfigError(f"{where}: scikit-learn has fully connected layers only, not {layers!r}")
    if getattr(estimator, "schema_", None) is not None:
        raise ConfigError(
            f"{where}: scikit-learn's networks know no schema, by which this one encodes X (schema=False)"
        )
    if estimator.n_members > 1 or estimator.loss not in ("auto", "squared_error", "poisson"):
        raise ConfigError(f"{where}: scikit-learn has one member and the default loss only")
    if len(names) > 1 or not names <= set(ACTIVATIONS):
        raise ConfigError(f"{where}: scikit-learn has one of {', '.join(ACTIVATIONS.values())} for all layers")
    settings = {name: getattr(estimator, name) for name in SHARED}
    settings["learning_rate_init"] = rate_of(estimator)
    settings["hidden_layer_sizes"] = tuple(layer.n_outputs for layer in layers[:-1])
    settings["activation"] = ACTIVATIONS[names.pop()] if names else "identity"
    if isinstance(settings["solver"], Optimizer) or settings["solver"] not in ("adam", "sgd"):
        settings["solver"] = "adam"
    if settings["batch_size"] == "full":
        settings["batch_size"] = "auto"
    if estimator.loss == "poisson":
        settings["loss"] = "poisson"
    mlp = kind(**settings)
    mlp.coefs_ = [W.copy() for W in estimator.coefs_]
    mlp.intercepts_ = [b.copy() for b in estimator.intercepts_]
    mlp.n_features_in_ = estimator.n_features_in_
    if hasattr(estimator, "feature_names_in_"):
        mlp.feature_names_in_ = estimator.feature_names_in_
    mlp.n_layers_, mlp.n_outputs_ = len(layers) + 1, estimator.n_outputs_
    mlp.n_iter_, mlp.t_ = estimator.n_iter_, getattr(estimator, "t_", 0)
    mlp.loss_curve_, mlp.validation_scores_ = list(estimator.loss_curve_), estimator.validation_scores_
    mlp.loss_ = estimator.loss_curve_[-1] if estimator.loss_curve_ else None
    mlp.best_loss_ = getattr(estimator, "best_loss_", None)
    mlp.best_validation_score_ = getattr(estimator, "best_validation_score_", None)
    mlp._no_improvement_count = 0
    last = {"softmax": "softmax", "multilabel": "logistic", "exp": "exp"}
    mlp.out_activation_ = last.get(estimator.network_.link, "identity")
    if isinstance(mlp, MLPClassifier):
        mlp.classes_ = estimator.classes_
        targets = estimator.classes_
        if estimator._task == "multilabel" and estimator.n_outputs_ > 1:
            targets = np.eye(estimator.n_outputs_, dtype=int)
        mlp._label_binarizer = LabelBinarizer().fit(targets)
    return mlp
