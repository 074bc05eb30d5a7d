"""Trials that a sampler of Optuna proposes: asked for in batches, each in the place of one that has left its stack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .chunk import Outcome, sign
from .halving import Bracket, best_of, survivors
from .paused import Paused
from .plan import Chunk, Member
from .space import Configuration
from .standings import Standings
from .studies import Space, optuna, tell

Cut = Callable[[Sequence[Member], int], Sequence[Chunk]]
BATCH = 4
"""New trials are asked for when at least one place in this many is free: new stacks are made for them."""


@dataclass(frozen=True)
class Sampling:
    """The settings of a sweep with a sampler.

    Attributes
    ----------
    study, space
        Optuna's study, and the search space.
    count, each
        Trials, and networks of each.
    at_once
        Networks that train at once.
    make
        Number of a trial, and its configuration in the space -> its networks.
    factor
        Factor of halving; None: nobody leaves at a rung, unless the study has a pruner.
    """

    study: Any
    space: Space
    count: int
    each: int
    at_once: int
    make: Callable[[int, Configuration], list[Member]]
    factor: float | None

    def networks(self, number: int, params: Mapping[str, Any]) -> list[Member]:
        """Return the networks of a trial with these parameters."""
        return self.make(number, self.space.row(params))

    def describe(self) -> Any:
        """Describe all that decides which trials there are, except for the sampler's draws."""
        return type(self.study.sampler).__name__, self.count, self.at_once, repr(self.space.distributions)


class Trials:
    """Asks for trials, and lets each take a place that has fallen free.

    A trial is a configuration; its value at a rung is its networks' mean, see `Standings`. With halving one goes on if
    it is among the best of all that have come to this rung so far (ASHA's rule, in batches); the others are reported as
    pruned.

    Parameters
    ----------
    sampling
        Settings of the sampling.
    brackets
        Brackets of halving, over the numbers of all trials. Without any, the study's pruner is asked after each epoch.
    monitor
        Monitored figure of the sweep.
    cut
        Members, and in how many parts at least -> chunks.
    places
        Chunks that run at once.
    announce, note
        Called with the networks and with the parameters of each new trial.
    over, paused, before
        Results and paused members of an earlier run of this sweep: the last are the parameters of its trials.
    """

    spares = True

    def __init__(
        self,
        sampling: Sampling,
        brackets: Sequence[Bracket],
        monitor: str,
        cut: Cut,
        places: int,
        announce: Callable[[list[Member]], None],
        note: Callable[[dict[str, Any]], None] | None = None,
        over: Iterable[Outcome] = (),
        paused: Iterable[Paused] = (),
        before: Sequence[dict[str, Any]] = (),
    ):
        self.sampling, self.cut, self.places = sampling, cut, places
        self.announce, self.note = announce, note
        self.standings = Standings((), monitor, over, paused)
        self._bracket = {c: bracket for bracket in brackets for c in bracket.configurations}
        self._trials: dict[int, Any] = {}  # those that nobody has told yet
        self._level: dict[int, int] = {}
        self._reached: dict[
            tuple[int, int], dict[int, float]
        ] = {}  # rung of a bracket -> scores of all that came to it
        self._asked, self._through = 0, False  # the second: the sampler has nothing left
        for params in before:
            sampling.study.enqueue_trial(params)
            self._ask(known=True)

    def next(self) -> tuple[list[Chunk], list[Outcome]]:
        """The chunks to start now, and what those give that have just left."""
        left = self._settle()
        each, at_once = self.sampling.each, self.sampling.at_once
        while self._asked < self.sampling.count and not self._through:
            open_ = [m for c in self._trials for m in self.standings.members[c] if m.index not in self.standings.over]
            free = at_once - len(open_)
            if open_ and free < max(each, at_once // BATCH):
                break
            for _ in range(min(max(1, free // each), self.sampling.count - self._asked)):
                self._ask()
        waiting = [m for c in self._trials for m in self.standings.lacking([c], self._target(c))]
        chunks = []
        for chunk in self.cut(waiting, max(1, self.places - self.standings.busy)) if waiting else ():
            ages = [self._target(m.configuration) - self.standings.age(m.index) for m in chunk.members]
            chunks.append(self.standings.stretch(chunk, min(ages)))
        self.standings.begin(chunks)
        return chunks, left

    def ended(self, chunk: Chunk, outcome: Outcome) -> None:
        """Take note of a chunk's outcome."""
        self.standings.end(chunk, outcome)

    # -- asking and telling ----------------------------------------------------------------------------------------

    def _ask(self, known: bool = False) -> list[Member]:
        """One trial more: its networks; `known` by those that are informed of new ones."""
        number = self._asked
        trial = self.sampling.study.ask(self.sampling.space.distributions)
        members = self.sampling.networks(number, trial.params)
        self._asked += 1
        self.standings.add(members)
        self._trials[number], self._level[number] = trial, 0
        if number not in self._bracket:
            epochs, alone = members[0].settings["epochs"], type(self.sampling.study.pruner).__name__ == "NopPruner"
            self._bracket[number] = Bracket((number,), (epochs,) if alone else tuple(range(1, epochs + 1)))
        if not known:
            self.announce(members)
            if self.note is not None:
                self.note(dict(trial.params))
        return members

    def _target(self, c: int) -> int:
        """The epoch that a trial trains up to."""
        return self._bracket[c].rungs[self._level[c]]

    def _settle(self) -> list[Outcome]:
        """Report those that have come to their rungs, and let leave who is not good enough."""
        left: list[Outcome] = []
        while there := [c for c in self._trials if self.standings.is_at(c, self._target(c))]:
            batch: dict[tuple[int, int], list[int]] = {}
            for c in there:
                key = id(self._bracket[c]), self._level[c]
                self._reached.setdefault(key, {})[c] = self.standings.score(c, self._target(c))
                batch.setdefault(key, []).append(c)
            for key, arrived in batch.items():
                goes_on = self._judge(self._reached[key], arrived)
                for c in arrived:
                    is_over = all(m.index in self.standings.over for m in self.standings.members[c])
                    if is_over or c not in goes_on:
                        left += self.standings.prune([c])
                        self._tell(c, self._reached[key][c], is_over)
                    else:
                        self._level[c] += 1
        return left

    def _judge(self, scores: dict[int, float], arrived: list[int]) -> set[int]:
        """Which of those that have just come to a rung go on."""
        good = [c for c in arrived if np.isfinite(scores[c])]
        for c in good:
            self._trials[c].report(sign(self.standings.monitor) * scores[c], self._target(c))
        if self.sampling.factor is None:
            return {c for c in good if not self._trials[c].should_prune()}
        return set(good).intersection(best_of(scores, survivors(len(scores), self.sampling.factor)))

    def _tell(self, c: int, score: float, is_over: bool) -> None:
        states, trial, study = optuna().trial.TrialState, self._trials.pop(c), self.sampling.study
        if not np.isfinite(score):
            self._through |= tell(study, trial, state=states.FAIL)
        elif is_over:
            self._through |= tell(study, trial, sign(self.standings.monitor) * score)
        else:
            self._through |= tell(study, trial, state=states.PRUNED)
