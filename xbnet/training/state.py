"""What the rest of a run depends on, between two epochs: in memory, and as tensors for a file."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.arrays import Array
from ..history import History
from ..io.histories import pack_history, unpack_history
from ..io.networks import generator_state, set_generator_state
from ..io.tensorfile import Tensors

if TYPE_CHECKING:
    from .trainer import Trainer

Weights = tuple[np.ndarray, np.ndarray]
"""theta and the running statistics of some replicas, on the host."""


@dataclass(frozen=True, eq=False)
class State:
    """The state of a run of R replicas, n of which still train.

    Attributes
    ----------
    history
        None where somebody else keeps it.
    rows
        (n,) which replicas still train.
    network
        theta (R, P) and statistics (R, S) of the user's network.
    live, kept
        Those that the n replicas have, (n, P) and (n, S), and those that are kept of them.
    slots
        The optimizer's arrays (n, P), by name.
    steps
        Steps that the optimizer has taken.
    schedule
        What the schedule has gathered, (n,), by name.
    best, waited
        (n,) the best monitored figure, and epochs since.
    orders
        The states of the generators of orders, n of them.
    streams
        The states of the network's generators of masks, R of them.
    """

    history: History | None
    rows: np.ndarray
    network: Weights
    live: Weights
    kept: Weights
    slots: dict[str, np.ndarray]
    steps: int
    schedule: dict[str, np.ndarray]
    best: np.ndarray
    waited: np.ndarray
    orders: list[dict[str, Any]]
    streams: list[dict[str, Any]]

    @classmethod
    def of(cls, trainer: Trainer, history: bool) -> State:
        """That of a trainer now; without its `history` where somebody else keeps that."""
        n, network, to_host = len(trainer.rows), trainer.network, trainer.network.backend.to_host

        def weights(theta: Array, state: Array) -> Weights:
            return np.array(to_host(theta)), np.array(to_host(state))

        none = np.zeros((0, network.theta.shape[1])), np.zeros((0, network.state.shape[1]))
        return cls(
            history=trainer.history if history else None,
            rows=trainer.rows,
            network=weights(network.theta, network.state),
            live=weights(trainer.live.theta, trainer.live.state) if n else none,
            kept=weights(*trainer.kept.of(trainer.rows)) if n else none,
            slots={slot: np.array(to_host(trainer.optimizer.state[slot])) for slot in trainer.optimizer.slots},
            steps=trainer.optimizer.steps,
            schedule={k: np.broadcast_to(np.asarray(v, float), n).copy() for k, v in trainer.schedule.state().items()},
            best=trainer.stopping.best.copy(),
            waited=trainer.stopping.waited.copy(),
            orders=states_of(trainer.shuffles),
            streams=states_of(network.streams),
        )

    def pack(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """As tensors, and a description that JSON can hold."""
        tensors = dict(zip(("theta", "state"), self.network, strict=True)) | {"rows": self.rows.astype(np.int64)}
        if len(self.rows):
            for name, weights in (("live", self.live), ("kept", self.kept)):
                tensors |= {f"{name}.theta": weights[0], f"{name}.state": weights[1]}
            tensors |= {f"optimizer.{slot}": array for slot, array in self.slots.items()}
            tensors |= {f"schedule.{key}": array for key, array in self.schedule.items()}
            tensors |= {"best": self.best, "waited": self.waited.astype(np.int64)}
        description: dict[str, Any] = {}
        if self.history is not None:
            figures, description["history"] = pack_history(self.history)
            tensors |= figures
        return tensors, description | {"steps": self.steps, "orders": self.orders, "streams": self.streams}

    @classmethod
    def unpack(cls, kept: Tensors, like: State) -> State:
        """That of a file, held against one of the same run: shapes, types, and generators that take their states.

        Raises
        ------
        DataError
            The file contradicts itself or that run.
        """
        with kept.reading():
            d, (theta, state) = kept.description, like.network
            R, dtype = len(theta), theta.dtype
            rows = kept.tensor("rows", np.int64, kept.shape("rows"))
            right = rows.ndim == 1 and bool(np.all(np.diff(rows) > 0) and np.all((rows >= 0) & (rows < R)))
            kept.require(right, f"rows are replicas of {R}, in order")
            n = len(rows)

            def weights(prefix: str, count: int) -> Weights:
                shapes = (count, theta.shape[1]), (count, state.shape[1])
                if not count:
                    return np.zeros(shapes[0], dtype), np.zeros(shapes[1], dtype)
                return kept.tensor(f"{prefix}theta", dtype, shapes[0]), kept.tensor(f"{prefix}state", dtype, shapes[1])

            steps, orders, streams = d["steps"], d["orders"], d["streams"]
            kept.require(type(steps) is int and 0 <= steps < 2**53, "steps is a number of steps")
            kept.require(len(streams) == R, "there is a stream of masks per replica")
            kept.require(n == 0 or len(orders) == n, "there is a stream of orders per replica")
            return cls(
                history=unpack_history(kept, d["history"], R),
                rows=rows.astype(int),
                network=weights("", R),
                live=weights("live.", n),
                kept=weights("kept.", n),
                slots={slot: kept.tensor(f"optimizer.{slot}", dtype, (n, theta.shape[1])) for slot in like.slots if n},
                steps=steps,
                schedule={key: kept.tensor(f"schedule.{key}", float, (n,)) for key in like.schedule if n},
                best=kept.tensor("best", float, (n,)) if n else np.zeros(0),
                waited=kept.tensor("waited", np.int64, (n,)).astype(int) if n else np.zeros(0, int),
                orders=orders,
                streams=streams,
            )


def states_of(generators: Sequence[Any]) -> list[dict[str, Any]]:
    """What each generator will draw next depends on."""
    return [generator_state(generator) for generator in generators]


def restore_generators(generators: Sequence[Any], states: Sequence[dict[str, Any]]) -> None:
    """Let each generator go on from a state."""
    for generator, found in zip(generators, states, strict=True):
        set_generator_state(generator, found)


def check_generators(generators: Sequence[Any], states: Sequence[dict[str, Any]]) -> None:
    """Raise what `restore_generators` would; the generators stay as they are."""
    restore_generators(copy.deepcopy(list(generators)), states)
