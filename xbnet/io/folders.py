"""The model's file in the folder of a run."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError
from ..files import place

RUN_FILES = ("model.safetensors", "best.safetensors")
"""Names of the model that `xbnet train --out` and `xbnet sweep --out` keep."""


def file_of(path: str | Path) -> Path:
    """The model's file: `path`, or the one in the folder of a run.

    Raises
    ------
    DataError
        The folder has none.
    """
    path = place(path)
    if not path.is_dir():
        return path
    found = [file for name in RUN_FILES if (file := path / name).is_file()]
    if not found:
        raise DataError(f"{path}: is a folder; expected {' or '.join(RUN_FILES)} in it, or a file that xbnet saved")
    return found[0]
