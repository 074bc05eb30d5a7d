"""What a sweep with halving trains next, and who leaves, whenever a chunk has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from .chunk import Outcome, pruned, sign
from .halving import Bracket, Halving, best_of, survivors
from .paused import Paused, merge
from .plan import Chunk, Member

Cut = Callable[[Sequence[Member]], Sequence[Chunk]]


class Climb:
    """The way of all configurations up the rungs.

    Who goes on depends on nothing but the curves of those that were ranked, so a resumed sweep decides the same.
    A configuration's score at a rung is the mean over its networks of the best monitored figure until then. A network
    whose patience is over stays in the ranking; where one has diverged, its configuration comes last.

    Parameters
    ----------
    members, brackets, halving, monitor
        Of the sweep.
    cut
        Members -> chunks.
    places
        Chunks that run at once.
    over, paused
        What an earlier run of this sweep has left behind.
    """

    def __init__(
        self,
        members: Sequence[Member],
        brackets: Sequence[Bracket],
        halving: Halving,
        monitor: str,
        cut: Cut,
        places: int,
        over: Iterable[Outcome] = (),
        paused: Iterable[Paused] = (),
    ):
        self.brackets, self.halving, self.monitor = brackets, halving, monitor
        self.cut, self.places = cut, places
        self._members: dict[int, list[Member]] = {}
        for member in members:
            self._members.setdefault(member.configuration, []).append(member)
        self._over = {index: (outcome, r) for outcome in over for r, index in enumerate(outcome.members)}
        self._paused: dict[int, Paused] = {}
        for one in sorted(paused, key=lambda one: int(one.ages.max())):
            self._paused |= {index: one for index in one.members if index not in self._over}
        self._running: set[int] = set()  # members
        self._busy = 0  # chunks
        self._new: list[Chunk] | None = None  # that nobody has begun
        self._level = {c: self._passed(c, bracket) for bracket in brackets for c in bracket.configurations}

    # -- what a sweep asks -----------------------------------------------------------------------------------------

    def next(self) -> tuple[list[Chunk], list[Outcome]]:
        """The chunks to start now, and what those give that have just left."""
        if not self.halving.asynchronous:
            found = [self._together(bracket) for bracket in self.brackets]
            chunks, left = [c for cs, _ in found for c in cs], [o for _, os in found for o in os]
        else:
            chunks, left = self._one_by_one()
        for chunk in chunks:
            self._running.update(chunk.indices)
        self._busy += len(chunks)
        return chunks, left

    def ended(self, chunk: Chunk, outcome: Outcome) -> None:
        """Take note of a chunk's outcome."""
        self._running.difference_update(chunk.indices)
        self._busy -= 1
        self._note(outcome)
        if outcome.paused is not None:
            self._paused |= dict.fromkeys(outcome.paused.members, outcome.paused)

    # -- all of a rung together ------------------------------------------------------------------------------------

    def _together(self, bracket: Bracket) -> tuple[list[Chunk], list[Outcome]]:
        """What a bracket trains next: nothing while any of it still trains."""
        left: list[Outcome] = []
        if any(member.index in self._running for c in bracket.configurations for member in self._members[c]):
            return [], left
        inside = list(bracket.configurations)
        for rung in bracket.rungs:
            lacking = self._lacking(inside, rung)
            if lacking:
                return self._chunks(lacking, rung), left
            if rung != bracket.rungs[-1]:
                scores = {c: self._score(c, rung) for c in inside}
                go_on = set(best_of(scores, survivors(len(inside), self.halving.factor)))
                left += self._prune([c for c in inside if c not in go_on])
                inside = [c for c in inside if c in go_on]
        return [], left

    # -- each as soon as it can ------------------------------------------------------------------------------------

    def _one_by_one(self) -> tuple[list[Chunk], list[Outcome]]:
        """ASHA's rule: whoever is among the best so far of the highest rung; otherwise one that nobody has begun."""
        if self._new is None:
            bottom = [(b.rungs[0], [c for c in b.configurations if not self._level[c]]) for b in self.brackets]
            self._new = [chunk for rung, cs in bottom for chunk in self._chunks(self._lacking(cs, rung), rung)]
        chunks: list[Chunk] = []
        while self._busy + len(chunks) < self.places:
            more = self._promoted() or self._new[:1]
            del self._new[: len(more) if more and more[0] in self._new else 0]
            if not more and not chunks and not self._busy:
                more = self._promoted(settled=True)
            if not more:
                break
            for chunk in more:
                self._running.update(chunk.indices)
            chunks += more
        return chunks, [] if chunks or self._busy else self._prune(list(self._level))

    def _promoted(self, settled: bool = False) -> list[Chunk]:
        """The chunks of those who go on from the highest rung that has any; `settled`: one at least."""
        for bracket in self.brackets:
            for k in range(len(bracket.rungs) - 2, -1, -1):
                rung, level = bracket.rungs[k], self._level
                ranked = [c for c in bracket.configurations if level[c] > k or (level[c] == k and self._is_at(c, rung))]
                above = sum(level[c] > k for c in ranked)
                most = max(int(len(ranked) / self.halving.factor + 1e-9), settled and bool(ranked) and not above)
                scores = {c: self._score(c, rung) for c in ranked} if most else {}
                chosen = [c for c in best_of(scores, most) if level[c] == k]
                for c in chosen:
                    level[c] = k + 1
                chunks = self._chunks(self._lacking(chosen, bracket.rungs[k + 1]), bracket.rungs[k + 1])
                if chunks:
                    return chunks
                if chosen:  # there was nothing to train, and so they are at the next rung already
                    return self._promoted(settled)
        return []

    # -- who stands where ------------------------------------------------------------------------------------------

    def _note(self, outcome: Outcome) -> None:
        for r, index in enumerate(outcome.members):
            self._over[index] = outcome, r
            self._paused.pop(index, None)

    def _curves(self, index: int) -> tuple[str, dict[str, np.ndarray], int]:
        """A member's status, the curves that hold its own, and its place there."""
        if index in self._over:
            outcome, r = self._over[index]
            return outcome.rows[r]["status"], outcome.curves, r
        paused = self._paused[index]
        return "paused", paused.curves, paused.members.index(index)

    def _age(self, index: int) -> int:
        """Epochs that a member has behind it."""
        if index in self._over:
            outcome, r = self._over[index]
            return int(outcome.rows[r]["last_epoch"])
        return self._paused[index].age(index) if index in self._paused else 0

    def _passed(self, configuration: int, bracket: Bracket) -> int:
        """How many rungs a configuration has been promoted from."""
        age = max(self._age(member.index) for member in self._members[configuration])
        return sum(rung < age for rung in bracket.rungs)

    def _is_at(self, configuration: int, rung: int) -> bool:
        """Whether all of its networks have come to the rung, or are over."""
        indices = [member.index for member in self._members[configuration]]
        return not self._lacking([configuration], rung) and not self._running.intersection(indices)

    def _score(self, configuration: int, rung: int) -> float:
        """The mean over its networks of the best monitored figure until the rung, the higher the better; or NaN."""
        scores = []
        for member in self._members[configuration]:
            status, curves, r = self._curves(member.index)
            values = sign(self.monitor) * curves[self.monitor][:rung, r]
            known = values[np.isfinite(values)]
            diverged = status == "diverged" and self._age(member.index) <= rung
            scores.append(known.max() if len(known) and not diverged else np.nan)
        return float(np.mean(scores))

    def _lacking(self, configurations: Iterable[int], rung: int) -> list[Member]:
        """Networks that have yet to train up to the rung, and don't do so now."""
        return [
            member
            for c in configurations
            for member in self._members[c]
            if member.index not in self._over and member.index not in self._running and self._age(member.index) < rung
        ]

    def _chunks(self, members: Sequence[Member], rung: int) -> list[Chunk]:
        """The chunks that bring members to the rung."""
        by_age: dict[int, list[Member]] = {}
        for member in members:
            by_age.setdefault(self._age(member.index), []).append(member)
        return [
            replace(chunk, epochs=rung - age, paused=merge([p.take(own) for p, own in self._sources(chunk.indices)]))
            for age, group in by_age.items()
            for chunk in self.cut(group)
        ]

    def _sources(self, indices: Iterable[int]) -> list[tuple[Paused, list[int]]]:
        """What holds those of the members that are paused, and which of them."""
        found: dict[int, tuple[Paused, list[int]]] = {}
        for index in indices:
            if index in self._paused:
                paused = self._paused[index]
                found.setdefault(id(paused), (paused, []))[1].append(index)
        return list(found.values())

    def _prune(self, configurations: Iterable[int]) -> list[Outcome]:
        """Let configurations leave."""
        indices = [member.index for c in configurations for member in self._members[c]]
        found = [pruned(paused.take(own), self.monitor) for paused, own in self._sources(indices)]
        for outcome in found:
            self._note(outcome)
        return found
