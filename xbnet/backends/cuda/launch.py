"""How kernels are started: by their file, their name with template arguments, a grid, and arrays.

The kernels are next to this file as text (``*.cuh``) and are compiled when they are first used. `CudaLauncher` does
that on a device, through CuPy; `emulated.EmulatedLauncher` does it on a CPU, so that the code that drives the
kernels runs in tests where no device is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..constants import cuda_text

OPTIONS = ("--std=c++17",)
"""For the compiler of a device."""

FREE_SHARED = 48 * 1024
"""Bytes of shared memory that a block may have without asking for more."""


class Launcher(Protocol):
    """An object that runs kernels.

    Attributes
    ----------
    shared_limit
        Bytes of shared memory that a block may ask for.
    """

    shared_limit: int

    def prepare(self, source: str, name: str, shared_bytes: int) -> None:
        """Compile a kernel, so that `launch` finds it ready; it fails here if it fails."""

    def launch(
        self, source: str, name: str, grid: Sequence[int], threads: int, shared_bytes: int, arguments: Sequence[Any]
    ) -> None:
        """Start a kernel; it may still be running when this returns.

        Parameters
        ----------
        source
            The kernel's file in this folder, such as "train.cuh".
        name
            Name expression, such as "scale<float>".
        grid
            Blocks along x, or along x and y.
        threads
            Number of threads per block.
        shared_bytes
            Dynamic shared memory of a block.
        arguments
            Arrays (of which the kernel gets the address of the first element and nothing else), NumPy scalars of the
            very type that the kernel expects, or None for a null pointer.
        """


@cache
def source_text(source: str) -> str:
    """All that a compiler gets for a kernel's file."""
    return _with_headers("phases.cuh") + cuda_text() + _with_headers(source)


def _with_headers(source: str) -> str:
    """A file, with the files of this folder that it includes in their places: compilers need no path."""
    text = (Path(__file__).parent / source).read_text(encoding="utf-8")
    lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        included = re.fullmatch(r'#include "(\w+\.cuh)"', line)
        lines.append(f'{_with_headers(included[1])}#line {number + 1} "{source}"' if included else line)
    return f'#line 1 "{source}"\n' + "\n".join(lines) + "\n"


def check_argument(argument: Any) -> Any:
    """An argument as it is: a Python number has no size of its own, and would be read as another type."""
    if isinstance(argument, (bool, int, float)) and not isinstance(argument, np.generic):
        raise TypeError(f"a kernel's scalars are NumPy scalars such as np.int32(3), got {argument!r}")
    return argument


class CudaLauncher:
    """Launches on the current stream of the current device.

    Parameters
    ----------
    cupy
        The module.
    """

    def __init__(self, cupy: Any):
        self._cupy = cupy
        self._kernels: dict[tuple[str, str], Any] = {}
        self._shared: dict[tuple[str, str], int] = {}
        self.shared_limit = int(cupy.cuda.Device().attributes["MaxSharedMemoryPerBlockOptin"])

    def prepare(self, source: str, name: str, shared_bytes: int) -> None:
        """See `Launcher.prepare`."""
        key = source, name
        if key not in self._kernels:
            module = self._cupy.RawModule(code=source_text(source), options=OPTIONS, name_expressions=[name])
            self._kernels[key], self._shared[key] = module.get_function(name), FREE_SHARED
        if shared_bytes > self._shared[key]:
            self._kernels[key].max_dynamic_shared_size_bytes = self._shared[key] = shared_bytes

    def launch(
        self, source: str, name: str, grid: Sequence[int], threads: int, shared_bytes: int, arguments: Sequence[Any]
    ) -> None:
        """See `Launcher.launch`."""
        self.prepare(source, name, shared_bytes)
        kernel = self._kernels[source, name]
        passed = tuple(np.uintp(0) if a is None else check_argument(a) for a in arguments)
        kernel(tuple(grid), (threads,), passed, shared_mem=shared_bytes)
