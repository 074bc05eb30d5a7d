"""The gradient and Jacobian tests of the reports: sections with a table, a picture, and the orders beside 1 and 2."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..network import Network
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
    orders = {block: np.nanmean(values, axis=0) for block, values in found.orders.items()}
    rows = [[block, first, second] for block, (first, second) in orders.items()]
    report.table((f"{what}: block", "order of the difference (1)", "order of the remainder (2)"), rows)
    report.picture(found.plot(), f"{what}: {found.title.partition(': ')[2]}; slopes 1 and 2")
