"""The folder of a sweep, written as each chunk ends, so that a killed sweep can go on.

- ``sweep.json``: fingerprints of what was asked for, of the data, and the versions; what the networks serve, `About`;
- ``results.jsonl``: one line per member (schema `SCHEMA`), appended chunk by chunk;
- ``chunks/NAME.safetensors``: the networks of one chunk, with weights, statistics and learning curves;
- ``trials.jsonl``: the sampler's proposals, a line per trial;
- ``paused/NAME.safetensors``: the state of members that have come to a rung of halving, until all have results.

A chunk's arrays are written first, its lines after them: a line stands for a member whose arrays are there. Whoever
reads them believes nothing: a line, a name or an array that the sweep would not have written ends it in one line.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, DataError, reason
from ..files import make_folder, write_text
from ..history import PER_REPLICA, plain
from ..io.tensorfile import Tensors, read_tensors, write_tensors
from ..training.trainer import Trainer
from .about import About
from .build import Program, describe_stack
from .chunk import FIGURES, OUTCOME, Outcome
from .fingerprint import Fingerprint, difference
from .manifest import SCHEMA, read_manifest, read_text
from .paused import Paused
from .plan import Member

KIND = "chunk of a sweep"
PAUSED = "paused networks of a sweep"
NAME = re.compile(r"chunks/\d{6,12}-[0-9a-f]{12}\.safetensors")
STATUSES = ("finished", "stopped", "diverged", "pruned")


class Store:
    """The folder of one sweep.

    Parameters
    ----------
    folder
        Made if it is not there.
    fingerprint
        Fingerprint of the sweep.
    program
        Program of the sweep.
    about
        Description of its networks.
    resume
        Go on with what is there. Otherwise a folder that holds a sweep is an error.
    """

    def __init__(self, folder: str | Path, fingerprint: Fingerprint, program: Program, about: About, *, resume: bool):
        self.folder, self.program = make_folder(folder), program
        self.lines, manifest = self.folder / "results.jsonl", self.folder / "sweep.json"
        make_folder(self.folder / "chunks")
        if manifest.exists():
            if not resume:
                raise ConfigError(f"{self.folder}: holds a sweep already; go on with it by resume, or choose another")
            differs = difference(read_manifest(manifest)["fingerprint"], fingerprint)
            if differs:
                raise ConfigError(f"{self.folder}: holds another sweep ({differs}); choose another folder")
            return
        found = {"schema": SCHEMA, "fingerprint": fingerprint, "about": about.to_json()}
        write_text(manifest, json.dumps(found) + "\n")

    def append(self, members: Sequence[Member], outcome: Outcome) -> None:
        """Keep the outcome of a chunk."""
        digest = hashlib.sha256(repr(outcome.members).encode()).hexdigest()[:12]
        name = f"chunks/{outcome.members[0]:06d}-{digest}.safetensors"
        arrays = {"members": np.array(outcome.members, np.int64), "theta": outcome.theta, "state": outcome.state}
        curves = {f"curves.{key}": value for key, value in outcome.curves.items()}
        by_index = {member.index: member for member in members}
        network = describe_stack(self.program, [by_index[index] for index in outcome.members])
        write_tensors(self.folder / name, KIND, arrays | curves, network)
        lines = [
            json.dumps(plain_row(table_row(by_index[index], row)) | {"schema": SCHEMA, "arrays": name}, default=_name)
            for index, row in zip(outcome.members, outcome.rows, strict=True)
        ]
        self._add(self.lines, lines)

    def _add(self, path: Path, lines: Sequence[str]) -> None:
        """Lines more, safely."""
        try:
            with open(path, "a", encoding="utf-8") as stream:
                stream.write("".join(line + "\n" for line in lines))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise ConfigError(f"{path}: can't be written ({reason(error)}); resume once that is fixed") from error

    def note_trial(self, params: dict[str, Any]) -> None:
        """Keep what a sampler has proposed next."""
        self._add(self.folder / "trials.jsonl", [json.dumps(params)])

    def read_trials(self) -> list[dict[str, Any]]:
        """Read the trials that a sampler has proposed so far."""
        path = self.folder / "trials.jsonl"
        if not path.exists():
            return []
        texts = read_text(path).split("\n")
        try:
            found = [json.loads(text) for text in texts[:-1]]
            if not all(isinstance(one, dict) for one in found):
                raise ValueError
        except (ValueError, RecursionError):
            raise DataError(f"{path}: is damaged; sweep into another folder") from None
        if texts[-1]:
            write_text(path, "".join(text + "\n" for text in texts[:-1]))
        return found

    def pause(self, paused: Paused) -> None:
        """Keep where members are in the middle of their runs."""
        make_folder(self.folder / "paused")
        digest = hashlib.sha256(repr((paused.members, paused.ages.tolist())).encode()).hexdigest()[:12]
        tensors, description = paused.pack()
        write_tensors(self.folder / f"paused/{digest}.safetensors", PAUSED, tensors, description)

    def read_paused(self, make: Callable[[Sequence[int]], Trainer], done: Container[int]) -> Iterator[Paused]:
        """Read the runs that `pause` has kept, of members that are not `done`.

        Parameters
        ----------
        make
            Indices of members -> a fresh trainer of theirs.
        done
            Indices of those that have results.

        Raises
        ------
        DataError
            Something there is not what this sweep wrote.
        """
        for path in sorted(self.folder.glob("paused/*.safetensors")):
            file = read_tensors(path, PAUSED)
            with file.reading():
                indices = file.tensor("members", np.int64, file.shape("members")).tolist()
                file.require(len(set(indices)) == len(indices) > 0, "its members are different ones")
                paused = Paused.unpack(file, make(indices))
            left = [index for index in indices if index not in done]
            if left:
                yield paused.take(left)

    def forget_paused(self) -> None:
        """All have results, and nobody goes on from where they were."""
        shutil.rmtree(self.folder / "paused", ignore_errors=True)

    def read(self, sizes: Callable[[int], tuple[int, int]], dtype: Any) -> Iterator[Outcome]:
        """The outcomes that are there; a half-written last line counts for nothing.

        Parameters
        ----------
        sizes
            A member's index -> its numbers of parameters and of statistics.
        dtype
            Floating-point type of both.

        Raises
        ------
        DataError
            Something there is not what this sweep wrote.
        """
        if not self.lines.exists():
            return
        rows_of, whole = read_rows(self.lines, sizes)
        if whole is not None:
            write_text(self.lines, whole)
        for name, rows in rows_of.items():
            file = read_tensors(self.folder / name, KIND)
            with file.reading():
                outcome = outcome_of(file, rows, sizes, np.dtype(dtype))
            yield outcome


def read_rows(
    path: Path, sizes: Callable[[int], Any] | None = None
) -> tuple[dict[str, dict[int, dict[str, Any]]], str | None]:
    """The lines of a table: file of arrays -> member -> row; and the text without half a last line, if there is one.

    Parameters
    ----------
    path
        File of the lines.
    sizes
        Raises `LookupError` for an index that no member has; None: not known.

    Raises
    ------
    DataError
        A line is not one that a sweep writes.
    """
    rows_of: dict[str, dict[int, dict[str, Any]]] = {}
    if not path.exists():
        return rows_of, None
    texts = read_text(path).split("\n")
    for number, text in enumerate(texts[:-1], 1):  # what follows the last line's end is half a line, or nothing
        try:
            row = json.loads(text)
            _check_row(row)
            if sizes is not None:
                sizes(row["member"])
            if row["member"] in rows_of.setdefault(row["arrays"], {}):
                raise ValueError
        except (ValueError, LookupError, TypeError, RecursionError, AttributeError):
            raise DataError(f"{path}: line {number} is damaged; sweep into another folder") from None
        rows_of[row["arrays"]][row["member"]] = row
    return rows_of, "".join(text + "\n" for text in texts[:-1]) if texts[-1] else None


def _check_row(row: dict[str, Any]) -> None:
    """Raise `ValueError`, or what Python raises, where a row of the table is not one that a sweep writes."""
    epochs = row["last_epoch"], row["best_epoch"]
    figures = [row[name] for name in ("score", "seconds", *FIGURES)]
    if not (
        type(row["member"]) is int
        and NAME.fullmatch(row["arrays"])
        and row["status"] in STATUSES
        and all(type(epoch) is int for epoch in epochs)
        and 0 <= epochs[1] <= epochs[0] < 2**63
        and all(
            value is None or type(value) is float or (type(value) is int and abs(value) < 2**63) for value in figures
        )
    ):
        raise ValueError


def outcome_of(
    file: Tensors, rows: dict[int, dict[str, Any]], sizes: Callable[[int], tuple[int, int]] | None, dtype: np.dtype
) -> Outcome:
    """Those members of a chunk's arrays that have a line; without `sizes` they may be of any size."""
    (R,), (E, _) = file.shape("members"), file.shape("curves.lr")
    indices = file.tensor("members", np.int64, (R,)).tolist()
    file.require(len(set(indices)) == R and set(rows) <= set(indices), "it holds the members whose lines name it")
    if sizes is not None:
        file.require(len({sizes(index) for index in indices}) == 1, "its members are of one size")
    file.require(all(row["last_epoch"] <= E for row in rows.values()), "curves reach to the last epoch")
    P, S = (file.shape("theta")[-1], file.shape("state")[-1]) if sizes is None else sizes(indices[0])
    theta, state = file.tensor("theta", dtype, (R, P)), file.tensor("state", dtype, (R, S))
    curves = {name: file.tensor(f"curves.{name}", float, (E, R)) for name in PER_REPLICA}
    where = [i for i, member in enumerate(indices) if member in rows]
    members = tuple(indices[i] for i in where)
    found = [{key: _number(rows[m][key]) for key in OUTCOME} for m in members]
    return Outcome(
        members, tuple(found), theta[where], state[where], {name: curve[:, where] for name, curve in curves.items()}
    )


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
