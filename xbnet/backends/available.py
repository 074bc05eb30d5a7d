"""Which backends can be used here, and what the others lack."""

from __future__ import annotations

import sys

from ..errors import BackendError
from .backend import get_backend
from .devices import INSTALL


def describe_backends() -> list[dict[str, str]]:
    """Tell of each backend whether it can be used here.

    Returns
    -------
    list of dict
        "backend", the library's "version", the "device" that answers, and a "hint" where none does.

    Examples
    --------
    >>> [found["backend"] for found in describe_backends()]
    ['numpy', 'cupy', 'dpnp']
    """
    rows = []
    for name in INSTALL:
        row = {"backend": name, "version": "", "device": "", "hint": ""}
        try:
            backend = get_backend(name)
            row["version"], row["device"] = backend.library.__version__, backend.device
        except BackendError as error:
            module = sys.modules.get(name)
            row["version"] = getattr(module, "__version__", "not installed")
            row["hint"] = str(error)
        rows.append(row)
    return rows
