"""The tables, in Markdown."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

Times = dict[str, list[float]]
"""Rival -> seconds per step and network, one of each round."""


def machine(threads: int) -> str:
    """Processor, cores, threads, system, Python."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return (
        f"{model or platform.machine()}, {os.cpu_count()} cores, {threads} thread{'s' * (threads > 1)} each; "
        f"{platform.system()}, Python {platform.python_version()}; float32"
    )


def duration(seconds: float) -> str:
    """Three digits, in µs or ms."""
    for unit, scale in (("µs", 1e6), ("ms", 1e3)):
        if seconds * scale < 1000 or unit == "ms":
            return f"{seconds * scale:.3g} {unit}"
    raise AssertionError


def spread(values: Sequence[float]) -> str:
    """The median, and how far the middle half of the rounds is from it, in percent."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{duration(middle)} ± {max(high - middle, middle - low) / middle:.0%}"


def times_table(rivals: Sequence[str], rows: Iterable[tuple[str, Times]], what: str) -> str:
    """A row per case, a column per rival."""
    lines = [f"| {what} | {' | '.join(rivals)} |", "|---" * (len(rivals) + 1) + "|"]
    for name, times in rows:
        cells = [spread(times[rival]) if rival in times else "-" for rival in rivals]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def ratio(times: Times, rival: str, ours: str = "xbnet") -> float:
    """How many times longer the rival takes: the median over the rounds, in each of which all had their turn."""
    return statistics.median(theirs / mine for theirs, mine in zip(times[rival], times[ours], strict=True))


def ratio_table(rivals: Sequence[str], rows: Iterable[tuple[str, Times]]) -> str:
    """A row per case: rival / xbnet."""
    lines = [f"| time / xbnet's time | {' | '.join(rivals)} |", "|---" * (len(rivals) + 1) + "|"]
    for name, times in rows:
        cells = [f"{ratio(times, rival):.2f}" if rival in times else "-" for rival in rivals]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
