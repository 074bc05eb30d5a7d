"""Where the networks of a sweep are whose training is cut into stretches: who is over, who is paused, who trains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from .chunk import Outcome, pruned, sign
from .paused import Paused, merge
from .plan import Chunk, Member

Cut = Callable[[Sequence[Member]], Sequence[Chunk]]


class Standings:
    """Members, and what has become of them so far.

    A configuration's score after an epoch is the mean over its networks of the best monitored figure until then.
    A network whose patience is over keeps what it reached; where one has diverged, there is no score.

    Parameters
    ----------
    members
        Members of the sweep; more may follow by `add`.
    monitor
        The figure.
    over, paused
        Results and paused members of an earlier run of this sweep.

    Attributes
    ----------
    members
        Configuration -> its networks.
    over
        Member -> its outcome and its row there.
    paused
        Member -> those that it was paused with.
    running
        Members that train now.
    busy
        Chunks that run now.
    """

    def __init__(
        self,
        members: Iterable[Member],
        monitor: str,
        over: Iterable[Outcome] = (),
        paused: Iterable[Paused] = (),
    ):
        self.monitor = monitor
        self.members: dict[int, list[Member]] = {}
        self.over: dict[int, tuple[Outcome, int]] = {}
        self.paused: dict[int, Paused] = {}
        self.running: set[int] = set()
        self.busy = 0
        self.add(members)
        for one in sorted(paused, key=lambda one: int(one.ages.max())):
            self.paused |= dict.fromkeys(one.members, one)
        for outcome in over:
            self.note(outcome)

    def add(self, members: Iterable[Member]) -> None:
        """More of them."""
        for member in members:
            self.members.setdefault(member.configuration, []).append(member)

    def begin(self, chunks: Iterable[Chunk]) -> None:
        """These run now."""
        for chunk in chunks:
            self.running.update(chunk.indices)
            self.busy += 1

    def end(self, chunk: Chunk, outcome: Outcome) -> None:
        """A chunk has ended so."""
        self.running.difference_update(chunk.indices)
        self.busy -= 1
        self.note(outcome)
        if outcome.paused is not None:
            self.paused |= dict.fromkeys(outcome.paused.members, outcome.paused)

    def note(self, outcome: Outcome) -> None:
        """The outcome's members are over."""
        for r, index in enumerate(outcome.members):
            self.over[index] = outcome, r
            self.paused.pop(index, None)

    def _curves(self, index: int) -> tuple[str, dict[str, np.ndarray], int]:
        """A member's status, the curves that hold its own, and its place there."""
        if index in self.over:
            outcome, r = self.over[index]
            return outcome.rows[r]["status"], outcome.curves, r
        paused = self.paused[index]
        return "paused", paused.curves, paused.place[index]

    def age(self, index: int) -> int:
        """Epochs that a member has trained."""
        if index in self.over:
            outcome, r = self.over[index]
            return int(outcome.rows[r]["last_epoch"])
        return self.paused[index].age(index) if index in self.paused else 0

    def is_at(self, configuration: int, rung: int) -> bool:
        """Whether all of its networks have come to the rung, or are over."""
        indices = [member.index for member in self.members[configuration]]
        return not self.lacking([configuration], rung) and not self.running.intersection(indices)

    def score(self, configuration: int, rung: int) -> float:
        """The mean over its networks of the best monitored figure until the rung, the higher the better; or NaN."""
        scores = []
        for member in self.members[configuration]:
            status, curves, r = self._curves(member.index)
            values = sign(self.monitor) * curves[self.monitor][:rung, r]
            known = values[np.isfinite(values)]
            diverged = status == "diverged" and self.age(member.index) <= rung
            scores.append(known.max() if len(known) and not diverged else np.nan)
        return float(np.mean(scores))

    def lacking(self, configurations: Iterable[int], rung: int) -> list[Member]:
        """Networks that have yet to train up to the rung, and don't do so now."""
        return [
            member
            for c in configurations
            for member in self.members[c]
            if member.index not in self.over and member.index not in self.running and self.age(member.index) < rung
        ]

    def stretch(self, chunk: Chunk, epochs: int) -> Chunk:
        """The chunk for this many epochs, from where its members are."""
        parts = [paused.take(own) for paused, own in self._sources(chunk.indices)]
        return replace(chunk, epochs=epochs, paused=merge(parts))

    def _sources(self, indices: Iterable[int]) -> list[tuple[Paused, list[int]]]:
        """List the `Paused` that hold the paused members among these, each with its members."""
        found: dict[int, tuple[Paused, list[int]]] = {}
        for index in indices:
            if index in self.paused:
                paused = self.paused[index]
                found.setdefault(id(paused), (paused, []))[1].append(index)
        return list(found.values())

    def prune(self, configurations: Iterable[int]) -> list[Outcome]:
        """Let configurations leave."""
        indices = [member.index for c in configurations for member in self.members[c]]
        found = [pruned(paused.take(own), self.monitor) for paused, own in self._sources(indices)]
        for outcome in found:
            self.note(outcome)
        return found
