"""The gradient and Jacobian tests of the reports: sections with a table, a picture, and the measured orders."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..nn.network import Network
from ..verify import gradient_test, jacobian_test
from .report import Report

STEPS = 20
"""e = 0.5^i for i = 0..19, as in the reports."""


def gradient_section(report: Report, network: Network, x: np.ndarray, y: np.ndarray, **settings: Any) -> None:
    """|f(p + e d) - f(p)| and |f(p + e d) - f(p) - e <grad, d>| by every block of parameters and by x."""
    _section(report, "Gradient test", gradient_test(network, "cross_entropy", x, y, steps=STEPS, **settings))


def jacobian_section(report: Report, network: Network, x: np.ndarray) -> None:
    """The same for g = <f(x), u> with a random u."""
    _section(report, "Jacobian test", jacobian_test(network, x, steps=STEPS))


def _section(report: Report, what: str, found: Any) -> None:
    found.raise_if_failed()
    rows = [[block, *map(_mean_order, values.T)] for block, values in found.orders.items()]
    report.table((f"{what}: block", "order of the difference (1)", "order of the remainder (2)"), rows)
    report.picture(found.plot(), f"{what}: {found.title.partition(': ')[2]}; slopes 1 and 2")


def _mean_order(orders: np.ndarray) -> str:
    """Mean over the replicas; a function that is linear in the block leaves no remainder to see."""
    seen = orders[~np.isnan(orders)]
    return f"{seen.mean():.4f}" if len(seen) else "nothing left"
