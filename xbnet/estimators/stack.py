"""Many estimators, each with data of its own, trained as a few stacks: each ends with the bits of its own `fit`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import issparse, vstack

from ..backends.backend import get_backend
from ..backends.blas import one_blas_thread
from ..backends.memory import free_bytes
from ..errors import DivergenceError
from ..history import PER_REPLICA as FIGURES
from ..history import History
from ..nn.layers import Dropout
from ..nn.network import Network
from ..optim.optimizer import Optimizer
from ..sweeps.executors import cores
from ..sweeps.footprint import footprint
from ..training.execution.compiled import LONG_ENOUGH, has_program, saves
from ..training.samples import Samples
from ..training.trainer import Trainer
from .base import XBEstimator
from .buckets import Buckets, number_data
from .build import layers_of, optimizer_of, part, recipe_of
from .meeting import Task
from .rules import Order
from .running import IN_A_STACK
from .standing import go_on
from .together import Place, Together
from .validation import Validation

FEWEST = 3
"""A bucket is cut so that each thread has a stack only if that has so many networks: a step of one takes nearly as
long."""

Keep = Callable[[Trainer, Sequence[Task]], None]
Ahead = Callable[[float, int], tuple[int, float]]


def fit_stacked(
    tasks: Sequence[Task], n_jobs: int | None = None, keep: Keep | None = None, ahead: Ahead | None = None
) -> None:
    """Train the estimators of all tasks, and set the tasks' statuses.

    A task keeps the status "" where its stack could not be made: then it is its own `fit` that has to say why.

    Parameters
    ----------
    tasks
        Each gets the figures and the weights of its training.
    n_jobs
        See `threads_for`.
    keep
        Called with each stack's trainer and tasks, of which task i is replica i, when it is trained.
    ahead
        From a part of the networks that begin in this call (1: all of them) and the epochs that they are to train:
        how many epochs the longest of them trains in the end, and how many all of them together, about. It decides
        about the level of execution. None: they train no more than that.
    """
    data = number_data(tasks)
    bucket_of = Buckets()
    buckets: dict[Hashable, list[int]] = {}
    for i, task in enumerate(tasks):
        buckets.setdefault(bucket_of(task), []).append(i)
    threads = threads_for(tasks, n_jobs)
    share = max(1, -(-len(tasks) // threads))
    fresh = sum(task.stands is None for task in tasks)
    saved, parts = 0.0, []
    for members in buckets.values():
        # Neighbours have the same fold, and so the same order of the same rows.
        members.sort(key=lambda i: (data[i], i))
        try:
            one = _trainer([tasks[members[0]]], data[:1])
            parts.append((members, one, footprint(one)))
        except Exception:  # whatever it is, each of them will meet it again by itself, and say it in its own words
            continue
        if tasks[members[0]].stands is None:
            epochs, alone = max(1, one.recipe.epochs), saves(one, 0)
            longest, together = ahead(len(members) / fresh, epochs) if ahead else (epochs, epochs * len(members))
            saved += (longest * alone + together * (saves(one, 1) - alone)) / epochs
    # As in a sweep, all together decide, so that it doesn't matter how they are cut into stacks.
    on_host = get_backend(tasks[0].estimator.backend).on_host
    pays = saved > LONG_ENOUGH and all(has_program(one) for _, one, _ in parts)
    suits = "auto" if not on_host else "compiled" if pays else "replay"
    chunks: list[tuple[str, list[int]]] = []
    room = free_bytes(get_backend(tasks[0].estimator.backend)) // 4 // threads
    for members, _, cost in parts:
        first = tasks[members[0]]
        level = suits if first.estimator.execution == "auto" else first.estimator.execution
        if first.stands is not None:
            level = first.stands.trainer.history.execution
        # The machine plays one replica after the other: it is memory that limits a stack there, and not the caches.
        most = max(cost.best_stack, room // cost.per_network) if level == "compiled" else cost.best_stack
        count = -(-len(members) // min(share, most))
        if len(parts) < 2 * threads and len(members) >= FEWEST * threads:
            count = min(-(-count // threads) * threads, len(members))  # all threads have as much to do
        chunks += [(level, members[k * len(members) // count : (k + 1) * len(members) // count]) for k in range(count)]

    def fit(chunk: tuple[str, list[int]]) -> None:
        level, members = chunk
        _fit([tasks[i] for i in members], [data[i] for i in members], level, keep)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fit, chunks))


def threads_for(tasks: Sequence[Task], n_jobs: int | None) -> int:
    """Threads; None: one per core on NumPy, one on a device; negative: as in scikit-learn, -1 for all cores."""
    if n_jobs is None:
        return cores() if get_backend(tasks[0].estimator.backend).on_host else 1
    return max(1, n_jobs if n_jobs > 0 else cores() + 1 + n_jobs)


def _fit(tasks: list[Task], data: list[int], level: str, keep: Keep | None) -> None:
    """Train one stack and hand its networks back."""
    standings = [task.stands for task in tasks if task.stands is not None]
    try:
        trainer = _trainer(tasks, data, level)
        if standings:
            go_on(trainer, standings)
    except Exception:  # see `fit_stacked`
        return
    with one_blas_thread():
        try:
            while not trainer.done:
                trainer.run_epoch()
        except DivergenceError:
            pass  # all of them; each hears of it from its status
    trainer.settle()
    hand_over(trainer, list(enumerate(tasks)))
    if keep is not None:
        keep(trainer, tasks)


def hand_over(trainer: Trainer, members: Sequence[tuple[int, Task]]) -> None:
    """Give the tasks' estimators what they would have if training ended here.

    Parameters
    ----------
    trainer
        Trainer of a stack.
    members
        Replicas, and the task of each.
    """
    history = trainer.history
    # Each predicts by the level that it would train at alone: a program just to be scored costs more than it saves.
    alone = saves(trainer, 1) / max(1, trainer.recipe.epochs) if history.execution == "compiled" else 0.0
    alike: dict[Any, list[tuple[int, Task]]] = {}
    for r, task in members:
        alike.setdefault((id(task.shared or task), r in trainer.rows), []).append((r, task))
    for group in alike.values():
        together = Together(_network_of(trainer, [r for r, _ in group]))
        e = group[0][1].estimator
        pays = alone * e.max_iter > LONG_ENOUGH
        together.network.compiled = pays or e.execution == history.execution == "compiled"
        for place, (_, task) in enumerate(group):
            task.estimator.network_ = Place(together, place)
    for r, task in members:
        e = task.estimator
        task.status = "finished" if r in trainer.rows else history.status[r]
        e.history_ = _own_history(history, r, task.status)
        e.n_iter_ = len(e.history_)
        e.t_ = e.n_iter_ * task.X.shape[0]
        e.loss_curve_ = [float(record["train_cost"][0]) for record in e.history_.records]
        if isinstance(trainer.scorer, Validation):
            e.validation_loss_curve_ = [float(record["val_loss"][0]) for record in e.history_.records]
            e.validation_scores_ = [float(row[r]) for row in trainer.scorer.curve[: e.n_iter_]]
        e._run_state = IN_A_STACK


def _network_of(trainer: Trainer, replicas: list[int]) -> Network:
    """A copy of what these replicas, all of which still train or none, would end with now."""
    if replicas[0] not in trainer.rows:  # others left, so the stack's network holds what is kept of them
        return trainer.network.select(replicas)
    places = np.searchsorted(trainer.rows, replicas)
    network = trainer.live.select(places)
    if trainer.recipe.keep_best:
        index = network.backend.asarray(places)
        network.theta[...], network.state[...] = (kept[index] for kept in trainer.kept.of(trainer.rows))
    return network


def _own_history(history: History, r: int, status: str) -> History:
    """That of replica r alone."""
    own = History(1)
    for record in history.records:
        if not np.isfinite(record["lr"][r]):
            break
        own.records.append({k: v[r : r + 1] if k in FIGURES else v for k, v in record.items()})
    own.status, own.best_epoch, own.execution = [status], history.best_epoch[r : r + 1].copy(), history.execution
    return own


def _trainer(tasks: list[Task], data: list[int], level: str = "auto") -> Trainer:
    """The stack of these estimators, ready to train."""
    e, R = tasks[0].estimator, len(tasks)
    estimators = [task.estimator for task in tasks]
    layers, _ = layers_of(e, e.n_outputs_)
    if e.dropout and R > 1:
        for layer in layers:
            if isinstance(layer, Dropout) and layer.rate == e.dropout:
                layer.rate = np.array([one.dropout for one in estimators])
    seeds = [one.network_.seeds[0] for one in estimators]
    network = Network(layers, tasks[0].X.shape[1], replicas=R, backend=e.backend, dtype=e.dtype, rng=seeds)
    for r, one in enumerate(estimators):
        network.theta[r : r + 1] = one.network_.theta
    pool = dict(zip(data, tasks, strict=True))
    X, y, w, val_w, train_rows, val_rows, n = [], [], [], [], {}, {}, 0
    for key, task in pool.items():
        parts = [(task.X, task.y, task.w), *([] if task.val is None else [task.val])]
        places = []
        for one in parts:
            X.append(one[0])
            y.append(one[1])
            places.append(np.arange(n, n + len(one[1])))
            n += len(one[1])
        train_rows[key], val_rows[key] = places[0], places[-1]
        if task.w is not None:
            w += [task.w, *(np.zeros(len(one[1])) for one in parts[1:])]
        if task.val is not None and task.val[2] is not None:
            val_w += [np.zeros(len(task.y)), task.val[2]]
    validated = tasks[0].val is not None
    clips = None if e.clip_norm is None else np.array([one.clip_norm for one in estimators], float)
    samples = Samples(
        "X",
        e._task,
        e.n_outputs_,
        part(_joined(X), _joined(y)),
        sample_weight=_joined(w) if w else None,
        val_weight=_joined(val_w) if val_w else None,
        train_rows=[train_rows[key] for key in data],
        val_rows=[val_rows[key] for key in data] if validated else None,
    )
    return Trainer(
        network,
        e._loss(),
        _optimizer(estimators),
        samples,
        replace(recipe_of(e, len(tasks[0].y), e.max_iter, [one.alpha for one in estimators], clips), execution=level),
        shuffles=_orders(tasks),
        scorer=_validation(tasks) if validated else None,
    )


def _validation(tasks: Sequence[Task]) -> Validation:
    """Scores each estimator on its own validation part."""
    weights = [None if task.val is None else task.val[2] for task in tasks]
    return Validation([task.estimator for task in tasks], [task.truth for task in tasks], weights)


def _optimizer(estimators: Sequence[XBEstimator]) -> Optimizer:
    """One optimizer with the hyper-parameters of each estimator's."""
    made = [optimizer_of(e) for e in estimators]
    stacked = copy.copy(made[0])
    stacked.hyper = {key: np.array([one.hyper[key] for one in made], float) for key in stacked.hyper}
    return stacked


def _orders(tasks: Sequence[Task]) -> list[Order]:
    """Each estimator's orders; those that start from the same state are drawn once for all."""
    begun: dict[int, Order] = {}  # those who began together have one stream, which stays as it is for those to come
    shared: dict[str, Order] = {}
    found = []
    for task in tasks:
        order = task.estimator._orders[0]
        if task.shared is not None:
            if id(task.shared) in begun:
                found.append(begun[id(task.shared)])
                continue
            order = copy.deepcopy(order)
        state: Any = order.random_state.get_state(legacy=False)
        key = repr((order.shuffle, state["state"]["key"].tobytes(), state["state"]["pos"]))
        found.append(shared.setdefault(key, order))
        begun[id(task.shared)] = found[-1]
    return found


def _joined(arrays: list[Any]) -> Any:
    if len(arrays) == 1:
        return arrays[0]
    return vstack(arrays, format="csr") if issparse(arrays[0]) else np.concatenate(arrays)
