"""A trained network for other programs: ONNX, a PyTorch `state_dict`, NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from .arrays import to_npz
from .onnx import to_onnx
from .torch import to_torch

FORMATS: dict[str, Callable[[Any, Any], Any]] = {"onnx": to_onnx, "torch": to_torch, "npz": to_npz}
SUFFIXES = {".onnx": "onnx", ".safetensors": "torch", ".npz": "npz"}


def format_of(path: str | Path) -> str:
    """The format that a file's name says.

    Raises
    ------
    ConfigError
        It says none.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"--out {path}: expected a name that ends in {', '.join(SUFFIXES)}, or --format")
    return SUFFIXES[suffix]


__all__ = ["FORMATS", "format_of", "to_npz", "to_onnx", "to_torch"]
