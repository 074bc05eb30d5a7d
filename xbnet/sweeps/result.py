"""The result of a sweep: a table, the best configuration, networks, ensembles, histories, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.arrays import ArrayLike
from ..datasets import Scaler
from ..errors import ConfigError, DataError, XbnetError
from ..history import History
from ..io.about import put_back
from ..io.ensembles import Ensemble
from ..io.networks import restore_network
from ..io.tensorfile import Tensors
from ..nn.network import Network
from ..notebook import heading, table
from ..training.samples import Data
from .about import About
from .build import Program, make_network
from .chunk import Outcome
from .halving import Bracket, present
from .kept import read_sweep
from .plan import Member
from .refit import Refit, Source, refit_best
from .rim import on_the_rim
from .space import shown
from .table import Table, varied

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SweepResult(Table):
    """The networks of a sweep, in the order of the table.

    Parameters
    ----------
    program, members, outcomes
        The plan of the sweep, its networks, and their outcomes, which `sweep` passes in.

    Attributes
    ----------
    monitor
        The figure that ranks.
    keys
        Those of the settings in which configurations differ.
    beside
        The figure that tables show next to it: the accuracy or R2 of the same rows, or the loss where that ranks.
    about
        The data set's name, classes and features, and what else the networks have in common.
    brackets
        The rungs of halving: which configurations were ranked against each other, and after how many epochs.
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
        program: Program | None,
        members: Sequence[Member],
        outcomes: Sequence[Outcome],
        brackets: Sequence[Bracket] = (),
        study: Any = None,
        about: About | None = None,
    ):
        self._program, self.members, self.study = program, list(members), study
        self.about = about or About.of(self.program, len(self.members), brackets)
        self.brackets = present(self.about.brackets, {member.configuration for member in self.members})
        self.monitor = self.about.monitor
        part, _, kind = self.monitor.rpartition("_")
        better = "r2" if self.about.task == "regression" else "accuracy"
        self.beside = f"{part}_{'loss' if kind in ('accuracy', 'r2') else better}"
        self.source: Source | None = None
        self._files: dict[int, tuple[Tensors, int]] = {}
        self._custom: Mapping[str, Any] = {}
        self._place = {member.index: i for i, member in enumerate(self.members)}
        self._where = {index: (o, r) for o in outcomes for r, index in enumerate(o.members)}
        missing = [member.index for member in members if member.index not in self._where]
        if missing:
            raise XbnetError(f"sweep: {len(missing)} networks have no result, the first is member {missing[0]}")
        self.keys = varied(self.members)

    @classmethod
    def load(
        cls, folder: str | Path, backend: str | None = None, *, custom: Mapping[str, Any] | None = None
    ) -> SweepResult:
        """The result of a sweep from the folder that ``out`` named; of one that was killed, of the networks that ended.

        Parameters
        ----------
        folder
            The folder that ``xbnet.sweep(out=...)`` or ``xbnet sweep --out`` wrote. It doesn't hold the samples.
        backend
            Where the networks are put; by default, the sweep's backend.
        custom
            Name -> object, for layers and activations of your own, see `xbnet.load`.

        Returns
        -------
        SweepResult

        Raises
        ------
        DataError
            The folder holds no sweep, or it is damaged.

        Examples
        --------
        >>> import tempfile, xbnet
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = xbnet.sweep({"lr": [0.1, 1.0]}, "gmm", epochs=1, out=folder)
        ...     result = xbnet.SweepResult.load(folder)
        >>> len(result), result.best_network().n_outputs
        (2, 5)
        """
        about, members, outcomes, files = read_sweep(folder)
        result = cls(None, members, outcomes, about=about if backend is None else replace(about, backend=backend))
        result._files, result._custom = files, custom or {}
        return result

    @property
    def program(self) -> Program:
        """The training program of the networks, with the samples."""
        if self._program is None:
            raise ConfigError("sweep: a loaded result has no samples to train on; run the sweep again")
        return self._program

    def __len__(self) -> int:
        return len(self.members)

    def __repr__(self) -> str:
        best = self.best
        return f"SweepResult({len(self)} networks, best {self.monitor} {best['mean']:.4f} at {best['settings']})"

    def _repr_html_(self) -> str:
        rows = [
            (
                *(shown(row["settings"][key]) for key in self.keys),
                *(row[name] for name in ("mean", "spread", self.beside, "networks")),
            )
            for row in self.configurations()
        ]
        head = (*self.keys, f"mean {self.monitor}", "spread", self.beside, "networks")
        return heading(f"{len(self)} networks, the best configuration first") + table(head, rows)

    # -- networks --------------------------------------------------------------------------------------------------

    def network(self, member: int) -> Network:
        """The network of member (its index in the table, from 0) with its final weights, on the sweep's backend."""
        outcome, r = self.place(member)
        if member in self._files:
            file, row = self._files[member]
            if "layers" not in file.description:
                raise DataError(f"{file.source}: has custom layers that can't be saved; sweep again")
            with file.reading():
                return restore_network(file, self.about.backend, self._custom).select([row])
        network = make_network(self.program, [self._member(member)])
        network.theta[...] = network.backend.asarray(outcome.theta[r : r + 1])
        network.state[...] = network.backend.asarray(outcome.state[r : r + 1])
        return network

    def best_member(self) -> int:
        """The best network of the best configuration."""
        number = self.best["configuration"]
        return next(i for i in self.ranking() if self._member(i).configuration == number)

    def best_network(self) -> Network:
        """The network of `best_member`."""
        return self.network(self.best_member())

    def preparation(self, member: int) -> Scaler | None:
        """The scaler of the inputs of member (an index), which acts after the schema; None: they are not scaled."""
        return self.about.preparation(self._member(member).fold)

    def ensemble(self, members: int | Sequence[int] = 5) -> Ensemble:
        """Make an ensemble, which predicts the mean of its members' probabilities or values.

        Parameters
        ----------
        members
            Their indices; or their number: then those of the best configurations, without those that diverged.

        Returns
        -------
        Ensemble
        """
        if isinstance(members, (int, np.integer)):
            most = int(np.isfinite(self.column("score")).sum())  # the others have diverged
            if not 1 <= members <= most:
                raise ConfigError(f"ensemble: expected 1 to {most} members, got {members}")
            places = {row["configuration"]: place for place, row in enumerate(self.configurations())}
            ranked = sorted(self.ranking()[:most], key=lambda m: places[self._member(m).configuration])
            members = ranked[: int(members)]
        networks = tuple(map(self.network, members))
        for network in networks:
            put_back(network, self.about.targets)
        about = self.about
        return Ensemble(networks, tuple(map(self.preparation, members)), about.classes, about.features, about.schema)

    def refit(self, data: Data | None = None, sample_weight: ArrayLike | None = None) -> Refit:
        """The best configuration, trained again on all rows of the training part, and its last test; see `Refit`.

        Parameters
        ----------
        data, sample_weight
            The same as in `sweep`; by default the sweep's own, which a loaded result has not.

        Returns
        -------
        Refit

        Raises
        ------
        ConfigError
            The result was loaded, and no data are given, or other ones; or the layers are those of a function.
        """
        return refit_best(self, data, sample_weight)

    def on_the_rim(self) -> list[str]:
        """A line per key whose best value is the least or the largest of three or more that were tried."""
        return on_the_rim(self.members, self.best["settings"])

    def history(self, member: int) -> History:
        """The training history of member (an index): the epochs until it left. Times are not stored."""
        outcome, r = self.place(member)
        row = outcome.rows[r]
        history = History(1)
        for epoch in range(row["last_epoch"]):
            record: dict[str, Any] = {name: curve[epoch, r : r + 1] for name, curve in outcome.curves.items()}
            history.records.append({"epoch": epoch + 1} | record | {"seconds": 0.0, "samples_per_second": float("nan")})
        history.status, history.best_epoch = [row["status"]], np.array([row["best_epoch"]])
        return history

    def place(self, member: int) -> tuple[Outcome, int]:
        """The outcome of the chunk that member (an index) trained in, and its row there."""
        return self._where[self._member(member).index]

    def _member(self, index: int) -> Member:
        if index not in self._place:
            missing = f", one of {len(self)} that have results" if len(self) < self.about.networks else ""
            raise ConfigError(f"sweep: expected a member from 0 to {self.about.networks - 1}{missing}, got {index!r}")
        return self.members[self._place[index]]

    # -- pictures --------------------------------------------------------------------------------------------------

    def plot_curves(self, figure: str | None = None) -> Figure:
        """Plot the curves of all members, the best in front, by figure ("val_loss", ...; None: the monitored one)."""
        from .plots import curves

        return curves(self, figure or self.monitor)

    def plot_heat_map(self, x: str, y: str) -> Figure:
        """Plot the score as a heat map over the keys x (columns) and y (rows): the mean over everything else."""
        from .plots import heat_map

        return heat_map(self, x, y)

    def plot_parallel(self) -> Figure:
        """A line per configuration through its values of all keys that vary, to its score."""
        from .plots import parallel

        return parallel(self)

    def plot_rungs(self) -> Figure:
        """With halving: each configuration's way by epoch, and at which rung it left."""
        from .plots import rungs

        return rungs(self)

    def plot_keys(self) -> Figure:
        """The score against each key that varies."""
        from .plots import against_keys

        return against_keys(self)
