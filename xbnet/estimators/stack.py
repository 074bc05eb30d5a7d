"""Many estimators, each with data of its own, fitted as a few stacks: each ends with the bits of its own `fit`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backends.backend import get_backend
from ..backends.blas import one_blas_thread
from ..datasets import Part
from ..errors import DivergenceError
from ..nn.layers import Dropout, Layer
from ..nn.network import Network
from ..optim.optimizers import Optimizer
from ..sweeps.executors import cores
from ..sweeps.footprint import footprint
from ..training.samples import Samples
from ..training.trainer import Trainer
from .base import XBEstimator
from .build import check_parameters, layers_of, optimizer_of, recipe_of
from .rules import Order
from .validation import Validation

PER_REPLICA = ("learning_rate_init", "alpha", "momentum", "beta_1", "beta_2", "epsilon", "dropout", "clip_norm")
"""Parameters in which the estimators of one stack may differ; `random_state` is the other one."""


@dataclass(frozen=True, eq=False)
class Task:
    """An estimator, started, and the rows it trains on.

    Attributes
    ----------
    estimator
        With its initial network.
    data
        Key of its samples: tasks of equal keys have the very same X, y and weights.
    X, y, w
        Validated, weights with the classes' in them, y encoded; w may be None.
    train, val
        Row numbers; val is None without early stopping.
    val_weight
        (N,), or None.
    truth
        The targets of `val` as they came, or None.
    """

    estimator: XBEstimator
    data: Any
    X: np.ndarray
    y: np.ndarray
    w: np.ndarray | None
    train: np.ndarray
    val: np.ndarray | None
    val_weight: np.ndarray | None
    truth: np.ndarray | None

    def bucket(self) -> str:
        """Tasks with equal buckets can train in one stack."""
        e = self.estimator
        settings = {k: v for k, v in e.get_params(deep=False).items() if k not in (*PER_REPLICA, "random_state")}
        sizes = e.hidden_layer_sizes if isinstance(e.hidden_layer_sizes, (list, tuple)) else [e.hidden_layer_sizes]
        own_layers = any(isinstance(size, Layer) for size in sizes)
        also = (
            type(e).__name__,
            type(optimizer_of(e)).__name__,
            e.dropout if own_layers else e.dropout > 0,
            e.clip_norm is None,
            (self.X.shape[1], e.n_outputs_, e._task),
            (len(self.train), None if self.val is None else len(self.val)),
            (self.w is None, self.val_weight is None),
        )
        return repr((sorted((k, _identity(v)) for k, v in settings.items()), also))


def _identity(value: Any) -> Any:
    """What tells two settings apart: objects of the user's own may have a `repr` that hides how they differ."""
    if isinstance(value, (list, tuple)):
        return [_identity(one) for one in value]
    if callable(value) or not hasattr(value, "__dict__"):
        return value
    return id(type(value)), {name: _identity(one) for name, one in vars(value).items()}


def start(estimator: XBEstimator, data: Any, X: Any, y: Any, sample_weight: Any = None) -> Task:
    """Do what `fit` does before it trains: validate, learn the targets, draw weights, split a validation part off."""
    e = estimator
    check_parameters(e)
    X, y, w = e._validate(X, y, sample_weight, True)
    e._learn_targets(y)
    e._start()
    rows, val, val_weight = np.arange(len(X)), None, None
    if e.early_stopping:
        # The estimator's own split, of row numbers in place of X.
        rows, y_train, w_train, (val, _, _) = e._split(rows, y, w)
        if w is not None:
            val_weight = w
    else:
        y_train, w_train = y, w
    weights = e._weigh(y_train, w_train)
    if weights is not None and val is not None:  # class weights count the training rows only
        spread = np.zeros(len(X))
        spread[rows] = weights
        weights = spread
    same = (data, repr(e.__dict__.get("class_weight")), None if val is None else rows.tobytes(), X.dtype.str)
    return Task(e, same, X, e._encode(y), weights, rows, val, val_weight, None if val is None else y[val])


def fit_stacked(tasks: Sequence[Task], n_jobs: int | None = None) -> list[bool]:
    """Train the estimators of all tasks; which of them did not diverge.

    Afterwards each has its `network_`, `history_` and `n_iter_`: what predicting and scoring need.

    Parameters
    ----------
    tasks
        From `start`.
    n_jobs
        Threads; None: one per core on NumPy, one on a device.
    """
    buckets: dict[str, list[int]] = {}
    for i, task in enumerate(tasks):
        buckets.setdefault(task.bucket(), []).append(i)
    on_cpu = get_backend(tasks[0].estimator.backend).name == "numpy"
    threads = n_jobs or (cores() if on_cpu else 1)
    share = max(1, -(-len(tasks) // threads))
    chunks: list[list[int]] = []
    for bucket in buckets.values():
        # Neighbours have the same fold, and so the same order of the same rows.
        bucket.sort(key=lambda i: (str(tasks[i].data[0]), i))
        size = min(share, footprint(_trainer([tasks[bucket[0]]])).best_stack)
        count = -(-len(bucket) // size)
        chunks += [bucket[k * len(bucket) // count : (k + 1) * len(bucket) // count] for k in range(count)]
    good = [False] * len(tasks)
    with ThreadPoolExecutor(threads) as pool:
        for chunk, alive in zip(chunks, pool.map(lambda c: _fit([tasks[i] for i in c]), chunks), strict=True):
            for i, one in zip(chunk, alive, strict=True):
                good[i] = one
    return good


def _fit(tasks: list[Task]) -> list[bool]:
    """Train one stack and hand its networks back."""
    with one_blas_thread():
        trainer = _trainer(tasks)
        try:
            while not trainer.done:
                trainer.run_epoch()
            history = trainer.finish()
        except DivergenceError as error:
            history = error.history
    for r, task in enumerate(tasks):
        e = task.estimator
        e.network_ = trainer.network.select([r])
        e.history_ = history
        e.n_iter_ = int(np.isfinite(history["lr"].reshape(len(history), -1)[:, r]).sum())
    return [status != "diverged" for status in history.status]


def _trainer(tasks: list[Task]) -> Trainer:
    """The stack of these estimators, ready to train."""
    e, R = tasks[0].estimator, len(tasks)
    estimators = [task.estimator for task in tasks]
    layers, _ = layers_of(e, e.n_outputs_)
    if e.dropout and R > 1:
        for layer in layers:
            if isinstance(layer, Dropout) and layer.rate == e.dropout:
                layer.rate = np.array([one.dropout for one in estimators])
    seeds = [one.network_.seeds[0] for one in estimators]
    network = Network(layers, e.n_features_in_, replicas=R, backend=e.backend, dtype=e.dtype, rng=seeds)
    for r, one in enumerate(estimators):
        network.theta[r : r + 1] = one.network_.theta
    pool = {task.data: task for task in tasks}
    first, total = {}, 0
    for key, task in pool.items():
        first[key], total = total, total + len(task.X)
    parts = list(pool.values())
    train_rows = {key: task.train + first[key] for key, task in pool.items()}
    val_rows = {key: None if task.val is None else task.val + first[key] for key, task in pool.items()}
    clips = None if e.clip_norm is None else np.array([one.clip_norm for one in estimators], float)
    samples = Samples(
        "X",
        e._task,
        e.n_outputs_,
        Part(np.concatenate([p.X for p in parts]), np.concatenate([p.y for p in parts])),
        sample_weight=_joined([p.w for p in parts]),
        val_weight=_joined([p.val_weight for p in parts]),
        train_rows=[train_rows[task.data] for task in tasks],
        val_rows=None if tasks[0].val is None else [val_rows[task.data] for task in tasks],  # type: ignore[misc]
    )
    recipe = recipe_of(e, len(tasks[0].train), e.max_iter, [one.alpha for one in estimators], clips)
    return Trainer(
        network,
        e._loss(),
        _optimizer(estimators),
        samples,
        recipe,
        shuffles=_orders(estimators),
        scorer=_validation(tasks) if e.early_stopping else None,
    )


def _validation(tasks: Sequence[Task]) -> Validation:
    """Scores each estimator on its own validation part."""
    weights = [None if task.val_weight is None else task.val_weight[task.val] for task in tasks]
    return Validation([task.estimator for task in tasks], [task.truth for task in tasks], weights)


def _optimizer(estimators: Sequence[XBEstimator]) -> Optimizer:
    """One optimizer with the hyper-parameters of each estimator's."""
    made = [optimizer_of(e) for e in estimators]
    stacked = copy.copy(made[0])
    stacked.hyper = {key: np.array([one.hyper[key] for one in made], float) for key in stacked.hyper}
    return stacked


def _orders(estimators: Sequence[XBEstimator]) -> list[Order]:
    """Each estimator's orders; those that start from the same state are drawn once for all."""
    shared: dict[str, Order] = {}
    found = []
    for e in estimators:
        order = e._orders[0]
        state: Any = order.random_state.get_state(legacy=False)
        key = repr((order.shuffle, state["state"]["key"].tobytes(), state["state"]["pos"]))
        found.append(shared.setdefault(key, order))
    return found


def _joined(arrays: list[Any]) -> np.ndarray | None:
    return None if arrays[0] is None else np.concatenate(arrays)
