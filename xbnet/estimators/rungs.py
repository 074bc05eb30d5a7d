"""Stacks that continue from where they were: the fits of a halving's next rung, of which nothing is trained twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse

from ..training.trainer import Trainer
from .buckets import PER_REPLICA, bucket, by_value
from .meeting import Task
from .stack import Ahead, fit_stacked, hand_over
from .standing import Standing


class Rungs:
    """Trains tasks as `fit_stacked` does, but goes on with those that it has trained before for fewer epochs.

    Parameters
    ----------
    n_jobs
        See `threads_for`.
    ahead
        See `fit_stacked`.
    """

    def __init__(self, n_jobs: int | None, ahead: Ahead):
        self.n_jobs, self._ahead = n_jobs, ahead
        self._stood: dict[Any, Standing] = {}  # who it is -> where it stands
        self._asked: set[Any] = set()

    def begin(self) -> None:
        """A round begins, in which all who are still in the search are asked for: forget whom the last one left out."""
        self._stood = {who: where for who, where in self._stood.items() if who in self._asked}
        self._asked.clear()

    def train(self, tasks: Sequence[Task]) -> None:
        """Train all; see `fit_stacked`."""
        names: dict[int, Any] = {}
        ended: dict[int, tuple[Trainer, list[tuple[int, Task]]]] = {}
        for task in tasks:
            who = names[id(task)] = identity(task)
            self._asked.add(who)
            found = None if who is None else self._stood.get(who)
            if found is not None and found.epochs <= task.estimator.max_iter:
                task.stands = found
                if not found.can_go_on:
                    ended.setdefault(id(found.trainer), (found.trainer, []))[1].append((found.replica, task))

        def keep(trainer: Trainer, stacked: Sequence[Task]) -> None:
            for r, task in enumerate(stacked):
                if names[id(task)] is not None:
                    self._stood[names[id(task)]] = Standing(trainer, r)

        for trainer, members in ended.values():
            hand_over(trainer, members)
        going = [task for task in tasks if task.stands is None or task.stands.can_go_on]
        if going:
            fit_stacked(going, self.n_jobs, keep, self._ahead)


def epochs_ahead(networks: float, epochs: int, last: int, factor: float) -> tuple[int, float]:
    """Epochs of the longest run of a halving, and of all together, about.

    Parameters
    ----------
    networks, epochs
        So many train up to the first rung, for so many epochs.
    last
        Epochs after which there is no further rung.
    factor
        One in this many goes on at each rung, for this many times the epochs.

    Examples
    --------
    >>> epochs_ahead(27, 1, 9, 3)  # 27 x 1, 9 x 2 and 3 x 6
    (9, 63.0)
    """
    longest, everyone = epochs, float(networks * epochs)
    while longest * factor <= last and networks >= factor:
        networks /= factor
        everyone += networks * longest * (factor - 1)
        longest = int(longest * factor)
    return longest, everyone


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
