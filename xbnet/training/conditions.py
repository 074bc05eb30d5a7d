"""The conditions on which the last bits of a run depend besides its settings and data: the machine and its libraries.

Within one set of conditions a run that is resumed ends in the bits of one that was not. Under others each step may
round otherwise, so a checkpoint keeps them, and resuming reports what has changed.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..backends.blas import describe_blas

if TYPE_CHECKING:
    from .trainer import Trainer


def conditions(trainer: Trainer) -> dict[str, str]:
    """Name -> value, of all that may change how a trainer's steps are rounded."""
    backend = trainer.network.backend
    found = {"numpy": np.__version__, "execution": trainer.execution.name}
    if not backend.on_host:
        return found | {backend.name: str(backend.library.__version__), "device": str(backend.device)}
    if trainer.execution.name == "compiled":
        found |= {name: version(name) for name in ("numba", "scipy")}  # whose BLAS the machine calls
    for library in describe_blas():
        name = library["name"]
        found |= {f"{name} {key}": str(value) for key, value in library.items() if key != "name"}
    found["processor"] = platform.machine()
    simd = np.show_config(mode="dicts").get("SIMD Extensions", {})
    found["processor features"] = " ".join([*simd.get("baseline", ()), *simd.get("found", ())])
    return found


def compare_conditions(path: Path, before: object, now: Mapping[str, str]) -> None:
    """Warn, in one line, where a checkpoint was kept under other conditions than those of now."""
    if not isinstance(before, dict):
        return
    changed = [
        f"{name} {str(before.get(name, 'none'))[:60]}, now {now.get(name, 'none')}"
        for name in dict.fromkeys((*now, *before))
        if before.get(name) != now.get(name)
    ]
    if changed:
        logging.getLogger("xbnet").warning(
            "resume: %s was kept under other conditions (%s); the run may end in other last bits than one that was "
            "not interrupted",
            path,
            "; ".join(changed[:4]) + (f" and {len(changed) - 4} more" if len(changed) > 4 else ""),
        )
