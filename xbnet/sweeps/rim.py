"""Whether the best configuration is on the rim of the space: then the best of all may be beyond it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .plan import Member
from .space import shown

FEWEST = 3
"""Values of a key below which nobody expects its best to lie between them."""


def on_the_rim(members: Sequence[Member], best: dict[str, Any]) -> list[str]:
    """A line per key whose best value is the least or the largest of those tried.

    Parameters
    ----------
    members
        Members of the sweep.
    best
        The settings of its best configuration that vary.

    Examples
    --------
    >>> rates = [Member(i, i, {"lr": lr}, 0, 0, None) for i, lr in enumerate([0.01, 0.1, 1.0])]
    >>> on_the_rim(rates, {"lr": 1.0})
    ['the best lr, 1, is the largest of 3 that were tried: try larger ones']
    """
    lines = []
    for key, value in best.items():
        tried = {member.settings.get(key) for member in members}
        numbers = [one for one in tried if isinstance(one, (int, float)) and not isinstance(one, bool)]
        if "seed" in key or len(numbers) < max(FEWEST, len(tried)):
            continue
        if value == max(numbers):
            lines.append(_line(key, value, "largest", "larger", len(numbers)))
        elif value == min(numbers) and value != 0:  # where 0 is best, there is nothing below
            lines.append(_line(key, value, "least", "smaller", len(numbers)))
    return lines


def _line(key: str, value: Any, which: str, other: str, n: int) -> str:
    return f"the best {key}, {shown(value)}, is the {which} of {n} that were tried: try {other} ones"
