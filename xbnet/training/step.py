"""One training step: forward, loss, backward, and the update of theta."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..backends.arrays import Array
from ..backends.machine.program import Program
from ..backends.machine.record import NotRecordable
from ..backends.parts import StepPart
from ..backends.replay import MOST
from ..errors import ConfigError
from ..nn.losses import Loss, get_loss
from ..nn.network import Network
from ..optim.optimizer import Optimizer
from ..optim.optimizers import get_optimizer
from ..optim.penalties import AnyBoundPenalty, Penalty
from ..optim.stages import GradientMask
from ..parsing import whole
from ..replicas import PerReplica
from .batches import Batch
from .execution.compiled import program_of
from .execution.replay import ReplayedStep


class BoundStep(StepPart):
    """A step of a network's training, made of parts that are bound to it.

    Parameters
    ----------
    network
        R replicas.
    loss, optimizer, penalty
        Bound to it.
    clip
        (R, 1), the largest norms of the gradient, or None.
    norm
        (R, 1, 1), overwritten by the norm of the gradient before clipping, where that is wanted.

    Attributes
    ----------
    mask
        Factor on the gradient by the strategy; None: no factor.
    """

    replayable = True

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        penalty: AnyBoundPenalty,
        clip: Array | None,
        norm: Array,
    ):
        xp, R = network.backend.xp, network.replicas
        self.network, self.xp, self.ops = network, xp, network.backend.ops
        self.loss, self.optimizer, self.penalty = loss, optimizer, penalty
        self.mask: GradientMask | None = None
        self.clip, self.norm = clip, norm
        self.parts = xp.zeros((R, min(64, -(-network.n_parameters // 1024))), dtype=network.dtype)  # for kernels
        self._scale = xp.zeros((R, 1), dtype=network.dtype)

    def run(self, batch: Batch, columns: Array, sums: Array, wants_norm: bool = False) -> Array:
        """Train on a batch: the loss of each sample (R, B), before the step.

        Parameters
        ----------
        batch
            Arrays of the network's backend.
        columns
            The optimizer's hyper-parameters for this step, see `Optimizer.columns`.
        sums
            (R, 3, 1), overwritten by the loss's sums.
        wants_norm
            Whether the gradient's norm is wanted.
        """
        network, (x, y, w) = self.network, batch
        logits = network.forward(x, training=True)
        values = self.loss(logits, y, network.output_gradient, w, sums=sums)
        network.backward()
        self.ops.update(self, columns, wants_norm)  # a kernel, or the method below
        return values

    def update(self, columns: Array, wants_norm: bool) -> None:
        """From the gradient of the loss to the new theta."""
        if self.penalty.active:
            self.penalty.add_gradient(self.loss)
        if self.mask is not None:
            self.mask.weigh()
        if self.clip is not None:
            self._clip(self.clip)
        elif wants_norm:
            self._gradient_norm()
        self.ops.apply(self.optimizer, columns)
        if self.mask is not None:
            self.mask.hold()

    def _gradient_norm(self) -> Array:
        """The norm of each replica's gradient, (R, 1, 1)."""
        grad = self.network.grad[:, None, :]
        self.ops.bmm_nt(grad, grad, self.norm)
        return self.xp.sqrt(self.norm, out=self.norm)

    def _clip(self, limit: Array) -> None:
        """Scale gradients that are longer than limit (R, 1) down to it."""
        xp, grad = self.xp, self.network.grad
        xp.maximum(self._gradient_norm()[:, 0], limit, out=self._scale)
        xp.divide(limit, self._scale, out=self._scale)
        xp.multiply(grad, self._scale, out=grad)

    def run_all(self, batches: Iterable[Batch], sums: Array) -> None:
        """A step per batch, one call after the other; their sums go to sums (S, R, 3, 1)."""
        last = len(sums) - 1
        for s, batch in enumerate(batches):
            self.run(batch, self.optimizer.columns(), sums[s], s == last)
            self.optimizer.skip(1)


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
            return self._replayed(key, batch)

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
