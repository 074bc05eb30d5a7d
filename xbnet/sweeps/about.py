"""The common properties of a sweep's networks, without the samples: enough to use them tomorrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..datasets import Dataset, Scaler, Schema
from ..errors import ConfigError
from ..nn.network import Network
from .build import Program
from .halving import Bracket
from .pool import make_pool

TEXTS = ("dataset", "task", "monitor", "backend", "dtype", "scaling")


@dataclass(frozen=True, eq=False)
class About:
    """The origin of a sweep's networks: their data set, its preparation and their loss.

    Attributes
    ----------
    dataset, task, classes, features, schema
        Properties of the data set.
    preparations
        Scaling of the inputs after the schema, per fold (a single entry without folds).
    folded
        Whether there were folds.
    targets
        Scaling of the targets where no schema has one, or None.
    monitor, backend, dtype
        See `sweep`.
    networks
        How many there are when all is done.
    scaling, class_weight
        See `sweep`.
    own_layers
        Whether the layers are those of a function of the user's.
    brackets
        The rungs of halving, see `SweepResult`.
    """

    dataset: str
    task: str
    classes: tuple[Any, ...] | None
    features: tuple[str, ...] | None
    schema: Schema | None
    preparations: tuple[Scaler | None, ...]
    folded: bool
    targets: Scaler | None
    monitor: str
    backend: str
    dtype: str
    networks: int
    scaling: str
    class_weight: Any
    own_layers: bool
    brackets: tuple[Bracket, ...]

    @classmethod
    def of(cls, program: Program, networks: int, brackets: Sequence[Bracket] = ()) -> About:
        """Describe a sweep that runs here."""
        pool, data = program.pool, program.pool.data
        scaled = data.schema is not None and data.schema.scaler is not None  # then the schema does it
        in_schema = data.schema is not None and data.schema.target is not None
        return cls(
            data.name,
            data.task,
            data.classes,
            data.features,
            data.schema,
            tuple(None if scaled else preparation for preparation in pool.preparations),
            pool.folds is not None,
            None if in_schema else data.target_scale,
            program.monitor or "val_loss",
            program.backend,
            program.dtype,
            networks,
            pool.scaling,
            program.class_weight,
            program.layers is not None,
            tuple(brackets),
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        weight = self.class_weight
        return {key: getattr(self, key) for key in (*TEXTS, "folded", "networks", "own_layers")} | {
            "class_weight": weight if weight is None or isinstance(weight, str) else np.asarray(weight, float).tolist(),
            "brackets": [[list(bracket.configurations), list(bracket.rungs)] for bracket in self.brackets],
            "classes": None if self.classes is None else list(self.classes),
            "features": None if self.features is None else list(self.features),
            "schema": None if self.schema is None else self.schema.to_json(),
            "preparations": list(map(_pack, self.preparations)),
            "targets": _pack(self.targets),
        }

    @classmethod
    def from_json(cls, kept: Any) -> About:
        """Read the result of `to_json`; `ValueError`, or what Python raises, for anything else."""
        texts = {key: kept[key] for key in TEXTS}
        if not all(type(value) is str for value in texts.values()) or texts["dtype"] not in ("float32", "float64"):
            raise ValueError("expected texts")
        if type(kept["networks"]) is not int or {type(kept[key]) for key in ("folded", "own_layers")} != {bool}:
            raise ValueError("expected a number of networks")
        weight = kept["class_weight"]
        preparations = tuple(map(_unpack, kept["preparations"]))
        if not preparations:
            raise ValueError("expected preparations")
        return cls(
            **texts,
            networks=kept["networks"],
            folded=kept["folded"],
            own_layers=kept["own_layers"],
            class_weight=weight if weight is None or isinstance(weight, str) else np.array(weight, float),
            brackets=tuple(Bracket(_whole(found), _whole(rungs)) for found, rungs in kept["brackets"]),
            classes=None if kept["classes"] is None else tuple(kept["classes"]),
            features=None if kept["features"] is None else tuple(map(str, kept["features"])),
            schema=None if kept["schema"] is None else Schema.from_json(kept["schema"]),
            preparations=preparations,
            targets=_unpack(kept["targets"]),
        )

    def program(self, data: Dataset, like: Network) -> Program:
        """Return a program that trains the sweep's networks on other data, which have to be for networks `like` one."""
        if self.own_layers:
            raise ConfigError("refit: the layers are those of a function that is not kept; run the sweep again")
        given, wanted = (data.n_inputs, data.n_outputs, data.task), (like.n_inputs, like.n_outputs, self.task)
        if given != wanted:
            raise ConfigError(f"refit: expected data with inputs, outputs and task {wanted}, got {given}")
        return Program(make_pool(data), None, self.monitor, self.backend, self.dtype, self.class_weight)

    def preparation(self, fold: int | None) -> Scaler | None:
        """Return the scaling of a fold's inputs after the schema."""
        return self.preparations[fold or 0]


def _whole(numbers: Sequence[int]) -> tuple[int, ...]:
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("expected whole numbers")
    return tuple(numbers)


def _pack(scale: Scaler | None) -> Any:
    if scale is None:
        return None
    return {name: [[None if v != v else v for v in row] for row in np.atleast_2d(values).tolist()]
            for name, values in scale.arrays().items()}  # fmt: skip


def _unpack(kept: Any) -> Scaler | None:
    if kept is None:
        return None
    arrays = {name: np.array(rows, float) for name, rows in kept.items()}
    return Scaler.of_arrays({name: rows if name == "quantiles" else rows[0] for name, rows in arrays.items()})
