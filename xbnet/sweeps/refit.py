"""The best configuration of a sweep, trained again on all rows, and its last test on rows that no network has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..backends.arrays import ArrayLike
from ..datasets import Dataset
from ..errors import ConfigError
from ..io.about import about_inputs, put_targets_back
from ..io.models import Model
from ..training.evaluation import evaluate
from ..training.samples import Data, check_data
from ..version import __version__
from .build import Program, make_loss, make_trainer
from .plan import Member
from .pool import make_pool

if TYPE_CHECKING:
    from .result import SweepResult


@dataclass(frozen=True, eq=False)
class Source:
    """The source of a sweep: the data as they came, and their preparation."""

    data: Dataset
    scaling: str
    sample_weight: ArrayLike | None


@dataclass(frozen=True, eq=False)
class Refit:
    """A configuration, trained on all rows of the training part.

    Attributes
    ----------
    model
        The network with what belongs to it.
    configuration
        Its number.
    rows
        How many it was trained on.
    epochs
        For how many: those of the sweep, or with patience the median of its networks' best epochs.
    figures
        Loss and accuracy or R2 over the training part, and over validation and test parts where there are any: the
        folds were cut from the training part, so these are rows that nothing was chosen by.
    """

    model: Model
    configuration: int
    rows: int
    epochs: int
    figures: dict[str, float]


def refit_best(result: SweepResult, data: Data | None, sample_weight: ArrayLike | None) -> Refit:
    """See `SweepResult.refit`."""
    about, member = result.about, result._member(result.best_member())
    source = result.source if data is None else Source(check_data(data), about.scaling, sample_weight)
    if source is None:
        raise ConfigError("sweep: a loaded result has no samples to refit on; give them: refit(data)")
    same = [m.index for m in result.members if m.configuration == member.configuration]
    epochs = [result.history(m).best_epoch[0] for m in same]
    program = result._program or about.program(source.data, result.network(member.index))
    return refit(program, source, member, epochs, not about.folded)


def refit(program: Program, source: Source, member: Member, best_epochs: Sequence[int], chosen_by_val: bool) -> Refit:
    """Train the configuration of `member` again.

    Parameters
    ----------
    program
        Program of the sweep.
    source
        Its data.
    member
        One of the configuration's networks, whose seeds are taken.
    best_epochs
        Best epochs of all its networks.
    chosen_by_val
        Whether the validation part has picked it: then there is nothing left to test it by but the test part.
    """
    pool = make_pool(source.data, None, scaling=source.scaling, sample_weight=source.sample_weight)
    data = pool.data
    alone = replace(program, pool=replace(pool, data=replace(data, val=None)), monitor=None)
    patience = member.settings.get("patience")
    epochs = member.settings["epochs"] if patience is None else max(1, round(float(np.median(best_epochs))))
    twin = replace(member, fold=None, settings=member.settings | {"patience": None})
    trainer = make_trainer(alone, [twin])
    for _ in range(epochs):
        trainer.run_epoch()
    history = trainer.finish()
    network, loss = trainer.network, make_loss(program, [member])
    figures: dict[str, float] = {}
    for name, part in data.parts():
        if name != "val" or not chosen_by_val:
            found = evaluate(network, loss, part.x, part.y)
            figures |= {f"{name}_{key}": float(np.ravel(value)[0]) for key, value in found.items()}
    put_targets_back(network, data)
    preparation = None if data.schema is not None else pool.preparation(None)
    about = about_inputs(data, preparation)
    if about.get("schema") is not None:
        about["features"] = about["schema"].input_names
    model = Model(network, history=history, version=__version__, **{"preparation": None, **about})
    return Refit(model, member.configuration, len(data.train), epochs, figures)
