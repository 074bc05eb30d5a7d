"""Kernels on a CPU: the same sources through a C++ compiler, for tests and for the agreement half of benchmarks.

A block's threads take turns, phase by phase, in the order that is asked for (see ``phases.cuh``), and so do the blocks.
Arrays are NumPy's. What a device would let pass is refused: an argument of another type than the kernel's, more shared
memory than was asked for, and values read from shared memory that nobody has written (they are NaN).
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import BackendError
from .launch import check_argument, source_text

ORDERS = ("forward", "reversed", "permuted")
"""In which the threads of a block, and the blocks, take their turns."""

FLAGS = ("-std=c++17", "-fPIC", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra")
GUARD = 256
"""Bytes after the shared memory that nobody may touch."""

PRELUDE = "#include <math.h>\n#include <stddef.h>\n#include <string.h>\n#include <utility>\n"
"""The headers of every kernel: to read them takes longer than the rest, so the compiler keeps them digested."""

# `run` calls the kernel block by block with arguments by address, as CUDA does; `signature` tells their types.
ENTRY = """
template <typename T> struct Kind { static const char* name() { return "?"; } };
#define KIND(type, text) template <> struct Kind<type> { static const char* name() { return text; } };
KIND(float, "float32") KIND(double, "float64") KIND(int, "int32") KIND(long long, "int64") KIND(unsigned char, "uint8")
KIND(bool, "bool") KIND(float*, "*float32") KIND(double*, "*float64") KIND(int*, "*int32") KIND(long long*, "*int64")
KIND(unsigned char*, "*uint8") KIND(bool*, "*bool")
KIND(const float*, "*float32") KIND(const double*, "*float64") KIND(const int*, "*int32")
KIND(const long long*, "*int64") KIND(const unsigned char*, "*uint8") KIND(const bool*, "*bool")
template <typename... A, size_t... N>
static void call(void (*kernel)(A...), void** arguments, std::index_sequence<N...>) {
    kernel(*static_cast<A*>(arguments[N])...);
}
template <typename... A> static void call(void (*kernel)(A...), void** arguments) {
    call(kernel, arguments, std::make_index_sequence<sizeof...(A)>());
}
template <typename... A> static void kinds(void (*)(A...), char* out) {
    ((strcat(out, Kind<A>::name()), strcat(out, " ")), ...);
}
extern "C" void signature(char* out) { out[0] = 0; kinds(&KERNEL_NAME, out); }
extern "C" void run(int blocks_x, int blocks_y, int threads, int order, void* shared, size_t bytes, void** arguments) {
    for (int i = 0; i < blocks_x * blocks_y; ++i) {
        const int block = in_order(i, blocks_x * blocks_y, order);
        emulated = {{block % blocks_x, block / blocks_x}, {blocks_x, blocks_y}, threads, order, shared};
        memset(shared, 0xff, bytes);  // NaN in every type of float
        call(&KERNEL_NAME, arguments);
    }
}
"""


class EmulatedLauncher:
    """Runs kernels on the host; see `launch.Launcher`.

    Parameters
    ----------
    order
        One of `ORDERS`.
    shared_limit
        Bytes of shared memory that a block may ask for; by default those of an H100.
    optimize
        Whether kernels shall run fast; where they run once on little data, to compile them takes longer.
    folder
        Where compiled kernels are kept, by the hash of their text; None: a temporary one.

    Raises
    ------
    BackendError
        There is no C++ compiler.
    """

    def __init__(
        self,
        order: str = "forward",
        shared_limit: int = 227 * 1024,
        folder: Path | None = None,
        *,
        optimize: bool = True,
    ):
        self.compiler = shutil.which("g++") or shutil.which("c++")
        if self.compiler is None:
            raise BackendError("emulated kernels: found neither g++ nor c++; install a C++ compiler")
        self.order, self.shared_limit = order, shared_limit
        self.flags = (*FLAGS, "-O2" if optimize else "-O0")
        self._kept = None if folder else tempfile.TemporaryDirectory(prefix="xbnet-kernels-")
        self.folder = Path(self._kept.name) if self._kept else Path(str(folder))
        self._libraries: dict[tuple[str, str], tuple[Any, list[str]]] = {}

    def prepare(self, source: str, name: str, shared_bytes: int) -> None:
        """See `launch.Launcher.prepare`."""
        self._library(source, name)

    def launch(
        self, source: str, name: str, grid: Sequence[int], threads: int, shared_bytes: int, arguments: Sequence[Any]
    ) -> None:
        """See `launch.Launcher.launch`; returns when the kernel has ended."""
        library, kinds = self._library(source, name)
        if len(arguments) != len(kinds):
            raise TypeError(f"{name}: expected {len(kinds)} arguments, got {len(arguments)}")
        if shared_bytes > self.shared_limit:
            raise BackendError(f"{name}: {shared_bytes} bytes of shared memory are more than {self.shared_limit}")
        cells = [_cell(name, i, kind, a) for i, (kind, a) in enumerate(zip(kinds, arguments, strict=True))]
        addresses = (ctypes.c_void_p * len(cells))(*(cell.ctypes.data for cell in cells))
        memory = np.full(shared_bytes + GUARD + 64, 0xA5, np.uint8)
        start = -memory.ctypes.data % 64
        shared = memory[start:]
        library.run(
            *(*grid, 1)[:2],
            threads,
            ORDERS.index(self.order),
            ctypes.c_void_p(shared.ctypes.data),
            ctypes.c_size_t(shared_bytes),
            addresses,
        )
        if (memory[:start] != 0xA5).any() or (shared[shared_bytes:] != 0xA5).any():
            raise BackendError(f"{name}: wrote beyond its {shared_bytes} bytes of shared memory")

    def _library(self, source: str, name: str) -> tuple[Any, list[str]]:
        if (source, name) not in self._libraries:
            text = source_text(source) + '#line 1 "entry"\n' + ENTRY.replace("KERNEL_NAME", name)
            library = ctypes.CDLL(str(self._compile(text)))
            out = ctypes.create_string_buffer(4096)
            library.signature(out)
            self._libraries[source, name] = library, out.value.decode().split()
        return self._libraries[source, name]

    def _compile(self, text: str) -> Path:
        path = self.folder / f"{hashlib.sha256((PRELUDE + text + str(self.flags)).encode()).hexdigest()[:24]}.so"
        if not path.exists():
            prelude = self._prelude()
            self._run_compiler(["-shared", "-include", str(prelude)], "kernel.cpp", text, path)
        return path

    def _prelude(self) -> Path:
        """The headers as text, beside what the compiler has made of them."""
        path = self.folder / f"{hashlib.sha256((PRELUDE + str(self.flags)).encode()).hexdigest()[:24]}.h"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._run_compiler(["-x", "c++-header"], "prelude.h", PRELUDE, path.with_suffix(".h.gch"))
            text = path.with_suffix(f".{os.getpid()}")  # for compilers that know nothing of the other file
            text.write_text(PRELUDE)
            text.replace(path)
        return path

    def _run_compiler(self, flags: Sequence[str], name: str, text: str, path: Path) -> None:
        """Compile a file; `path` is there at once, or not at all."""
        with tempfile.TemporaryDirectory(dir=self.folder) as work:
            code, result = Path(work, name), Path(work, "result")
            code.write_text(text, encoding="utf-8")
            command = [str(self.compiler), *self.flags, *flags, str(code), "-o", str(result)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                error = BackendError(f"emulated kernels: {self.compiler} failed: {done.stderr.strip()[:200]}")
                error.add_note(done.stderr[:4000])
                raise error
            result.replace(path)


def _cell(name: str, i: int, kind: str, argument: Any) -> np.ndarray:
    """Memory that holds an argument's value: of an array or None its address."""
    where = f"{name}: argument {i}"
    if argument is None or isinstance(argument, np.ndarray):
        if not kind.startswith("*"):
            raise TypeError(f"{where}: expected a {kind}, got an array")
        if argument is not None and f"*{argument.dtype.name}" != kind:
            raise TypeError(f"{where}: expected an array of {kind[1:]}, got {argument.dtype}")
        return np.array([0 if argument is None else argument.ctypes.data], np.uintp)
    scalar = np.asarray(check_argument(argument))
    if scalar.dtype.name != kind:
        raise TypeError(f"{where}: expected {'an array of ' * kind.startswith('*')}{kind.strip('*')}, got {argument!r}")
    return scalar.reshape(1)
