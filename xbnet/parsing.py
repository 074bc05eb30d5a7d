"""Settings written as text: ``NAME:key=value,key=value``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .errors import ConfigError, unknown_name


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


def number(where: str, key: str, text: Any) -> float:
    """A number, or `ConfigError`."""
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{where}: expected {key}=NUMBER, got {key}={text}") from None


def whole_number(where: str, name: str, value: Any) -> int:
    """A whole number >= 1, or `ConfigError`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ConfigError(f"{where}: expected {name} to be a whole number >= 1, got {value!r}")
    return int(value)


def float_type(where: str, dtype: Any) -> np.dtype:
    """float32 or float64, or `ConfigError`."""
    try:
        found = np.dtype(dtype).name
    except TypeError:
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
    return f"{n / UNITS[unit]:.3g} {unit}"


def parse_bytes(where: str, value: Any) -> int:
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
