"""A stand-in for CuPy's streams and graphs: NumPy that writes down, while a stream captures, what would be launched.

As on a device, nothing is computed while steps are captured, and a replay does the same with the same memory again:
whatever the host computes, chooses or changes in a step happens once. And a graph knows addresses, it keeps no memory:
what was given back in the meantime is found out. Streams do not wait for each other but by events.
"""

import weakref
from contextlib import contextmanager
from functools import partial

import numpy as np

from tests.support.devices import emulation
from xbnet.backends.backend import Backend
from xbnet.backends.cuda.ops import CudaOps
from xbnet.backends.ops import Ops

VIEWS = {"broadcast_to", "ascontiguousarray"}


class Address:
    """Where an array is: it may be used as long as somebody else keeps the memory."""

    def __init__(self, array):
        root = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        self.root = weakref.ref(root)
        self.offset = array.ctypes.data - root.ctypes.data
        self.layout = {"shape": array.shape, "dtype": array.dtype, "strides": array.strides}

    def array(self):
        root = self.root()
        assert root is not None, "the memory was given back"
        return np.ndarray(buffer=root, offset=self.offset, **self.layout)


class Call:
    """One operation, with addresses in place of arrays."""

    def __init__(self, function, arguments, keywords):
        self.function = function
        self.arguments = [self.address(a) for a in arguments]
        self.keywords = {name: self.address(a) for name, a in keywords.items()}

    @staticmethod
    def address(argument):
        if isinstance(argument, tuple):
            return tuple(map(Call.address, argument))
        return Address(argument) if isinstance(argument, np.ndarray) else argument

    @staticmethod
    def array(argument):
        if isinstance(argument, tuple):
            return tuple(map(Call.array, argument))
        return argument.array() if isinstance(argument, Address) else argument

    def __call__(self):
        keywords = {name: self.array(a) for name, a in self.keywords.items()}
        self.function(*map(self.array, self.arguments), **keywords)


class Graph:
    def __init__(self, device, calls):
        self.device, self.calls = device, calls

    def launch(self, stream):
        assert self.device.current is stream, "graphs are started on the stream of the steps around them"
        assert self.device.captured is None
        self.device.launches += 1
        stream.work()
        for call in self.calls:
            call()


class Stream:
    """`seen`: how much work of each stream, itself too, comes before what it does next."""

    def __init__(self, device):
        self.device, self.seen = device, {}
        device.streams.append(self)

    def __enter__(self):
        self.before, self.device.current = self.device.current, self

    def __exit__(self, *error):
        self.device.current = self.before

    def work(self):
        for other in self.device.streams:
            assert self.seen.get(other, 0) == other.seen.get(other, 0), "two streams work without an order"
        self.seen[self] = self.seen.get(self, 0) + 1

    def record(self):
        return dict(self.seen)

    def wait_event(self, event):
        for stream, work in event.items():
            self.seen[stream] = max(self.seen.get(stream, 0), work)

    def begin_capture(self):
        assert self.device.current is self, "work on another stream is not captured"
        assert self.device.captured is None
        self.device.captured, self.device.captures = [], self.device.captures + 1

    def end_capture(self):
        calls, self.device.captured = self.device.captured, None
        return Graph(self.device, calls)


class Device:
    """The module, and what happened on its device; also a launcher of kernels."""

    ndarray = np.ndarray
    shared_limit = 227 * 1024
    mem_info = (2**40, 2**40)

    def __init__(self):
        self.captured = self.allocator = None
        self.launches = self.captures = 0
        self.cuda, self.streams = self, []
        self.current = Stream(self)

    def Device(self):
        return self

    def Stream(self, non_blocking):
        assert non_blocking, "other threads that use the default stream would end the capture"
        return Stream(self)

    def get_current_stream(self):
        return self.current

    @contextmanager
    def using_allocator(self, allocator):
        self.allocator = allocator
        try:
            yield
        finally:
            self.allocator = None

    def __getattr__(self, name):
        function = getattr(np, name)
        return function if isinstance(function, type) or not callable(function) else partial(self.do, name, function)

    def do(self, name, function, *arguments, **keywords):
        if name in VIEWS:
            return function(*arguments, **keywords)
        if "out" not in keywords and name != "copyto":
            result = np.asarray(function(*arguments, **keywords))
            if self.allocator is not None:
                self.allocator(result.nbytes)
            return result
        if self.captured is None:
            self.current.work()
            return function(*arguments, **keywords)
        self.captured.append(Call(function, arguments, keywords))
        return keywords.get("out")

    def launch(self, *arguments):
        call = Call(emulation.launcher().launch, arguments, {})
        if self.captured is not None:
            self.captured.append(call)
            return
        self.current.work()
        call()


def backend(capturable=True, kernels=False):
    """NumPy arrays on a device that captures."""
    device = Device()
    ops = CudaOps(device, device, capturable=capturable) if kernels else Ops(device, capturable=capturable)
    return Backend("stand-in", "host", device, ops)
