"""Stacks that continue from where they were: the fits of a halving's next rung, of which nothing is trained twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import issparse

from ..training.trainer import Trainer
from .buckets import PER_REPLICA, bucket, by_value
from .meeting import Task
from .stack import fit_stacked, run_stack, threads_for


class Rungs:
    """Trains tasks as `fit_stacked` does, but goes on with those that it has trained before for fewer epochs.

    Those whom a stack has left behind begin anew, if they are asked for once more: a sampler's proposal that returns,
    or fits of a rung that could not all wait at once.

    Parameters
    ----------
    n_jobs
        See `threads_for`.
    """

    def __init__(self, n_jobs: int | None = None):
        self.n_jobs = n_jobs
        self._stood: dict[Any, tuple[Trainer, int]] = {}  # who it is -> its stack, and its place there

    def train(self, tasks: Sequence[Task]) -> None:
        """Train all; see `fit_stacked`."""
        known = [identity(task) for task in tasks]
        fresh: list[int] = []
        stacks: dict[int, tuple[Trainer, dict[int, Task]]] = {}
        for i, (task, who) in enumerate(zip(tasks, known, strict=True)):
            trainer, r = self._stood.get(who, (None, 0)) if who is not None else (None, 0)
            if trainer is None or len(trainer.history) > task.estimator.max_iter:
                fresh.append(i)
            else:
                stacks.setdefault(id(trainer), (trainer, {}))[1][r] = task
        names = {id(task): who for task, who in zip(tasks, known, strict=True)}

        def keep(trainer: Trainer, stacked: Sequence[Task]) -> None:
            for r, task in enumerate(stacked):
                if names[id(task)] is not None:
                    self._stood[names[id(task)]] = trainer, r

        if stacks:
            for who, (trainer, r) in list(self._stood.items()):
                if id(trainer) in stacks and r in trainer.rows and r not in _last(stacks[id(trainer)][1]):
                    del self._stood[who]  # its stack leaves it behind: should it be asked for again, it begins anew
            with ThreadPoolExecutor(threads_for(tasks, self.n_jobs)) as pool:
                list(pool.map(lambda group: _go_on(*group), stacks.values()))
        if fresh:
            fit_stacked([tasks[i] for i in fresh], self.n_jobs, keep)


def _last(members: dict[int, Task]) -> set[int]:
    """Those of the replicas that ask for the most epochs."""
    most = max(task.estimator.max_iter for task in members.values())
    return {r for r, task in members.items() if task.estimator.max_iter == most}


def _go_on(trainer: Trainer, members: dict[int, Task]) -> None:
    """Train on with these members only, each for as many epochs as it asks for."""
    for epochs in sorted({task.estimator.max_iter for task in members.values()}):
        left = [r for r, task in members.items() if task.estimator.max_iter >= epochs]
        stay = np.flatnonzero(np.isin(trainer.rows, left))
        if len(stay) < len(trainer.rows):
            trainer.narrow(stay)
        trainer.recipe = replace(trainer.recipe, epochs=epochs)
        run_stack(trainer, {r: members[r] for r in left if members[r].estimator.max_iter == epochs})


def identity(task: Task) -> Any:
    """Return a key that two tasks share if they are one run for different numbers of epochs; None: they can't be.

    With a schedule the rates of all epochs depend on how many there are.
    """
    e = task.estimator
    if e.schedule is not None:
        return None
    own = tuple(by_value(getattr(e, name)) for name in PER_REPLICA)
    if task.shared is not None:
        return task.shared.key, own
    digest = hashlib.blake2b()
    state = e._orders[0].random_state.get_state(legacy=False)["state"]
    arrays = [e.network_.backend.to_host(e.network_.theta), state["key"], np.array(state["pos"])]
    for array in (*arrays, task.X, task.y, task.w, *(task.val or ())):
        for part in (array.data, array.indices, array.indptr) if issparse(array) else (array,):
            digest.update(b"-" if part is None else np.ascontiguousarray(part).data)
    seeds = tuple((seed.entropy, seed.spawn_key) for seed in e.network_.seeds)
    return bucket(task, "max_iter"), own, seeds, digest.digest()
