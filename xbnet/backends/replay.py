"""A step's calls on its arrays, recorded once and replayed.

A step of a small network on a CPU is mostly Python: looking up attributes, choosing, handing arguments on. But its
arrays are the same at every step, and so are the operations. A `Record` holds them, each with calls that were made for
these very arrays: replaying them gives the same bits as running the step, in two thirds of the time.

Nothing that is recorded knows of it. While a record is made, proxies are where its parts (layers, a loss, ...) find
`xp` and `ops`. A part that does more than such operations doesn't say that it is `replayable`; then each call of one of
its methods is recorded as a whole, and is made again in every replay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .proxies import Opaque, OpsProxy, XpProxy, replayable

Calls = list[Callable[[], Any]]
Specialized = Mapping[str, Callable[..., Calls]]
"""Name of an operation -> what it comes to for certain arrays, see `numpy_ops.SPECIALIZED`."""
Place = tuple[Any, Any]
"""A container and a key of it, under which a part is found: ``(network.layers, 0)``, ``(vars(step), "loss")``."""

MOST = 8
"""Records that are kept; each keeps its arrays alive."""
RUNS = 1
"""How often a function is run before it is recorded: once, for parts allocate what they need at the first run.

Recording takes as long as two runs, and a replay a fifth of one."""


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
        The recorded calls: functions without arguments, made for these arrays.
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

    The first run of a key makes whatever its parts allocate only once; the second is recorded, all others are replays.

    Parameters
    ----------
    places
        Where the parts that the functions use are.
    specialized
        The backend's; where it has none, every function is run.
    """

    def __init__(self, places: Sequence[Place], specialized: Specialized):
        self.places, self.specialized, self.active = places, specialized, bool(specialized)
        self.records: dict[Hashable, Record] = {}
        self._runs: dict[Hashable, int] = {}
        self._generation, self._scratch = 0, Scratch()

    def run(self, key: Hashable, generation: int, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return the result of ``function(*arguments)``.

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

    def add_composite(self, name: str, operands: tuple[Any, ...], out: Any, parts: tuple[Operation, ...]) -> None:
        """Record one operation that consists of others."""
        if not self.within:
            calls = [call for part in parts for call in part.calls]
            self.operations.append(Operation(name, operands, out, {}, calls, parts))
