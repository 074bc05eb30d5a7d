"""A `History` in a file of tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..history import PER_REPLICA, History
from .tensorfile import Tensors

TIMES = {"seconds": 0.0, "samples_per_second": float("nan")}
"""Figures of a run as a whole, and what stands for them where nobody kept them."""


def pack_history(
    history: History, name: str = "history", times: bool = True
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Figures (E, R) as tensors ``NAME.FIGURE``, exactly, those of the clock if asked, and the rest as JSON has it."""
    E, R = len(history), history.replicas
    tensors = {
        f"{name}.{figure}": np.asarray([record[figure] for record in history.records], float).reshape(
            (E, R) if figure in PER_REPLICA else (E,)
        )
        for figure in (*PER_REPLICA, *(TIMES if times else ()))
    }
    kept: dict[str, Any] = {"epochs": E, "status": list(history.status), "best_epoch": history.best_epoch.tolist()}
    if history.stages:
        packed = [pack_history(stage, f"{name}.stage-{n}", times) for n, stage in enumerate(history.stages, 1)]
        kept["stages"] = [stage for _, stage in packed]
        for more, _ in packed:
            tensors |= more
    return tensors, kept


def unpack_history(file: Tensors, kept: dict[str, Any], replicas: int, name: str = "history") -> History:
    """The history that `pack_history` packed."""
    E, history = kept["epochs"], History(replicas)
    file.require(type(E) is int and E >= 0, f"history has a number of epochs, got {E!r}")
    figures = {}
    for figure in PER_REPLICA:
        figures[figure] = file.tensor(f"{name}.{figure}", float, (E, replicas))
    for figure, unknown in TIMES.items():
        there = f"{name}.{figure}" in file.arrays
        figures[figure] = file.tensor(f"{name}.{figure}", float, (E,)) if there else np.broadcast_to(unknown, E)
    for e in range(E):
        record: dict[str, Any] = {"epoch": e + 1}
        for figure, values in figures.items():
            record[figure] = values[e].copy() if figure in PER_REPLICA else float(values[e])
        history.records.append(record)
    status, best = kept["status"], np.asarray(kept["best_epoch"])
    right = len(status) == replicas and all(isinstance(s, str) for s in status) and best.shape == (replicas,)
    right = right and best.dtype.kind == "i" and bool(((best >= 0) & (best <= E)).all())
    file.require(right, "history has a status and a best epoch per replica")
    history.status, history.best_epoch = list(status), best.astype(int)
    history.stages = [
        unpack_history(file, stage, replicas, f"{name}.stage-{n}") for n, stage in enumerate(kept.get("stages", ()), 1)
    ]
    return history
