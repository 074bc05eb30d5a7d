"""Learning-rate schedules: a factor on each replica's learning rate, as a function of the epoch.

Epochs count from 0 and may be fractional: at step s of n in epoch k the argument is ``k + s / n``. Every parameter
is a number, or one per replica; the factors are (S,) or (S, R).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from ..errors import ConfigError, unknown_name
from ..parsing import check_keys, parse_number, parse_settings
from ..replicas import numbers, powers, replica_values, select_values


@dataclass
class Schedule:
    """Factor 1 throughout ("constant").

    A subclass is a dataclass of its parameters, each >= 0; those named in `positive` are > 0.
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
        """A copy for a stack of R = `replicas`, which may take notes of its own."""
        for key, value in self._parameters().items():
            replica_values(f"{type(self).__name__}.{key}", value, replicas)
        return self.select(np.arange(replicas))

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        """Factors at `epochs` (S, 1) of a run of `total` epochs: broadcastable to (S, R)."""
        return np.ones_like(epochs)

    def update(self, metric: np.ndarray) -> None:
        """Take note of an epoch's monitored loss (R,)."""

    def state(self) -> dict[str, Any]:
        """What `update` has gathered: name -> number, or one per replica."""
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take over a `state`, given as float64 arrays."""

    def select(self, index: np.ndarray) -> Schedule:
        """For the replicas `index`."""
        return replace(self, **{f.name: select_values(getattr(self, f.name), index) for f in fields(self) if f.init})


@dataclass
class Step(Schedule):
    """gamma^floor(epoch / every)."""

    positive = ("every",)
    every: Any = 30
    gamma: Any = 0.1

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        return powers(self.gamma, np.floor(epochs / self.every))


@dataclass
class Exponential(Schedule):
    """gamma^floor(epoch)."""

    gamma: Any = 0.95

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        return powers(self.gamma, np.floor(epochs))


@dataclass
class InverseTime(Schedule):
    """1 / (1 + rate * epoch)."""

    rate: Any = 0.1

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        return 1 / (1 + np.asarray(self.rate) * epochs)


@dataclass
class Cosine(Schedule):
    """From 1 to `final` along half a cosine (Loshchilov & Hutter 2017, equation 5, without restarts)."""

    final: Any = 0.0

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        share = np.clip(epochs / max(1, total), 0, 1)
        return self.final + (1 - np.asarray(self.final)) * 0.5 * (1 + np.cos(np.pi * share))


@dataclass
class Triangular(Schedule):
    """Up from `low` to 1 in `half_cycle` epochs and down again, for ever (Smith 2017, section 3.1)."""

    positive = ("half_cycle",)
    half_cycle: Any = 5
    low: Any = 0.1

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        phase = np.abs((epochs / self.half_cycle) % 2 - 1)  # 1 -> 0 -> 1
        return self.low + (1 - np.asarray(self.low)) * (1 - phase)


@dataclass
class Warmup(Schedule):
    """From 0 to 1 linearly within `epochs`, times the schedule `then`."""

    positive = ("epochs",)
    epochs: Any = 5
    then: Schedule | None = None

    def _parameters(self) -> dict[str, Any]:
        inner = {} if self.then is None else self.then._parameters()
        return {"epochs": self.epochs} | {f"then.{key}": value for key, value in inner.items()}

    def factors(self, epochs: np.ndarray, total: int) -> np.ndarray:
        ramp = np.clip((epochs + 1e-3) / self.epochs, 0, 1)
        return ramp if self.then is None else ramp * self.then.factors(epochs, total)

    def update(self, metric: np.ndarray) -> None:
        if self.then is not None:
            self.then.update(metric)

    def state(self) -> dict[str, Any]:
        return {} if self.then is None else self.then.state()

    def restore(self, state: dict[str, np.ndarray]) -> None:
        if self.then is not None:
            self.then.restore(state)

    def select(self, index: np.ndarray) -> Schedule:
        then = None if self.then is None else self.then.select(index)
        return Warmup(select_values(self.epochs, index), then)


@dataclass
class Plateau(Schedule):
    """Times `factor` whenever the monitored loss has not fallen for `patience` epochs in a row, per replica.

    The count is that of early stopping's `patience`. PyTorch's ``ReduceLROnPlateau(patience=n)`` waits for one epoch
    more (`patience` there is the number of epochs that are let pass), and asks for a fall of ``threshold=1e-4``.
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

    ``warmup`` takes ``then=NAME`` for what follows, e.g. ``warmup:epochs=3,then=cosine``.

    Raises
    ------
    ConfigError
        An unknown name or key, or a value that is no number.
    """
    if isinstance(schedule, Schedule):
        return schedule
    schedule = schedule or "constant"
    name, settings = parse_settings("schedule", schedule) if isinstance(schedule, str) else (schedule, {})
    if not isinstance(name, str) or name not in SCHEDULES:
        raise unknown_name("schedule", "schedule", name, SCHEDULES)
    kind = SCHEDULES[name]
    check_keys(f"schedule {name!r}", settings, (f.name for f in fields(kind)))
    return kind(
        **{
            key: get_schedule(text) if key == "then" else parse_number(f"schedule {name!r}", key, text)
            for key, text in settings.items()
        }
    )
