"""What a step asks of NumPy, written down once and played again.

A step of a small network on a CPU is mostly Python: looking up attributes, choosing, handing arguments on. But its
arrays are the same at every step, and so are the calls. A tape holds them as functions without arguments, made for
these very arrays: playing it gives the same bits as running the layers, in two thirds of the time. A graph that is
captured on a GPU serves the same purpose.

Only what goes through `xp` and `ops` is written down. So a tape may only be made of code that computes nothing
beside them; layers and losses say so themselves (`tapeable`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

Calls = list[Callable[[], Any]]
Prepared = Mapping[str, Callable[..., Calls]]
"""Name of an operation of `ops` or `xp` -> what it comes to for certain arrays, see `prepared.NUMPY_PREPARED`."""

MOST_TAPES = 8
"""Batches of so many shapes are remembered. Each keeps its arrays alive."""

VIEWS = ("broadcast_to",)
"""Functions of `xp` that compute nothing: their results stay what they are."""


@dataclass
class Tape:
    """The calls of a network's forward and backward pass for one x; `backward` is None until it was recorded."""

    x: Any
    training: bool
    logits: Any
    forward: Calls
    backward: Calls | None = None


class Tapes(dict):
    """What was written down for the last batch of each shape."""

    def keep(self, key: tuple, tape: Any) -> Any:
        """Remember, and hand back; a shape too many, and all are forgotten."""
        if key not in self and len(self) >= MOST_TAPES:
            self.clear()
        self[key] = tape
        return tape


def play(calls: Calls) -> None:
    """Run the calls in order."""
    for call in calls:
        call()


class Recording:
    """Write down what `users` do through their `xp` and `ops` within this context, while they do it."""

    def __init__(self, users: Sequence[Any], prepared: Prepared):
        self.users, self.prepared = users, prepared

    def __enter__(self) -> Calls:
        calls: Calls = []
        bare = lambda part: getattr(part, "_operations", part)  # noqa: E731  (recorders stay if we were cut short in here)
        self.plain = [(user, bare(user.xp), bare(user.ops)) for user in self.users]
        for user, xp, ops in self.plain:
            user.xp, user.ops = (Recorder(part, calls, self.prepared) for part in (xp, ops))
        return calls

    def __exit__(self, *error: object) -> None:
        for user, xp, ops in self.plain:
            user.xp, user.ops = xp, ops


class Recorder:
    """Stands in for `xp` or `ops`: does what it is asked to, and writes it down."""

    def __init__(self, operations: Any, calls: Calls, prepared: Prepared):
        self._operations, self._calls, self._prepared = operations, calls, prepared

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._operations, name)

        def recorded(*arguments: Any, **keywords: Any) -> Any:
            if name in self._prepared:
                self._calls += self._prepared[name](*arguments, **keywords)
            elif set(keywords) == {"out"} and hasattr(operation, "nin"):  # a ufunc's `out` comes behind its operands
                self._calls.append(partial(operation, *arguments, keywords["out"]))  # by position it is quicker
            elif "out" in keywords or name == "copyto":
                self._calls.append(partial(operation, *arguments, **keywords))
            elif name not in VIEWS:
                raise TypeError(f"{name} without out= can't be written on a tape: it would give new arrays")
            return operation(*arguments, **keywords)

        return recorded
