"""Every expected trouble of xbnet: one line that says where, what was expected, what came, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class XbnetError(Exception):
    """Base of all errors that xbnet raises on purpose; the command line prints it as one line."""

    exit_code = 2
    """The command's exit code: 2 for wrong usage or bad input, 1 for a failure while running."""


class ShapeError(XbnetError, ValueError):
    """An array has the wrong shape."""


class BackendError(XbnetError, RuntimeError):
    """An array library is missing, or none of its devices answers."""


class DataError(XbnetError, ValueError):
    """A file or an array of data can't be used."""


class ConfigError(XbnetError, ValueError):
    """A name, a value or a combination of settings makes no sense."""


class DivergenceError(XbnetError, ArithmeticError):
    """The training loss became NaN or infinite; `history` holds the epochs until then."""

    exit_code = 1
    history: Any = None


class Interrupted(KeyboardInterrupt):
    """Ctrl-C came, and the text says how to go on; the command prints it and ends with exit code 130."""


class GradientError(XbnetError, ArithmeticError):
    """A gradient or Jacobian test failed; `result` holds what it found."""

    exit_code = 1

    def __init__(self, message: str, result: Any = None):
        super().__init__(message)
        self.result = result


def expect_shape(where: str, name: str, array: Any, hint: str = "", **axes: int | tuple[int, ...] | None) -> None:
    """Raise `ShapeError` unless `array` has the axes given, in order.

    Parameters
    ----------
    where
        The public name of the caller, e.g. ``"Network.forward"``.
    name
        The argument's name in that caller.
    array
        Anything with a `shape`.
    hint
        What the user may have done, e.g. ``"was a feature column dropped?"``.
    **axes
        The legend's letter of each axis and the size it must have; a tuple lists the sizes allowed, None allows any.

    Examples
    --------
    >>> import numpy as np
    >>> expect_shape("Network.forward", "x", np.zeros((4, 32, 7)), R=4, B=None, I=8)
    Traceback (most recent call last):
        ...
    xbnet.errors.ShapeError: Network.forward: expected x (R=4, B, I=8), got (4, 32, 7)
    """
    shape = tuple(array.shape)
    allowed = {k: size if isinstance(size, tuple) or size is None else (size,) for k, size in axes.items()}
    if len(shape) == len(allowed) and all(v is None or n in v for n, v in zip(shape, allowed.values(), strict=True)):
        return
    wanted = ", ".join(k if v is None else f"{k}={' or '.join(map(str, v))}" for k, v in allowed.items())
    raise ShapeError(f"{where}: expected {name} ({wanted}), got {shape}" + (f"; {hint}" if hint else ""))


def unknown_name(where: str, kind: str, name: object, known: Iterable[str]) -> ConfigError:
    """The error for a name that is not in a table, with the nearest one that is."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if isinstance(name, type):
        hint = f"a class is to be called: {name.__name__}(); "
    return ConfigError(f"{where}: unknown {kind} {name!r}; {hint}known are {', '.join(known)}")
