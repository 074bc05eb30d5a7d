"""`Recipe`: the settings of a run, checked by themselves, and against the network and the samples."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields, replace
from typing import ClassVar, TypedDict

import numpy as np

from ..errors import ConfigError, expect_shape
from ..history import PER_REPLICA
from ..nn.losses import Loss
from ..nn.network import Network
from ..optim.penalties import AnyPenalty, Penalty
from ..optim.schedule import Schedule
from ..optim.schedules import get_schedule
from ..optim.strategies import Strategy, get_strategy
from ..parsing import number, parse_bytes, whole
from ..replicas import PerReplica, numbers, select_values
from .samples import Samples, check_weights

SCORE = "score"
"""The monitored figure that a trainer's `scorer` gives."""


class Settings(TypedDict, total=False):
    """The keywords of `fit` that become a `Recipe`, for type checkers."""

    epochs: int
    batch_size: int | str | None
    schedule: str | Schedule | None
    l2: PerReplica
    l1: PerReplica
    clip_norm: PerReplica | None
    patience: int | None
    monitor: str | None
    tol: float | None
    keep_best: bool | None
    strategy: str | Strategy
    flip: float
    execution: str
    device_memory: int | str | None


@dataclass(frozen=True, eq=False)
class Recipe:
    """The settings of a training run. Names are replaced by the objects that they name.

    Attributes
    ----------
    epochs
        >= 1.
    batch_size
        B in [1, N]; None: all N at once; "auto": 64, or N where there are fewer samples.
    schedule
        How the learning rate changes, see `get_schedule`.
    l2, l1
        Penalties, see `Penalty`: >= 0, a number or one per replica.
    clip_norm
        The largest norm of a replica's gradient (of the cost), > 0; a number or one per replica. None does not clip.
    patience
        Stop a replica after this many epochs without a better monitored figure.
    monitor
        A figure of `History`; by default "val_loss", or "train_loss" without a validation part.
    tol
        By how much the figure has to get better to count for `patience`, >= 0; None: by anything. With 0 it may stay.
    keep_best
        Whether each replica ends with its best weights, not with its last; None: if there is a `patience`.
    strategy
        Which parameters move when, see `get_strategy`.
    flip
        Probability in [0, 1] with which an image is mirrored left to right whenever it is trained on; needs the
        data set's `image_shape`.
    execution
        How steps are run: "eager", "replay" or "compiled" (on NumPy), "graph" or "persistent" (on a CUDA device);
        "auto" is the quickest that is possible, see `execution`; "compiled" where the job is long enough.
        `History.execution` names the choice; the results are the same up to rounding.
    device_memory
        Bytes for the data, a number or text like "2 GB"; None: all of it is on the device. Parts that don't fit stay
        on the host and come in chunks, see `streaming`; the results are the same.
    penalty
        A penalty of another kind, which takes the place of l2 and l1.

    Raises
    ------
    ConfigError
        A setting is out of range or has no such name.

    Examples
    --------
    >>> Recipe(epochs=10, schedule="cosine").schedule
    Cosine(final=0.0)
    """

    epochs: int = 100
    batch_size: int | str | None = "auto"
    schedule: str | Schedule | None = None
    l2: PerReplica = 0.0
    l1: PerReplica = 0.0
    clip_norm: PerReplica | None = None
    patience: int | None = None
    monitor: str | None = None
    tol: float | None = None
    keep_best: bool | None = None
    strategy: str | Strategy = "joint"
    flip: float = 0.0
    execution: str = "auto"
    device_memory: int | str | None = None
    penalty: AnyPenalty | None = None

    MAY_CHANGE: ClassVar[tuple[str, ...]] = ("epochs", "execution", "device_memory")
    """Settings that may change when a run goes on: the epochs so far end in the same bits."""

    def __post_init__(self) -> None:
        if self.clip_norm is not None and not np.all(numbers("clip_norm", self.clip_norm) > 0):
            raise ConfigError(f"fit: expected clip_norm > 0, got {self.clip_norm!r}; None does not clip")
        Penalty(self.l2, self.l1)  # raises where one is out of range
        memory = self.device_memory
        for name, value in {
            "epochs": whole("fit", "epochs", self.epochs),
            "batch_size": _optional(self.batch_size, "batch_size"),
            "patience": _optional(self.patience, "patience"),
            "tol": None if self.tol is None else number("fit", "tol", self.tol, "[0, inf)"),
            "flip": number("fit", "flip", self.flip, "[0, 1]"),
            "schedule": get_schedule(self.schedule),
            "strategy": get_strategy(self.strategy),
            "device_memory": memory if memory is None else parse_bytes("fit: device_memory", memory),
        }.items():
            object.__setattr__(self, name, value)

    def check(self, network: Network, loss: Loss, samples: Samples, scored: bool = False) -> Recipe:
        """The recipe with all that depends on the samples: batch size, monitored figure, which weights are kept.

        Parameters
        ----------
        network, loss, samples
            The network that it is for.
        scored
            Whether there is a scorer, whose "score" may be monitored.

        Returns
        -------
        Recipe

        Raises
        ------
        ConfigError, DataError, ShapeError
            Something does not fit.
        """
        check_network(network)
        for part in (samples.train, samples.val):
            if part is not None:
                expect_shape("fit", f"x of {samples.name}", part.x, N=None, I=network.n_inputs)
        n, B = samples.n, self.batch_size
        if isinstance(B, int) and n < B:
            raise ConfigError(
                f"fit: expected batch_size <= {n}, the number of training samples, got {B}; None takes them all"
            )
        if samples.n_outputs != network.n_outputs:
            y = samples.train.y
            labels = samples.task == "regression" and network.n_outputs > 1 and bool((y == np.trunc(y)).all())
            cure = f"set the last layer to Linear({samples.n_outputs})"
            raise ConfigError(
                f"fit: expected a network with {samples.n_outputs} outputs for {samples.name} ({samples.task}), "
                f"got {network.n_outputs}; " + ("labels must be whole numbers: y.astype(int)" if labels else cure)
            )
        if samples.sample_weight is not None:
            check_weights("fit", samples.sample_weight, len(samples.train.x))
        return replace(
            self,
            batch_size=min(64, n) if B == "auto" else n if B is None else B,
            monitor=SCORE if scored and self.monitor == SCORE else self._figure(samples),
            keep_best=self.patience is not None if self.keep_best is None else self.keep_best,
        )

    def _figure(self, samples: Samples) -> str:
        """The figure to monitor."""
        other = "accuracy" if samples.task == "regression" else "r2"
        monitored = [n for n in PER_REPLICA if n.startswith(("train", "val")) and not n.endswith(other)]
        if self.monitor is None:
            return "val_loss" if samples.validated else "train_loss"
        if self.monitor not in monitored or (self.monitor.startswith("val") and not samples.validated):
            allowed = [name for name in monitored if samples.validated or not name.startswith("val")]
            raise ConfigError(f"fit: expected monitor to be one of {', '.join(allowed)}, got {self.monitor!r}")
        return self.monitor

    def select(self, index: np.ndarray, execution: str = "auto") -> Recipe:
        """Make the recipe for some replicas; the trainer selects the schedule, which has a state.

        Parameters
        ----------
        index
            Replicas.
        execution
            The level that "auto" chose; on NumPy the replicas keep it, because fewer might get another one.

        Returns
        -------
        Recipe
        """
        return replace(
            self,
            execution=execution if execution in ("replay", "compiled") else self.execution,
            clip_norm=None if self.clip_norm is None else select_values(self.clip_norm, index),
            penalty=self.any_penalty().select(index),
        )

    def any_penalty(self) -> AnyPenalty:
        """That of l2 and l1, or the one in their place."""
        return Penalty(self.l2, self.l1) if self.penalty is None else self.penalty

    def describe(self) -> dict[str, str]:
        """The settings that decide a run's bits, as text: name -> value."""
        with np.printoptions(threshold=sys.maxsize, floatmode="unique"):  # values per replica: all, in all digits
            values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in self.MAY_CHANGE}
            del values["penalty"]
            return {name: value if isinstance(value, str) else repr(value) for name, value in values.items()}


def check_network(network: object) -> None:
    """Raise where something else stands in a network's place."""
    if not isinstance(network, Network):
        raise ConfigError(f"fit: expected a Network, got {type(network).__name__}")


def _optional(value: int | str | None, name: str) -> int | str | None:
    """A whole number or None; of a batch also "auto"."""
    if value is None or (name == "batch_size" and isinstance(value, str) and value == "auto"):
        return value
    return whole("fit", name, value)
