"""Settings written as text: ``NAME:key=value,key=value``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

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


def check_keys(where: str, keys: Iterable[str], known: Iterable[str]) -> None:
    """Raise for the first key that is not known."""
    known = list(known)
    for key in keys:
        if key not in known:
            raise unknown_name(where, "parameter", key, known)
