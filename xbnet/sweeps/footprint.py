"""How much memory a stack needs, and how large a stack pays."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from ..nn.network import Network
from ..optim.schedule import Schedule
from ..training.trainer import Trainer

WORKING_SET = 3 << 20
"""Bytes that a stack on a CPU may touch per step. Up to here a larger stack shares the cost of each NumPy call among
more networks; beyond, its arrays leave the caches, and the stack gets slower (measured by `benchmarks/stack_size`,
see docs/stacks.md)."""


SMALL = 3000
"""Bytes of what each network has of random streams, settings and copies for tapes."""


@dataclass(frozen=True)
class Footprint:
    """The cost of networks of one bucket. The fixed cost of a stack, of whatever size, is not counted: it is less than
    1 MB of recorded calls, constants and the optimizer's block.

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


def buffer_bytes(network: Network, B: int) -> int:
    """Return the bytes of the buffers that training with batches of B rows takes."""
    network.use(B)
    network.output_gradient[...] = 0  # asking for it allocates the arrays between layers
    return sum(flat.nbytes for flat in network.memory())


def footprint(trainer: Trainer) -> Footprint:
    """Measured on a network of one, which costs what each one of a stack costs."""
    network, B, n = trainer.network, trainer.batch_size, trainer.train.n
    order = 2 * n * np.dtype(np.intp).itemsize if n > B else 0  # as drawn, and cut into batches
    activations = buffer_bytes(network, B)
    theta = network.n_parameters * network.dtype.itemsize
    slots, on_host = len(trainer.optimizer.slots), network.backend.on_host
    work = not on_host  # of the optimizer: on NumPy it goes block by block, and takes one for a whole stack
    # theta, its gradient, the optimizer's state and work, the kept weights, the penalty's work
    training = theta * (3 + slots + work + trainer.penalty.active) + activations
    # While replicas leave, the stack before and after lie beside each other, but nothing that belongs to batches,
    # and the optimizer's state goes over slot by slot.
    leaving = theta * (4 + slots + 2 * work)
    batch = B * (network.n_inputs * network.dtype.itemsize + 16) + loss_bytes(network, B)
    touched = activations + theta * (2 + slots + 1)
    steps = trainer.batches.steps * trainer.recipe.epochs
    return Footprint(
        order=order,
        per_network=max(training + batch, leaving) + _plan_bytes(trainer) + SMALL,
        work=steps * (6.0 * B * network.n_parameters + activations),
        best_stack=max(1, int(WORKING_SET // touched)) if on_host else sys.maxsize,
    )


def _plan_bytes(trainer: Trainer) -> int:
    """Return a network's bytes per step of an epoch: its sums, its rate, and the optimizer's plan."""
    S, size = trainer.batches.steps, trainer.network.dtype.itemsize
    tables = len(trainer.optimizer.coefficients(*np.ones((2, 1, 1))))
    constant = type(trainer.schedule) is Schedule
    planned = S if constant else 2 * S  # the plan before is there while the next one is made
    in_float64 = 8 * max(3, tables)  # for a moment, of what is read or put on the device
    return S * (3 * size + 8 + in_float64) + planned * tables * size


def loss_bytes(network: Network, B: int) -> int:
    """Return the largest loss's bytes: arrays of floats, three (B, C) and eight (B,); four (B,) of integers, a flag."""
    return B * ((network.n_outputs * 3 + 8) * network.dtype.itemsize + 4 * np.dtype(np.intp).itemsize + 1)
