"""A safetensors file with one JSON text beside the tensors: the ground of all that xbnet keeps in files.

Whoever reads one trusts nothing in it: sizes are held against the file's size before anything is allocated, names
are looked up in tables, and whatever contradicts itself ends in one line. A checksum over all of it tells damage
from a mistake (it is no protection against intent; the checks are).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DataError, XbnetError
from .files import write_bytes

FORMAT = 1
"""Raised when older versions could not read the file any more."""
DTYPES = {"F32": np.dtype("float32"), "F64": np.dtype("float64"), "I64": np.dtype("int64")}
UNEXPECTED = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)
"""What Python and NumPy raise where metadata are of another kind than expected."""


def write_tensors(path: str | Path, kind: str, tensors: Mapping[str, np.ndarray], description: dict[str, Any]) -> None:
    """Write tensors and a description that JSON can hold, in one piece.

    Parameters
    ----------
    path
        The file; replaced if it exists.
    kind
        What it holds, e.g. "network".
    tensors
        Host arrays of float32, float64 or int64.
    description
        Numbers, texts, lists and dicts.
    """
    from safetensors.numpy import save

    from . import __version__

    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    text = json.dumps({"format": FORMAT, "kind": kind, "version": __version__, **description})
    write_bytes(path, save(arrays, {"xbnet": text, "crc32": _checksum(text, arrays)}))


def _checksum(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    crc = zlib.crc32(text.encode())
    for name in sorted(arrays):
        crc = zlib.crc32(memoryview(arrays[name].reshape(-1).view(np.uint8)), zlib.crc32(name.encode(), crc))
    return f"{crc:08x}"


class TensorFile:
    """A file of `write_tensors`, read and checked.

    Parameters
    ----------
    path
        The file.
    kind
        What it must hold.

    Attributes
    ----------
    description
        What was written.
    names
        Of the tensors.
    n_bytes
        The file's size: no size in it can be larger.
    version
        Of the xbnet that wrote it.

    Raises
    ------
    DataError
        It is missing, no such file, damaged, or of another format or kind.
    """

    def __init__(self, path: str | Path, kind: str):
        from safetensors import SafetensorError

        self.path = Path(path)
        try:
            if not self.path.is_file():
                raise DataError(f"{self.path}: there is no such file; expected what xbnet saved")
            self.n_bytes = self.path.stat().st_size
            text, checksum = self._read()
        except (OSError, SafetensorError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(f"{self.path}: is no safetensors file, or is damaged ({reason})") from error
        self.names = frozenset(self._arrays)
        with self.mistakes_are_its_own():
            self.description = json.loads(text)
            self.version = str(self.description.get("version"))
            written = self.description["format"]
        if written != FORMAT:
            raise DataError(
                f"{self.path}: has format {written!r}, written by xbnet {self.version}; this version reads format "
                f"{FORMAT}; use the version that wrote it"
            )
        if self.description.get("kind") != kind:
            raise DataError(f"{self.path}: holds a {self.description.get('kind')!r}, expected a {kind!r}")
        self.require(checksum == _checksum(text, self._arrays), "its checksum is right; it was damaged or changed")

    def _read(self) -> tuple[str, str]:
        """Read all tensors; the JSON text and the checksum."""
        from safetensors import safe_open

        with safe_open(self.path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if "xbnet" not in metadata:
                raise DataError(f"{self.path}: is a safetensors file, but xbnet did not write it")
            self._arrays = {}
            for name in file.keys():  # noqa: SIM118 - not a dict
                kind = file.get_slice(name).get_dtype()
                if kind not in DTYPES:
                    raise DataError(f"{self.path}: tensor {name!r} has type {kind}; expected {', '.join(DTYPES)}")
                self._arrays[name] = file.get_tensor(name)
        return metadata["xbnet"], metadata.get("crc32", "")

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor."""
        return self._find(name).shape

    def tensor(self, name: str, dtype: Any) -> np.ndarray:
        """A tensor that must have this type."""
        array = self._find(name)
        self.require(array.dtype == dtype, f"{name} is of type {dtype}, got {array.dtype}")
        return array

    def _find(self, name: str) -> np.ndarray:
        self.require(name in self._arrays, f"it has a tensor {name!r}")
        return self._arrays[name]

    def require(self, condition: bool, expectation: str) -> None:
        """Raise `DataError` unless the condition holds."""
        if not condition:
            raise DataError(f"{self.path}: expected that {expectation}")

    @contextmanager
    def mistakes_are_its_own(self) -> Iterator[None]:
        """Turn what Python raises on metadata of another kind into one line about the file."""
        try:
            yield
        except XbnetError:
            raise
        except UNEXPECTED as error:
            reason = str(error).splitlines()[0] if str(error) else "no reason given"
            raise DataError(
                f"{self.path}: its description can't be used ({type(error).__name__}: {reason[:200]}); save it anew"
            ) from error
