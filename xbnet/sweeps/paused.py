"""Networks between two stacks: where each stands in the middle of its run, so that it can continue next to others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..history import PER_REPLICA
from ..io.tensorfile import Tensors
from ..training.state import State
from ..training.trainer import Trainer

Curves = dict[str, np.ndarray]
"""Figure -> (E, R), NaN after a member has left."""


@dataclass(frozen=True, eq=False)
class Paused:
    """The state of n members between two of their epochs, on the host.

    Attributes
    ----------
    members
        Indices.
    state
        State of a run of these n, all of which still train.
    curves
        Curves of their epochs so far, (E, n).
    best_epoch, seconds
        (n,) see the table.
    """

    members: tuple[int, ...]
    state: State
    curves: Curves
    best_epoch: np.ndarray
    seconds: np.ndarray

    @property
    def ages(self) -> np.ndarray:
        """(n,) epochs that each has trained."""
        return self.state.ages

    @cached_property
    def place(self) -> dict[int, int]:
        """Member -> its place among them."""
        return {index: i for i, index in enumerate(self.members)}

    def age(self, member: int) -> int:
        """Return the epochs of one member; 0 for one that is not among them."""
        return int(self.ages[self.place[member]]) if member in self.place else 0

    def take(self, members: Sequence[int]) -> Paused:
        """Those of them with these indices."""
        where = np.array([self.place[index] for index in members], int)
        curves = {name: curve[: self.ages[where].max(initial=0), where] for name, curve in self.curves.items()}
        chosen = tuple(self.members[i] for i in where)
        return Paused(chosen, self.state.take(where), curves, self.best_epoch[where], self.seconds[where])

    def pack(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """As tensors, and a description that JSON can hold."""
        tensors, description = self.state.pack()
        tensors |= {f"curves.{name}": curve for name, curve in self.curves.items()}
        tensors |= {"members": np.array(self.members, np.int64), "best_epoch": self.best_epoch.astype(np.int64)}
        return tensors | {"seconds": self.seconds}, description

    @classmethod
    def unpack(cls, file: Tensors, trainer: Trainer) -> Paused:
        """Those of a file, held against a trainer of the same members, see `State.unpack`."""
        R, n_epochs = trainer.network.replicas, trainer.recipe.epochs
        state = State.unpack(file, trainer.state(history=False))
        file.require(len(state.rows) == R, "all of its members still train")
        file.require(bool(np.all((state.ages > 0) & (state.ages < n_epochs))), "each member is within its run")
        curves = {name: file.tensor(f"curves.{name}", float, (int(state.ages.max()), R)) for name in PER_REPLICA}
        best, members = (file.tensor(name, np.int64, (R,)) for name in ("best_epoch", "members"))
        file.require(bool(np.all((best >= 0) & (best <= state.ages))), "each best epoch lies behind its member")
        return cls(tuple(members.tolist()), state, curves, best.astype(int), file.tensor("seconds", float, (R,)))


def merge(parts: Sequence[Paused]) -> Paused | None:
    """All of them as one; None where there are none."""
    if len(parts) < 2:
        return parts[0] if parts else None
    state, longest = parts[0].state.append([part.state for part in parts[1:]]), max(len(p.curves["lr"]) for p in parts)
    curves = {name: np.hstack([padded(part.curves[name], longest) for part in parts]) for name in PER_REPLICA}
    members = tuple(index for part in parts for index in part.members)
    best, seconds = (np.concatenate([getattr(part, name) for part in parts]) for name in ("best_epoch", "seconds"))
    return Paused(members, state, curves, best, seconds)


def padded(curve: np.ndarray, epochs: int) -> np.ndarray:
    """A curve (E, R), padded with rows of NaN, `epochs` in all."""
    return np.vstack([curve, np.full((epochs - len(curve), curve.shape[1]), np.nan)])


def go_on(trainer: Trainer, members: Sequence[int], paused: Paused) -> None:
    """Let those replicas of a fresh trainer that are among the paused members go on from where these are.

    Parameters
    ----------
    trainer
        Its streams of orders are shared by replicas of equal age only.
    members
        Indices of its replicas.
    paused
        State of some of them.
    """
    place = {index: r for r, index in enumerate(members)}
    where = np.array([place[index] for index in paused.members], int)
    state = trainer.state(history=False)
    state.put(where, paused.state)
    trainer.restore(state)
    trainer.history.best_epoch[where] = paused.best_epoch


def pause(trainer: Trainer, members: Sequence[int], curves: Curves, seconds: np.ndarray) -> Paused | None:
    """Where those replicas are that have epochs left; None where there are none.

    Parameters
    ----------
    trainer
        Between two epochs.
    members
        Indices of its replicas.
    curves, seconds
        (E, R) and (R,) of all of them.
    """
    trainer.settle()
    which = np.flatnonzero(trainer.ages < trainer.recipe.epochs)
    if not len(which):
        return None
    rows = trainer.rows[which]
    kept = {name: curve[: trainer.ages[which].max(), rows] for name, curve in curves.items()}
    best = trainer.history.best_epoch[rows].copy()
    state = trainer.state(history=False).take(which)
    return Paused(tuple(members[r] for r in rows), state, kept, best, seconds[rows])
