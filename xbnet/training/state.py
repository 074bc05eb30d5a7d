"""The state of a run between two epochs, on which the rest depends: in memory, and as tensors for a file."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.arrays import Array
from ..history import History
from ..io.histories import pack_history, unpack_history
from ..io.networks import generator_state, set_generator_state
from ..io.tensorfile import Tensors

if TYPE_CHECKING:
    from .trainer import Trainer

COUNTS = ("ages", "steps", "waited")
"""Counters of each replica that still trains."""

Weights = tuple[np.ndarray, np.ndarray]
"""theta and the running statistics of some replicas, on the host."""


@dataclass(frozen=True, eq=False)
class State:
    """The state of a run of R replicas, n of which still train.

    Attributes
    ----------
    history
        None where the caller keeps it.
    rows
        (n,) which replicas still train.
    network
        theta (R, P) and statistics (R, S) of the user's network.
    live, kept
        Those that the n replicas have, (n, P) and (n, S), and those that are kept of them.
    slots
        The optimizer's arrays (n, P), by name.
    ages, steps
        (n,) epochs that each has trained, and steps that the optimizer has taken.
    schedule
        State that the schedule has gathered, (n,), by name.
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
    ages: np.ndarray
    steps: np.ndarray
    schedule: dict[str, np.ndarray]
    best: np.ndarray
    waited: np.ndarray
    orders: list[dict[str, Any]]
    streams: list[dict[str, Any]]

    @classmethod
    def of(cls, trainer: Trainer, history: bool) -> State:
        """Return the present state of a trainer, with its history, if `history`."""
        n, network, to_host = len(trainer.rows), trainer.network, trainer.network.backend.to_host

        def weights(theta: Array, state: Array) -> Weights:
            return np.array(to_host(theta)), np.array(to_host(state))

        def each(value: Any) -> np.ndarray:
            return np.broadcast_to(value, n).copy() if n else np.zeros(0)  # several may have left at once

        none = np.zeros((0, network.theta.shape[1])), np.zeros((0, network.state.shape[1]))
        return cls(
            history=trainer.history if history else None,
            rows=trainer.rows,
            network=weights(network.theta, network.state),
            live=weights(trainer.live.theta, trainer.live.state) if n else none,
            kept=weights(*trainer.kept.of(trainer.rows)) if n else none,
            slots={slot: np.array(to_host(trainer.optimizer.state[slot])) for slot in trainer.optimizer.slots},
            ages=trainer.ages.copy(),
            steps=each(trainer.optimizer.steps),
            schedule={k: each(np.asarray(v, float)) for k, v in trainer.schedule.state().items()},
            best=trainer.stopping.best.copy(),
            waited=trainer.stopping.waited.copy(),
            orders=states_of(trainer.shuffles),
            streams=states_of(network.streams),
        )

    def put_back(self, trainer: Trainer) -> None:
        """Let a trainer of the same run that has not trained yet go on from here."""
        network = trainer.network
        check_generators(network.streams, self.streams)
        check_generators([trainer.shuffles[r] for r in self.rows], self.orders[: len(self.rows)])
        asarray = network.backend.asarray
        if self.history is not None:
            trainer.history = self.history
        restore_generators(network.streams, self.streams)
        if len(self.rows) < network.replicas:
            trainer.narrow(self.rows)
        network.theta[...], network.state[...] = map(asarray, self.network)
        if not len(self.rows):
            return
        trainer.live.theta[...], trainer.live.state[...] = map(asarray, self.live)
        trainer.kept.restore(trainer.rows, *map(asarray, self.kept))
        for slot, array in self.slots.items():
            trainer.optimizer.state[slot][...] = asarray(array)
        trainer.ages, trainer.optimizer.steps = self.ages.copy(), self.steps.copy()
        trainer.stopping.best, trainer.stopping.waited = self.best.copy(), self.waited.copy()
        trainer.schedule.restore(self.schedule)
        restore_generators(trainer.shuffles, self.orders)

    def take(self, which: np.ndarray) -> State:
        """That of a run of only those `which` of the n that still train, without a history."""
        orders = [self.orders[i] for i in which]
        return self._made(lambda of: of(self)[which], orders, [self.streams[self.rows[i]] for i in which])

    def append(self, others: Sequence[State]) -> State:
        """That of a run of these replicas and all of the others', all of which still train."""
        every = [self, *others]
        orders, streams = ([one for s in every for one in getattr(s, name)] for name in ("orders", "streams"))
        return self._made(lambda of: np.concatenate([of(s) for s in every]), orders, streams)

    def _made(self, each: Callable[[Callable[[State], np.ndarray]], np.ndarray], orders: Any, streams: Any) -> State:
        """One whose arrays are what `each` makes of a way to get them from a state."""

        def pair(name: str) -> Weights:
            return each(lambda s: getattr(s, name)[0]), each(lambda s: getattr(s, name)[1])

        def mapping(name: str) -> dict[str, np.ndarray]:
            get = operator.attrgetter(name)
            return {key: each(partial(_item, get, key)) for key in get(self)}

        ages, live = each(lambda s: s.ages), pair("live")
        return State(
            history=None,
            rows=np.arange(len(ages)),
            network=live,
            live=live,
            kept=pair("kept"),
            slots=mapping("slots"),
            ages=ages,
            steps=each(lambda s: s.steps),
            schedule=mapping("schedule"),
            best=each(lambda s: s.best),
            waited=each(lambda s: s.waited),
            orders=orders,
            streams=streams,
        )

    def put(self, where: np.ndarray, other: State) -> None:
        """Move the replicas `where` of this run, all of which still train, to the state of those of `other`."""
        targets = [*self.network, *self.live, *self.kept, *self.slots.values(), *self.schedule.values()]
        sources = [*other.live, *other.live, *other.kept]
        sources += [other.slots[name] for name in self.slots] + [other.schedule[name] for name in self.schedule]
        for name in ("best", *COUNTS):
            targets.append(getattr(self, name))
            sources.append(getattr(other, name))
        for target, source in zip(targets, sources, strict=True):
            target[where] = source
        for i, place in enumerate(where):
            self.orders[place], self.streams[place] = other.orders[i], other.streams[i]

    def pack(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """As tensors, and a description that JSON can hold."""
        tensors = dict(zip(("theta", "state"), self.network, strict=True)) | {"rows": self.rows.astype(np.int64)}
        if len(self.rows):
            for name, weights in (("live", self.live), ("kept", self.kept)):
                tensors |= {f"{name}.theta": weights[0], f"{name}.state": weights[1]}
            tensors |= {f"optimizer.{slot}": array for slot, array in self.slots.items()}
            tensors |= {f"schedule.{key}": array for key, array in self.schedule.items()}
            tensors |= {"best": self.best}
            tensors |= {name: getattr(self, name).astype(np.int64) for name in COUNTS}
        description: dict[str, Any] = {}
        if self.history is not None:
            figures, description["history"] = pack_history(self.history)
            tensors |= figures
        return tensors, description | {"orders": self.orders, "streams": self.streams}

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

            orders, streams = d["orders"], d["streams"]
            counts = {name: kept.tensor(name, np.int64, (n,)) if n else np.zeros(0, np.int64) for name in COUNTS}
            kept.require(all(np.all((c >= 0) & (c < 2**53)) for c in counts.values()), "counts are whole and >= 0")
            kept.require(len(streams) == R, "there is a stream of masks per replica")
            kept.require(n == 0 or len(orders) == n, "there is a stream of orders per replica")
            return cls(
                history=unpack_history(kept, d["history"], R) if "history" in d else None,
                rows=rows.astype(int),
                network=weights("", R),
                live=weights("live.", n),
                kept=weights("kept.", n),
                slots={slot: kept.tensor(f"optimizer.{slot}", dtype, (n, theta.shape[1])) for slot in like.slots if n},
                schedule={key: kept.tensor(f"schedule.{key}", float, (n,)) for key in like.schedule if n},
                best=kept.tensor("best", float, (n,)) if n else np.zeros(0),
                **{name: count.astype(int) for name, count in counts.items()},
                orders=orders,
                streams=streams,
            )


def states_of(generators: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the state of each generator, on which its next draws depend; of one that several replicas have, once."""
    states = {id(one): generator_state(one) for one in {id(one): one for one in generators}.values()}
    return [states[id(one)] for one in generators]


def restore_generators(generators: Sequence[Any], states: Sequence[dict[str, Any]]) -> None:
    """Let each generator go on from a state."""
    for generator, found in {id(g): (g, state) for g, state in zip(generators, states, strict=True)}.values():
        set_generator_state(generator, found)


def check_generators(generators: Sequence[Any], states: Sequence[dict[str, Any]]) -> None:
    """Raise what `restore_generators` would; the generators stay as they are."""
    restore_generators(copy.deepcopy(list(generators)), states)


def _item(get: Callable[[State], dict[str, np.ndarray]], key: str, state: State) -> np.ndarray:
    return get(state)[key]
