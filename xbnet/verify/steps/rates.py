"""A second implementation of schedules and strategies: factors on learning rates, and on stages' gradients."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

from ...nn.network import Network
from ...optim import schedules as library
from ...optim.strategies import Alternating, Layerwise, NewStage, Strategy, Weighted
from ...replicas import replica_values


class Rates:
    """The factor on every replica's learning rate.

    Parameters
    ----------
    schedule
        A schedule of the library, implemented again here; any other is trusted.
    replicas
        R.
    epochs
        Number of epochs of the whole run.
    """

    def __init__(self, schedule: library.Schedule, replicas: int, epochs: int):
        self.schedule, self.replicas, self.epochs = schedule, replicas, epochs
        self.own = None if self._is_known(schedule) else copy.deepcopy(schedule).bind(replicas)
        self.scale, self.best, self.waited = np.ones(replicas), np.full(replicas, np.inf), np.zeros(replicas)

    @staticmethod
    def _is_known(schedule: library.Schedule) -> bool:
        if type(schedule) is library.Warmup and schedule.then is not None:
            return Rates._is_known(schedule.then)
        return type(schedule) in library.SCHEDULES.values()

    def at(self, epoch: float) -> np.ndarray:
        """Factors (R,) at an epoch, from 0, with the elapsed share of it after the point."""
        if self.own is not None:
            factors = self.own.factors(np.array([[epoch]]), self.epochs)
            return np.broadcast_to(factors, (1, self.replicas))[0].astype(float)
        return np.array([self._one(self.schedule, epoch, r) for r in range(self.replicas)])

    def _one(self, schedule: library.Schedule, epoch: float, r: int) -> float:
        """Return the factor of one replica, in numbers."""

        def setting(name: str) -> float:
            return float(replica_values(name, getattr(schedule, name), self.replicas)[r])

        kind = type(schedule)
        if kind is library.Step:
            return setting("gamma") ** math.floor(epoch / setting("every"))
        if kind is library.Exponential:
            return setting("gamma") ** math.floor(epoch)
        if kind is library.InverseTime:
            return 1 / (1 + setting("rate") * epoch)
        if kind is library.Cosine:  # Loshchilov and Hutter 2017, equation 5, for one period
            low = setting("final")
            return low + (1 - low) / 2 * (1 + math.cos(math.pi * min(epoch / self.epochs, 1)))
        if kind is library.Triangular:  # Smith 2017, section 3.1
            half, low = setting("half_cycle"), setting("low")
            cycle = math.floor(1 + epoch / (2 * half))
            x = abs(epoch / half - 2 * cycle + 1)
            return low + (1 - low) * max(0.0, 1 - x)
        if isinstance(schedule, library.Warmup):
            ramp = min(1.0, (epoch + 1e-3) / setting("epochs"))
            return ramp if schedule.then is None else ramp * self._one(schedule.then, epoch, r)
        return float(self.scale[r])  # constant, or plateau

    def note(self, losses: np.ndarray) -> None:
        """Take note of an epoch's monitored losses (R,): plateaus are left by them."""
        if self.own is not None:
            self.own.update(losses)
            return
        plateau = self.schedule
        while isinstance(plateau, library.Warmup) and plateau.then is not None:
            plateau = plateau.then
        if not isinstance(plateau, library.Plateau):
            return
        factors = replica_values("factor", plateau.factor, self.replicas)
        patience = replica_values("patience", plateau.patience, self.replicas)
        for r, loss in enumerate(losses):
            if loss < self.best[r]:
                self.best[r], self.waited[r] = loss, 0
            else:
                self.waited[r] += 1
            if self.waited[r] >= patience[r]:
                self.scale[r], self.waited[r] = self.scale[r] * factors[r], 0


def stage_of(network: Network) -> np.ndarray:
    """For each layer its stage: a layer that has weights begins one, and others belong to the stage before them."""
    weighty = {spec.layer for spec in network.specs if spec.is_weight}
    return np.maximum(np.cumsum([k in weighty for k in range(len(network.layers))]) - 1, 0)


def gradient_factors(strategy: Strategy, network: Network, epoch: int) -> np.ndarray | None:
    """Factors (P,) on theta's gradient in an epoch from 0; None: all are 1."""
    stage = stage_of(network)
    n = int(stage.max()) + 1
    per_stage: Any
    if type(strategy) in (Strategy, Layerwise):
        return None
    if type(strategy) is Alternating:
        body = (epoch // strategy.every) % 2 == 1
        per_stage = [float(body)] * (n - 1) + [float(not body)]
    elif type(strategy) is Weighted and strategy.ratio is not None:
        per_stage = [strategy.ratio ** (n - 1 - k) for k in range(n)]
    elif type(strategy) is NewStage:
        per_stage = [0.0] * strategy.earlier + [1.0] * (n - strategy.earlier)
    elif type(strategy) is Weighted:
        per_stage = strategy.stage_factors
    else:
        per_stage = strategy.factors(network, epoch)
    if per_stage is None:
        return None
    return np.concatenate([np.full(spec.size, per_stage[stage[spec.layer]], float) for spec in network.specs])


def begins_anew(strategy: Strategy, epoch: int) -> bool:
    """Whether the optimizer forgets what it has gathered before this epoch."""
    if type(strategy) is Alternating:
        return epoch > 0 and epoch % strategy.every == 0
    return strategy.restarts(epoch)
