"""The published reports, reproduced: one module per report, each with `TITLE` and ``run(setup) -> Report``."""

from __future__ import annotations

import importlib
import time

from .common import Setup
from .report import Report, Row, page

NAMES = ("tasks", "depth", "cifar10", "assignment", "mnist")


def reproduce(name: str, setup: Setup) -> Report:
    """Run one of the experiments `NAMES`.

    Raises
    ------
    DataError
        It needs data that are not there.
    """
    started = time.perf_counter()
    report = importlib.import_module(f".{name}", __name__).run(setup)
    report.seconds = time.perf_counter() - started
    return report


__all__ = ["NAMES", "Report", "Row", "Setup", "page", "reproduce"]
