"""From configurations to members, from members to buckets of equal shape, from buckets to chunks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..backends.backend import get_backend
from ..backends.memory import expect_memory
from ..errors import ConfigError
from ..parsing import human_bytes
from .footprint import Footprint
from .pool import Pool
from .space import OPTIMIZER_KEYS, PER_REPLICA, SCHEDULE_KEYS, Configuration

if TYPE_CHECKING:
    from .paused import Paused


@dataclass(frozen=True, eq=False)
class Member:
    """One network of a sweep.

    Attributes
    ----------
    index
        Its row in the table.
    configuration
        Number of its configuration.
    settings
        Every setting, complete.
    weight_seed, order_seed
        Seeds of the initial weights and dropout masks, and of the order of the data.
    fold
        Number of its fold, or None.
    """

    index: int
    configuration: int
    settings: Configuration
    weight_seed: int
    order_seed: int
    fold: int | None


@dataclass(frozen=True, eq=False)
class Chunk:
    """Members that train as one stack: the unit of work, and of loss when a worker dies.

    Attributes
    ----------
    members
        Members of one bucket.
    epoch_cost
        Relative time.
    epochs
        How many to train; None: to the end.
    paused
        State of the members that have trained before, or None.
    """

    members: tuple[Member, ...]
    epoch_cost: float
    epochs: int | None = None
    paused: Paused | None = None

    @property
    def indices(self) -> list[int]:
        """Numbers of the members."""
        return [member.index for member in self.members]

    @property
    def epochs_to_train(self) -> int:
        """Number of epochs that each member has left."""
        oldest = 0 if self.paused is None else int(self.paused.ages.max())
        left = self.members[0].settings["epochs"] - oldest
        return left if self.epochs is None else min(self.epochs, left)


@dataclass(frozen=True)
class Plan:
    """How a sweep is going to run.

    Attributes
    ----------
    chunks
        In the order in which they start: the longest first.
    buckets
        Number of different shapes.
    bytes
        Estimate of the largest amount of memory in use at once, beyond the data.
    budget
        Upper limit of `bytes`.
    """

    chunks: tuple[Chunk, ...]
    buckets: int
    bytes: int
    budget: int

    @property
    def members(self) -> int:
        """Networks in all chunks."""
        return sum(len(chunk.members) for chunk in self.chunks)

    def __str__(self) -> str:
        sizes = sorted({len(chunk.members) for chunk in self.chunks})
        of = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0] if sizes else 0}"
        return (
            f"{self.members} networks in {self.buckets} bucket{'s' * (self.buckets != 1)} of equal shape, "
            f"{len(self.chunks)} chunk{'s' * (len(self.chunks) != 1)} of {of}; "
            f"about {human_bytes(self.bytes)} of {human_bytes(self.budget)} memory"
        )


MEMBER_BYTES = 300
"""Least bytes of each network's settings and row in the table."""


def expect_networks(count: float) -> None:
    """Raise `ConfigError` where this many networks can't even be listed."""
    there, cure = get_backend("numpy"), "take fewer values, draws, trials or seeds"
    expect_memory("sweep", f"{count:,} networks", count * MEMBER_BYTES, there, cure)


def make_members(rows: Sequence[Configuration], seeds: Sequence[int], folds: int | None) -> list[Member]:
    """Configurations x seeds x folds; a configuration's own seeds take the place of `seeds`."""
    members: list[Member] = []
    for number, settings in enumerate(rows):
        own = any(key in settings for key in ("seed", "weight_seed", "order_seed"))
        if own and len(seeds) > 1:
            raise ConfigError(f"sweep: the space has seeds of its own; leave out seeds={list(seeds)}")
        for seed in seeds:
            both: Any = settings.get("seed", seed)
            for fold in [None] if folds is None else range(folds):
                weight_seed, order_seed = (int(settings.get(key, both)) for key in ("weight_seed", "order_seed"))
                members.append(Member(len(members), number, settings, weight_seed, order_seed, fold))
    return members


def bucket_of(member: Member, pool: Pool) -> tuple[Any, ...]:
    """Members with equal buckets can train in one stack: same shapes, same program, same number of steps."""
    settings = member.settings
    shapes = [(key, value) for key, value in settings.items() if key not in PER_REPLICA]
    # Where only some members have a key, those without it would need its neutral value.
    present = [key for key in ("dropout", "clip_norm", *OPTIMIZER_KEYS, *SCHEDULE_KEYS) if key in settings]
    return (*sorted(shapes), *present, pool.sizes(member.fold))


def make_plan(
    members: Sequence[Member],
    pool: Pool,
    *,
    workers: int,
    budget: int,
    footprint: Callable[[Member], Footprint],
    parts: int | None = None,
) -> Plan:
    """Cut the members into chunks.

    Parameters
    ----------
    members
        Those that are still to be trained.
    pool
        Their data.
    workers
        How many chunks run at once.
    budget
        Bytes for all of these together.
    footprint
        Cost of networks like a bucket's first member.
    parts
        In how many chunks to cut at least, where there are enough members; None: as many as there are workers.

    Raises
    ------
    ConfigError
        The budget is too small for one network.
    """
    buckets: dict[tuple[Any, ...], list[Member]] = {}
    for member in members:
        buckets.setdefault(bucket_of(member, pool), []).append(member)
    share = max(1, -(-len(members) // (parts or workers)))
    chunks, largest = [], 0.0
    for bucket in buckets.values():
        # Neighbours share the order of their data where they can: one batch then serves a whole chunk.
        bucket = sorted(bucket, key=lambda m: (m.order_seed, m.fold or 0, m.index))
        cost = footprint(bucket[0])
        orders = len({(member.order_seed, member.fold) for member in bucket})
        each = cost.per_network + cost.order * orders / len(bucket)
        if each * workers > budget:
            raise ConfigError(
                f"sweep: expected memory for at least one network ({human_bytes(each * workers)} with {workers} at "
                f"once), got {human_bytes(budget)}; raise memory, or take fewer workers or a smaller batch_size"
            )
        fits = int(budget // workers / each)
        size = min(fits, share, cost.best_stack, len(bucket))
        count = -(-len(bucket) // size)
        for i in range(count):
            part = bucket[i * len(bucket) // count : (i + 1) * len(bucket) // count]
            chunks.append(Chunk(tuple(part), cost.work * len(part)))
            largest = max(largest, each * len(part))
    chunks.sort(key=lambda chunk: -chunk.epoch_cost)
    return Plan(tuple(chunks), len(buckets), int(largest * min(workers, max(1, len(chunks)))), budget)
