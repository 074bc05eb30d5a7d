"""Successive halving: the choice of what is trained next, and of who leaves, whenever a chunk has ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .chunk import Outcome
from .halving import Bracket, Halving, best_of, survivors
from .paused import Paused
from .plan import Chunk, Member
from .standings import Cut, Standings


class Climb:
    """The way of all configurations up the rungs.

    Who goes on depends on nothing but the curves of those that were ranked, so a resumed sweep decides the same.
    A configuration's score at a rung is the mean over its networks of the best monitored figure until then. A network
    whose patience is over stays in the ranking; where one has diverged, its configuration comes last.

    Parameters
    ----------
    members, brackets, halving, monitor
        Members, brackets, halving and monitored figure of the sweep.
    cut
        Members -> chunks.
    places
        Chunks that run at once.
    over, paused
        Results and paused members of an earlier run of this sweep.
    """

    spares = False

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
        self.brackets, self.halving, self.cut, self.places = brackets, halving, cut, places
        self.standings = Standings(members, monitor, over, paused)
        self._new: list[Chunk] | None = None  # that nobody has begun
        self._level = {c: self._passed(c, bracket) for bracket in brackets for c in bracket.configurations}

    # -- what a sweep asks -----------------------------------------------------------------------------------------

    def next(self) -> tuple[list[Chunk], list[Outcome]]:
        """The chunks to start now, and what those give that have just left."""
        if not self.halving.asynchronous:
            found = [self._together(bracket) for bracket in self.brackets]
            chunks = [chunk for some, _ in found for chunk in some]
            self.standings.begin(chunks)
            return chunks, [outcome for _, some in found for outcome in some]
        return self._one_by_one()

    def ended(self, chunk: Chunk, outcome: Outcome) -> None:
        """Take note of a chunk's outcome."""
        self.standings.end(chunk, outcome)

    # -- all of a rung together ------------------------------------------------------------------------------------

    def _together(self, bracket: Bracket) -> tuple[list[Chunk], list[Outcome]]:
        """Return the chunks and outcomes that come next in a bracket: none while any of it still trains."""
        left: list[Outcome] = []
        if any(
            member.index in self.standings.running
            for c in bracket.configurations
            for member in self.standings.members[c]
        ):
            return [], left
        inside = list(bracket.configurations)
        for rung in bracket.rungs:
            lacking = self.standings.lacking(inside, rung)
            if lacking:
                return self._to(lacking, rung), left
            if rung != bracket.rungs[-1]:
                scores = {c: self.standings.score(c, rung) for c in inside}
                go_on = set(best_of(scores, survivors(len(inside), self.halving.factor)))
                left += self.standings.prune([c for c in inside if c not in go_on])
                inside = [c for c in inside if c in go_on]
        return [], left

    # -- each as soon as it can ------------------------------------------------------------------------------------

    def _one_by_one(self) -> tuple[list[Chunk], list[Outcome]]:
        """ASHA's rule: whoever is among the best so far of the highest rung; otherwise one that nobody has begun."""
        if self._new is None:
            bottom = [(b.rungs[0], [c for c in b.configurations if not self._level[c]]) for b in self.brackets]
            self._new = [chunk for rung, cs in bottom for chunk in self._to(self.standings.lacking(cs, rung), rung)]
        chunks: list[Chunk] = []
        while self.standings.busy < self.places:
            more = self._promoted() or self._new[:1]
            del self._new[: len(more) if more and more[0] in self._new else 0]
            if not more and not self.standings.busy:
                more = self._promoted(settled=True)
            if not more:
                break
            self.standings.begin(more)
            chunks += more
        return chunks, [] if self.standings.busy else self.standings.prune(list(self._level))

    def _promoted(self, settled: bool = False) -> list[Chunk]:
        """The chunks of those who go on from the highest rung that has any; `settled`: one at least."""
        for bracket in self.brackets:
            for k in range(len(bracket.rungs) - 2, -1, -1):
                rung, level = bracket.rungs[k], self._level
                ranked = [
                    c
                    for c in bracket.configurations
                    if level[c] > k or (level[c] == k and self.standings.is_at(c, rung))
                ]
                above = sum(level[c] > k for c in ranked)
                most = max(int(len(ranked) / self.halving.factor + 1e-9), settled and bool(ranked) and not above)
                scores = {c: self.standings.score(c, rung) for c in ranked} if most else {}
                chosen = [c for c in best_of(scores, most) if level[c] == k]
                for c in chosen:
                    level[c] = k + 1
                chunks = self._to(self.standings.lacking(chosen, bracket.rungs[k + 1]), bracket.rungs[k + 1])
                if chunks:
                    return chunks
                if chosen:  # there was nothing to train, and so they are at the next rung already
                    return self._promoted(settled)
        return []

    # -- helpers ---------------------------------------------------------------------------------------------------

    def _to(self, members: Sequence[Member], rung: int) -> list[Chunk]:
        """The chunks that bring members to the rung."""
        by_age: dict[int, list[Member]] = {}
        for member in members:
            by_age.setdefault(self.standings.age(member.index), []).append(member)
        return [self.standings.stretch(chunk, rung - age) for age, group in by_age.items() for chunk in self.cut(group)]

    def _passed(self, configuration: int, bracket: Bracket) -> int:
        """How many rungs a configuration has been promoted from."""
        age = max(self.standings.age(member.index) for member in self.standings.members[configuration])
        return sum(rung < age for rung in bracket.rungs)
