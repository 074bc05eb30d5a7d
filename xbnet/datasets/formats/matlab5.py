"""The container of MATLAB 5 files: variables of a file, each as it is or compressed.

Read here and not with `scipy.io`, because a loader must survive any file: every length is checked against the bytes
that are really there before memory is asked for, numbers go into their array a block at a time, and what nobody asks
for is skipped by its length. (`scipy.io` 1.17, tried on the damaged copies of `tests/datasets/test_fuzz.py`, took the
process down with a segmentation fault at the 675th.) Format: "MAT-File Format", The MathWorks, chapter 1 (level 5).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ...errors import DataError, printable
from ..checks import Array
from ..sniff import looks_like, open_head
from ..stream import check_unpacked, fill

EXPECTED = "a MATLAB 5 .mat file with Yt, Ct, Yv, Cv"
AGAIN = "copy or download it again"
_HEADER = 128
_COMPRESSED, _MATRIX = 15, 14
_PIECE = 1 << 16
#: Type codes of stored numbers.
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
#: Class codes of numeric arrays (which may be stored in a smaller type), and of the others.
_CLASSES, _DOUBLE = range(6, 16), 6
_OTHER_CLASSES = {
    1: "a cell array", 2: "a struct", 3: "an object", 4: "text", 5: "a sparse matrix",
    16: "a function", 17: "an object (a string, a table or the like)", 18: "an object",
}  # fmt: skip
_OPAQUE = 17
_TEXT = (1, 16)
"""Types of names: ASCII, and UTF-8 in newer files."""
_HEADER_BYTES = 1 << 12
"""Flags, dimensions and name of a variable take no more."""
#: The most that zlib can make of one byte; a header that claims more lies.
_MOST_INFLATION = 1032


class Variable(NamedTuple):
    """One of a file's variables; `array` is None unless it was asked for and is a matrix of numbers."""

    name: str
    kind: str | None  # what it is if no dense real numeric matrix; of one without a name, how it is damaged
    shape: tuple[int, ...]
    array: Array | None  # (N, rows): columns of the file are rows here; None for what nobody asks for


class _Damaged(Exception):
    """The bytes contradict themselves; the text says how."""


def read_variables(path: Path, inputs: tuple[str, ...], classes: tuple[str, ...]) -> list[Variable]:
    """The variables of a file, in its order; the numbers of those matrices that are asked for by name.

    Parameters
    ----------
    path
        The file.
    inputs
        Names of matrices to read as inputs: as float64 where they are doubles, but as float32 where these are stored
        as whole numbers of at most 16 bits, as MATLAB does if it can, and as float32 otherwise.
    classes
        Names of matrices to read in the type that they are stored in.
    """
    head = open_head(path, EXPECTED)
    what = looks_like(head)
    # A 7.3 file is HDF5 behind a MATLAB header of 512 bytes.
    if what in ("a MATLAB 7.3 file", "an HDF5 file"):
        raise DataError(
            f"{path}: expected {EXPECTED}, got a MATLAB 7.3 file (HDF5); save it again in MATLAB with save(..., '-v7')"
        )
    if what in ("Octave's text", "Octave's binary file", "a MATLAB 4 file"):
        raise DataError(
            f"{path}: expected {EXPECTED}, got {what}; save it again with "
            + ("save(..., '-v7')" if "MATLAB" in what else "save -v7 FILE Yt Ct Yv Cv")
        )
    if what != "a MATLAB 5 file":
        raise DataError(f"{path}: expected {EXPECTED}, got what looks like {what}")
    if len(head) < _HEADER:
        raise DataError(f"{path}: expected a header of {_HEADER} bytes, got {len(head)}; it was cut off: {AGAIN}")
    order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
    if order is None:
        raise DataError(f"{path}: expected the byte order mark IM or MI, got {head[126:128]!r}; {AGAIN}")
    variables, end, unpacked = [], path.stat().st_size, 0
    with open(path, "rb") as file:
        position = _HEADER
        while position < end:
            try:
                element = _open_element_at(file, position, end, order)
                found = _look(file, element, order)
                if found.kind is None and found.name in (*inputs, *classes) and len(found.shape) == 2:
                    body = _open_body(path, file, element, order)
                    unpacked += body.left
                    check_unpacked(path, unpacked)
                    found = _read_matrix(body, order, inputs)
            except _Damaged as error:
                raise DataError(f"{path}: the variable at byte {position} {error}; {AGAIN}") from None
            if not found.name:
                found = found._replace(kind=f"the variable at byte {position} {found.kind}; {AGAIN}")
            variables.append(found)
            position = element.start + element.size
    return variables


class _Element(NamedTuple):
    """An element of the file: its type, and where its bytes are."""

    code: int
    start: int
    size: int


def _open_element_at(file: IO[bytes], position: int, end: int, order: str) -> _Element:
    if position + 8 > end:
        raise _Damaged(f"is cut off: expected 8 bytes, got {end - position}")
    file.seek(position)
    code, size = struct.unpack(order + "II", file.read(8))
    start = position + 8
    if start + size > end:
        raise _Damaged(f"is cut off: expected {size} bytes, got {end - start}")
    if code not in (_COMPRESSED, _MATRIX):
        raise _Damaged(f"is damaged: expected a matrix (type 14 or 15), got type {code}")
    return _Element(code, start, size)


def _look(file: IO[bytes], element: _Element, order: str) -> Variable:
    """Name, kind and shape of a variable, by its first bytes."""
    pieces, size = _stored(file, element.start, element.size), element.size
    if element.code == _COMPRESSED:
        pieces, size = _unpacked(zlib.decompressobj(), pieces), _HEADER_BYTES
    body = _Body(pieces, size)
    try:
        if element.code == _COMPRESSED:
            body.take(8)
        return _read_header(body, order)[0]
    except _Damaged as error:
        return Variable("", str(error), (), None)


class _Body:
    """The bytes of a variable, from front to back: as they are stored, or unpacked on the way."""

    def __init__(self, pieces: Iterator[bytes], size: int):
        self._pieces, self._held, self.left = pieces, b"", size

    def take(self, size: int) -> bytes:
        """The next bytes, all of them."""
        held, short = [self._held], size - len(self._held)
        while short > 0:
            piece = next(self._pieces, b"")
            if not piece:
                raise _Damaged(f"is cut off: expected {short} bytes more")
            held.append(piece)
            short -= len(piece)
        whole = b"".join(held)
        self._held, self.left = whole[size:], self.left - size
        return whole[:size]


def _open_body(path: Path, file: IO[bytes], element: _Element, order: str) -> _Body:
    """The bytes of a variable, unpacked once before memory is asked for where they are compressed."""
    if element.code == _MATRIX:
        return _Body(_stored(file, element.start, element.size), element.size)
    code, inner = _check_packed(path, file, element.start, element.size, order)
    if code != _MATRIX:
        raise _Damaged(f"is damaged: expected a matrix (type 14 or 15), got type {code}")
    body = _Body(_unpacked(zlib.decompressobj(), _stored(file, element.start, element.size)), 8 + inner)
    body.take(8)
    return body


def _stored(file: IO[bytes], start: int, size: int) -> Iterator[bytes]:
    """So many bytes of a file, in pieces."""
    for at in range(start, start + size, _PIECE):
        file.seek(at)
        yield file.read(min(_PIECE, start + size - at))


def _unpacked(stream: Any, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress the pieces, in pieces; the checksum at their end is compared."""
    try:
        for piece in pieces:
            while made := stream.decompress(piece, _PIECE):
                yield made
                piece = stream.unconsumed_tail
    except zlib.error as error:
        raise _Damaged(f"is damaged: it can't be decompressed ({error})") from None


def _check_packed(path: Path, file: IO[bytes], start: int, packed: int, order: str) -> tuple[int, int]:
    """Type and size of the element in a compressed one. It is unpacked once before memory is asked for."""
    stream, tag, got, code, size = zlib.decompressobj(), b"", -8, 0, 0
    for piece in _unpacked(stream, _stored(file, start, packed)):
        got += len(piece)
        if len(tag) < 8:
            tag += piece[: 8 - len(tag)]
            if len(tag) < 8:
                continue
            code, size = struct.unpack(order + "II", tag)
            if size > _MOST_INFLATION * packed:
                raise _Damaged(f"is damaged: {packed} compressed bytes can't hold {size}")
            check_unpacked(path, size)
        if got > size:
            break
    if len(tag) < 8:
        raise _Damaged(f"is damaged: expected a compressed element, got {len(tag)} bytes")
    if got != size or not stream.eof:
        raise _Damaged(f"is damaged: expected {size} bytes within, got {'more' if got > size else got}")
    return code, size


def _read_header(body: _Body, order: str) -> tuple[Variable, int]:
    """Name, kind and shape from flags, dimensions and name; and the class code."""
    flags = _element(body, order, "flags")
    if flags.nbytes != 8:
        raise _Damaged("is damaged: expected flags of 8 bytes")
    word = int(flags.view(order + "u4")[0])
    code, is_complex = word & 0xFF, bool(word & 0x800)
    shape: tuple[int, ...] = ()
    if code != _OPAQUE:  # these have no dimensions
        raw_shape = _element(body, order, "dimensions")
        shape = tuple(raw_shape.tolist())
        if raw_shape.dtype.kind == "f" or len(shape) < 2 or min(shape) < 0:
            raise _Damaged(f"is damaged: expected dimensions (rows, columns), got {shape}")
    name = printable(_element(body, order, "name").tobytes()[:100].decode("utf-8", "replace"))
    kind = None
    if is_complex or code not in _CLASSES:
        kind = "complex numbers" if is_complex else _OTHER_CLASSES.get(code, f"a variable of class {code}")
    return Variable(name, kind, shape, None), code


def _read_matrix(body: _Body, order: str, inputs: tuple[str, ...]) -> Variable:
    """A matrix of numbers."""
    found, code = _read_header(body, order)
    dtype, size, _ = _open_element(body, order, "numbers")
    if size // dtype.itemsize != math.prod(found.shape):
        raise _Damaged(f"is damaged: expected {found.shape} numbers, got {size // dtype.itemsize}")
    kept = dtype.newbyteorder("=")
    if found.name in inputs:
        small = dtype.kind in "iu" and dtype.itemsize <= 2
        kept = np.dtype(np.float64 if code == _DOUBLE and not small else np.float32)
    # Stored column by column: a row each, here.
    array = np.empty(found.shape[::-1], kept)
    fill(array, body.take, dtype)
    return found._replace(array=array)


def _element(body: _Body, order: str, what: str) -> Array:
    """The plain numbers of the next element, a short one."""
    dtype, size, padding = _open_element(body, order, what)
    numbers = np.frombuffer(body.take(size), dtype)
    body.take(min(padding, body.left))
    return numbers


def _open_element(body: _Body, order: str, what: str) -> tuple[np.dtype, int, int]:
    """Type and size in bytes of the numbers that follow, and the number of padding bytes after them."""
    if body.left < 8:
        raise _Damaged(f"is damaged: it ends before its {what}")
    (code,) = struct.unpack(order + "I", body.take(4))
    if code >> 16:  # a small element: size and type share four bytes, the data are the next four
        code, size, room = code & 0xFFFF, code >> 16, 4
        if size > 4:
            raise _Damaged(f"is damaged: expected at most 4 bytes in its short {what}, got {size}")
    else:
        (size,) = struct.unpack(order + "I", body.take(4))
        room = size + -size % 8
    if size > body.left:
        raise _Damaged(f"is damaged: expected {size} bytes for its {what}, got {body.left}")
    if what == "name" and code in _TEXT:
        code = _TEXT[0]
    if code not in _NUMBERS:
        raise _Damaged(f"is damaged: its {what} have the unknown type {code}")
    dtype = np.dtype(order + _NUMBERS[code])
    if size % dtype.itemsize:
        raise _Damaged(f"is damaged: its {what} must be whole numbers of {dtype.itemsize} bytes, got {size}")
    return dtype, size, room - size
