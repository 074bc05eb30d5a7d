"""One call after the other."""

from __future__ import annotations

from typing import Any


class Eager:
    """The reference for the other levels, on any backend."""

    name = "eager"

    @staticmethod
    def why_not(trainer: Any) -> str | None:
        """The reason why this trainer can't be served, or None."""
        return None

    def __init__(self, trainer: Any):
        pass

    def run_steps(self, trainer: Any) -> None:
        """Train all steps of the next epoch by `trainer.step`; their sums go to `trainer.sums`."""
        trainer.step.run_all(trainer.epoch_batches(), trainer.sums)
