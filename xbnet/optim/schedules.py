"""Learning-rate schedules by name; `Schedule` is what they share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..parsing import check_keys, choose_with_settings, parse_number
from ..replicas import powers, select_values
from .schedule import Schedule


@dataclass
class Step(Schedule):
    """gamma^floor(epoch / every).

    Attributes
    ----------
    every
        Epochs between two falls, > 0.
    gamma
        The factor of each fall, >= 0.

    Examples
    --------
    >>> Step(every=2, gamma=0.5).factors(np.array([[0], [1], [2], [4]]), 5).ravel().tolist()
    [1.0, 1.0, 0.5, 0.25]
    """

    positive = ("every",)
    every: Any = 30
    gamma: Any = 0.1

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        return powers(self.gamma, np.floor(epochs / self.every))


@dataclass
class Exponential(Schedule):
    """gamma^floor(epoch).

    Attributes
    ----------
    gamma
        The factor of each epoch, >= 0.

    Examples
    --------
    >>> Exponential(gamma=0.5).factors(np.array([[0], [1], [2]]), 3).ravel().tolist()
    [1.0, 0.5, 0.25]
    """

    gamma: Any = 0.95

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        return powers(self.gamma, np.floor(epochs))


@dataclass
class InverseTime(Schedule):
    """1 / (1 + rate * epoch).

    Attributes
    ----------
    rate
        Per epoch, >= 0.

    Examples
    --------
    >>> InverseTime(rate=1).factors(np.array([[0], [1], [3]]), 4).ravel().tolist()
    [1.0, 0.5, 0.25]
    """

    rate: Any = 0.1

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        return 1 / (1 + np.asarray(self.rate) * epochs)


@dataclass
class Cosine(Schedule):
    """From 1 to `final` along half a cosine (Loshchilov & Hutter 2017, equation 5, without restarts).

    Attributes
    ----------
    final
        The factor at the end of the run, >= 0.

    Examples
    --------
    >>> Cosine(final=0.2).factors(np.array([[0], [5], [10]]), 10).ravel().round(6).tolist()
    [1.0, 0.6, 0.2]
    """

    final: Any = 0.0

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        share = np.clip(epochs / max(1, total), 0, 1)
        return self.final + (1 - np.asarray(self.final)) * 0.5 * (1 + np.cos(np.pi * share))


@dataclass
class Triangular(Schedule):
    """Up from `low` to 1 in `half_cycle` epochs and down again, forever (Smith 2017, section 3.1).

    Attributes
    ----------
    half_cycle
        Epochs from the lowest factor to the highest, > 0.
    low
        The lowest factor, >= 0.

    Examples
    --------
    >>> Triangular(half_cycle=2, low=0.5).factors(np.array([[0], [1], [2], [4]]), 5).ravel().tolist()
    [0.5, 0.75, 1.0, 0.5]
    """

    positive = ("half_cycle",)
    half_cycle: Any = 5
    low: Any = 0.1

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        phase = np.abs((epochs / self.half_cycle) % 2 - 1)  # 1 -> 0 -> 1
        return self.low + (1 - np.asarray(self.low)) * (1 - phase)


@dataclass
class Warmup(Schedule):
    """From 0 to 1 linearly within `epochs`, times the schedule `then`.

    Attributes
    ----------
    epochs
        How many the rise takes, > 0.
    then
        The schedule that follows, counted from the first epoch: as `get_schedule` takes it, None is constant.

    Examples
    --------
    >>> Warmup(epochs=2, then=Cosine()).factors(np.array([[1], [5], [10]]), 10).ravel().round(2).tolist()
    [0.49, 0.5, 0.0]
    """

    positive = ("epochs",)
    epochs: Any = 5
    then: Any = None

    def __post_init__(self) -> None:
        self.then = get_schedule(self.then)
        super().__post_init__()

    def _parameters(self) -> dict[str, Any]:
        return {"epochs": self.epochs} | {f"then.{key}": value for key, value in self.then._parameters().items()}

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        ramp = np.clip((epochs + 1e-3) / self.epochs, 0, 1)
        return ramp * self.then.factors(epochs, total)

    def follows_losses(self) -> bool:
        return self.then.follows_losses()

    def update(self, metric: np.ndarray) -> None:
        self.then.update(metric)

    def state(self) -> dict[str, Any]:
        return self.then.state()

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.then.restore(state)

    def select(self, index: np.ndarray) -> Schedule:
        return Warmup(select_values(self.epochs, index), self.then.select(index))


@dataclass
class Plateau(Schedule):
    """Times `factor` whenever the monitored loss has not fallen for `patience` epochs in a row, per replica.

    The count is that of early stopping's `patience`. PyTorch's ``ReduceLROnPlateau(patience=n)`` waits for one epoch
    more (`patience` there is the number of epochs that are let pass), and asks for a fall of ``threshold=1e-4``.

    Attributes
    ----------
    factor
        Each fall multiplies the rate by it, >= 0.
    patience
        Epochs without a better loss before a fall, > 0.

    Examples
    --------
    >>> plateau = Plateau(factor=0.5, patience=2).bind(1)
    >>> for loss in (1.0, 0.9, 0.9, 0.9):  # two epochs bring nothing
    ...     plateau.update(np.array([loss]))
    >>> plateau.factors(np.array([[4.0]]), 10).item()
    0.5
    """

    positive = ("patience",)
    factor: Any = 0.1
    patience: Any = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        self.scale: Any = 1.0
        self.best: Any = np.inf
        self.waited: Any = 0

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        return np.ones_like(epochs) * self.scale

    def update(self, metric: np.ndarray) -> None:
        better = metric < self.best
        self.best = np.where(better, metric, self.best)
        self.waited = np.where(better, 0, np.asarray(self.waited) + 1)
        due = self.waited >= np.asarray(self.patience)
        self.scale = np.where(due, np.asarray(self.scale) * self.factor, self.scale)
        self.waited = np.where(due, 0, self.waited)

    def state(self) -> dict[str, Any]:
        return {"scale": self.scale, "best": self.best, "waited": self.waited}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.scale, self.best, self.waited = state["scale"], state["best"], state["waited"].astype(int)

    def select(self, index: np.ndarray) -> Schedule:
        twin = Plateau(select_values(self.factor, index), select_values(self.patience, index))
        twin.scale, twin.best, twin.waited = (select_values(v, index) for v in (self.scale, self.best, self.waited))
        return twin


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Schedule,
    "step": Step,
    "exponential": Exponential,
    "inverse_time": InverseTime,
    "cosine": Cosine,
    "triangular": Triangular,
    "warmup": Warmup,
    "plateau": Plateau,
}


def get_schedule(schedule: str | Schedule | None) -> Schedule:
    """The schedule of ``NAME`` or ``NAME:key=value,key=value``; a `Schedule` is returned as it is.

    Parameters
    ----------
    schedule
        "constant" (as is None), "step", "exponential", "inverse_time", "cosine", "triangular", "warmup" or "plateau".
        ``warmup`` takes ``then=NAME`` for what follows, e.g. ``warmup:epochs=3,then=cosine``.

    Returns
    -------
    Schedule

    Raises
    ------
    ConfigError
        An unknown name or key, or a value that is no number.

    Examples
    --------
    >>> get_schedule("step:every=10,gamma=0.5")
    Step(every=10.0, gamma=0.5)
    """
    if isinstance(schedule, Schedule):
        return schedule
    kind, where, settings = choose_with_settings("schedule", schedule or "constant", SCHEDULES)
    check_keys(where, settings, (f.name for f in fields(kind)))
    return kind(**{k: v if k == "then" else parse_number(where, k, v) for k, v in settings.items()})
