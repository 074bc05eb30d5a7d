"""The table of a sweep: a row per network, configurations by their score over seeds and folds, members by theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError
from .chunk import Outcome, sign
from .halving import Bracket, rung_of
from .plan import Member
from .space import Configuration
from .store import table_row

if TYPE_CHECKING:
    from pandas import DataFrame


class Table:
    """The members of a sweep with their outcomes; what can be said of them without their networks."""

    members: list[Member]
    monitor: str
    beside: str
    keys: list[str]
    brackets: tuple[Bracket, ...]
    _where: dict[int, tuple[Outcome, int]]

    def rows(self) -> Iterator[dict[str, Any]]:
        """One dict per network: who it is, its settings, `status`, `last_epoch` (that it trained),
        `best_epoch`, figures at that epoch.

        `score` is the monitored figure at the best epoch, NaN for a network that diverged; `seconds` is its share of
        its stack's time. With halving, `rung` (and `bracket`) say where its configuration left, see `left_at`.
        """
        places = self.left_at()
        for member in self.members:
            outcome, r = self._where[member.index]
            yield table_row(member, outcome.rows[r]) | places.get(member.configuration, {})

    def to_pandas(self) -> DataFrame:
        """The table as a `pandas.DataFrame`."""
        try:
            import pandas
        except ImportError:
            raise ConfigError("sweep: to_pandas needs pandas; install it with: pip install pandas") from None
        return pandas.DataFrame(list(self.rows())).set_index("member")

    def column(self, name: str) -> np.ndarray:
        """One column of the table."""
        rows = list(self.rows())
        if name not in rows[0]:
            raise ConfigError(f"sweep: no column {name!r} in the table; there are {', '.join(rows[0])}")
        return np.array([row[name] for row in rows])

    def configurations(self) -> list[dict[str, Any]]:
        """One dict per configuration, best first: the settings that vary, and its score over seeds and folds.

        `mean` and `spread` (standard deviation with divisor n) are over its networks; where one of them diverged,
        `mean` is NaN and the configuration comes last. `diverged` counts these. The figure `beside` is a mean as well.
        With halving there are `rung` and `bracket`, see `left_at`.
        """
        score, beside, places = self.column("score"), self.column(self.beside), self.left_at()
        found = []
        for number in dict.fromkeys(member.configuration for member in self.members):
            where = [i for i, member in enumerate(self.members) if member.configuration == number]
            scores = score[where]
            settings = {key: self.members[where[0]].settings.get(key) for key in self.keys}
            found.append(
                {
                    "configuration": number,
                    "settings": settings,
                    "mean": float(scores.mean()),
                    "spread": float(scores.std()),
                    self.beside: float(beside[where].mean()),
                    "networks": len(where),
                    "diverged": int(np.isnan(scores).sum()),
                    **places.get(number, {}),
                }
            )
        better = sign(self.monitor)
        return sorted(found, key=lambda row: -better * row["mean"] if np.isfinite(row["mean"]) else np.inf)

    def left_at(self) -> dict[int, dict[str, int]]:
        """With halving: configuration -> the `rung`, from 1, at which it left, and its `bracket` if there are several.

        The last rung is that of those which trained to the end. One whose networks all stopped or diverged by
        themselves left at the rung that they did not come to.
        """
        ends: dict[int, list[tuple[str, int]]] = {}
        for member in self.members if self.brackets else ():
            outcome, r = self._where[member.index]
            ends.setdefault(member.configuration, []).append((outcome.rows[r]["status"], outcome.rows[r]["last_epoch"]))
        several = len(self.brackets) > 1
        return {
            c: {"rung": rung_of(bracket, ends[c])} | ({"bracket": number} if several else {})
            for number, bracket in enumerate(self.brackets, 1)
            for c in bracket.configurations
        }

    @property
    def best(self) -> dict[str, Any]:
        """The best of `configurations`."""
        return self.configurations()[0]

    def ranking(self) -> list[int]:
        """Members, best first; those that diverged come last."""
        score = sign(self.monitor) * self.column("score")
        order = np.argsort(np.where(np.isfinite(score), -score, np.inf), kind="stable")
        return [self.members[i].index for i in order]


def varied(members: Sequence[Member]) -> list[str]:
    """Keys in which configurations differ; all that were not seeds where none does."""
    settings: dict[int, Configuration] = {member.configuration: member.settings for member in members}
    keys = dict.fromkeys(key for one in settings.values() for key in one)
    return [key for key in keys if len({repr(one.get(key)) for one in settings.values()}) > 1]
