"""Steps that are recorded once per size of batch, and replayed: the same bits without the Python in between.

What a step reads and writes has a place of its own: batches come in arrays that stay, the optimizer's columns are
copied to one array before each step, and the sums are copied from one after it. Whatever can't be recorded, such as a
layer of a user's own, is called as a whole in each replay.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any

from ...backends.arrays import Array
from ...backends.replay import Replays
from .run import Level, Run

if TYPE_CHECKING:
    from ..batches import Batch
    from ..step import BoundStep


class ReplayedStep:
    """A step, recorded and replayed where the backend allows that; otherwise it is run.

    Parameters
    ----------
    step
        The step.
    """

    def __init__(self, step: BoundStep):
        network = step.network
        layers = [(network.layers, k) for k in range(len(network.layers))]
        names = ("loss", "optimizer", "penalty", "mask")
        places = [*layers, *((vars(step), name) for name in names), ({"step": step}, "step")]
        self.step, self.replays = step, Replays(places, network.backend.specialized)
        self.sums = network.backend.xp.zeros((network.replicas, 3, 1), dtype=network.dtype)
        self.columns: Any = None  # an array (K, R, 1) from the first call on
        self.calls: list[Callable[[], Any]] = []  # what the last call came to, if that is recorded

    def __call__(self, key: Hashable, batch: Batch, columns: Array, wants_norm: bool = False) -> Array:
        """Train on a batch, see `BoundStep.run`; batches of the same `key` come in the same arrays."""
        step, mask = self.step, self.step.mask
        if self.replays.active:
            if self.columns is None:
                self.columns = columns.copy()
            self.columns[...] = columns
            columns = self.columns
        if wants_norm or mask is not None:
            key = key, wants_norm, mask is not None and (mask.holds,)
        generation = step.network.use(batch.x.shape[1])
        values = self.replays.run(key, generation, step.run, batch, columns, self.sums, wants_norm)
        record = self.replays.records.get(key)
        self.calls = record.calls if record else []
        return values

    def run_all(self, batches: Iterable[Batch], columns: Array, sums: Array) -> None:
        """See `BoundStep.run_all`."""
        last = len(sums) - 1
        calls: list[Callable[[], Any]] = []
        known = 0  # rows of the batch before, where a step on it is recorded
        for s, batch in enumerate(batches):
            if batch.x.shape[1] == known and s < last:  # one step is as the other: no need to ask which record serves
                self.columns[...] = columns[:, s]
                for call in calls:
                    call()
            else:
                self(batch.x.shape[1], batch, columns[:, s], s == last)
                calls = self.calls
                known = batch.x.shape[1] if calls else 0
            sums[s] = self.sums

    def clear(self) -> None:
        """Forget what was recorded."""
        self.replays.clear()


class Replay(Level):
    """Replayed steps."""

    name = "replay"

    def __init__(self, trainer: Run):
        self.step = ReplayedStep(trainer.step)

    @staticmethod
    def why_not(trainer: Run) -> str | None:
        """The reason why this trainer can't be served, or None."""
        backend = trainer.live.backend
        return None if backend.specialized else f"backend {backend.name!r} replays no calls"

    def run_steps(self, trainer: Run) -> None:
        """See `Eager.run_steps`."""
        self.step.run_all(trainer.epoch_batches(), trainer.columns, trainer.sums)
