"""Hundreds of networks trained as one: configurations x seeds x folds, as stacks of equal shape.

`sweep` plans and runs; `SweepResult` is what it gives; `assert_replica_equal` checks the contract that a member of
a stack equals the same network trained alone. The rooms: `space` (which configurations there are), `pool` (samples
and folds), `plan` (members, buckets, chunks), `footprint` (memory, and how large a stack pays), `build` (members to
a `Trainer`), `chunk` (the unit of work), `paused` (a network between two stacks), `halving` and `climb` (rungs, and who
leaves there), `studies` and `trials` (Optuna's), `engine` (all of it together), `executors` (where it runs), `board`
and `wire` (the progress bar, and what it hears from other processes), `store` and `fingerprint` (what stays when it is
killed, and whether it may go on).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .distributions import Distribution, Integers, LogIntegers, LogUniform, Uniform
    from .exact import assert_replica_equal
    from .result import SweepResult
    from .run import sweep

__all__ = [
    "Distribution",
    "Integers",
    "LogIntegers",
    "LogUniform",
    "SweepResult",
    "Uniform",
    "assert_replica_equal",
    "sweep",
]

LATE = {
    **dict.fromkeys(("Distribution", "Integers", "LogIntegers", "LogUniform", "Uniform"), "distributions"),
    "assert_replica_equal": "exact",
    "SweepResult": "result",
    "sweep": "run",
}
"""Which file has which names; it is imported when one of them is asked for."""


def __getattr__(name: str) -> object:
    """Import the file that a name lives in."""
    if name not in LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{LATE[name]}", __name__), name)
