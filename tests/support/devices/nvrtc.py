"""NVRTC by ctypes: compiles kernels for a GPU without one, and without a driver.

It needs ``pip install nvidia-cuda-nvrtc-cu12`` (or ``nvidia-cuda-nvrtc`` for CUDA 13), and nothing of CuPy.
"""

import ctypes
import re
import site
import sys
from pathlib import Path
from typing import NamedTuple

ARCHITECTURES = ("sm_80", "sm_90", "sm_100")

# What CuPy hands to NVRTC for a RawModule, and the report of ptxas.
CUPYS = ("--std=c++17", "-ftz=true", "--device-as-default-execution-space", "--ptxas-options=-v")


class Compiled(NamedTuple):
    """Properties of a kernel from ptxas: registers of a thread, bytes of registers spilled, bytes of local memory."""

    registers: int
    spilled: int
    stack: int


def find_library():
    """The path of libnvrtc, or None."""
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return load_nvidia_dynamic_lib("nvrtc").abs_path
    except Exception:  # not installed, or it finds none: look where the wheels put it
        folders = [*site.getsitepackages(), *(p for p in sys.path if p.endswith("-packages"))]
        found = [p for f in folders for p in sorted(Path(f, "nvidia").glob("**/libnvrtc.so.*"))]
        return str(found[0]) if found else None


class Nvrtc:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.nvrtcGetErrorString.restype = ctypes.c_char_p

    def compile(self, text, names, architecture):
        """`Compiled` of each name expression; RuntimeError with the compiler's log where it refuses."""
        program = ctypes.c_void_p()
        self._check(
            self.library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None), ""
        )
        try:
            for name in names:
                self._check(self.library.nvrtcAddNameExpression(program, name.encode()), name)
            options = [o.encode() for o in (*CUPYS, f"-arch={architecture}")]
            code = self.library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
            log = self._log(program)
            self._check(code, log)
            found = {}
            for name in names:
                lowered = ctypes.c_char_p()
                self._check(self.library.nvrtcGetLoweredName(program, name.encode(), ctypes.byref(lowered)), name)
                found[name] = read_report(log, lowered.value.decode())
            return found
        finally:
            self.library.nvrtcDestroyProgram(ctypes.byref(program))

    def _log(self, program):
        size = ctypes.c_size_t()
        self.library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        self.library.nvrtcGetProgramLog(program, log)
        return log.value.decode()

    def _check(self, code, where):
        if code:
            raise RuntimeError(f"NVRTC: {self.library.nvrtcGetErrorString(code).decode()}: {where}")


def read_report(log, lowered):
    """The kernel's paragraph of ptxas -v."""
    paragraph = log[log.index(f"Compiling entry function '{lowered}'") :]
    stack, stores = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores", paragraph).groups()
    return Compiled(int(re.search(r"Used (\d+) registers", paragraph)[1]), int(stores), int(stack))
