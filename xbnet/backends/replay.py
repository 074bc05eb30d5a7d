"""What a step asks of its arrays, recorded once and replayed.

A step of a small network on a CPU is mostly Python: looking up attributes, choosing, handing arguments on. But its
arrays are the same at every step, and so are the operations. A `Record` holds them, each with calls that were made for
these very arrays: replaying them gives the same bits as running the step, in two thirds of the time.

Nothing that is recorded knows of it. While a record is made, proxies stand where its parts (layers, a loss, ...) find
`xp` and `ops`. A part that does more than such operations doesn't say that it is `replayable`; then each call of one of
its methods is recorded as a whole, and is made anew in every replay.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from .ops import COMPOSITE

Calls = list[Callable[[], Any]]
Specialized = Mapping[str, Callable[..., Calls]]
"""Name of an operation -> what it comes to for certain arrays, see `numpy_ops.SPECIALIZED`."""
Place = tuple[Any, Any]
"""A container and a key of it, under which a part lies: ``(network.layers, 0)``, ``(vars(step), "loss")``."""

MOST = 8
"""Records that are kept; each keeps its arrays alive."""
RUNS = 3
"""How often a function is run before it is recorded, which takes as long as several runs: short jobs do without."""

VIEWS = ("broadcast_to",)
"""Functions of `xp` that compute nothing: their results stay what they are."""


class Operation(NamedTuple):
    """One operation on arrays.

    Attributes
    ----------
    name
        "xp.add", "ops.bmm", ..., or a method such as "Dropout.forward" that is called as a whole.
    operands
        Arrays, numbers and settings: of `xp` as they were given, of `ops` in the order of the method's signature. `out`
        is not among them.
    out
        The array that is overwritten, if there is one.
    options
        Other keywords of a function of `xp`.
    calls
        What does it: functions without arguments, made for these arrays.
    parts
        The operations that a composite one consists of: the same once more.
    opaque
        Whether the operation can only be called: nobody knows what it reads and writes.
    """

    name: str
    operands: tuple[Any, ...]
    out: Any
    options: dict[str, Any]
    calls: Calls
    parts: tuple[Operation, ...] = ()
    opaque: bool = False


class Record:
    """The operations of one run of a function, and what the function returned.

    Attributes
    ----------
    operations
        In order.
    result
        The same array in each replay.
    calls
        The calls of all operations: to make them is a replay.
    """

    def __init__(self, operations: Sequence[Operation], result: Any):
        self.operations, self.result = tuple(operations), result
        self.calls = [call for operation in operations for call in operation.calls]


class Scratch:
    """Memory that hold operands for the next call: all calls share it."""

    def __init__(self) -> None:
        self._flat: dict[tuple[int, np.dtype], np.ndarray] = {}

    def take(self, slot: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An array of that shape; two operands of one call take different slots."""
        key, size = (slot, dtype), math.prod(shape)
        if key not in self._flat or self._flat[key].size < size:
            self._flat[key] = np.empty(size, dtype)
        return self._flat[key][:size].reshape(shape)


class Replays:
    """Runs functions, and replays those that come again with the same key.

    The first runs of a key make whatever its parts allocate only once; then one is recorded, all others are replays.

    Parameters
    ----------
    places
        Where the parts that the functions use lie.
    specialized
        The backend's; where it has none, every function is run.
    """

    def __init__(self, places: Sequence[Place], specialized: Specialized):
        self.places, self.specialized, self.active = places, specialized, bool(specialized)
        self.records: dict[Hashable, Record] = {}
        self._runs: dict[Hashable, int] = {}
        self._generation, self._scratch = 0, Scratch()

    def run(self, key: Hashable, generation: int, function: Callable[..., Any], *arguments: Any) -> Any:
        """What ``function(*arguments)`` returns.

        Parameters
        ----------
        key
            Whatever decides which operations the function comes to, and on which arrays.
        generation
            Changes when parts get other memory: all records are void then.
        function, *arguments
            Gives an array that it overwrites each time, or nothing.
        """
        if generation != self._generation:
            self.clear()
            self._generation = generation
        record = self.records.get(key)
        if record is not None:
            for call in record.calls:
                call()
            return record.result
        if not self.active:
            return function(*arguments)
        runs = self._runs.get(key, 0)
        if runs == RUNS:
            record = self.records[key] = self.record(function, *arguments)
            return record.result
        result = function(*arguments)
        if not runs and len(self._runs) >= MOST:
            self.clear()
        self._runs[key] = runs + 1
        return result

    def record(self, function: Callable[..., Any], *arguments: Any) -> Record:
        """Run the function once, and note what it does."""
        recording = Recording(self.places, self.specialized, self._scratch)
        try:
            recording.start()
            result = function(*arguments)
        finally:
            try:
                recording.stop()
            finally:
                recording.stop()  # an interrupt within the first one leaves no proxy behind
        return Record(recording.operations, result)

    def clear(self) -> None:
        """Forget all records."""
        self.records.clear()
        self._runs.clear()
        self._scratch = Scratch()


class Recording:
    """From `start` to `stop`, what the parts at these places do is recorded as well as done."""

    def __init__(self, places: Sequence[Place], specialized: Specialized, scratch: Scratch | None = None):
        self.places, self.specialized, self.scratch = places, specialized, scratch or Scratch()
        self.operations: list[Operation] = []
        self.within = False  # a call that is recorded as a whole
        self._before: list[tuple[Any, Any, Any]] = []
        self._plain: list[tuple[Any, Any, Any]] = []
        self._proxies: dict[tuple[int, int], tuple[XpProxy, OpsProxy]] = {}  # nearly always one pair serves all parts

    def start(self) -> None:
        """Put proxies in the places of `xp` and `ops`, and of parts that are not replayable."""
        self._before = [(holder, key, holder[key]) for holder, key in self.places if holder[key] is not None]
        self._plain = [(part, part.xp, part.ops) for *_, part in self._before if replayable(part)]
        for part, xp, ops in self._plain:
            pair = id(xp), id(ops)
            if pair not in self._proxies:
                self._proxies[pair] = XpProxy(self, xp), OpsProxy(self, ops, XpProxy(self, xp))
            part.xp, part.ops = self._proxies[pair]
        for holder, key, part in self._before:
            if not replayable(part):
                holder[key] = Opaque(self, part)

    def stop(self) -> None:
        """Put everything back."""
        for part, xp, ops in self._plain:
            part.xp, part.ops = xp, ops
        for holder, key, part in self._before:
            holder[key] = part
        for _, ops in self._proxies.values():
            vars(ops).clear()  # what it has found holds it: the cycle would keep all arrays that were recorded
        self._proxies.clear()

    def add(self, name: str, operands: tuple[Any, ...], out: Any, call: Callable[[], Any], **more: Any) -> None:
        """Record one operation that is one call."""
        if not self.within:
            self.operations.append(Operation(name, operands, out, more.pop("options", {}), [call], **more))

    def add_specialized(self, name: str, operands: tuple[Any, ...], out: Any, kind: str) -> None:
        """Record one operation whose calls are made for its arrays."""
        if not self.within:
            calls = self.specialized[kind](self.scratch, *operands, out=out)
            self.operations.append(Operation(name, operands, out, {}, calls))


def replayable(part: Any) -> bool:
    """Whether a part does nothing but by its `xp`, with ``out=``, and its `ops`."""
    return bool(getattr(part, "replayable", False))


class XpProxy:
    """Stands in for `xp`: does what it is asked to, and records it."""

    def __init__(self, recording: Recording, xp: Any):
        self._recording, self._xp = recording, xp

    def __getattr__(self, name: str) -> Any:
        function, recording = getattr(self._xp, name), self._recording
        if not callable(function) or isinstance(function, type) or name in VIEWS:
            return function

        def recorded(*arguments: Any, **options: Any) -> Any:
            if name == "copyto":
                out, *operands = arguments
                call = partial(function, *arguments, **options)
            elif "out" in options:
                operands, out = list(arguments), options.pop("out")
                if name in recording.specialized and not options:
                    recording.add_specialized(f"xp.{name}", arguments, out, name)
                    return function(*arguments, out=out)
                ufunc = hasattr(function, "nin")  # by position, `out` is handed over quicker
                given, named = ((*arguments, out), {}) if ufunc else (arguments, {"out": out})
                call = partial(function, *given, **named, **options)
            elif recording.within:
                return function(*arguments, **options)
            else:
                raise TypeError(f"xp.{name} without out= can't be replayed, for it makes an array at each call")
            recording.add(f"xp.{name}", tuple(operands), out, call, options=options)
            return call()

        vars(self)[name] = recorded  # from now on this is what is found
        return recorded


class OpsProxy:
    """Stands in for `ops`. A composite operation is run on proxies, as it is written: so its parts are recorded."""

    def __init__(self, recording: Recording, ops: Any, xp: XpProxy):
        self._recording, self._ops, self.xp = recording, ops, xp

    def __getattr__(self, name: str) -> Any:
        function, recording = getattr(self._ops, name), self._recording
        if not callable(function) or isinstance(function, dict):
            return function

        def recorded(*arguments: Any, **options: Any) -> Any:
            kind: Any = type(self._ops)
            named = dict(zip(_parameters(kind, name), arguments, strict=False)) | options
            out, operands = named.pop("out", None), tuple(named.values())
            title = f"ops.{name}"
            if name in recording.specialized:
                recording.add_specialized(title, operands, out, name)
                return function(*arguments, **options)
            hidden = any(not replayable(o) for o in operands if hasattr(o, "replayable") and not isinstance(o, Opaque))
            if name in COMPOSITE and not hidden:
                return self._compose(name, title, operands, out, arguments, options)
            call = partial(function, *arguments, **options)
            recording.add(title, operands, out, call, opaque=hidden)
            return call()

        vars(self)[name] = recorded  # from now on this is what is found
        return recorded

    def _compose(self, name: str, title: str, operands: tuple[Any, ...], out: Any, arguments: Any, options: Any) -> Any:
        recording = self._recording
        around, recording.operations = recording.operations, []
        try:
            result = getattr(type(self._ops), name)(self, *arguments, **options)
        finally:
            parts, recording.operations = tuple(recording.operations), around
        if not recording.within:
            calls = [call for part in parts for call in part.calls]
            recording.operations.append(Operation(title, operands, out, {}, calls, parts))
        return result


@cache
def _parameters(ops: Any, name: str) -> tuple[str, ...]:
    return tuple(inspect.signature(getattr(ops, name)).parameters)[1:]


class Opaque:
    """Stands in for a part that is not replayable: each call of it, or of a method, is recorded as a whole."""

    def __init__(self, recording: Recording, part: Any):
        self._recording, self._part = recording, part

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._part, name)
        return partial(self._call, name, value) if callable(value) and not isinstance(value, type) else value

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """What the part gives when it is called."""
        return self._call("__call__", self._part, *arguments, **options)

    def _call(self, name: str, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        recording, call = self._recording, partial(method, *map(_bare, arguments), **options)
        if recording.within:
            return call()
        recording.within = True
        try:
            out = call()
        finally:
            recording.within = False
        if isinstance(out, np.ndarray):
            given = [a for a in (*arguments, *options.values()) if isinstance(a, np.ndarray)]
            if any(np.may_share_memory(out, array) for array in given):
                out = out.copy()  # another time it may be an array of its own, which must not end in that memory
            call = partial(_call_into, out, call)
        title = f"{type(self._part).__name__}.{name}"
        recording.add(title, tuple(map(_bare, arguments)), out, call, options=options, opaque=True)
        return out


def _bare(thing: Any) -> Any:
    return thing._part if isinstance(thing, Opaque) else thing


def _call_into(out: np.ndarray, call: Callable[[], Any]) -> None:
    """Whatever reads the result reads `out`."""
    result = call()
    if result is not out:
        np.copyto(out, result)
