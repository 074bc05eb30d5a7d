"""Whether weights arrive where they belong: in the user's network in the end, and in the next stage of a strategy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...nn.network import Network
from .rates import stage_of

if TYPE_CHECKING:
    from .runs import Seen


def weights_handed_over(seen: Seen, network: Network, status: Sequence[str]) -> list[str]:
    """Whether the user's network holds, in the end, what the last step of each replica made; who diverged may not."""
    theta = network.backend.to_host(network.theta).astype(float)
    wrong = []
    for r in range(network.replicas):
        last = next((s for s in reversed(seen.snapshots) if r in s.rows), seen.start)
        made = last.theta[list(last.rows).index(r)]
        if status[r] != "diverged" and np.isfinite(made).all() and not np.array_equal(theta[r], made):
            wrong.append(r)
    if not wrong:
        return []
    return [f"the network does not hold the weights that the last step made, in {replicas_text(wrong)}"]


def replicas_text(rows: Sequence[int]) -> str:
    """``replica 2``, ``replicas 0 and 2``."""
    numbers = [str(int(r)) for r in rows]
    if len(numbers) == 1:
        return f"replica {numbers[0]}"
    return f"replicas {', '.join(numbers[:-1])} and {numbers[-1]}"


def stages_handed_on(seen: Sequence[Seen], network: Network) -> list[str]:
    """Whether each stage begins with the weights that the one before it ended with, and the network with the last's."""
    told = []
    ends = [s.snapshots[-1].theta for s in seen if s.snapshots and len(s.snapshots[-1].rows) == network.replicas]
    if len(ends) < len(seen):
        return []  # somebody diverged
    host = network.backend.to_host(network.theta).astype(float)
    begins = [*(s.start.theta for s in seen[1:]), host]
    twins = [*(s.twin for s in seen), network]
    for k, (end, begin) in enumerate(zip(ends, begins, strict=True)):
        before, behind = twins[k], twins[k + 1]
        whole = len(before.layers) == len(behind.layers)
        stages = stage_of(before)
        body = len(before.layers) if whole else int((stages < stages.max()).sum())
        before_blocks, behind_blocks = offsets(before), offsets(behind)
        for spec in before.specs:
            if spec.layer < body:
                one, other = end[:, before_blocks[spec.name]], begin[:, behind_blocks[spec.name]]
                if not np.array_equal(one, other):
                    told.append(f"what follows stage {k + 1} does not begin with the {spec.name} that it ended with")
    return told


def offsets(network: Network) -> dict[str, slice]:
    """Block -> its place in a row of theta."""
    places, start = {}, 0
    for spec in network.specs:
        places[spec.name], start = slice(start, start + spec.size), start + spec.size
    return places
