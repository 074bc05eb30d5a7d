"""Results of a test: small frozen objects that print as tables."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import GradientError
from ..notebook import heading, picture, table
from .checks import RETURNED, Check, PrecisionCheck
from .numerical import BlockComparison
from .points import Placement
from .suspects import suspect
from .taylor import TaylorCurve


@dataclass(frozen=True, eq=False)
class Verification:
    """The result of `gradient_test` or `jacobian_test`.

    Attributes
    ----------
    title
        The name of the tested layer or network.
    curves
        The Taylor test of every block, of all parameters ("theta") and of x.
    checks
        Further questions: determinism, stacks, the adjoint identity.
    precision
        The float32 gradient against the float64 twin's; empty for a float64 network.
    placement
        How the point was chosen.
    comparisons
        Backward against central differences, entry by entry, for the blocks whose Taylor test failed (and, in
        `jacobian_test`, of small layers).
    tolerance
        How far an order may be below 1 or 2.
    seed
        Seed of the directions; the same seed gives the same test.
    layers
        Names of the layers' classes.

    Examples
    --------
    >>> import xbnet
    >>> found = xbnet.jacobian_test(xbnet.Linear(2, "tanh"), [[1.0, 2.0]])
    >>> found
    <Verification passed: ...>
    >>> sorted(found.orders)
    ['0.W', '0.b', 'theta', 'x']
    """

    title: str
    curves: tuple[TaylorCurve, ...]
    checks: tuple[Check, ...]
    precision: tuple[PrecisionCheck, ...]
    placement: Placement
    comparisons: tuple[BlockComparison, ...]
    tolerance: float
    seed: int
    layers: tuple[str, ...] = ()

    @property
    def passed(self) -> bool | None:
        """Whether all is well; None: nothing is wrong, but some blocks can't be judged, see `reasons`."""
        return False if self.failures() else None if self.reasons() else True

    @property
    def orders(self) -> dict[str, np.ndarray]:
        """Block -> (R, 2) observed orders of the two curves; NaN where there is none to see."""
        return {curve.block: np.array([j.orders for j in curve.judgements]) for curve in self.curves}

    @property
    def suspect(self) -> str:
        """Which layer to look at first, by which gradients are wrong; empty where that tells nothing."""
        if any(check.name == RETURNED for check in self.checks):
            return ""
        return suspect({curve.block: curve.passed is not False for curve in self.curves}, self.layers)

    def failures(self) -> list[str]:
        """One line per thing that is wrong, the worst entry of the gradient first."""
        lines = [c.detail for c in self.checks if c.name == RETURNED]
        lines += [c.worst for c in self.comparisons if not c.passed]
        for curve in self.curves:
            for r, verdict in enumerate(curve.judgements):
                if verdict.passed is False:
                    first, second = verdict.orders
                    lines.append(
                        f"{curve.block}[r={r}]: orders {first:.2f} and {second:.2f}, expected 1 and 2 "
                        f"(<grad, d> is {curve.slope[r]:.6g}, off by {verdict.error:.1e} of it)"
                    )
        lines += [f"{c.name}: {c.detail}" for c in self.checks if not c.passed and c.name != RETURNED]
        lines += [
            f"{p.block}: float32 gradient off by {p.difference:.1e}, allowed {p.allowed:.1e}"
            for p in self.precision
            if p.passed is False
        ]
        return lines

    def reasons(self) -> list[str]:
        """One line per block and replica that can't be judged, with the reason."""
        return [
            f"{curve.block}[r={r}]: {verdict.note}"
            for curve in self.curves
            for r, verdict in enumerate(curve.judgements)
            if verdict.passed is None
        ]

    def raise_if_failed(self) -> None:
        """Raise `GradientError`, which names the worst entry, if anything is wrong."""
        failures = self.failures()
        if failures:
            more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
            where = f"; {self.suspect}" if self.suspect else ""
            raise GradientError(f"{self.title}: {failures[0]}{more}{where}", self)

    def plot(self) -> Any:
        """A figure: both curves of every block on a logarithmic axis, with lines of slope 1 and 2."""
        from .pictures import taylor_figure

        return taylor_figure(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as numbers, texts, lists and dictionaries, for JSON."""
        return {
            "title": self.title,
            "passed": self.passed,
            "seed": self.seed,
            "orders": {
                block: [[None if np.isnan(o) else float(o) for o in row] for row in rows]
                for block, rows in self.orders.items()
            },
            "failures": self.failures(),
            "reasons": self.reasons(),
            "suspect": self.suspect,
        }

    def __str__(self) -> str:
        lines = [self.title, f"{'block':<14}{'entries':>9}{'|f(p+ed)-f(p)|':>17}{'less e<grad,d>':>17}  verdict"]
        for curve in self.curves:
            orders = np.array([j.orders for j in curve.judgements])
            notes = sorted({j.note for j in curve.judgements if j.note})
            left_out = int((~curve.clean).sum())
            if left_out:
                notes.append(f"{left_out} steps across kinks left out")
            verdict = in_words(curve.passed)
            lines.append(
                f"{curve.block:<14}{curve.size:>9,}{_orders(orders[:, 0], 1):>17}{_orders(orders[:, 1], 2):>17}  "
                + ", ".join([verdict, *notes])
            )
        for row in self.precision:
            lines.append(
                f"{row.block:<14}float32 against float64: {row.difference:.1e}, allowed {row.allowed:.1e}  "
                + in_words(row.passed)
            )
        lines += [f"{c.name}: {'ok' if c.passed else 'FAILED'}, {c.detail}" for c in self.checks]
        lines.append(f"{self.placement}; seed {self.seed}")
        head = {True: "PASSED", False: "FAILED", None: "NOT JUDGED"}[self.passed]
        lines.append("\n  ".join([head, *(self.failures() or self.reasons())]))
        if self.suspect:
            lines.append(self.suspect)
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Verification {in_words(self.passed, 'passed')}: {self.title}>"

    def _repr_html_(self) -> str:
        rows = [
            (
                curve.block,
                curve.size,
                *(_orders(np.array([j.orders[i] for j in curve.judgements]), i + 1) for i in (0, 1)),
                in_words(curve.passed),
            )
            for curve in self.curves
        ]
        head = ("block", "entries", "|f(p + e d) - f(p)|", "less e <grad, d>", "verdict")
        lines = "".join(f"<div>{html.escape(line)}</div>" for line in self.failures())
        shown = picture(self.plot(), "Taylor test of every block")
        return heading(f"{self.title}: {in_words(self.passed, 'passed')}") + table(head, rows) + lines + shown


def in_words(passed: bool | None, right: str = "ok") -> str:
    """A verdict."""
    return {True: right, False: "FAILED", None: "not judged"}[passed]


def _orders(orders: np.ndarray, expected: int) -> str:
    """The order furthest from what is expected."""
    if np.isnan(orders).all():
        return "order -"
    return f"order {orders[np.nanargmax(np.abs(orders - expected))]:.3f}"


@dataclass(frozen=True, eq=False)
class GradientComparison:
    """The result of `compare_gradients`: one row per block.

    Attributes
    ----------
    title
        Names of the two gradients.
    blocks
        In layer order, x last.
    tolerance
        How far an entry may be off, relative to its block's largest.

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([xbnet.Linear(2)], n_inputs=3, rng=0)
    >>> xbnet.compare_gradients(network, "cross_entropy", np.eye(3), [0, 1, 0]).to_dict()["passed"]
    True
    """

    title: str
    blocks: tuple[BlockComparison, ...]
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether every entry is within tolerance."""
        return all(block.passed for block in self.blocks)

    def raise_if_failed(self) -> None:
        """Raise `GradientError`, which names the worst entry, unless all is well."""
        wrong = [block for block in self.blocks if not block.passed]
        if wrong:
            raise GradientError(f"{self.title}: {wrong[0].worst}", self)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as numbers, texts, lists and dictionaries, for JSON."""
        blocks = {block.block: asdict(block) for block in self.blocks}
        return {"title": self.title, "passed": self.passed, "blocks": blocks}

    def plot(self) -> Any:
        """A figure: the differences of every block, absolute and relative."""
        from .pictures import comparison_figure

        return comparison_figure(self)

    def __str__(self) -> str:
        columns = ("mean", "std", "max", "rel mean", "rel std", "rel max", "grad min", "grad max", "grad std")
        lines = [self.title, f"{'block':<12}{'entries':>9}" + "".join(f"{c:>11}" for c in columns)]
        for b in self.blocks:
            figures = [getattr(s, f) for s in (b.difference, b.relative) for f in ("mean", "std", "max")]
            gradient = (b.gradient.min, b.gradient.max, b.gradient.std)
            lines.append(
                f"{b.block:<12}{b.entries:>9,}"
                + "".join(f"{v:>11.1e}" for v in figures)
                + "".join(f"{v:>11.3g}" for v in gradient)
                + ("" if b.passed else "  FAILED")
            )
        lines += [f"worst: {b.worst}" for b in self.blocks]
        lines.append("PASSED" if self.passed else "FAILED")
        return "\n".join(lines)
