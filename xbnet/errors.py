"""Every expected trouble of xbnet: one line that says where, what was expected, what came, what to do."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any


class XbnetError(Exception):
    """Base of all errors that xbnet raises on purpose: one line, whatever a file or a name holds.

    Examples
    --------
    >>> import xbnet
    >>> try:
    ...     xbnet.Network([xbnet.Linear(3, "tahn")], n_inputs=4)
    ... except XbnetError as error:
    ...     print(error)
    activation: unknown activation 'tahn'; did you mean 'tanh'? ...
    """

    exit_code = 2
    """The command's exit code: 2 for wrong usage or bad input, 1 for a failure while running."""

    longest = 293
    """Characters that are shown; longer lines lose their middle. With the command's "xbnet: " there are 300."""

    def __str__(self) -> str:
        return printable(super().__str__(), self.longest)


class ShapeError(XbnetError, ValueError):
    """An array has the wrong shape.

    Examples
    --------
    >>> import numpy as np, xbnet
    >>> xbnet.Network([xbnet.Linear(3)], n_inputs=4).predict(np.zeros((2, 5)))
    Traceback (most recent call last):
    xbnet.errors.ShapeError: ...
    """


class BackendError(XbnetError, RuntimeError):
    """An array library is missing, or none of its devices answers.

    Examples
    --------
    >>> import xbnet
    >>> try:
    ...     backend = xbnet.get_backend("cupy")
    ... except BackendError:  # no GPU here
    ...     backend = xbnet.get_backend("numpy")
    """

    longest = 600


class DataError(XbnetError, ValueError):
    """A file or an array of data can't be used.

    Examples
    --------
    >>> import xbnet
    >>> xbnet.Dataset("mine", xbnet.Part([[1.0], [float("nan")]], [0, 1]))
    Traceback (most recent call last):
    xbnet.errors.DataError: ...
    """


class ConfigError(XbnetError, ValueError):
    """A name, a value or a combination of settings makes no sense.

    Examples
    --------
    >>> import xbnet
    >>> xbnet.SGD(lr=-1)
    Traceback (most recent call last):
    xbnet.errors.ConfigError: sgd: expected lr in [0, inf), got -1
    """


class DivergenceError(XbnetError, ArithmeticError):
    """The training loss of every replica became NaN or infinite; `history` holds the epochs until then.

    Examples
    --------
    >>> import numpy as np, xbnet
    >>> network = xbnet.Network([xbnet.Linear(1)], n_inputs=1, rng=0)
    >>> x = np.linspace(-1, 1, 100)[:, None]
    >>> try:
    ...     xbnet.fit(network, "mse", xbnet.SGD(lr=1e30), (x, x), epochs=20, batch_size=10)
    ... except DivergenceError as error:
    ...     print(error.history.status)
    ['diverged']
    """

    exit_code = 1
    history: Any = None


class Interrupted(KeyboardInterrupt):
    """Ctrl-C came, and the text says how to go on; the command prints it and ends with exit code 130."""


class GradientError(XbnetError, ArithmeticError):
    """A gradient or Jacobian test failed.

    Parameters
    ----------
    message
        One line, which names the worst entry.
    result
        The result: a `Verification` or a `GradientComparison`.

    Examples
    --------
    >>> import xbnet
    >>> class WrongGain(xbnet.Linear):
    ...     def backward(self, dy, dx):
    ...         super().backward(dy, dx)
    ...         self.dW *= 2
    >>> try:
    ...     xbnet.jacobian_test(WrongGain(2), [[1.0, 2.0]]).raise_if_failed()
    ... except GradientError as error:
    ...     print(error.result.passed)
    False
    """

    exit_code = 1
    longest = 600  # the network stands in front of what is wrong with it

    def __init__(self, message: str, result: Any = None):
        super().__init__(message)
        self.result = result


def say(line: str) -> None:
    """Tell the user what was taken for granted, as one warning of the logger "xbnet": it goes to stderr by default."""
    import logging  # not before there is something to say: it makes the command's help slow

    logging.getLogger("xbnet").warning("%s", line)


def printable(text: object, longest: int | None = 100) -> str:
    r"""A text as one line that a terminal shows as it is: what controls terminals is escaped, and too much cut out.

    Parameters
    ----------
    text
        It may come from a malicious file.
    longest
        Characters, >= 20; what is longer loses its middle. None: any number. A name of a file's fits by default.

    Examples
    --------
    >>> printable("red\x1b[2Jgreen")
    'red\\x1b[2Jgreen'
    >>> printable("a" * 90, 20)
    'aaaaaaaaa ... aaaaaa'
    """
    shown = str(text)
    if not shown.isprintable():
        shown = "".join(one if one.isprintable() else _escaped(one) for one in shown)
    if longest is None or len(shown) <= longest:
        return shown
    tail = (longest - 5) * 2 // 5
    return f"{shown[: longest - 5 - tail]} ... {shown[-tail:]}"


def _escaped(character: str) -> str:
    return " " if unicodedata.category(character) == "Zs" else character.encode("unicode_escape").decode()


def counted(n: int, noun: str) -> str:
    """Say how many there are: ``1 row``, ``2,000 rows``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def listed(names: Iterable[object], most: int = 10, longest: int = 40) -> str:
    """Names with commas in between, each at most so long, and how many more there are than `most`.

    Examples
    --------
    >>> listed("abcd", most=3)
    'a, b, c and 1 more'
    """
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(printable(name, longest) for name in names[:most]) + more


def reason(error: BaseException, longest: int = 200) -> str:
    """Return the message of an error of the system, of Python or of a library: its first line."""
    said = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    return printable(str(said).splitlines()[0], longest)


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
        A possible cause, e.g. ``"was a feature column dropped?"``.
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


def unknown_name(
    where: str, kind: str, name: object, known: Iterable[str], other_names: Mapping[str, str] | None = None
) -> ConfigError:
    """The error for a name that is not in a table, with the nearest one that is, or the one that others call so."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6)
    meant = (other_names or {}).get(str(name).lower()) or (near[0] if near else None)
    hint = f"did you mean {meant!r}? " if meant else ""
    if isinstance(name, type):
        hint = f"a class is to be called: {name.__name__}(); "
    return ConfigError(f"{where}: unknown {kind} {name!r}; {hint}known are {', '.join(known)}")
