"""The memory that a network needs: whether it fits at all, reported before it is made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..backends.backend import Backend
from ..backends.memory import expect_memory
from .parameters import ParameterSpec

REPLICA_BYTES = 1000
"""Least bytes on the host for the seed and the random stream of a replica."""


def expect_network(R: int, specs: Sequence[ParameterSpec], dtype: np.dtype, backend: Backend) -> None:
    """Refuse what no machine like this one can hold: to begin with it would take hours, or end the process."""
    P = sum(spec.size for spec in specs)
    needed = R * (2 * P * dtype.itemsize + REPLICA_BYTES)
    expect_memory("Network", f"{R:,} x {P:,} parameters", needed, backend, "take fewer replicas or smaller layers")


def slot_sizes(shapes: Mapping[Any, tuple[str, tuple[int, ...]]]) -> dict[str, int]:
    """How many entries of one replica each slot has to hold: those of the largest shape that is there."""
    needed: dict[str, int] = {}
    for slot, shape in shapes.values():
        needed[slot] = max(needed.get(slot, 0), math.prod(shape))
    return needed
