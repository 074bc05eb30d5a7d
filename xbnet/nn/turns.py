"""Threads that share a network take turns."""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any


class Turns:
    """A lock that its thread may take several times, and that is free in the child of a fork.

    Whoever held it when the process was forked is not in the child, and would never give it back.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _all.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


_all: weakref.WeakSet[Turns] = weakref.WeakSet()


def _renew() -> None:
    for turns in _all:
        turns._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def in_turn(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that waits for its turn: for the end of an epoch, where another thread trains the network."""

    @functools.wraps(method)
    def waiting(self: Any, *arguments: Any, **keywords: Any) -> Any:
        with self._lock:
            return method(self, *arguments, **keywords)

    return waiting
