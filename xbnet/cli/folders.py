"""The folder of `--out`: no run overwrites another in silence, or is left mixed up with another's files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import ConfigError
from ..files import make_folder, only_one

KEPT = (
    *("config.toml", "result.json", "history.jsonl", "model.safetensors", "curves.png", "regions.png"),  # train
    *("checkpoints", "tensorboard"),
    *("sweep.json", "results.jsonl", "chunks", "paused", "best.safetensors", "ensemble.safetensors"),
    *("keys.png", "heat_map.png", "parallel.png", "rungs.png", "rates.png", "trials.jsonl"),  # sweep
    *("report.txt", "orders.png", "entries.png"),  # verify
    "report.html",  # report
)
"""Files that `train`, `sweep`, `verify` and `report` keep; nothing else in a folder is ever touched."""
ASIDE = ".replaced"


@contextmanager
def open_folder(path: str | None, *, overwrite: bool = False, resume: bool = False) -> Iterator[Path | None]:
    """The folder of `--out`, made if it isn't there, to which nobody else writes within; None without `--out`.

    Raises
    ------
    ConfigError
        It can't be written, another run is at work there, or it holds a run that nobody wants to resume or overwrite.
    """
    if not path:
        yield None
        return
    if overwrite and resume:
        raise ConfigError(f"--resume {path}: goes on with the run there, and --overwrite replaces it; leave one out")
    folder = make_folder(path)
    with only_one(folder, lend=True):
        _expect_room(folder, overwrite, resume)
        yield folder


def _expect_room(folder: Path, overwrite: bool, resume: bool) -> None:
    """Refuse a folder with a run that nobody wants to resume or overwrite."""
    there = kept_in(folder)
    if not there and (folder / ASIDE).is_dir():  # of a process that was killed before its run had begun
        _move(folder / ASIDE, folder)
        there = kept_in(folder)
    if there and not overwrite and not resume:
        some = ", ".join(there[:3]) + (", ..." if len(there) > 3 else "")
        goes_on = f"go on with it by --resume {folder}, " if {"checkpoints", "sweep.json"} & set(there) else ""
        raise ConfigError(
            f"--out {folder}: holds a run already ({some}); {goes_on}choose another folder, or add --overwrite to "
            "replace it"
        )


@contextmanager
def replacing_run(folder: Path | None, overwrite: bool) -> Iterator[None]:
    """Replace the run in `folder`: it comes back where the new one ends before anything of it was kept."""
    if folder is None or not overwrite:
        yield
        return
    aside = folder / ASIDE
    shutil.rmtree(aside, ignore_errors=True)
    _move(folder, aside)
    try:
        yield
    finally:
        if not kept_in(folder):
            _move(aside, folder)
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def removed_if_empty(path: str | None) -> Iterator[None]:
    """Remove the folder of `--out` again where it was made for a command that is refused."""
    path = None if path is None else os.path.expanduser(path)
    new = path is not None and not os.path.lexists(path)
    try:
        yield
    except BaseException:
        if new and path is not None:
            # There may be none, it may hold something, or another command may have begun in it.
            with suppress(OSError, ValueError, ConfigError), only_one(path):
                os.rmdir(path)
        raise


def kept_in(folder: Path) -> list[str]:
    """Names of what a run has kept in a folder."""
    paths = (folder / name for name in KEPT)
    return sorted(path.name for path in paths if (any(path.iterdir()) if path.is_dir() else path.exists()))


def _move(source: Path, target: Path) -> None:
    """All that a run has kept."""
    target.mkdir(exist_ok=True)
    for name in kept_in(source):
        (source / name).rename(target / name)
