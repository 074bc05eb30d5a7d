"""A stand-in for the cupy package: NumPy's functions on arrays that look like a device's.

It holds the code to what CuPy demands: no host array next to one of the device, host copies only by `get`, and no two
accesses to memory, one of them a write, without an order between them that streams and events give. It counts what
would be launches and reads. Everything is computed at once, in the order in which it is asked for.
"""

import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

VIEWS = {"broadcast_to", "empty"}
"""Functions that launch nothing."""


class Address(int):
    @property
    def ptr(self):
        return int(self)


class Array(np.ndarray):
    """An array "on the device"."""

    launches: list = []  # noqa: RUF012  names of what was started, of all arrays
    reads = 0

    @property
    def data(self):
        return Address(self.ctypes.data)

    def get(self):
        Array.reads += 1
        return np.array(self)

    def set(self, host, stream):
        """An asynchronous copy: `host` was written before by the host, and is read when the stream comes to it."""
        assert type(host) is np.ndarray
        assert (host.shape, host.dtype, self.flags.c_contiguous) == (self.shape, self.dtype, True)
        clocks = stream.clocks
        clocks.access(clocks.host, host, writes=True)
        clocks.start(stream)
        clocks.access(stream, host, writes=False)
        clocks.access(stream, self, writes=True)
        self.view(np.ndarray)[...] = host

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **keywords):
        for array in (*inputs, *out):
            if isinstance(array, np.ndarray) and not isinstance(array, Array):
                raise TypeError(f"{ufunc.__name__}: a host array next to one of the device")
        Array.launches.append(ufunc.__name__)
        bare = [a.view(np.ndarray) if isinstance(a, Array) else a for a in inputs]
        if out:
            getattr(ufunc, method)(*bare, out=tuple(a.view(np.ndarray) for a in out), **keywords)
            return out[0]
        return as_array(getattr(ufunc, method)(*bare, **keywords))


def as_array(value):
    return np.asarray(value).view(Array)


class Memory:
    def __init__(self, nbytes):
        self.held = np.empty(nbytes, np.uint8)
        self.ptr = self.held.ctypes.data


# -- streams and events: who has to come before whom -------------------------------------------------------------------


class Stream:
    """Or the host: something that does one thing after the other. `clock` has, for each, how far it is known to be."""

    ptr = 0

    def __init__(self, clocks):
        self.clocks, self.clock = clocks, {}

    def wait_event(self, event):
        self.clocks.merge(self, event.clock)

    def synchronize(self):
        self.clocks.merge(self.clocks.host, self.clock)


class Event:
    def __init__(self, clocks):
        self.clocks, self.clock = clocks, {}

    def record(self, stream):
        self.clock = dict(stream.clock)

    def synchronize(self):
        self.clocks.merge(self.clocks.host, self.clock)


class Clocks:
    """Finds accesses to the same memory, one of them a write, that nothing orders: vector clocks (Lamport, Mattern)."""

    def __init__(self):
        self.host, self.accesses, self.races = Stream(self), [], []

    @staticmethod
    def merge(who, clock):
        for other, tick in clock.items():
            who.clock[other] = max(who.clock.get(other, 0), tick)

    def start(self, stream):
        """Something is asked of the stream now: all that the host knows has happened before."""
        self.merge(stream, self.host.clock)

    def access(self, who, array, writes):
        who.clock[who] = who.clock.get(who, 0) + 1
        start = array.ctypes.data
        now = (who, who.clock[who], start, start + array.nbytes, writes)
        for other, tick, low, high, wrote in self.accesses:
            overlap = low < now[3] and now[2] < high
            if overlap and (wrote or writes) and who.clock.get(other, 0) < tick:
                self.races.append((other, who))
        self.accesses.append(now)


# -- the module --------------------------------------------------------------------------------------------------------


class Properties:
    attributes = {"MaxSharedMemoryPerBlockOptin": 232448}  # noqa: RUF012
    id = 0
    mem_info = (2**37, 2**37)


class Runtime:
    @staticmethod
    def getDeviceProperties(device):
        return {"name": b"stand-in"}

    @staticmethod
    def getDevice():
        return 0

    @staticmethod
    def runtimeGetVersion():
        return 12090


class Cuda:
    """`cupy.cuda`."""

    runtime = Runtime
    alloc = Memory

    def __init__(self):
        self.clocks = Clocks()
        self.stream = Stream(self.clocks)

    @staticmethod
    def Device():
        return Properties

    def get_current_stream(self):
        return self.stream

    def Stream(self, non_blocking):
        return Stream(self.clocks)

    def Event(self, disable_timing):
        return Event(self.clocks)

    def alloc_pinned_memory(self, nbytes):
        return bytearray(nbytes)

    def work_on(self, array):
        """The current stream reads it."""
        self.clocks.start(self.stream)
        self.clocks.access(self.stream, array, writes=False)


class Cupy:
    """The module."""

    __version__ = "0 (a stand-in)"
    ndarray = Array

    def __init__(self):
        self.cuda = Cuda()

    def __getattr__(self, name):
        function = getattr(np, name)
        if isinstance(function, np.ufunc):
            return function

        def call(*arguments, **keywords):
            if name not in VIEWS:
                Array.launches.append(name)
            result = function(*arguments, **keywords)
            return as_array(result) if isinstance(result, np.ndarray) else result

        return call

    @staticmethod
    def asarray(host, dtype=None):
        return np.array(host, dtype).view(Array)


class Watched:
    """The launches and reads within this context."""

    def __enter__(self):
        self.start, self.reads = len(Array.launches), -Array.reads
        return self

    def __exit__(self, *error):
        self.launches, self.reads = Array.launches[self.start :], self.reads + Array.reads


@functools.cache
def fake_cublas():
    """A library with cuBLAS' symbols that works on memory of the host, compiled; skips the test without a compiler."""
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("needs a C++ compiler")
    source = Path(__file__).parent / "fake_cublas.cpp"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "libcublas.so")
        subprocess.run([compiler, "-O2", "-std=c++17", "-shared", "-fPIC", source, "-o", path], check=True, timeout=60)
        library = ctypes.CDLL(str(path))
    library.path = str(path)
    return library
