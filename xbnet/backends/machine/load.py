"""The machine, compiled when it is first asked for."""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path
from typing import Any

PARTS = ("functions.py", "kernels.py", "play.py", "table.py")
"""Files that compiled code is made of."""


@cache
def machine() -> Any:
    """The compiled function, for both types."""
    from .play import make

    here = Path(__file__).parent
    return make(str(zlib.crc32(b"".join((here / name).read_bytes() for name in PARTS))))
