"""Successive halving: configurations leave by rank at rungs, whose resource is the epoch; Hyperband's brackets.

Jamieson & Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization"; Li et al. 2018,
"Hyperband" (JMLR 18), algorithm 1; Li et al. 2020, "A system for massively parallel hyperparameter tuning" (ASHA),
algorithm 2.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..parsing import number, whole

KINDS = ("halving", "hyperband", "asha")


@dataclass(frozen=True)
class Halving:
    """How configurations leave.

    Attributes
    ----------
    factor
        One in this many goes on at each rung, for this many times the epochs; > 1.
    min_epochs
        Epochs of the first rung, at least.
    hyperband
        Several brackets with later and later first rungs, so that slow starters are not always dropped.
    asynchronous
        Whoever is among the best at its rung so far goes on at once, without waiting for those that still train.
    """

    factor: float = 3.0
    min_epochs: int = 1
    hyperband: bool = False
    asynchronous: bool = False


@dataclass(frozen=True)
class Bracket:
    """Configurations that are ranked among each other.

    Attributes
    ----------
    configurations
        Their numbers.
    rungs
        Epochs after which they are ranked, rising; those that are left at the last have trained to the end.
    """

    configurations: tuple[int, ...]
    rungs: tuple[int, ...]


def present(brackets: Sequence[Bracket], configurations: Container[int]) -> tuple[Bracket, ...]:
    """Return the brackets with those of their configurations that are there."""
    return tuple(
        replace(one, configurations=tuple(c for c in one.configurations if c in configurations)) for one in brackets
    )


def parse_halving(value: Any, min_epochs: Any = None) -> Halving | None:
    """Parse the argument `halving`: a factor, or "hyperband" or "asha", which may have one after a colon."""
    if value is None:
        if min_epochs is not None:
            raise ConfigError("sweep: min_epochs is the first rung of halving; give halving=3, or leave it out")
        return None
    kind, _, text = value.partition(":") if isinstance(value, str) else ("halving", "", value)
    if kind not in KINDS:
        kind, text = "halving", value
    factor = 3.0 if text == "" else _factor(text, value)
    first = 1 if min_epochs is None else whole("sweep", "min_epochs", min_epochs)
    return Halving(factor, first, kind == "hyperband", kind == "asha")


def _factor(text: Any, value: Any) -> float:
    try:
        factor = number("sweep", "halving", float(text) if isinstance(text, str) else text, "(1, inf)")
    except (ConfigError, ValueError):
        raise ConfigError(
            f"sweep: expected halving to be a factor > 1 like 3, or hyperband or asha, or asha:4, got {value!r}"
        ) from None
    return float(factor)


def make_brackets(
    configurations: Sequence[int], epochs: int, halving: Halving, rng: np.random.Generator
) -> tuple[Bracket, ...]:
    """The brackets that share out the configurations.

    Without `hyperband` there is one, with as many rungs as the configurations and the epochs allow. Hyperband shares
    them out at random, in the numbers of its algorithm 1.

    Examples
    --------
    >>> [bracket] = make_brackets(range(9), 81, Halving(), np.random.default_rng(0))
    >>> bracket.rungs
    (9, 27, 81)
    >>> brackets = make_brackets(range(206), 81, Halving(hyperband=True), np.random.default_rng(0))
    >>> [(len(bracket.configurations), bracket.rungs[0]) for bracket in brackets]
    [(117, 1), (49, 3), (21, 9), (12, 27), (7, 81)]
    """
    n, factor = len(configurations), halving.factor
    deepest = _steps(epochs / min(halving.min_epochs, epochs), factor)
    if not halving.hyperband:
        return (Bracket(tuple(configurations), _rungs(epochs, factor, min(deepest, _steps(n, factor)))),)
    depths = range(deepest, -1, -1)
    shares = np.array([np.ceil((deepest + 1) / (depth + 1) * factor**depth) for depth in depths])
    ends = np.round(np.cumsum(shares) / shares.sum() * n).astype(int)
    shuffled = [configurations[i] for i in rng.permutation(n)]
    parts = [shuffled[begin:end] for begin, end in zip((0, *ends[:-1]), ends, strict=True)]
    return tuple(
        Bracket(tuple(sorted(part)), _rungs(epochs, factor, min(depth, _steps(len(part), factor))))
        for part, depth in zip(parts, depths, strict=True)
        if part
    )


def _steps(ratio: float, factor: float) -> int:
    """How often a number may be divided by the factor before it is below 1."""
    steps = 0
    while factor ** (steps + 1) <= ratio * (1 + 1e-9):
        steps += 1
    return steps


def _rungs(epochs: int, factor: float, steps: int) -> tuple[int, ...]:
    return tuple(dict.fromkeys(max(1, round(epochs / factor**k)) for k in range(steps, -1, -1)))


def survivors(count: int, factor: float) -> int:
    """Return how many of the given number go on."""
    return max(1, int(count / factor + 1e-9))


def network_epochs(brackets: Sequence[Bracket], factor: float, networks: int) -> int:
    """Epochs that halving trains, if each configuration has this many networks and none leaves by itself."""
    total = 0
    for bracket in brackets:
        count, before = len(bracket.configurations), 0
        for rung in bracket.rungs:
            total += count * (rung - before)
            count, before = survivors(count, factor), rung
    return total * networks


def rung_of(bracket: Bracket, ends: Sequence[tuple[str, int]]) -> int:
    """The rung, from 1, at which a configuration left whose networks ended so: statuses, and epochs trained."""
    pruned = [epoch for status, epoch in ends if status == "pruned"]
    longest = pruned[0] if pruned else max(epoch for _, epoch in ends)
    return min(sum(rung < longest for rung in bracket.rungs) + 1, len(bracket.rungs))


def best_of(scores: Mapping[int, float], count: int) -> list[int]:
    """The `count` configurations with the highest scores; NaN is the least, and among equals the first wins."""
    ranked = sorted(scores, key=lambda c: (-scores[c] if np.isfinite(scores[c]) else np.inf, c))
    return ranked[:count]
