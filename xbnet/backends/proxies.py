"""Stand-ins for `xp`, `ops` and parts that are not replayable, while a `Recording` notes their calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .ops import COMPOSITE

if TYPE_CHECKING:
    from .replay import Recording

VIEWS = ("broadcast_to",)
"""Functions of `xp` that compute nothing: their results stay what they are."""


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
        recording.add_composite(title, operands, out, parts)
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
        """Return the result of a call of the part."""
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
