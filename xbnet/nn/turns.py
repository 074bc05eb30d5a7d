"""Threads that share a network take turns."""

from __future__ import annotations

import os
import threading
import weakref


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
