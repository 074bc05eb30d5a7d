"""A recording of a step's calls of NumPy, none of which is executed: a list of operations on arrays.

Nothing that a step does depends on the numbers in its arrays, and every operation says where its result goes. So the
text of layers, losses and optimizers can be run on stand-ins for `xp` and `ops` that only write down what is asked.
Everything without an instruction, such as a layer that does more than array operations, is written down as a call
that is to be made, whenever the step comes to it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from ..ops import COMPOSITE
from .table import KNOWN


@dataclass(frozen=True)
class Call:
    """A function and what it is called with; what it returns goes to the array `result`, where there is one."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    result: np.ndarray | None = None

    def __call__(self) -> None:
        """Make the call."""
        found = self.function(*self.arguments, **self.options)
        if self.result is not None and found is not self.result:
            np.copyto(self.result, found)

    def on(self, other: Callable[[np.ndarray], np.ndarray]) -> Call:
        """The same call on other arrays."""

        def change(thing: Any) -> Any:
            if isinstance(thing, (tuple, list)):
                return type(thing)(map(change, thing))
            return other(thing) if isinstance(thing, np.ndarray) else thing

        options = {key: change(value) for key, value in self.options.items()}
        return replace(self, arguments=tuple(map(change, self.arguments)), options=options)


class Operation(NamedTuple):
    """One operation.

    Attributes
    ----------
    name
        Name of an operation of `xp` or `ops`; "call": it has to be called.
    operands, out
        Arrays and numbers, and the arrays it writes. A call may read and write all arrays that it was given.
    call
        Function to call, once for all replicas.
    """

    name: str
    operands: tuple[Any, ...]
    out: tuple[Any, ...]
    call: Call | None = None


class NotRecordable(Exception):
    """Something that can't be put in a program; the text says what."""


VIEWS = ("broadcast_to",)
"""Functions of `xp` that compute nothing: their results stay what they are."""

RESULTS = {"row_max": ("out", "index")}
"""Arguments of operations of `ops` that are overwritten, where that is not `out` alone; `work` is theirs alone."""

Place = tuple[Any, Any]
"""A container and a key of it, under which a part is found: ``(network.layers, 0)``, ``(vars(step), "loss")``."""


def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Operation:
    """A call that is made as a whole, of parts without their stand-ins."""
    given = Call(function, tuple(map(bare, arguments)), {key: bare(value) for key, value in options.items()})
    arrays = tuple(arrays_in((*arguments, *options.values())))
    return Operation("call", arrays, arrays, given)


def arrays_in(things: Iterable[Any]) -> Iterable[np.ndarray]:
    """All arrays among these things, also in tuples and lists of them."""
    for thing in things:
        if isinstance(thing, np.ndarray):
            yield thing
        elif isinstance(thing, (tuple, list)):
            yield from arrays_in(thing)


class XpRecorder:
    """Stands in for `xp`."""

    def __init__(self, xp: Any, operations: list[Operation]):
        self._xp, self._operations = xp, operations

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._xp, name)
        if not callable(function) or isinstance(function, type) or name in VIEWS:
            return function

        def record(*arguments: Any, out: Any = None, where: Any = None, **options: Any) -> Any:
            if name == "copyto" and not options:
                out, *rest = arguments
                kind, operands = ("copyto", (*rest,)) if where is None else ("where", (*rest, where))
                self._operations.append(Operation(kind, operands, (out,)))
            elif out is None:
                raise NotRecordable(f"xp.{name} without out= gives a new array")
            elif name not in KNOWN or where is not None or options:
                more = options if where is None else options | {"where": where}
                self._operations.append(call(function, *arguments, out=out, **more))
            else:
                self._operations.append(Operation(name, tuple(arguments), (out,)))
            return out

        return record


class OpsRecorder:
    """Stands in for `ops`. Composite operations are run as they are written, on stand-ins: so their parts are seen."""

    def __init__(self, ops: Any, xp: XpRecorder, operations: list[Operation]):
        self._ops, self.xp, self._operations = ops, xp, operations

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._ops, name)
        if not callable(function) or isinstance(function, dict):
            return function

        def record(*arguments: Any, **options: Any) -> Any:
            kind: Any = type(self._ops)
            given = _signature(kind, name).bind(None, *arguments, **options).arguments
            if any(not getattr(part, "replayable", True) for part in (*arguments, *options.values())):
                self._operations.append(call(function, *arguments, **options))
            elif name in COMPOSITE or name == "gather_batch":
                return getattr(type(self._ops), name)(self, *arguments, **options)
            else:
                results = RESULTS.get(name, ("out",))
                operands = tuple(v for k, v in given.items() if k not in ("self", "work", *results))
                self._operations.append(Operation(name, operands, tuple(given[k] for k in results)))
            return given.get("out")

        return record


@cache
def _signature(ops: Any, name: str) -> inspect.Signature:
    return inspect.signature(getattr(ops, name))


class Called:
    """Stands in for a part that does more than array operations: each call of one of its methods is written down.

    Nothing is done, so nobody knows yet which array a method returns. What it will be is copied to one that stays.
    """

    def __init__(self, part: Any, operations: list[Operation], replicas: int):
        self._part, self._operations, self._replicas = part, operations, replicas

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._part, name)
        if not callable(value) or isinstance(value, type):
            return value
        return partial(self._write, name, value)

    def __call__(self, logits: Any, *arguments: Any, **options: Any) -> Any:
        """Return a loss's values (R, B), or (R, B k) of k members' answers (R, B, k C)."""
        return self._write("__call__", self._part, logits, *arguments, **options)

    def _write(self, name: str, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        operation = call(method, *arguments, **options)
        if name not in ("forward", "__call__"):
            self._operations.append(operation)
            return None
        x, width = arguments[0], self._part.n_outputs
        forward = (self._replicas, x.shape[1], width)
        out = np.empty(forward if name == "forward" else (len(x), x.shape[1] * x.shape[2] // width), x.dtype)
        assert operation.call is not None
        written = replace(operation.call, result=out)
        self._operations.append(operation._replace(out=(*operation.out, out), call=written))
        return out


def bare(thing: Any) -> Any:
    """A part in the place of its stand-in."""
    return thing._part if isinstance(thing, Called) else thing


def record(places: Sequence[Place], function: Callable[[], Any], replicas: int = 1) -> list[Operation]:
    """Return the operations that `function` asks of the `xp` and `ops` of the parts at these places; none is executed.

    Raises
    ------
    NotRecordable
        A part that says that it is replayable gives new arrays.
    """
    operations: list[Operation] = []
    before = [(holder, key, holder[key]) for holder, key in places]
    plain = [(part, part.xp, part.ops) for *_, part in before if getattr(part, "replayable", False)]
    try:
        for part, xp, ops in plain:
            part.xp = XpRecorder(xp, operations)
            part.ops = OpsRecorder(ops, part.xp, operations)
        for holder, key, part in before:
            if not getattr(part, "replayable", False):
                holder[key] = Called(part, operations, replicas)
        function()
    finally:
        for holder, key, part in before:
            holder[key] = part
        for part, xp, ops in plain:
            part.xp, part.ops = xp, ops
    return operations
