"""A model's predictions for the held-out rows, and the time they took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class Clock:
    """Seconds on the wall and of the processor (all threads), between entering and leaving."""

    wall = cpu = 0.0

    def __enter__(self) -> Clock:
        self.wall, self.cpu = -time.perf_counter(), -time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        self.wall += time.perf_counter()
        self.cpu += time.process_time()


@dataclass
class Found:
    """Probabilities and their classes, or values."""

    values: np.ndarray
    classes: Any = None
    fit: Clock = field(default_factory=Clock)
    predict: Clock = field(default_factory=Clock)
