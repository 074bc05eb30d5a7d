"""Theta in blocks: parts of it that stay in the cache while an optimizer's rule passes over them several times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..backends.arrays import Array
from ..nn.network import Network

BLOCK = 1 << 15
"""Numbers of theta that are updated at a time, at most. One network by itself, under a rule without state, takes four
times as many: there is little to keep in the cache then, and a stack's memory does not grow with it."""


@dataclass
class Block:
    """Some rows and columns of theta, and what belongs to them."""

    rows: slice
    theta: Array
    grad: Array
    weights: Array  # those of theta that are weights, which come first
    state: dict[str, Array]
    work: Array


def cut_blocks(network: Network, state: dict[str, Array]) -> Iterator[Block]:
    """A network's theta and an optimizer's state, in blocks of as many rows as fit in, or of a part of a row.

    A device takes it whole.
    """
    R, P = network.theta.shape
    size = BLOCK if state or R > 1 else 4 * BLOCK
    whole = not network.backend.on_host or size >= R * P
    height, width = (R, P) if whole else (max(1, size // max(P, 1)), min(P, size))
    work = network.backend.xp.zeros((height, width), dtype=network.dtype)
    for row in range(0, R, max(height, 1)):
        for column in range(0, max(P, 1), max(width, 1)):
            at = slice(row, row + height), slice(column, column + width)
            theta = network.theta[at]
            yield Block(
                at[0],
                theta,
                network.grad[at],
                theta[:, : max(0, network.n_weights - column)],
                {slot: array[at] for slot, array in state.items()},
                work[: theta.shape[0], : theta.shape[1]],
            )
