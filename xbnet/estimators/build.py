"""From an estimator's parameters to layers, optimizer and settings, checked."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse

from ..datasets import Part
from ..errors import ConfigError, unknown_name
from ..nn.activations import Activation
from ..nn.layers import Layer, Linear
from ..nn.layers.tables import EMBED_NUMBERS, Embedding
from ..nn.mlp import mlp
from ..nn.sharing import SHARING, sharing_mlp
from ..optim.optimizer import Optimizer
from ..optim.optimizers import SGD, Momentum, Nesterov, get_optimizer
from ..parsing import is_whole, number, whole
from ..replicas import PerReplica
from ..training import tables as usual
from ..training.recipe import SCORE, Recipe
from ..training.sparse import SparseRows
from .rules import BatchPenalty, PlainAdam
from .settings import PRESETS

if TYPE_CHECKING:
    from .base import XBEstimator

ALIASES = {"logistic": "sigmoid"}
"""scikit-learn's names of activations that have another one here."""
USUAL_RATE = 0.001
"""The learning rate as long as none has been found."""


def check_parameters(e: XBEstimator) -> None:
    """Raise `ConfigError` for a parameter of the estimator that makes no sense; the others are checked where used."""
    name = type(e).__name__
    if e.preset is not None and e.preset not in [*PRESETS]:
        raise unknown_name(name, "preset", e.preset, PRESETS)
    if not isinstance(e.sharing, str) or e.sharing not in SHARING:
        raise unknown_name(name, "sharing", e.sharing, SHARING)
    if not isinstance(e.embed_numbers, str) or e.embed_numbers not in EMBED_NUMBERS:
        raise unknown_name(name, "embed_numbers", e.embed_numbers, EMBED_NUMBERS)
    if e.one_hot is not None:
        whole(name, "one_hot", e.one_hot)
    for key, bounds in (
        ("alpha", "[0, inf)"),
        ("tol", "[0, inf)"),
        ("momentum", "[0, 1)"),
        ("validation_fraction", "[0, 1)"),
        ("dropout", "[0, 1)"),
    ):
        number(name, key, getattr(e, key), bounds)
    if not finds_rate(e):
        number(name, "learning_rate_init", e.learning_rate_init, "[0, inf)")
    for key, least in (("max_iter", 1), ("n_members", 1), ("residual", 0)):
        whole(name, key, getattr(e, key), least)
    if not isinstance(e.early_stopping, (bool, np.bool_)) and e.early_stopping != "loss":
        raise ConfigError(f"{name}: expected early_stopping to be True, False or 'loss', got {e.early_stopping!r}")
    for key in ("warm_start", "nesterovs_momentum", "shuffle", "batch_norm"):
        if not isinstance(getattr(e, key), (bool, np.bool_)):
            raise ConfigError(f"{name}: expected {key} to be True or False, got {getattr(e, key)!r}")
    if e.n_iter_no_change != np.inf:
        whole(name, "n_iter_no_change", e.n_iter_no_change, most=None)
    if e.batch_size not in ("auto", "full") and (not is_whole(e.batch_size) or e.batch_size < 1):
        raise ConfigError(f"{name}: expected batch_size 'auto', 'full' or a whole number >= 1, got {e.batch_size!r}")


def layers_of(e: XBEstimator, n_outputs: int) -> tuple[list[Layer], list[int]]:
    """The layers of an estimator, and the positions of those that scikit-learn's rule initializes.

    Widths in `hidden_layer_sizes` become `Linear` layers, each followed by normalization and dropout where wanted;
    `Layer` objects among them are taken as they are.
    """
    sizes = e.hidden_layer_sizes
    sizes = list(sizes) if isinstance(sizes, (Sequence, np.ndarray)) else [sizes]
    if not all(isinstance(size, Layer) or (is_whole(size) and size >= 1) for size in sizes):
        raise ConfigError(f"{type(e).__name__}: hidden_layer_sizes must be > 0 (whole numbers or layers), got {sizes}")
    if e.embed_numbers != "none" and any(getattr(size, "columns", None) is not None for size in sizes):
        cure = "give the embedding of numbers among the layers, too, and leave embed_numbers out"
        raise ConfigError(f"{type(e).__name__}: embed_numbers moves the columns that a layer of your own names; {cure}")
    activation = ALIASES.get(e.activation, e.activation) if isinstance(e.activation, str) else e.activation
    schema = getattr(e, "schema_", None)
    embedding = [] if schema is None else Embedding.of_codes(schema.codes)
    embedding += getattr(e, "_number_layers", [])
    if e.sharing != "none":
        shared = _sharing_layers(e, sizes, n_outputs, activation)
        return [*embedding, *shared], []
    layers = mlp(sizes, n_outputs, activation, residual=e.residual, batch_norm=e.batch_norm, dropout=float(e.dropout))
    layers = [*embedding, *layers]
    own = {id(size) for size in sizes if isinstance(size, Layer)}
    return layers, [k for k, layer in enumerate(layers) if type(layer) is Linear and id(layer) not in own]


def finds_rate(e: XBEstimator) -> bool:
    """Whether the learning rate is found by trying."""
    return isinstance(e.learning_rate_init, str) and e.learning_rate_init == "auto"


def rate_of(e: XBEstimator) -> float:
    """The learning rate; as long as "auto" has found none, the usual one."""
    return float(getattr(e, "learning_rate_", USUAL_RATE) if finds_rate(e) else e.learning_rate_init)


def _sharing_layers(e: XBEstimator, sizes: list[Any], n_outputs: int, activation: str | Activation) -> list[Layer]:
    more = "layers of your own" if not all(map(is_whole, sizes)) else "batch_norm" if e.batch_norm else "residual"
    if more != "residual" or e.residual:
        raise ConfigError(f"{type(e).__name__}: sharing={e.sharing!r} is of plain hidden layers, got {more} too")
    return sharing_mlp(
        sizes, n_outputs, activation, members=int(e.n_members), sharing=e.sharing, dropout=float(e.dropout)
    )


def optimizer_of(e: XBEstimator) -> Optimizer:
    """The optimizer of `solver`: scikit-learn's "adam" and "sgd", any other of xbnet's by name, or an object."""
    if isinstance(e.solver, Optimizer):
        return e.solver
    lr = rate_of(e)
    if e.solver == "adam":
        return PlainAdam(lr, e.beta_1, e.beta_2, e.epsilon)
    if e.solver == "sgd":
        if not e.momentum:
            return SGD(lr)
        return (Nesterov if e.nesterovs_momentum else Momentum)(lr, e.momentum)
    return get_optimizer(e.solver, lr=lr)


def simple(config: dict[str, Any]) -> str:
    """A layer's settings that are numbers or names, as text."""
    return ", ".join(str(v) for v in config.values() if isinstance(v, (bool, int, float, str)))


def part(X: Any, y: np.ndarray) -> Any:
    """Samples as a `Trainer` takes them, X (N, I) as an array or sparse."""
    return SimpleNamespace(x=SparseRows(X), y=y) if issparse(X) else Part(X, y)


def warn_of_batch_size(e: XBEstimator, n: int) -> None:
    """Say that `batch_size` is cut to n rows, as scikit-learn does."""
    if is_whole(e.batch_size) and e.batch_size > n:
        warnings.warn(
            f"{type(e).__name__}: expected batch_size <= {n}, the number of rows to train on, got {e.batch_size}; "
            f"all {n} make one batch, as for batch_size='full'",
            stacklevel=4,
        )


def batch_size_of(e: XBEstimator, n: int) -> int:
    """B for n rows: "auto" is min(200, n), or what suits a table where there is a schema; "full" is n."""
    if e.batch_size == "full":
        return n
    if e.batch_size == "auto" and getattr(e, "schema_", None) is not None:
        return usual.batch_size(n)
    if e.batch_size == "auto":
        return min(200, n)
    return min(int(e.batch_size), n)


def recipe_of(
    e: XBEstimator,
    n: int,
    epochs: int,
    alpha: PerReplica | None = None,
    clip_norm: PerReplica | None = None,
    patient: bool = True,
) -> Recipe:
    """The settings of a run over n rows; `alpha` and `clip_norm` per member where they are given."""
    patience = None if e.n_iter_no_change == np.inf or not patient else int(e.n_iter_no_change) + 1
    return Recipe(
        epochs=epochs,
        batch_size=batch_size_of(e, n),
        schedule=e.schedule,
        penalty=BatchPenalty(e.alpha if alpha is None else np.asarray(alpha, float)),
        clip_norm=e.clip_norm if clip_norm is None else clip_norm,
        patience=patience,
        monitor="val_loss" if e.early_stopping == "loss" else SCORE if e.early_stopping else "train_cost",
        tol=e.tol,
        keep_best=bool(e.early_stopping),
        execution=e.execution,
    )
