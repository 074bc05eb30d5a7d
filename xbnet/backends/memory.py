"""How much memory there is, so that what can't fit is refused before work begins."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from ..errors import ConfigError
from ..parsing import human_bytes
from .backend import Backend

CGROUP = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says how much a container may have: version 2, version 1."""
LITTLE = 2**18
"""Bytes that there always are: to ask the system takes longer than to make so small a network."""


def free_bytes(backend: Backend) -> int:
    """Return the free bytes in the memory of a backend's arrays; 4 GB where the system does not say."""
    if backend.cuda:
        pool = backend.library.get_default_memory_pool()  # what it holds is not free to others, but to us
        return int(backend.library.cuda.Device().mem_info[0]) + pool.free_bytes()
    found = _meminfo("MemAvailable")  # with the files that are kept in memory as long as nobody else wants it
    if not found:
        with suppress(ValueError, OSError, AttributeError):
            found = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([found or 4 * 10**9, *_limits()])


def all_bytes(backend: Backend) -> int | None:
    """Return the total bytes of a backend's device, or this process's share of the host; None if unknown."""
    if backend.cuda:
        return int(backend.library.cuda.Device().mem_info[1])
    found = _meminfo("MemTotal") + _meminfo("SwapTotal")
    if not found:
        with suppress(ValueError, OSError, AttributeError):
            found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([*([found] if found else []), *_limits()], default=None)


def expect_memory(where: str, what: str, needed: float, backend: Backend, cure: str) -> None:
    """Raise `ConfigError` where `what` needs more bytes than there are at all."""
    there = all_bytes(backend) if needed > LITTLE else None
    if there is not None and needed > there:
        raise ConfigError(
            f"{where}: expected memory for {what} ({human_bytes(needed)}), got {human_bytes(there)}; {cure}"
        )


def _meminfo(name: str) -> int:
    """Bytes by Linux's own account, 0 elsewhere."""
    with suppress(OSError):
        found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else 0
    return 0


def _limits() -> list[int]:
    """List the limits of this process's memory in bytes: its own (`ulimit -v`) and its container's."""
    found = []
    with suppress(ImportError, ValueError, OSError):
        import resource

        limits = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
        found += [limit for limit in limits if limit != resource.RLIM_INFINITY]
    for path in CGROUP:
        with suppress(OSError, ValueError):  # "max"
            found.append(int(Path(path).read_text()))
    return found
