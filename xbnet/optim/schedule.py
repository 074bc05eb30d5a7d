"""Learning-rate schedules: a factor on each replica's learning rate, as a function of the epoch.

Epochs count from 0 and may be fractional: at step s of n in epoch k the argument is ``k + s / n``. Every parameter
is a number, or one per replica; the factors are (S,) or (S, R).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from ..errors import ConfigError
from ..replicas import numbers, replica_values, select_values

AHEAD = 512
"""Factors of all replicas together that are computed at once."""


@dataclass
class Schedule:
    """Factor 1 throughout ("constant").

    A subclass is a dataclass of its parameters, each >= 0; those named in `positive` are > 0.

    Examples
    --------
    >>> Schedule().factors(np.array([[0.0], [9.5]]), 10).ravel().tolist()  # at two times of a run of 10 epochs
    [1.0, 1.0]
    """

    positive: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for key, value in self._parameters().items():
            values = numbers(f"{type(self).__name__}.{key}", value)
            bound = "> 0" if key in self.positive else ">= 0"
            right = values > 0 if key in self.positive else values >= 0
            if not np.all(right & np.isfinite(values)):
                raise ConfigError(f"{type(self).__name__}: expected {key} {bound}, got {value!r}")

    def _parameters(self) -> dict[str, Any]:
        """Name -> number, or one per replica."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def bind(self, replicas: int) -> Schedule:
        """Make a copy for a stack of networks.

        Parameters
        ----------
        replicas
            R.

        Returns
        -------
        Schedule
            With its own state.
        """
        for key, value in self._parameters().items():
            replica_values(f"{type(self).__name__}.{key}", value, replicas)
        return self.select(np.arange(replicas))

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        """Return the factors on the learning rates at some times of a run.

        Parameters
        ----------
        epochs
            (S, 1), from 0, fractional within an epoch.
        total
            Epochs of the run.

        Returns
        -------
        numpy.ndarray
            (S, R), or broadcastable to it.
        """
        return np.ones_like(epochs)

    def ahead(self, ages: np.ndarray, steps: int, total: int) -> np.ndarray:
        """Factors in each step of the next epochs: of one where they depend on losses, or where planning costs little.

        Parameters
        ----------
        ages
            Epochs that each replica has behind it, (R,).
        steps
            S of an epoch.
        total
            Epochs of the run.

        Returns
        -------
        numpy.ndarray
            (E, S, R) for E epochs.
        """
        epochs = 1 if self.follows_losses() else max(1, min(AHEAD // (steps * len(ages)), total - int(ages.max())))
        found = np.ones((epochs, steps, len(ages)))
        for k in range(0 if type(self) is Schedule else epochs):
            for age in np.unique(ages):
                factors = self.factors(age + k + np.arange(steps)[:, None] / steps, total)
                np.copyto(found[k], factors, where=ages == age)
        return found

    def follows_losses(self) -> bool:
        """Whether the factors depend on what `update` is given: then none is asked for before it is due."""
        return type(self).update is not Schedule.update

    def update(self, metric: np.ndarray) -> None:
        """Take note of the monitored loss after an epoch.

        Parameters
        ----------
        metric
            The monitored loss of an epoch, (R,).
        """

    def state(self) -> dict[str, Any]:
        """Return the state that `update` has gathered: name -> number, or one per replica."""
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Restore a kept state.

        Parameters
        ----------
        state
            As `state` returned it, as float64 arrays.
        """

    def select(self, index: np.ndarray) -> Schedule:
        """Make the same schedule for some replicas.

        Parameters
        ----------
        index
            Replicas.

        Returns
        -------
        Schedule
        """
        return replace(self, **{f.name: select_values(getattr(self, f.name), index) for f in fields(self) if f.init})
