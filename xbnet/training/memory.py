"""Whether a run fits into memory at all, checked before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backends.memory import expect_memory
from ..nn.layers import buffer_shapes
from ..nn.memory import slot_sizes
from ..optim.optimizer import Optimizer

if TYPE_CHECKING:
    from .trainer import Trainer


def check_memory(trainer: Trainer, optimizer: Optimizer) -> None:
    """Refuse what a run surely needs and a machine has not, whatever else goes on there.

    Counted are theta and its gradient, the optimizer's state, what lies between the layers for one batch, and an
    epoch's orders of the samples.
    """
    network, B, n = trainer.network, trainer.batch_size, trainer.train.n
    R, itemsize = network.replicas, network.dtype.itemsize
    theta = network.n_parameters * (2 + len(optimizer.slots))
    layers = sum(slot_sizes(buffer_shapes(network.layers, B)).values())
    orders = len({id(stream) for stream in trainer.shuffles}) * n * np.dtype(np.intp).itemsize if n > B else 0
    expect_memory(
        "fit",
        f"{R:,} x {network.n_parameters:,} parameters and batches of {B:,} rows",
        R * (theta + layers) * itemsize + orders,
        network.backend,
        "take fewer replicas, smaller layers or a smaller batch_size",
    )
