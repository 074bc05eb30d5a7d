"""A safetensors file with one JSON text next to the tensors: the base of all files that xbnet writes.

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

from ..errors import DataError, XbnetError, reason
from ..files import place, write_bytes

FORMAT = 1
"""Raised when older versions could not read the file any more."""
DTYPES = {"F32": np.dtype("float32"), "F64": np.dtype("float64"), "I64": np.dtype("int64")}
UNEXPECTED = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)
"""Exceptions that Python and NumPy raise where a description is of another kind than expected."""
HINTS = {
    "training state": "; go on with the run by `xbnet train --resume DIR`, whose end writes DIR/model.safetensors",
    "ensemble": "; xbnet.Ensemble.load reads it",
}
"""Kind of a file that is not the wanted one -> what to do with it."""


def write_tensors(path: str | Path, kind: str, tensors: Mapping[str, np.ndarray], description: dict[str, Any]) -> None:
    """Write tensors and a description that JSON can hold, in one piece.

    Parameters
    ----------
    path
        The file; replaced if it exists.
    kind
        Kind of the content, e.g. "network".
    tensors
        Host arrays of float32, float64 or int64.
    description
        Numbers, texts, lists and dicts.
    """
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    from ..version import __version__

    text = json.dumps({"format": FORMAT, "kind": kind, "version": __version__, **description})
    write_bytes(path, in_order(save(arrays, {"xbnet": text, "crc32": checksum(text, arrays)})))


def in_order(content: bytes) -> bytes:
    """The same safetensors file with its metadata sorted: the library writes them in an order that changes."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def checksum(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """CRC-32 of a description and all tensors, as 8 hexadecimal digits."""
    crc = zlib.crc32(text.encode())
    for name in sorted(arrays):
        crc = zlib.crc32(arrays[name].reshape(-1).view(np.uint8).data, zlib.crc32(name.encode(), crc))
    return f"{crc:08x}"


class Tensors:
    """Named arrays with a description, from a source that is not trusted.

    Parameters
    ----------
    source
        Where they come from, for messages.
    arrays
        Name -> host array.
    description
        Description that was written with them.
    """

    def __init__(self, source: str | Path, arrays: Mapping[str, np.ndarray], description: dict[str, Any]):
        self.source, self.arrays, self.description = source, arrays, description

    @property
    def version(self) -> str:
        """Version of the xbnet that wrote them."""
        return str(self.description.get("version"))

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return self._find(name).shape

    def tensor(self, name: str, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
        """A tensor that must have this type and shape."""
        array = self._find(name)
        self.require(
            array.dtype == dtype and array.shape == shape,
            f"{name} is {np.dtype(dtype).name} {shape}, got {array.dtype.name} {array.shape}",
        )
        return array

    def _find(self, name: str) -> np.ndarray:
        self.require(name in self.arrays, f"there is a tensor {name!r}")
        return self.arrays[name]

    def require(self, condition: bool, expectation: str) -> None:
        """Raise `DataError` unless the condition holds."""
        if not condition:
            raise DataError(f"{self.source}: expected that {expectation}")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn what Python raises on a description of another kind into one line about the file."""
        try:
            yield
        except XbnetError:
            raise
        except UNEXPECTED as error:
            said = f"{type(error).__name__}: {reason(error)}" if str(error) else type(error).__name__
            raise DataError(f"{self.source}: its description can't be used ({said}); save it again") from error


def read_tensors(path: str | Path, kind: str) -> Tensors:
    """Read the tensors of a file that `write_tensors` wrote.

    Raises
    ------
    DataError
        The file is missing, damaged, or of another format or kind.
    """
    from safetensors import SafetensorError

    path = place(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder; expected a file that xbnet saved")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; expected one that xbnet saved")
    try:
        with open(path, "rb"):  # of a file that may not be read the library says that there is none
            pass
    except OSError as error:
        raise DataError(f"{path}: can't be read ({reason(error)})") from error
    try:
        arrays, metadata = _read(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: is not a safetensors file, or is damaged ({reason(error)})") from error
    if "xbnet" not in metadata:
        raise DataError(f"{path}: is a safetensors file, but xbnet did not write it")
    found = Tensors(path, arrays, {})
    with found.reading():
        found.description = dict(json.loads(metadata["xbnet"]))
        written, holds = found.description["format"], found.description["kind"]
    if written != FORMAT:
        raise DataError(
            f"{path}: has format {written!r}, written by xbnet {found.version}; this version reads format {FORMAT}; "
            "use the version that wrote it"
        )
    if holds != kind:
        raise DataError(f"{path}: holds a {holds!r}, expected a {kind!r}{HINTS.get(str(holds), '')}")
    right = metadata.get("crc32") == checksum(metadata["xbnet"], arrays)
    found.require(right, "its checksum is right; it was damaged or changed")
    return found


def kind_of(path: str | Path) -> str | None:
    """Return the kind that a file declares; None where it declares none that can be read: `read_tensors` tells why."""
    from safetensors import SafetensorError, safe_open

    path = place(path)
    if not path.is_file():  # a pipe would be waited for
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            return str(json.loads((file.metadata() or {})["xbnet"])["kind"])
    except (OSError, SafetensorError, *UNEXPECTED):
        return None


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """All tensors and the metadata; the library has held every size against the file's."""
    from safetensors import safe_open

    arrays = {}
    with safe_open(path, framework="numpy") as file:
        for name in file.keys():  # noqa: SIM118 - not a dict
            kind = file.get_slice(name).get_dtype()
            if kind not in DTYPES:
                raise DataError(f"{path}: tensor {name!r} has type {kind}; expected {', '.join(DTYPES)}")
            arrays[name] = file.get_tensor(name)
        return arrays, file.metadata() or {}
