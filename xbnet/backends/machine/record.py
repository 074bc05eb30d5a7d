"""What a step asks of NumPy, written down without being done: a list of operations on arrays.

Nothing that a step does depends on the numbers in its arrays, and every operation says where its result goes. So the
text of layers, losses and optimizers can be run on stand-ins for `xp` and `ops` that only write down what is asked.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from ..ops import COMPOSITE


class Operation(NamedTuple):
    """The name of an operation of `xp` or `ops`, its operands (arrays and numbers), and the arrays it writes."""

    name: str
    operands: tuple[Any, ...]
    out: tuple[Any, ...]


class NotRecordable(Exception):
    """Something that is not on the list, or that gives a new array; the text says what."""


VIEWS = ("broadcast_to",)
"""Functions of `xp` that compute nothing: their results stay what they are."""

RESULTS = {"row_max": ("out", "index")}
"""Arguments of operations of `ops` that are overwritten, where that is not `out` alone; `work` is theirs alone."""


class XpRecorder:
    """Stands in for `xp`."""

    def __init__(self, xp: Any, operations: list[Operation]):
        self._xp, self._operations = xp, operations

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._xp, name)
        if not callable(function) or isinstance(function, type) or name in VIEWS:
            return function

        def record(*arguments: Any, out: Any = None, where: Any = None, **options: Any) -> Any:
            kind = name
            if name == "copyto":
                out, *rest = arguments
                arguments = (*rest,) if where is None else (*rest, where)
                kind = "copyto" if where is None else "where"
            elif out is None:
                raise NotRecordable(f"xp.{name} without out= gives a new array")
            elif where is not None or options:
                raise NotRecordable(f"xp.{name} has no options here")
            self._operations.append(Operation(kind, tuple(arguments), (out,)))
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
            for part in (*arguments, *options.values()):
                if not getattr(part, "replayable", True):
                    raise NotRecordable(_more(part))
            if name in COMPOSITE or name == "gather_batch":
                return getattr(type(self._ops), name)(self, *arguments, **options)
            kind: Any = type(self._ops)
            given = _signature(kind, name).bind(None, *arguments, **options).arguments
            results = RESULTS.get(name, ("out",))
            operands = tuple(v for k, v in given.items() if k not in ("self", "work", *results))
            self._operations.append(Operation(name, operands, tuple(given[k] for k in results)))
            return given.get("out")

        return record


@cache
def _signature(ops: Any, name: str) -> inspect.Signature:
    return inspect.signature(getattr(ops, name))


def _more(part: Any) -> str:
    name = getattr(part, "name", None) or type(part).__name__
    return f"{name} does more in a step than array operations, or doesn't say that it is replayable"


def record(parts: Iterable[Any], function: Callable[[], Any]) -> list[Operation]:
    """What `function` asks of the `xp` and `ops` of these parts; nothing of it is done.

    Raises
    ------
    NotRecordable
        A part may do more than that.
    """
    operations: list[Operation] = []
    plain = [(part, part.xp, part.ops) for part in parts]
    for part, *_ in plain:
        if not getattr(part, "replayable", False):
            raise NotRecordable(_more(part))
    try:
        for part, xp, ops in plain:
            part.xp = XpRecorder(xp, operations)
            part.ops = OpsRecorder(ops, part.xp, operations)
        function()
    finally:
        for part, xp, ops in plain:
            part.xp, part.ops = xp, ops
    return operations
