"""Processes that need the same instructions share the work of compiling them: each is compiled by one, read by all."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: each compiles for itself
    fcntl = None  # type: ignore[assignment]

PATIENCE = 10.0
"""Seconds that a process waits for others, in all: one that was stopped in the middle would keep it for ever."""
NAP = 0.02
"""Seconds between two looks."""


def by_turns(pieces: Iterable[int], path: Path | None) -> Iterator[int]:
    """Numbers >= 0, each at a time when no other process is at it: first those that nobody is at.

    One of these at a time for each file and process: the system forgets all locks when one closes the file.

    Parameters
    ----------
    pieces
        The numbers.
    path
        An empty file, of which byte n is locked while somebody is at number n. None, or no locks there: as if alone.
    """
    left, file, waited = list(pieces), _opened(path), 0.0
    try:
        while left:
            piece = next((n for n in left if waited >= PATIENCE or _lock(file, n)), None)
            if piece is None:
                time.sleep(NAP)
                waited += NAP
                continue
            left.remove(piece)
            try:
                yield piece
            finally:
                _unlock(file, piece)
    finally:
        if file is not None:
            file.close()


def _opened(path: Path | None) -> IO[bytes] | None:
    try:
        return None if path is None or fcntl is None else path.open("ab")
    except OSError:  # a folder that can't be written
        return None


def _lock(file: IO[bytes] | None, n: int) -> bool:
    """Whether nobody else was at this number; if so, we are."""
    try:
        if file is not None:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, n)
    except OSError as error:  # else it is a disk without locks
        return error.errno not in (errno.EACCES, errno.EAGAIN)
    return True


def _unlock(file: IO[bytes] | None, n: int) -> None:
    try:
        if file is not None:
            fcntl.lockf(file, fcntl.LOCK_UN, 1, n)
    except OSError:
        pass
