"""The interface of every rival, and its timing."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from .cases import Case


class Unable(Exception):
    """This rival can't do that case, or is not here: why."""


class Rival:
    """A way to train the networks of a case; made again for each one.

    Parameters
    ----------
    case
        The case to train.
    device
        "cuda", or "cpu" where only agreement is checked.
    """

    def __init__(self, case: Case, device: str):
        self.case, self.device = case, device
        self.replicas = case.replicas  # that it trains; where it is fewer, they stand for all

    def run(self, epochs: int) -> None:
        """`case.steps` steps in each; may return before they are computed."""
        raise NotImplementedError

    def wait(self) -> None:
        """Until all is computed."""

    def events(self) -> Any:
        """A pair of events of the device with `record`, and a function of both that gives seconds; None: no events."""
        return None

    def weights(self) -> np.ndarray:
        """Weights of the networks that it trains, in the order of `flat`."""
        raise NotImplementedError


def seconds_per_step(rival: Rival, epochs: int) -> float:
    """Seconds of a step of all networks of the case, by the device's or the host's clock, whichever is larger.

    Events alone would hide what the host waits for.
    """
    events = rival.events()
    rival.wait()
    started = time.perf_counter()
    if events is not None:
        first, last, elapsed = events
        first.record()
    rival.run(epochs)
    if events is not None:
        last.record()
    rival.wait()
    seconds = time.perf_counter() - started
    if events is not None:
        seconds = max(seconds, elapsed(first, last))
    return seconds / (epochs * rival.case.steps) * rival.case.replicas / rival.replicas
