"""One call after the other."""

from __future__ import annotations

from .run import Level, Run


class Eager(Level):
    """The reference for the other levels, on any backend."""

    name = "eager"

    @staticmethod
    def why_not(trainer: Run) -> str | None:
        """The reason why this trainer can't be served, or None."""
        return None

    def __init__(self, trainer: Run):
        pass

    def run_steps(self, trainer: Run) -> None:
        """Train all steps of the next epoch by `trainer.step`; their sums go to `trainer.sums`."""
        trainer.step.run_all(trainer.epoch_batches(), trainer.columns, trainer.sums)
