"""`read_manifest`: what the ``sweep.json`` of a sweep's folder says, if this version wrote it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import DataError, reason

SCHEMA = "xbnet.sweep/4"
"""Of ``sweep.json`` and of each line of ``results.jsonl``; another number where what is kept changes."""


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a ``sweep.json`` of this version.

    Raises
    ------
    DataError
        It is damaged, or another version wrote it.
    """
    text = read_text(path)
    try:
        found = json.loads(text)
        schema, _ = found["schema"], found["fingerprint"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise DataError(f"{path}: is damaged; sweep into another folder") from None
    if schema != SCHEMA:
        raise DataError(
            f"{path}: another version of xbnet began this sweep (schema {schema!r}, this one has {SCHEMA!r}); "
            "go on with that version, or sweep into another folder"
        )
    return found


def read_text(path: Path) -> str:
    """Read a file's text; a pipe or a folder in its place counts as empty."""
    if not path.is_file():
        raise DataError(f"{path}: is not a file; sweep into another folder")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: can't be read ({reason(error)}); sweep into another folder") from None
