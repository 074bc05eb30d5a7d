"""What a sweep keeps in its folder, written as each chunk ends, so that a killed sweep can go on.

- ``sweep.json``: fingerprints of what was asked for, of the data, and the versions;
- ``results.jsonl``: one line per member (schema `SCHEMA`), appended chunk by chunk;
- ``chunks/NAME.npz``: weights, statistics and learning curves of the members of one chunk.

A chunk's arrays are written first, its lines after them: a line stands for a member whose arrays are there.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, DataError
from ..files import make_folder, write_text, write_with
from ..history import PER_REPLICA, plain
from .chunk import OUTCOME, Outcome
from .fingerprint import Fingerprint, difference
from .plan import Member

SCHEMA = "xbnet.sweep/1"


class Store:
    """The folder of one sweep.

    Parameters
    ----------
    folder
        Made if it is not there.
    fingerprint
        Of the sweep.
    resume
        Go on with what is there. Otherwise a folder that holds a sweep is an error.
    """

    def __init__(self, folder: str | Path, fingerprint: Fingerprint, *, resume: bool):
        self.folder = make_folder(folder)
        self.lines, manifest = self.folder / "results.jsonl", self.folder / "sweep.json"
        (self.folder / "chunks").mkdir(exist_ok=True)
        if manifest.exists():
            if not resume:
                raise ConfigError(f"{self.folder}: holds a sweep already; go on with it by resume, or choose another")
            try:
                found = json.loads(manifest.read_text())["fingerprint"]
            except (json.JSONDecodeError, KeyError, TypeError):
                raise DataError(f"{manifest}: is damaged; choose another folder") from None
            differs = difference(found, fingerprint)
            if differs:
                raise ConfigError(f"{self.folder}: holds another sweep ({differs}); choose another folder")
            return
        write_text(manifest, json.dumps({"schema": SCHEMA, "fingerprint": fingerprint}, indent=1) + "\n")

    def append(self, members: Sequence[Member], outcome: Outcome) -> None:
        """Keep the outcome of a chunk."""
        digest = hashlib.sha256(repr(outcome.members).encode()).hexdigest()[:12]
        name = f"chunks/{outcome.members[0]:06d}-{digest}.npz"
        arrays: dict[str, Any] = {"members": np.array(outcome.members), "theta": outcome.theta, "state": outcome.state}
        curves = {f"curves.{key}": value for key, value in outcome.curves.items()}
        write_with(self.folder / name, lambda stream: np.savez(stream, **(arrays | curves)))
        by_index = {member.index: member for member in members}
        lines = [
            json.dumps(plain_row(table_row(by_index[index], row)) | {"schema": SCHEMA, "arrays": name}, default=_name)
            for index, row in zip(outcome.members, outcome.rows, strict=True)
        ]
        with open(self.lines, "a", encoding="utf-8") as stream:
            stream.write("".join(line + "\n" for line in lines))
            stream.flush()
            os.fsync(stream.fileno())

    def read(self) -> Iterator[Outcome]:
        """The outcomes that are there; a half-written last line counts for nothing."""
        if not self.lines.exists():
            return
        kept: list[str] = []
        rows_of: dict[str, dict[int, dict[str, Any]]] = {}
        for text in self.lines.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(text)
                rows_of.setdefault(row["arrays"], {})[row["member"]] = row
            except (json.JSONDecodeError, KeyError, TypeError):
                continue
            kept.append(text)
        write_text(self.lines, "".join(line + "\n" for line in kept))
        for name, rows in rows_of.items():
            try:
                with np.load(self.folder / name, allow_pickle=False) as file:
                    arrays = dict(file)
                outcome = _outcome(rows, arrays)
            except (OSError, ValueError, EOFError, KeyError, IndexError, zipfile.BadZipFile) as error:
                raise DataError(f"{self.folder / name}: can't be read ({error}); sweep into another folder") from None
            yield outcome


def _outcome(rows: dict[int, dict[str, Any]], arrays: dict[str, np.ndarray]) -> Outcome:
    """Those members of a chunk's arrays that have a line."""
    where = [i for i, member in enumerate(arrays["members"].tolist()) if member in rows]
    members = tuple(int(arrays["members"][i]) for i in where)
    found = [{key: _number(rows[m][key]) for key in OUTCOME} for m in members]
    curves = {name: arrays[f"curves.{name}"][:, where] for name in PER_REPLICA}
    return Outcome(members, tuple(found), arrays["theta"][where], arrays["state"][where], curves)


def _name(value: Any) -> str:
    """An object of the user's, such as an activation, as JSON has it."""
    return str(getattr(value, "name", value))


def _number(value: Any) -> Any:
    return float("nan") if value is None else value


def table_row(member: Member, figures: dict[str, Any]) -> dict[str, Any]:
    """A member's row of the table: who it is, what was set, how it went."""
    who = {
        "member": member.index,
        "configuration": member.configuration,
        "weight_seed": member.weight_seed,
        "order_seed": member.order_seed,
        "fold": member.fold,
    }
    settings = {key: value for key, value in member.settings.items() if key not in who and key != "seed"}
    return who | settings | figures


def plain_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON has it."""
    return {key: list(value) if isinstance(value, tuple) else plain(value) for key, value in row.items()}
