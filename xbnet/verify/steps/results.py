"""Results of `training_test`: frozen objects that print as a table."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import GradientError
from ...notebook import heading, table
from ..checks import Check
from ..results import in_words
from .judge import Comparison


@dataclass(frozen=True, eq=False)
class LevelResult:
    """One level of execution.

    Attributes
    ----------
    level, dtype
        Which, and of which network.
    steps
        How many were taken, by all trainings.
    comparisons
        One per training.
    faults
        A line per training that went wrong, and per other complaint.
    """

    level: str
    dtype: str
    steps: int
    comparisons: tuple[Comparison, ...]
    faults: tuple[str, ...]

    @property
    def sharpness(self) -> float:
        """The smallest error, as a share of a block's move, that would have been seen everywhere; NaN: nowhere."""
        seen = np.concatenate([c.sharpness[c.judged == 1] for c in self.comparisons] or [np.empty(0)])
        seen = seen[np.isfinite(seen)]
        return float(np.median(seen)) if seen.size else float("nan")

    @property
    def unjudged(self) -> list[str]:
        """Blocks in which rounding rules."""
        return sorted({block for c in self.comparisons for block in c.unjudged})

    @property
    def passed(self) -> bool | None:
        """Whether all steps were right; None: some block could not be judged."""
        if self.faults:
            return False
        return None if self.unjudged or not self.steps else True


@dataclass(frozen=True, eq=False)
class TrainingVerification:
    """The result of `training_test`.

    Attributes
    ----------
    title
        The name of the tested layer or network.
    levels
        The result of each level of execution.
    absent
        Level -> why it can't run this here.
    checks
        Further questions: alone as in the stack, resumed as not interrupted.
    rule
        Where the rule of the update is from: "the paper's", "the user's", or "the optimizer's own".
    seed
        The same one gives the same test.

    Examples
    --------
    >>> import numpy as np, xbnet
    >>> x, y = np.random.default_rng(0).normal(size=(10, 3)), np.arange(10) % 2
    >>> network = xbnet.Network([xbnet.Linear(4, "tanh"), xbnet.Linear(2)], 3, replicas=2, rng=0)
    >>> xbnet.training_test(network, "cross_entropy", "adam", (x, y), levels=["eager"]).failures()
    []
    """

    title: str
    levels: tuple[LevelResult, ...]
    absent: dict[str, str]
    checks: tuple[Check, ...]
    rule: str
    seed: int

    @property
    def passed(self) -> bool | None:
        """Whether all is well; None: nothing is wrong, but something could not be judged."""
        if self.failures():
            return False
        return None if any(level.passed is None for level in self.levels) else True

    def failures(self) -> list[str]:
        """One line per thing that is wrong."""
        lines = [line for level in self.levels for line in level.faults]
        return lines + [f"{check.name}: {check.detail}" for check in self.checks if not check.passed]

    def reasons(self) -> list[str]:
        """Why something could not be judged."""
        lines = []
        for level in self.levels:
            if not level.steps:
                lines.append(f"{level.level}: no step was taken")
            elif level.unjudged:
                names = ", ".join(level.unjudged)
                lines.append(f"{level.level}: rounding alone moves {names} by more than 1 % of a step")
        return lines

    def raise_if_failed(self) -> None:
        """Raise `GradientError`, which names the first wrong step, unless nothing is wrong."""
        failures = self.failures()
        if failures:
            more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
            raise GradientError(f"{self.title}: {failures[0]}{more}", self)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as numbers, texts, lists and dictionaries, for JSON."""
        return {
            "title": self.title,
            "passed": self.passed,
            "seed": self.seed,
            "rule": self.rule,
            "levels": {
                f"{level.level} {level.dtype}": {
                    "passed": level.passed,
                    "steps": level.steps,
                    "sharpness": None if np.isnan(level.sharpness) else level.sharpness,
                }
                for level in self.levels
            },
            "absent": self.absent,
            "checks": {check.name: check.passed for check in self.checks},
            "failures": self.failures(),
            "reasons": self.reasons(),
        }

    def __str__(self) -> str:
        lines = [self.title, f"{'level':<12}{'numbers':<9}{'steps':>6}{'blocks':>8}{'shows an error of':>20}  verdict"]
        for level in self.levels:
            blocks = sum(int((c.judged == 1).sum()) for c in level.comparisons)
            shown = "-" if np.isnan(level.sharpness) else f"{level.sharpness:.0e} of a step"
            lines.append(
                f"{level.level:<12}{level.dtype:<9}{level.steps:>6}{blocks:>8,}{shown:>20}  {in_words(level.passed)}"
            )
        lines += [f"{name:<12}not here: {reason}" for name, reason in self.absent.items()]
        lines += [f"{c.name}: {'ok' if c.passed else 'FAILED'}, {c.detail}" for c in self.checks]
        lines.append(f"rule: {self.rule}; seed {self.seed}")
        failures, reasons = self.failures(), self.reasons()
        head = {True: "PASSED", False: "FAILED", None: "NOT JUDGED"}[self.passed]
        return "\n".join([*lines, "\n  ".join([head, *(failures or reasons)])])

    def __repr__(self) -> str:
        return f"<TrainingVerification {in_words(self.passed)}: {self.title}>"

    def _repr_html_(self) -> str:
        rows = [
            (level.level, level.dtype, level.steps, f"{level.sharpness:.0e}", in_words(level.passed))
            for level in self.levels
        ]
        head = ("level", "numbers", "steps", "shows an error of (share of a step)", "verdict")
        lines = "".join(f"<div>{html.escape(line)}</div>" for line in self.failures() or self.reasons())
        return heading(f"{self.title}: {in_words(self.passed)}") + table(head, rows) + lines
