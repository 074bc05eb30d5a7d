"""Readers of the file formats that `load_dataset` knows; each turns a path into a `Dataset`."""

from __future__ import annotations

from pathlib import Path

from ..dataset import Dataset


def read_file(path: Path) -> Dataset:
    """Read `path` with the reader for its format."""
    from .mat import read_mat

    return read_mat(path)
