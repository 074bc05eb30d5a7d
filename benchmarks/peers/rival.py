"""The interface of every rival."""

from __future__ import annotations

import numpy as np

from .cases import Case


class Unable(Exception):
    """This rival can't do that case: why."""


class Rival:
    """A library that trains the networks of a case; made again for each case."""

    checked = True
    """Whether it computes the step, so that its weights can be compared."""

    def __init__(self, case: Case):
        self.case = case

    @property
    def networks(self) -> int:
        """How many of the case's networks it trains: all, where that does not take too long."""
        return self.case.replicas

    def run(self, epochs: int) -> None:
        """`case.steps` steps in each; returns when all is computed."""
        raise NotImplementedError

    def weights(self) -> list[dict[str, np.ndarray]]:
        """As `Case.start` has them."""
        raise NotImplementedError

    @staticmethod
    def version() -> str:
        """Version of the library."""
        raise NotImplementedError
