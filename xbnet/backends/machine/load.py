"""The machine, compiled when it is first asked for, and kept on disk.

Compiling takes half a minute per type of numbers, loading what was kept one or two seconds. numba looks for a folder
beside the package, then in the user's cache; `NUMBA_CACHE_DIR` sets another. Where none can be written, or what was
kept is of no use, the machine is compiled anew.
"""

from __future__ import annotations

import os
import threading
import warnings
import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

PARTS = ("functions.py", "kernels.py", "gathers.py", "products.py", "play.py", "table.py")
"""Files that compiled code is made of."""

_lock = threading.Lock()
if hasattr(os, "register_at_fork"):  # for a child of a fork, the thread that held the lock is not in it
    os.register_at_fork(after_in_child=lambda: globals().update(_lock=threading.Lock()))


def why_not() -> str | None:
    """Why there is no machine here, or None."""
    if find_spec("numba") is None:
        return "numba is missing; install it with: pip install numba"
    return None


def machine(dtype: Any) -> Any:
    """The compiled function for numbers of this type."""
    with _lock:
        return _machine(np.dtype(dtype).name)


@cache
def _machine(name: str) -> Any:
    from .play import arguments

    try:
        play = _made(True)
        play.compile(arguments(name))
    except Exception as error:  # of a folder, or of a file in it: whatever it is, compiling goes without
        warnings.warn(
            f"the compiled machine is not kept on disk ({error}); it is compiled anew each time", stacklevel=4
        )
        play = _made(False)
        play.compile(arguments(name))
    return play


@cache
def _made(kept: bool) -> Any:
    from .play import make

    here = Path(__file__).parent
    return make(f"{zlib.crc32(b''.join((here / part).read_bytes() for part in PARTS)):08x}", kept)


def cache_folder() -> Path | None:
    """Where compiled code is kept; None: nowhere."""
    try:
        path = _made(True).stats.cache_path
    except Exception:  # numba finds no folder
        return None
    return None if path is None else Path(path)


def cache_bytes() -> int:
    """How much is kept there."""
    folder = cache_folder()
    return sum(file.stat().st_size for file in folder.glob("play.*.nb?")) if folder else 0


def describe_machine() -> dict[str, Any]:
    """Whether there is a machine here, and where it is kept."""
    reason = why_not()
    folder = None if reason else cache_folder()
    return {
        "why_not": reason,
        "cache": None if folder is None else str(folder),
        "bytes": cache_bytes() if folder else 0,
    }


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
