"""Reading pickles without running anything: NumPy arrays and plain containers, and nothing else.

A pickle is a program for a small stack machine (PEP 307, PEP 3154, and the opcodes of the standard
library's `pickletools`). The standard machine can call whatever the file names; this one has no way to
call at all: the names of NumPy's own constructors are recognised as text, and the arrays are made from
the bytes in the file, without a copy. Every length is checked against the bytes that are there, and the
number of objects against the size of the file.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...errors import printable
from ..checks import Array

_DTYPE = re.compile(r"[<>|=]?[biuf][1248]|b1")


class Refused(Exception):
    """The pickle asks for something else, or contradicts itself; the text says what."""


class _Name(NamedTuple):
    """A global that the pickle names, e.g. ``numpy dtype``; never looked up."""

    module: str
    name: str


class _Call:
    """A call that the pickle asks for; it becomes an array or a dtype when its state arrives."""

    def __init__(self, kind: str, arguments: tuple[Any, ...]) -> None:
        self.kind, self.arguments = kind, arguments


_KINDS = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("numpy.core.multiarray", "_reconstruct"): "array",
    ("numpy._core.multiarray", "_reconstruct"): "array",
    ("numpy.core.numeric", "_frombuffer"): "frombuffer",
    ("numpy._core.numeric", "_frombuffer"): "frombuffer",
    ("_codecs", "encode"): "encode",
    ("__builtin__", "bytes"): "empty",
}


def unpickle(content: bytes | memoryview) -> Any:
    """The object in a pickle of protocol 2 to 5, which may hold arrays of numbers and plain containers.

    Parameters
    ----------
    content
        The whole file. Arrays and strings of bytes may be views into it.

    Returns
    -------
    object
        Dictionaries, lists, tuples, numbers, None, text; ``bytes``-like objects and strings of Python 2
        as memoryviews; arrays of booleans, integers and floats.

    Raises
    ------
    Refused
        If the pickle names anything else than NumPy's array constructors, or is damaged.
    """
    try:
        return _Machine(memoryview(content)).run()
    except Refused:
        raise
    except (IndexError, KeyError, struct.error):
        raise Refused("it is damaged or cut off") from None
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise Refused(f"it is damaged ({printable(error)})") from None


class _Machine:
    def __init__(self, content: memoryview) -> None:
        self.content, self.position = content, 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        # An opcode makes an object of at most 200 bytes or so: together less than the file.
        # A batch of CIFAR-10 has one per thousand bytes.
        for _ in range(1_000 + len(self.content) // 256):
            code = self.take(1)[0]
            if code == ord("."):
                return self.stack.pop()
            step = _STEPS.get(code)
            if step is None:
                raise Refused(f"it holds the opcode {bytes([code])!r}")
            step(self)
        raise Refused("it holds more objects than a batch of images does")

    def take(self, size: int) -> memoryview:
        """The next `size` bytes, as a view."""
        if not 0 <= size <= len(self.content) - self.position:
            raise Refused(f"it is cut off: {size} bytes wanted, {len(self.content) - self.position} are there")
        self.position += size
        return self.content[self.position - size : self.position]

    def number(self, form: str) -> Any:
        return struct.unpack("<" + form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        start = self.position
        while self.take(1)[0] != ord("\n"):
            if self.position - start > 100:
                raise Refused("it holds a name of more than 100 letters")
        return str(self.content[start : self.position - 1], "utf-8", "replace")

    def since_mark(self) -> list[Any]:
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def name(self, module: str, name: str) -> None:
        if (module, name) not in _KINDS:
            raise Refused(f"it names {printable(module)}.{printable(name)}")
        self.stack.append(_Name(module, name))

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.name(text(module), text(name))

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise Refused("it calls something that is not a function of NumPy")
        kind = _KINDS[function]
        if kind == "dtype":
            code = text(arguments[0])
            if not _DTYPE.fullmatch(code):
                raise Refused(f"it holds an array of type {code[:20]!r}")
            self.stack.append(_Call("dtype", (np.dtype(code),)))
        elif kind == "frombuffer":
            data, dtype, shape, order = arguments
            self.stack.append(_array(data, _dtype(dtype), shape, text(order)))
        elif kind == "encode":  # how Python 3 writes bytes in protocol 2
            if text(arguments[1]) not in ("latin1", "latin-1"):
                raise Refused(f"it encodes text as {text(arguments[1])[:20]!r}")
            self.stack.append(memoryview(arguments[0].encode("latin-1")))
        elif kind == "empty":  # the same for no bytes
            if arguments:
                raise Refused("it makes bytes from something")
            self.stack.append(memoryview(b""))
        else:
            self.stack.append(_Call(kind, ()))

    def build(self) -> None:
        state, call = self.stack.pop(), self.stack[-1]
        if not isinstance(call, _Call) or not isinstance(state, tuple):
            raise Refused("it changes an object that is not an array")
        if call.kind == "dtype":
            order = text(state[1])
            if order not in ("<", ">", "|", "="):
                raise Refused(f"it holds the byte order {order[:20]!r}")
            # In place, for the memo holds the call too.
            call.arguments = (call.arguments[0].newbyteorder(order),)
        elif call.kind == "array":
            shape, dtype, fortran, data = state[-4:]
            made = _array(data, _dtype(dtype), shape, "F" if fortran else "C")
            self.stack[-1] = made
            for key in [key for key, value in self.memo.items() if value is call]:
                self.memo[key] = made
        else:
            raise Refused(f"it changes a {call.kind}")

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise Refused("it sets items of an object that is not a dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[text(key) if isinstance(key, memoryview) else key] = value

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise Refused("it appends to an object that is not a list")
        self.stack[-1].extend(items)

    def remember(self, key: int) -> None:
        self.memo[key] = self.stack[-1]

    def push_tuple(self, size: int) -> None:
        if size > len(self.stack):
            raise Refused("it is damaged: an empty stack")
        items = tuple(self.stack[len(self.stack) - size :])
        self.stack[len(self.stack) - size :] = [items]


def text(value: Any) -> str:
    """Text from what Python 2 or 3 pickled for a short string."""
    if isinstance(value, memoryview):
        return str(value[:1000], "latin-1")
    if not isinstance(value, str):
        raise Refused(f"it is damaged: expected text, got {type(value).__name__}")
    return value


def _dtype(call: Any) -> np.dtype:
    if not isinstance(call, _Call) or call.kind != "dtype":
        raise Refused("it holds an array without a type")
    return call.arguments[0]


def _array(data: Any, dtype: np.dtype, shape: Any, order: str) -> Array:
    if not isinstance(data, memoryview) or not isinstance(shape, tuple):
        raise Refused("it holds an array of objects")
    if any(type(n) is not int or n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != len(data):
        raise Refused(f"it holds an array of shape {str(shape)[:60]} in {len(data)} bytes")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C")


def _push(value: Any) -> Callable[[Any], None]:
    return lambda m: m.stack.append(value)


def _push_bytes(form: str) -> Callable[[Any], None]:
    return lambda m: m.stack.append(m.take(m.number(form)))


def _push_text(form: str) -> Callable[[Any], None]:
    return lambda m: m.stack.append(str(m.take(m.number(form)), "utf-8", "replace"))


_STEPS: dict[int, Callable[[Any], None]] = {
    ord("\x80"): lambda m: m.take(1),  # PROTO
    ord("\x95"): lambda m: m.take(8),  # FRAME: what follows is read all the same
    ord("("): lambda m: m.marks.append(len(m.stack)),
    ord("0"): lambda m: m.stack.pop(),
    ord("1"): lambda m: m.since_mark(),
    ord("N"): _push(None),
    ord("\x88"): _push(True),
    ord("\x89"): _push(False),
    ord("K"): lambda m: m.stack.append(m.number("B")),
    ord("M"): lambda m: m.stack.append(m.number("H")),
    ord("J"): lambda m: m.stack.append(m.number("i")),
    ord("\x8a"): lambda m: m.stack.append(int.from_bytes(m.take(m.number("B")), "little", signed=True)),
    ord("G"): lambda m: m.stack.append(struct.unpack(">d", m.take(8))[0]),
    ord("U"): _push_bytes("B"),  # strings of Python 2
    ord("T"): _push_bytes("i"),
    ord("C"): _push_bytes("B"),
    ord("B"): _push_bytes("I"),
    ord("\x8e"): _push_bytes("Q"),
    ord("\x96"): _push_bytes("Q"),
    ord("\x8c"): _push_text("B"),
    ord("X"): _push_text("I"),
    ord("\x8d"): _push_text("Q"),
    ord("}"): lambda m: m.stack.append({}),
    ord("]"): lambda m: m.stack.append([]),
    ord(")"): _push(()),
    ord("t"): lambda m: m.stack.append(tuple(m.since_mark())),
    ord("\x85"): lambda m: m.push_tuple(1),
    ord("\x86"): lambda m: m.push_tuple(2),
    ord("\x87"): lambda m: m.push_tuple(3),
    ord("l"): lambda m: m.stack.append(m.since_mark()),
    ord("a"): lambda m: m.extend([m.stack.pop()]),
    ord("e"): lambda m: m.extend(m.since_mark()),
    ord("s"): lambda m: m.set_items([m.stack.pop(-2), m.stack.pop()]),
    ord("u"): lambda m: m.set_items(m.since_mark()),
    ord("q"): lambda m: m.remember(m.number("B")),
    ord("r"): lambda m: m.remember(m.number("I")),
    ord("\x94"): lambda m: m.remember(len(m.memo)),
    ord("h"): lambda m: m.stack.append(m.memo[m.number("B")]),
    ord("j"): lambda m: m.stack.append(m.memo[m.number("I")]),
    ord("c"): lambda m: m.name(m.line(), m.line()),
    ord("\x93"): lambda m: m.stack_global(),
    ord("R"): lambda m: m.reduce(),
    ord("b"): lambda m: m.build(),
}
