"""The common properties of a sweep's networks, without the samples: enough to use them tomorrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..datasets import Scaler, Schema
from .build import Program


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

    @classmethod
    def of(cls, program: Program, networks: int) -> About:
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
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        plain = {
            key: getattr(self, key) for key in ("dataset", "task", "folded", "monitor", "backend", "dtype", "networks")
        }
        return plain | {
            "classes": None if self.classes is None else list(self.classes),
            "features": None if self.features is None else list(self.features),
            "schema": None if self.schema is None else self.schema.to_json(),
            "preparations": list(map(_pack, self.preparations)),
            "targets": _pack(self.targets),
        }

    @classmethod
    def from_json(cls, kept: Any) -> About:
        """Read the result of `to_json`; `ValueError`, or what Python raises, for anything else."""
        texts = {key: kept[key] for key in ("dataset", "task", "monitor", "backend", "dtype")}
        if not all(type(value) is str for value in texts.values()) or texts["dtype"] not in ("float32", "float64"):
            raise ValueError("expected texts")
        if type(kept["networks"]) is not int or type(kept["folded"]) is not bool:
            raise ValueError("expected a number of networks")
        preparations = tuple(map(_unpack, kept["preparations"]))
        if not preparations:
            raise ValueError("expected preparations")
        return cls(
            **texts,
            networks=kept["networks"],
            folded=kept["folded"],
            classes=None if kept["classes"] is None else tuple(kept["classes"]),
            features=None if kept["features"] is None else tuple(map(str, kept["features"])),
            schema=None if kept["schema"] is None else Schema.from_json(kept["schema"]),
            preparations=preparations,
            targets=_unpack(kept["targets"]),
        )

    def preparation(self, fold: int | None) -> Scaler | None:
        """Return the scaling of a fold's inputs after the schema."""
        return self.preparations[fold or 0]


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
