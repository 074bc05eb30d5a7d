"""Numbers, checked, and settings written as text: ``NAME:key=value,key=value``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard, TypeVar

import numpy as np

from .errors import ConfigError, unknown_name

Chosen = TypeVar("Chosen")


def parse_settings(kind: str, text: str) -> tuple[str, dict[str, str]]:
    """Split ``NAME:key=value,...`` into the name and its settings, still as text."""
    name, _, rest = text.partition(":")
    settings = {}
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"{kind} {name!r}: expected key=value, got {item!r}")
        settings[key.strip()] = value.strip()
    return name.strip(), settings


def choose(kind: str, name: object, table: Mapping[str, Chosen]) -> Chosen:
    """The entry of that name, or `ConfigError`."""
    if not isinstance(name, str) or name not in table:
        raise unknown_name(kind, kind, name, table)
    return table[name]


def choose_with_settings(kind: str, text: object, table: Mapping[str, Chosen]) -> tuple[Chosen, str, dict[str, str]]:
    """The entry of ``NAME:key=value,...``; how messages call it, and its settings, still as text."""
    name, settings = parse_settings(kind, text) if isinstance(text, str) else (text, {})
    return choose(kind, name, table), f"{kind} {name!r}", settings


def parse_number(where: str, key: str, text: str) -> float:
    """A number written as text, or `ConfigError`."""
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{where}: expected {key}=NUMBER, got {key}={text}") from None


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is one real number; True and False are none."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether a value is an integer; 2.0, True and False are none."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def number(where: str, name: str, value: object, bounds: str = "") -> float:
    """A finite number, within bounds like ``[0, 1)`` where there are some; or `ConfigError`."""
    low, high = (float(word) for word in bounds[1:-1].split(",")) if bounds else (-np.inf, np.inf)
    if is_number(value):
        edges = [low] * bounds.startswith("[") + [high] * bounds.endswith("]")
        if low < value < high or value in edges:
            return float(value)
    wanted = f"in {bounds}" if bounds else "to be a number"
    raise ConfigError(f"{where}: expected {name} {wanted}, got {value!r}")


MOST = 2**31 - 1
"""The largest count that a setting may be; what would ever be done is far less."""


def whole(where: str, name: str, value: object, least: int = 1, most: int | None = MOST) -> int:
    """A whole number from `least` to `most`, or `ConfigError`."""
    if not is_whole(value) or value < least:
        raise ConfigError(f"{where}: expected {name} to be a whole number >= {least}, got {value!r}")
    if most is not None and value > most:  # which may have more digits than Python prints
        raise ConfigError(f"{where}: expected {name} to be a whole number <= {most:,}, got a larger one")
    return int(value)


def float_type(where: str, dtype: Any) -> np.dtype:
    """float32 or float64, or `ConfigError`."""
    try:
        found = np.dtype(dtype).name
    except (TypeError, ValueError, SyntaxError):  # NumPy reads a text as Python where it has commas
        found = ""
    if found not in ("float32", "float64"):
        raise ConfigError(f"{where}: expected dtype 'float32' or 'float64', got {dtype!r}")
    return np.dtype(found)


def check_keys(where: str, keys: Iterable[str], known: Iterable[str]) -> None:
    """Raise for the first key that is not known."""
    known = list(known)
    for key in keys:
        if key not in known:
            raise unknown_name(where, "parameter", key, known)


UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
POWERS_OF_TWO = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def human_bytes(n: float) -> str:
    """``1500000`` -> "1.5 MB"."""
    unit = next((u for u in reversed(UNITS) if n >= UNITS[u]), "B")
    return f"{min(n, 10**300) / UNITS[unit]:.3g} {unit}"  # Python has no larger float


def parse_bytes(where: str, value: object) -> int:
    """Bytes from a number, or from text like "500 MB" or "2 GiB"; capitals don't matter."""
    units = {unit.lower(): size for unit, size in (UNITS | POWERS_OF_TWO).items()}
    text = str(value).strip().lower()
    figure = text.rstrip("".join(units))
    try:
        found = float(figure) * units[text[len(figure) :] or "b"]
    except (ValueError, KeyError):
        found = -1.0
    if not 0 < found < float("inf"):
        raise ConfigError(
            f"{where}: expected bytes, a number or text like '500 MB' or '2 GiB' "
            f"({', '.join(UNITS)}; {', '.join(POWERS_OF_TWO)}), got {value!r}"
        )
    return int(found)
