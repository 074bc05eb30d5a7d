"""How the steps of an epoch are run. There are five levels, with the same results up to rounding:

- eager: one call after the other, on any backend; it is the reference for the others;
- replay: the calls of a step are recorded once per size of batch, and made again from then on, on NumPy;
- compiled: a step is a program, which a machine plays a whole epoch, compiled by numba, on NumPy;
- graph: chunks of steps that were captured once and are started by one call each, on CUDA;
- persistent: a kernel that trains a whole epoch, a block of threads per replica, for small networks on CUDA.

Each one says by `why_not` what it can't do. A `Trainer` asks for a level whenever its replicas have changed.
"""

from __future__ import annotations

import warnings

from ...backends.machine.record import NotRecordable
from ...errors import ConfigError, unknown_name
from .compiled import Compiled, pays
from .eager import Eager
from .graph import Graph
from .persistent import Persistent
from .replay import Replay
from .run import Run

LEVELS = ("auto", "eager", "replay", "compiled", "graph", "persistent")


def get_execution(level: str, trainer: Run) -> Eager | Replay | Compiled | Graph | Persistent:
    """Return the object that runs the trainer's steps.

    Parameters
    ----------
    level
        One of `LEVELS`; "auto" is the quickest that is possible.
    trainer
        A `Trainer` whose network, loss, optimizer and batches are bound.

    Raises
    ------
    ConfigError
        There is no such level, or it is not possible: why not.
    """
    if level not in LEVELS:
        raise unknown_name("fit", "execution", level, LEVELS)
    for kind in (Persistent, Graph, Compiled, Replay):
        if level not in ("auto", kind.name) or (level == "auto" and kind is Compiled and not pays(trainer)):
            continue
        reason = kind.why_not(trainer)
        if reason is None:
            try:
                return kind(trainer)
            except Exception as error:  # of a compiler or a device: whatever it is, there is another way
                reason = first_line(error)
                if level == "auto" and not isinstance(error, NotRecordable):
                    warnings.warn(f"execution {kind.name!r} failed ({reason}); trying the next", stacklevel=2)
        if level == kind.name:
            raise ConfigError(f"fit: execution {level!r} is not possible: {reason}; use 'auto'")
    return Eager(trainer)


def first_line(error: Exception) -> str:
    """Return the first line of an error, without a compiler's log."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
