"""The results of a sweep from its folder, without its data: what `SweepResult.load` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..files import place
from ..io.tensorfile import Tensors, read_tensors
from .about import About
from .chunk import OUTCOME, Outcome
from .manifest import read_manifest
from .plan import Member
from .store import KIND, outcome_of, read_rows

WHO = ("member", "configuration", "weight_seed", "order_seed", "fold")
"""Columns that say which network a row is."""


def is_sweep(path: str | Path) -> bool:
    """Whether a path is the folder of a sweep."""
    return (place(path) / "sweep.json").exists()


def how_to_resume(folder: Path) -> str:
    """Say what goes on with a sweep: the command, if that began it and so has kept its flags."""
    if (folder / "config.toml").exists():
        return f"xbnet sweep --resume {folder}"
    return f"the same call of xbnet.sweep, with out={str(folder)!r} and resume=True"


def read_sweep(folder: str | Path) -> tuple[About, list[Member], list[Outcome], dict[int, tuple[Tensors, int]]]:
    """Read a kept sweep: its description; the members with results; these; and each network's file, and row in it.

    Raises
    ------
    DataError
        The folder holds no sweep, or what it holds was not written by this version's `sweep`.
    """
    folder = place(folder)
    manifest = folder / "sweep.json"
    if not is_sweep(folder):
        raise DataError(f"{folder}: holds no sweep; expected a folder that xbnet sweep --out, or sweep(out=...), wrote")
    try:
        about = About.from_json(read_manifest(manifest)["about"])
    except DataError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, ArithmeticError):
        raise DataError(f"{manifest}: is damaged; sweep into another folder") from None
    rows_of = read_rows(folder / "results.jsonl")[0]
    members: list[Member] = []
    outcomes: list[Outcome] = []
    places: dict[int, tuple[Tensors, int]] = {}
    for name, rows in rows_of.items():
        file = read_tensors(folder / name, KIND)
        with file.reading():
            outcome = outcome_of(file, rows, None, np.dtype(about.dtype))
            indices = file.tensor("members", np.int64, file.shape("members")).tolist()
        try:
            found = [_member(rows[index], about) for index in outcome.members]
        except (ValueError, LookupError, TypeError):
            raise DataError(
                f"{folder / 'results.jsonl'}: a line of {name} is damaged; sweep into another folder"
            ) from None
        members += found
        outcomes.append(outcome)
        places |= {index: (file, indices.index(index)) for index in outcome.members}
    if not members:
        raise DataError(f"{folder}: no network has ended yet; go on with: {how_to_resume(folder)}")
    return about, sorted(members, key=lambda member: member.index), outcomes, places


def _member(row: dict[str, Any], about: About) -> Member:
    numbers = [row[key] for key in WHO if key != "fold"]
    fold = row["fold"]
    if not all(type(value) is int and value >= 0 for value in numbers):
        raise ValueError("expected whole numbers")
    if fold is not None and not (type(fold) is int and 0 <= fold < len(about.preparations)):
        raise ValueError("expected a fold")
    others = (*WHO, *OUTCOME, "schema", "arrays")
    settings = {key: _tuples(value) for key, value in row.items() if key not in others}
    return Member(row["member"], row["configuration"], settings, row["weight_seed"], row["order_seed"], fold)


def _tuples(value: Any) -> Any:
    """Lists as tuples, as settings have them."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
