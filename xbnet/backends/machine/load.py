"""The machine, compiled when it is first asked for, and kept on disk.

An instruction takes about a second to compile, and a hundredth of that to load again; a program needs some fifteen of
them. numba looks for a folder next to the package, then in the user's cache; `NUMBA_CACHE_DIR` sets another. Where none
can be written, or what was kept is of no use, the machine is compiled again.
"""

from __future__ import annotations

import ctypes
import os
import threading
import warnings
import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .table import NAMES
from .turns import by_turns

PARTS = ("functions.py", "angles.py", "kernels.py", "gathers.py", "products.py", "entries.py", "table.py")
"""Files that compiled code is made of."""

_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # no fork while something is compiled: the child would wait for that forever
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def why_not() -> str | None:
    """Why there is no machine here, or None."""
    if find_spec("numba") is None:
        return "numba is missing; install it with: pip install numba"
    return None


class Machine:
    """Compiled instructions for one type of numbers, and the loop that plays them.

    Attributes
    ----------
    entries
        (n,) addresses of the instructions, by their numbers; 0: not compiled yet.
    play
        See `entries.make_play`.
    """

    def __init__(self, dtype: np.dtype):
        self.dtype, self.play = dtype, _kept_or_not("make_play")
        self.entries = np.zeros(len(NAMES), np.int64)
        self._compiled: dict[int, Any] = {}

    def prepare(self, instructions: set[int]) -> None:
        """Compile those of these instructions that are not there yet."""
        if instructions <= self._compiled.keys():
            return
        with _lock:
            for op in by_turns(sorted(instructions - self._compiled.keys()), _turns_file(self.dtype)):
                self._compiled[op] = _kept_or_not("make_entry", op, self.dtype.type(0))
                self.entries[op] = self._compiled[op].address


def machine(dtype: Any) -> Machine:
    """The machine for numbers of this type."""
    with _lock:
        return _machine(np.dtype(dtype))


def is_loaded(dtype: Any) -> bool:
    """Whether this process has loaded the machine for numbers of this type."""
    return np.dtype(dtype) in _loaded


_loaded: dict[np.dtype, Machine] = {}
_keeps = True
"""Whether code is kept on disk."""


def _machine(dtype: np.dtype) -> Machine:
    if dtype not in _loaded:
        _loaded[dtype] = Machine(dtype)
    return _loaded[dtype]


def _turns_file(dtype: np.dtype) -> Path | None:
    """By which processes take turns, see `by_turns`; None where nothing is kept."""
    folder = cache_folder() if _keeps else None
    return None if folder is None else folder / f"entries.{dtype}_{digest()}.turns"


def _kept_or_not(maker: str, *arguments: Any) -> Any:
    """Return the function that `entries` makes, kept on disk where that is possible."""
    global _keeps
    from . import entries

    make = getattr(entries, maker)
    if _keeps:
        try:
            try:
                return make(*arguments, digest(), True)
            except Exception as error:
                if isinstance(error, OSError) or not forget():  # a folder, not a damaged file in it
                    raise
                return make(*arguments, digest(), True)
        except Exception as error:  # whatever it is, compiling goes without
            found = error
        _keeps = False
        warnings.warn(
            f"the compiled machine is not kept on disk ({found}); it is compiled again each time", stacklevel=2
        )
    return make(*arguments, digest(), False)


def forget() -> bool:
    """Remove what was kept of this machine, since a file of it is damaged; whether there was any."""
    files = [file for file in kept_files() if f"_{digest()}-" in file.name]
    try:
        for file in files:
            file.unlink(missing_ok=True)
    except OSError:
        return False
    return bool(files)


@cache
def digest() -> str:
    """All that decides about compiled code, in eight letters: its text, numba and LLVM, and the kind of processor.

    It stands in the names of all files. Within a file numba keeps several kinds of code apart, too, but by a number
    that processes which begin at the same time, or one that was stopped between two files, may give to two of them.
    """
    import llvmlite
    import numba
    from llvmlite import binding

    here, asked = Path(__file__).parent, vars(numba.config)
    about = [numba.__version__, llvmlite.__version__, asked.get("CPU_NAME"), asked.get("CPU_FEATURES")]
    about += [binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()]
    return f"{zlib.crc32(b''.join((here / part).read_bytes() for part in PARTS) + repr(about).encode()):08x}"


@cache
def blas_address(name: str) -> int:
    """Where SciPy's BLAS has a function such as "sgemm" with whole numbers of 32 bits; 0: nowhere."""
    from scipy.linalg import cython_blas

    capsule = cython_blas.__pyx_capi__.get(name)
    if capsule is None:
        return 0
    text, pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    text.argtypes, text.restype = [ctypes.py_object], ctypes.c_char_p
    pointer.argtypes, pointer.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p
    signature = text(capsule)
    return pointer(capsule, signature) or 0 if signature.count(b"int *") == 6 else 0


def cache_folder() -> Path | None:
    """Where compiled code is kept; None: nowhere."""
    try:
        from numba.core.caching import FunctionCache

        from . import entries

        return Path(FunctionCache(entries.make_play).cache_path)
    except Exception:  # numba finds no folder, or is another version
        return None


def kept_files() -> list[Path]:
    """List the files of compiled code that are kept on disk."""
    folder = cache_folder()
    return [] if folder is None else [*folder.glob("entries.*.nb?")]


def describe_machine() -> dict[str, Any]:
    """Whether there is a machine here, and where it is kept."""
    reason = why_not()
    folder = None if reason else cache_folder()
    return {
        "why_not": reason,
        "cache": None if folder is None else str(folder),
        "bytes": 0 if reason else sum(file.stat().st_size for file in kept_files()),
    }


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
