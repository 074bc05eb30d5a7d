"""How much memory a stack needs, and how large a stack pays."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

import numpy as np

from ..backend import Backend
from ..network import Network
from ..trainer import Trainer

WORKING_SET = 3 << 20
"""Bytes that a stack on a CPU may touch per step. Up to here a larger stack shares the cost of each NumPy call among
more networks; beyond, its arrays leave the core's caches, and the stack gets slower (measured by `benchmarks/stacks`,
see docs/stacks.md)."""


@dataclass(frozen=True)
class Footprint:
    """What networks of one bucket cost.

    Attributes
    ----------
    order
        Bytes of one order of the data; networks of equal order share it.
    per_network
        Bytes of each network: theta and its gradient, the optimizer's state, activations.
    work
        Relative time of an epoch per network.
    best_stack
        Networks per stack beyond which stacking more of them no longer pays.
    """

    order: int
    per_network: int
    work: float
    best_stack: int


def footprint(trainer: Trainer) -> Footprint:
    """Measured on a network of one, which costs what each one of a stack costs."""
    network, B, n = trainer.network, trainer.batch_size, trainer.train.n
    order = 2 * n * np.dtype(np.intp).itemsize if n > B else 0  # as drawn, and cut into batches
    activations = network.buffer_bytes(B)
    theta = network.n_parameters * network.dtype.itemsize
    # theta, its gradient, the optimizer's state and work, the best weights, the penalty's work; and where replicas
    # leave early, for a moment the stack before and after beside each other
    rows = 4 + len(trainer.optimizer.slots) + trainer.penalty.active + 4 * (trainer.patience is not None)
    batch = B * (network.n_inputs + 2) * 8
    touched = activations + theta * (2 + len(trainer.optimizer.slots) + 1)
    steps = trainer.batches.steps * trainer.epochs
    return Footprint(
        order=order,
        per_network=theta * rows + activations + batch + loss_bytes(network, B),
        work=steps * (6.0 * B * network.n_parameters + activations),
        best_stack=max(1, int(WORKING_SET // touched)) if network.backend.name == "numpy" else sys.maxsize,
    )


def loss_bytes(network: Network, B: int) -> int:
    """Of the largest loss: six arrays (B, C) or (B,) of floats, two of integers."""
    return B * (network.n_outputs * 3 + 8) * network.dtype.itemsize + 2 * B * np.dtype(np.intp).itemsize


def free_bytes(backend: Backend) -> int:
    """What is free where a backend's arrays lie; 4 GB where the system does not say."""
    if backend.name == "cupy":
        return int(backend.xp.cuda.Device().mem_info[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 4 * 10**9
