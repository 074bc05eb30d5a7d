"""Faults in words: in which step, which batch, with which batch size, in which replica and block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..numerical import entry_name
from .handover import replicas_text
from .judge import Comparison, Fault
from .reference import FIGURES
from .runs import Interval, Seen

MANY = 4
ORDINALS = ("first", "second", "third", "fourth", "fifth")


def fault_line(comparison: Comparison, within: str = "") -> str:
    """All that is wrong with one training, in one line; `within` says more of where, in an epoch played as a whole."""
    seen, faults = comparison.seen, comparison.faults
    weights = [f for f in faults if f.block not in FIGURES] or list(faults)
    first = min(f.interval for f in weights)
    now = [f for f in weights if f.interval == first]
    worst = max(now, key=lambda f: _severity(f))
    parts = [f"{seen.level}: wrong {within or when(comparison, weights)}"]
    if size := batch_size_text(seen):
        parts.append(size)
    rows = sorted({f.replica for f in now})
    alive = seen.snapshots[first].rows
    parts.append("in all replicas" if len(rows) == len(alive) > 1 else f"in {replicas_text(rows)}")
    parts.append(blocks_text(seen, now, comparison.blocks))
    return ", ".join(parts) + f": {detail(seen, worst)}"


def _severity(fault: Fault) -> float:
    off = abs(fault.got - fault.expected) / max(abs(fault.expected), 1e-300)
    return off if np.isfinite(off) else np.inf


def detail(seen: Seen, fault: Fault) -> str:
    """The number that is furthest off."""
    if fault.block in FIGURES:
        return f"{fault.block} of replica {fault.replica} is {fault.got:.7g}, expected {fault.expected:.7g}"
    shapes = {spec.name: spec.shape for spec in (*seen.twin.specs, *seen.twin.state_specs)}
    entry = entry_name(fault.block, shapes[fault.block], fault.replica, fault.entry)
    some = f" ({fault.wrong} of {fault.of} entries are wrong)" if fault.of > 1 else ""
    if any(spec.name == fault.block for spec in seen.twin.state_specs):
        return f"{entry} became {fault.got:.7g}, expected {fault.expected:.7g}{some}"
    return f"{entry} moved by {fault.got:.6g}, expected {fault.expected:.6g}{some}"


def when(comparison: Comparison, faults: Sequence[Fault]) -> str:
    """In which steps, and what these have in common."""
    seen = comparison.seen
    intervals = seen.intervals
    wrong = sorted({f.interval for f in faults})
    first = intervals[wrong[0]]
    if first.stop - first.first > 1:
        S = seen.steps
        return f"in steps {first.epoch * S + 1} to {first.epoch * S + S} (epoch {first.epoch + 1})"
    number = f"step {step_number(seen, first)}"
    common = pattern(seen, wrong)
    short = is_short(seen, first)
    if common:
        return f"{common}, first in {number}"
    return f"in {number}" + (", the short last batch" if short else "")


def pattern(seen: Seen, wrong: Sequence[int]) -> str:
    """Describe what the steps of these intervals have in common; "" where there is no pattern."""
    intervals = seen.intervals
    every = range(len(intervals))
    if len(wrong) == len(intervals) > 1:
        return "in every step"
    short = [k for k in every if is_short(seen, intervals[k])]
    if short and list(wrong) == short:
        return "in the short last batch" if len(short) == 1 else "in the short last batch of every epoch"
    if short and list(wrong) == [k for k in every if k not in short]:
        return "in every step but those of the short last batch"
    last = [k for k in every if intervals[k].ends]
    if len(last) > 1 and list(wrong) == last:
        return "in the last step of every epoch"
    begins = [k for k in every if intervals[k].first == 0]
    if len(begins) > 1 and list(wrong) == begins:
        return "in the first step of every epoch"
    if seen.left is not None and list(wrong) == [k for k in every if intervals[k].epoch > seen.left[0]]:
        return f"in every step after replica {seen.left[1]} has left"
    if len(wrong) > 1 and list(wrong) == list(range(wrong[0], len(intervals))):
        return f"in every step from the {ordinal(wrong[0])} on"
    return ""


def ordinal(k: int) -> str:
    """0 -> "first"."""
    return ORDINALS[k] if k < len(ORDINALS) else f"{k + 1}th"


def step_number(seen: Seen, interval: Interval) -> str:
    """``3 of 9``."""
    S = seen.steps
    return f"{interval.epoch * S + interval.first + 1} of {seen.recipe.epochs * S}"


def is_short(seen: Seen, interval: Interval) -> bool:
    """Whether it is a step on a batch with fewer rows than the others."""
    n, B = seen.orders.shape[2], int(seen.recipe.batch_size or 0)
    return interval.stop - interval.first == 1 and interval.ends and n % B != 0


def batch_size_text(seen: Seen) -> str:
    """Which training it is."""
    if seen.number < 0:
        return f"in stage {-seen.number} of the strategy"
    if seen.number == 0:
        return ""
    return f"with the {ordinal(seen.number)} batch size ({seen.recipe.batch_size})"


def blocks_text(seen: Seen, faults: Sequence[Fault], blocks: Sequence[str]) -> str:
    """Which blocks, by the names of their layers: ``1.Linear.W``."""
    wrong = [block for block in blocks if any(f.block == block for f in faults)]
    if len(wrong) > 1 and {spec.name for spec in seen.twin.specs} <= set(wrong):
        return "in all blocks"
    names = [block_name(seen, block) for block in wrong]
    if len(names) > MANY:
        names = [*names[:MANY], f"{len(names) - MANY} more"]
    return ", ".join(names) if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def block_name(seen: Seen, block: str) -> str:
    """``1.W`` -> ``1.Linear.W``."""
    number, dot, name = block.partition(".")
    return f"{number}.{type(seen.twin.layers[int(number)]).__name__}.{name}" if dot else block
