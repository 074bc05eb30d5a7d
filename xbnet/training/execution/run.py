"""`Run`: what a level of execution sees of a trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ...backends.arrays import Array
    from ...nn.losses import Loss
    from ...nn.network import Network
    from ...optim.optimizer import Optimizer
    from ...optim.penalties import AnyBoundPenalty
    from ...optim.strategies import Strategy
    from ..augmentation import Flips
    from ..batches import Batch, Resident, Shuffled
    from ..recipe import Recipe
    from ..step import BoundStep
    from ..validation import Evaluation


class Level:
    """The common part of levels that differ only in how they run the steps."""

    def validate(self, validation: Evaluation, sums: Any, keep: Callable[[slice, Any], Any] | None) -> None:
        """See `Evaluation.run`."""
        validation.run(sums, keep)


class Run(Protocol):
    """The replicas that still train, and what belongs to them.

    Attributes
    ----------
    live, loss, optimizer, penalty
        The network, and what is bound to it.
    step
        A step of theirs.
    train, batches, batch_size, flips
        The samples, and how they are cut into batches and mirrored.
    recipe, strategy
        The settings, and which parameters move.
    val
        Samples for validation, or None.
    columns
        (K, S, R, 1), the optimizer's hyper-parameters for the epoch's S steps, see `Optimizer.columns`.
    sums
        (S, R, 3, 1), to be overwritten by the loss's sums of the epoch's S steps.
    norm
        (R, 1, 1), to be overwritten by the gradient's norm in the last one.
    clip
        (R, 1), the largest norms, or None.
    """

    live: Network
    loss: Loss
    optimizer: Optimizer
    penalty: AnyBoundPenalty
    step: BoundStep
    train: Resident
    val: Resident | None
    batches: Shuffled
    batch_size: int
    flips: Flips | None
    recipe: Recipe
    strategy: Strategy
    columns: Array
    sums: Array
    norm: Array
    clip: Array | None

    def epoch_batches(self) -> Iterable[Batch]:
        """The batches of the next epoch."""
