"""The epochs of an estimator that trains by itself: from the state of the last ones to one to go on from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DivergenceError
from ..training.checkpoints import deferred_interrupt
from ..training.trainer import Trainer

if TYPE_CHECKING:
    from .base import XBEstimator

IN_A_STACK = "in a stack"
"""In place of a state to go on from, where there is none."""


def check_same(e: XBEstimator, method: str) -> None:
    """Raise where the parameters ask for another network than the one that is to be trained further."""
    where = f"{type(e).__name__}.{method}"
    if e._run_state == IN_A_STACK:
        raise ConfigError(
            f"{where}: expected a model that can train further, got one that a search has trained in a stack, "
            "without a state of its own; fit a clone"
        )
    for name, value in e._design().items():
        if value != e._built[name]:
            anew = "warm_start=False starts again" if method == "fit" else "fit starts again"
            raise ConfigError(
                f"{where}: expected {name} {e._built[name]}, as before, to train further, got {value}; {anew}"
            )


def run_epochs(estimator: XBEstimator, trainer: Trainer, epochs: int) -> tuple[bool, bool]:
    """Train, and note figures and state: whether all members have converged, and whether Ctrl-C was pressed.

    Parameters
    ----------
    estimator
        Its `_run_state` is the trainer's after the epochs before, or None.
    trainer
        Trainer, with its network and history.
    epochs
        The most that may train.
    """
    e = estimator
    if e._run_state is not None:
        trainer.restore(e._run_state)
    e.history_.status = ["running"] * e._n_networks
    # Once members have left before the others, there is no common state to go on from.
    states: list[Any] = []

    def keep_state() -> None:
        states.append(trainer.state(history=False) if len(trainer.rows) == e._n_networks else None)

    # Ctrl-C waits for the end of an epoch, so that weights and curves are those of a fit of fewer epochs.
    with deferred_interrupt() as interrupted:
        try:
            for _ in range(epochs):
                if not len(trainer.rows) or interrupted():
                    break
                if trainer.batch_size == trainer.train.n:
                    # A single batch needs no order; but scikit-learn draws one, and the caller's stream moves on.
                    for place in trainer.places:
                        trainer.shuffles[place].permutation(trainer.train.n)
                e._note(trainer.run_epoch(on_leave=keep_state), trainer.scorer)
                e.t_ += trainer.train.n
        except (DivergenceError, KeyboardInterrupt):
            e._run_state = None  # what there is to go on from are the last good weights
            e.n_iter_ = len(e.history_)
            raise
        converged = not len(trainer.rows)
        if not converged:
            keep_state()
        e._run_state = states[-1]
        trainer.finish()
        e.n_iter_ = len(e.history_)
    return converged, interrupted()
