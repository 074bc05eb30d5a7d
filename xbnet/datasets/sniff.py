"""Detection of a file's format by its first bytes, and opening it with an error line that a user can act on."""

from __future__ import annotations

import struct
from pathlib import Path

from ..errors import DataError

_MAGIC = (
    (b"\xff\xfe", "text in UTF-16 (save it as UTF-8)"),
    (b"\xfe\xff", "text in UTF-16 (save it as UTF-8)"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"\x93NUMPY", "a NumPy .npy array"),
    (b"PK\x03\x04", "a zip archive (.npz, .docx and .xlsx are)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"BZh", "bzip2-compressed data"),
    (b"\xfd7zXZ\x00", "xz-compressed data"),
    (b"(\xb5/\xfd", "zstd-compressed data"),
    (b"PAR1", "a Parquet table"),
    (b"ARROW1", "an Arrow table"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x7fELF", "a program"),
    (b"MATLAB 5.0", "a MATLAB 5 file"),
    (b"# Created by Octave", "Octave's text"),
    (b"Octave-1-", "Octave's binary file"),
    (b"MATLAB 7.3", "a MATLAB 7.3 file"),
    (b"\x00\x00\x08", "an idx file of bytes"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
)


_MATLAB4 = {1000 * order + 10 * number + kind for order in (0, 1) for number in range(6) for kind in range(3)}
"""Types of MATLAB 4: byte order, format of the numbers, and full, text or sparse."""


def looks_like(head: bytes) -> str:
    """Say in a few words what a file that begins with `head` seems to be."""
    for magic, what in _MAGIC:
        if head.startswith(magic):
            return what
    if head.startswith(b"# name: ") and b"\n# type: " in head:  # without its first line
        return "Octave's text"
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "a web page (HTML)"
    if head[257:262] == b"ustar":
        return "a tar archive"
    if _is_matlab4(head):
        return "a MATLAB 4 file"
    if not any(head):
        return f"{len(head)} zero bytes"
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # A head may end in the middle of a character; anything earlier is not text.
        text = head[: error.start].decode("utf-8") if error.start > len(head) - 4 else "\x00"
    if all(c.isprintable() or c.isspace() for c in text):
        return "a text file"
    return f"unknown bytes ({head[:4].hex(' ')} ...)"


def _is_matlab4(head: bytes) -> bool:
    """Whether a file begins with a header of MATLAB 4: type, rows, columns, complex or not, length of the name."""
    if len(head) < 24:
        return False
    for order in "<>":
        kind, rows, columns, is_complex, length = struct.unpack(order + "5i", head[:20])
        name = head[20 : 20 + length]
        right = kind in _MATLAB4 and min(rows, columns) >= 0 and is_complex in (0, 1) and 1 < length <= 64
        if right and name.endswith(b"\0") and name[:-1].replace(b"_", b"a").isalnum():
            return True
    return False


def open_head(path: Path, expected: str, size: int = 512) -> bytes:
    """First bytes of `path`, or a `DataError` when it is missing, a folder, unreadable or empty.

    Parameters
    ----------
    path
        The file.
    expected
        The expected file, e.g. ``"a MATLAB 5 .mat file"``.
    size
        Number of bytes to return, at most.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(size)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected {expected}; check the path") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder; expected {expected}; name a file in it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"{path}: can't be read ({reason}); expected {expected}") from None
    if not head:
        raise DataError(f"{path}: the file is empty; expected {expected}; copy or download it again")
    return head
