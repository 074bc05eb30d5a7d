"""Replicas that have left the training and yet stay in the stack, for a stack without them has to be made first.

Making it, and recording its steps anew, takes as long as many steps of a small network, in which a replica more or less
is hardly noticed. Nothing of those that ride along is looked at, kept or drawn: the others end in the same bits.
"""

from __future__ import annotations

import numpy as np

from ..nn.layers import Layer
from ..nn.network import Network
from .augmentation import Flips
from .batches import Shuffled

LIGHT = 1 << 17
"""So many multiplications of a step's forward pass, in all that have left, cost less than a stack without them."""


def may_ride(live: Network, flips: Flips | None, batch_size: int, left: int) -> bool:
    """Whether `left` replicas of `live` may stay: they are light, and nobody draws random numbers for them."""
    light = left * batch_size * live.theta.shape[1] <= LIGHT
    drawn = flips is not None or any(type(layer).bind is not Layer.bind for layer in live.layers)
    return light and not drawn and live.backend.on_host


def follow(batches: Shuffled, places: np.ndarray) -> None:
    """Let orders that nobody of `places` follows not be drawn any more: the others see that of the first of them."""
    followed = {id(batches.streams[r]) for r in places}
    for r in range(len(batches.streams)):
        if id(batches.streams[r]) not in followed:
            batches.streams[r] = batches.streams[places[0]]
