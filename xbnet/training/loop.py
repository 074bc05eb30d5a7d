"""`Step`: a training step for loops of one's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends.arrays import Array
from ..backends.machine.program import Program
from ..backends.machine.record import NotRecordable
from ..backends.replay import MOST
from ..errors import ConfigError
from ..nn.losses import Loss, get_loss
from ..nn.network import Network
from ..optim.optimizer import Optimizer
from ..optim.optimizers import get_optimizer
from ..optim.penalties import Penalty
from ..parsing import whole
from ..replicas import PerReplica
from .batches import Batch
from .execution.compiled import program_of
from .execution.replay import ReplayedStep
from .step import BoundStep

STEPS_AHEAD = 64
"""For this many steps the optimizer's columns are made at once."""


class Step(BoundStep):
    """A training step for loops of one's own: forward, loss, backward, update.

    On NumPy the step is recorded at the second batch of a shape, and replayed from then on: the same bits in less time.

    Parameters
    ----------
    network
        R replicas.
    loss, optimizer
        Names or objects; bound to the network here, and kept as attributes.
    l2, l1
        Penalties on the weights, numbers or one per replica, see `Penalty`.
    clip_norm
        The largest norm of the gradient, a number or one per replica; None: any.
    task
        "classification", "regression" or "multilabel".

    Raises
    ------
    ConfigError
        A part doesn't exist, has impossible settings, or can't serve the network or task.

    Examples
    --------
    >>> import numpy as np, xbnet
    >>> network = xbnet.Network([xbnet.Linear(2)], 3, rng=0)
    >>> step = xbnet.Step(network, "cross_entropy", xbnet.SGD(0.1))
    >>> x = np.ones((1, 4, 3), np.float32)
    >>> y = np.array([[0, 0, 1, 0]])
    >>> first, second = (step(x, y).mean() for _ in range(2))
    >>> bool(second < first)
    True
    """

    replayable = True

    def __init__(
        self,
        network: Network,
        loss: str | Loss,
        optimizer: str | Optimizer,
        *,
        l2: PerReplica = 0.0,
        l1: PerReplica = 0.0,
        clip_norm: PerReplica | None = None,
        task: str = "classification",
    ):
        super().__init__(
            network,
            get_loss(loss).bind(network, task),
            get_optimizer(optimizer).bind(network),
            Penalty(l2, l1).bind(network),
            None if clip_norm is None else network.per_replica("clip_norm", clip_norm),
            network.backend.xp.zeros((network.replicas, 1, 1), dtype=network.dtype),
        )
        network.link = self.loss.link
        self._batches: dict[tuple[Any, ...], Batch] = {}
        self._replayed = ReplayedStep(self)
        self._columns, self._first = self.optimizer.columns(), self.optimizer.steps  # which begin with this step

    def __call__(self, x: Array, y: Array, sample_weight: Array | None = None, *, rows: Array | None = None) -> Array:
        """Train on one batch: the loss of each sample (R, B), before the step; overwritten by the next one.

        Parameters
        ----------
        x
            (R or 1, B, I) of the network's backend and dtype.
        y
            (R or 1, B) labels, or (R or 1, B, C) targets.
        sample_weight
            (R or 1, B), >= 0.
        rows
            (R or 1, B), numbers of the samples that make the batch: x is (N, I) then, y (N,) or (N, C), and
            sample_weight (N,).

        Raises
        ------
        ShapeError
            An array has another shape.
        """
        given = x, y, sample_weight
        key = tuple([None if array is None else array.shape for array in (x, y, sample_weight, rows)])
        batch = self._batches.get(key) or self._allocate(key, given, rows)
        for place, array in zip(batch, given, strict=True):
            if place is None or array is None:
                continue
            if rows is None:
                self.xp.copyto(place, array)
            else:
                self.ops.gather(array, rows, place)
        with self.network.exclusive():
            return self._replayed(key, batch, self._next_columns())

    def _next_columns(self) -> Array:
        """The optimizer's columns (K, R, 1) for the next step, which it counts."""
        optimizer = self.optimizer
        at = optimizer.steps - self._first
        if not 0 <= at < self._columns.shape[1]:  # all are used up, or the optimizer was reset
            rates = np.broadcast_to(optimizer.values["lr"], (STEPS_AHEAD, self.network.replicas))
            self._columns, self._first, at = optimizer.columns(rates), optimizer.steps, 0
        optimizer.steps += 1
        return self._columns[:, at]

    def program(self, rows: int) -> Program:
        """The program of the step on batches of this many rows, which the compiled machine plays; `print` shows it.

        Parameters
        ----------
        rows
            B >= 1; all replicas see the same batch.

        Returns
        -------
        Program

        Raises
        ------
        ConfigError
            The machine has no instructions for this step, and why.

        Examples
        --------
        >>> import xbnet
        >>> network = xbnet.Network([xbnet.Linear(2)], 3, rng=0)
        >>> print(str(xbnet.Step(network, "mse", "sgd").program(64)).splitlines()[2])
          2  product_rows    2 x 64 x 3    own[256]      <- theta[0], own[0], theta[6]
        """
        try:
            return program_of(self, whole("Step.program", "rows", rows))
        except NotRecordable as reason:
            raise ConfigError(f"Step.program: the step has no program: {reason}") from None

    def _allocate(self, key: tuple[Any, ...], given: tuple[Any, ...], rows: Array | None) -> Batch:
        """Arrays for batches like this one, which stay."""
        if len(self._batches) >= MOST:
            self._batches.clear()
            self._replayed.clear()
        places: list[Any] = []
        for array in given:
            if array is None:
                places.append(None)
                continue
            shape = array.shape if rows is None else rows.shape + array.shape[1:]
            labels = array is given[1] and array.dtype.kind in "iub"
            places.append(self.xp.empty(shape, dtype=np.dtype(np.intp) if labels else self.network.dtype))
        batch = self._batches[key] = Batch(*places)
        return batch
