"""What a sweep gives: a table, the best configuration, networks, ensembles, histories, pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets import Standardizer
from ..errors import ConfigError, XbnetError
from ..history import History
from ..io.about import put_targets_back
from ..io.ensembles import Ensemble
from ..nn.network import Network
from ..notebook import heading, table
from .build import Program, make_network
from .chunk import Outcome, sign
from .halving import Bracket, rung_of
from .plan import Member
from .space import Configuration, shown
from .store import table_row

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


class SweepResult:
    """The networks of a sweep, in the order of the table.

    Parameters
    ----------
    program, members, outcomes
        What was to be done, for whom, and what came of it: `sweep` puts them together.

    Attributes
    ----------
    monitor
        The figure that ranks.
    keys
        Those of the settings in which configurations differ.
    brackets
        Of halving: which configurations were ranked among each other, and after how many epochs.
    study
        Optuna's, where a sampler proposed the configurations; else None.

    Examples
    --------
    >>> import xbnet
    >>> result = xbnet.sweep({"lr": [0.1, 0.001]}, xbnet.load_dataset("gmm"), seeds=2, epochs=2, batch_size=1000)
    >>> len(result), result.best["settings"]
    (4, {'lr': 0.1})
    >>> result.ensemble(2).predict([[0.5, 0.5, 0.5, 0.5, 0.5]]).shape
    (1,)
    """

    def __init__(
        self,
        program: Program,
        members: Sequence[Member],
        outcomes: Sequence[Outcome],
        brackets: Sequence[Bracket] = (),
        study: Any = None,
    ):
        self.program, self.members, self.brackets = program, list(members), tuple(brackets)
        self.study = study
        self.monitor = program.monitor or "val_loss"
        self._where = {index: (o, r) for o in outcomes for r, index in enumerate(o.members)}
        missing = [member.index for member in members if member.index not in self._where]
        if missing:
            raise XbnetError(f"sweep: {len(missing)} networks have no result, the first is member {missing[0]}")
        self.keys = _varied(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def __repr__(self) -> str:
        best = self.best
        return f"SweepResult({len(self)} networks, best {self.monitor} {best['mean']:.4f} at {best['settings']})"

    def _repr_html_(self) -> str:
        rows = [
            (*(shown(row["settings"][key]) for key in self.keys), row["mean"], row["spread"], row["networks"])
            for row in self.configurations()
        ]
        head = (*self.keys, f"mean {self.monitor}", "spread", "networks")
        return heading(f"{len(self)} networks, the best configuration first") + table(head, rows)

    # -- the table -------------------------------------------------------------------------------------------------

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
        `mean` is NaN and the configuration comes last. `diverged` counts these. With halving there are `rung` and
        `bracket`, see `left_at`.
        """
        score, places = self.column("score"), self.left_at()
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
        return [int(i) for i in np.argsort(np.where(np.isfinite(score), -score, np.inf), kind="stable")]

    # -- networks --------------------------------------------------------------------------------------------------

    def network(self, member: int) -> Network:
        """A member's network, with the weights that it ended with, on the sweep's backend."""
        outcome, r = self.place(member)
        network = make_network(self.program, [self.members[member]])
        network.theta[...] = network.backend.asarray(outcome.theta[r : r + 1])
        network.state[...] = network.backend.asarray(outcome.state[r : r + 1])
        return network

    def best_member(self) -> int:
        """The best network of the best configuration."""
        number = self.best["configuration"]
        return next(i for i in self.ranking() if self.members[i].configuration == number)

    def best_network(self) -> Network:
        """The network of `best_member`."""
        return self.network(self.best_member())

    def preparation(self, member: int) -> Standardizer | None:
        """What must be done to inputs before a member's network sees them; None: nothing."""
        return self.program.pool.preparation(self._member(member).fold)

    def ensemble(self, members: int | Sequence[int] = 5) -> Ensemble:
        """Members that answer together, by the mean of their probabilities or values.

        Parameters
        ----------
        members
            Their indices; or how many: those of the best configurations, the best first, of those that did not diverge.
        """
        if isinstance(members, (int, np.integer)):
            most = int(np.isfinite(self.column("score")).sum())  # the others have diverged
            if not 1 <= members <= most:
                raise ConfigError(f"ensemble: expected 1 to {most} members, got {members}")
            places = {row["configuration"]: place for place, row in enumerate(self.configurations())}
            ranked = [m for m in self.ranking() if np.isfinite(self.column("score")[m])]
            members = sorted(ranked, key=lambda m: places[self.members[m].configuration])[: int(members)]
        data = self.program.pool.data
        networks = tuple(map(self.network, members))
        for network in networks:
            put_targets_back(network, data)
        scaled = data.schema is not None and data.schema.standardizer is not None
        return Ensemble(
            networks,
            tuple(None if scaled else self.preparation(member) for member in members),
            data.classes,
            data.features,
            data.schema,
        )

    def history(self, member: int) -> History:
        """How a member was trained: the epochs until it left. Times are not kept."""
        outcome, r = self.place(member)
        row = outcome.rows[r]
        history = History(1)
        for epoch in range(row["last_epoch"]):
            record: dict[str, Any] = {name: curve[epoch, r : r + 1] for name, curve in outcome.curves.items()}
            history.records.append({"epoch": epoch + 1} | record | {"seconds": 0.0, "samples_per_second": float("nan")})
        history.status, history.best_epoch = [row["status"]], np.array([row["best_epoch"]])
        return history

    def place(self, member: int) -> tuple[Outcome, int]:
        """The outcome of the chunk that a member trained in, and its row there."""
        return self._where[self._member(member).index]

    def _member(self, index: int) -> Member:
        if not 0 <= index < len(self.members):
            raise ConfigError(f"sweep: expected a member from 0 to {len(self) - 1}, got {index!r}")
        return self.members[index]

    # -- pictures --------------------------------------------------------------------------------------------------

    def plot_curves(self, figure: str | None = None) -> Figure:
        """Every member's curve of a figure of `History` (by default the monitored one), the best in front."""
        from .plots import curves

        return curves(self, figure or self.monitor)

    def plot_heat_map(self, x: str, y: str) -> Figure:
        """The score over two keys: mean over everything else."""
        from .plots import heat_map

        return heat_map(self, x, y)

    def plot_rungs(self) -> Figure:
        """With halving: each configuration's way by epoch, and at which rung it left."""
        from .plots import rungs

        return rungs(self)

    def plot_keys(self) -> Figure:
        """The score against each key that varies."""
        from .plots import against_keys

        return against_keys(self)


def _varied(members: Sequence[Member]) -> list[str]:
    """Keys in which configurations differ; all that were not seeds where none does."""
    settings: dict[int, Configuration] = {member.configuration: member.settings for member in members}
    keys = dict.fromkeys(key for one in settings.values() for key in one)
    return [key for key in keys if len({repr(one.get(key)) for one in settings.values()}) > 1]
