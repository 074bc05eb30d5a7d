"""What a step asks of NumPy, written down without being done: a list of operations on arrays.

Nothing a step does depends on the numbers in its arrays, and every operation says where its result goes. So the text of
layers, losses and optimizers can be run against stand-ins for `xp` and `linalg` that only write down what they are asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class Operation(NamedTuple):
    """The name of an operation of `xp` or `linalg`, its operands (arrays and numbers), and the arrays it writes."""

    name: str
    operands: tuple[Any, ...]
    out: tuple[Any, ...]


class NotRecordable(Exception):
    """Something that is not on the list, or that gives a new array; the text says what."""


VIEWS = ("broadcast_to",)
"""Functions of `xp` that compute nothing: their results stay what they are."""

RESULTS = {"bmm": 1, "bmm_tn": 1, "bmm_nt": 1, "row_sum": 1, "batch_sum": 1, "gather": 1, "row_max": 3}
"""Operations of `linalg` -> how many of their last arguments they write to."""


class Recorder:
    """Stands in for `xp` or `linalg`."""

    def __init__(self, module: Any, operations: list[Operation]):
        self.module, self.operations = module, operations

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.module, name)
        if name in VIEWS:
            return function

        def record(*arguments: Any, out: Any = None, where: Any = None) -> Any:
            if name == "copyto":
                out, *arguments = arguments
                name_, operands = ("copyto", arguments) if where is None else ("where", (*arguments, where))
                self.operations.append(Operation(name_, tuple(operands), (out,)))
                return None
            if name in RESULTS and out is None:
                at = len(arguments) - RESULTS[name]
                arguments, results = arguments[:at], arguments[at:]
            elif out is None or where is not None:
                raise NotRecordable(f"{name} without out= gives a new array")
            else:
                results = (out,)
            self.operations.append(Operation(name, tuple(arguments), tuple(results)))
            return results[0]

        return record


@contextmanager
def recording(users: Iterable[Any]) -> Iterator[list[Operation]]:
    """Within this context, what `users` ask of their `xp` and `linalg` is written down and not done."""
    operations: list[Operation] = []
    plain = [(user, {k: vars(user)[k] for k in ("xp", "ops") if k in vars(user)}) for user in users]
    try:
        for user, parts in plain:
            for key, part in parts.items():
                setattr(user, key, Recorder(part, operations))
        yield operations
    finally:
        for user, parts in plain:
            vars(user).update(parts)
