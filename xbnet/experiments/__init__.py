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
    setup.notes.clear()  # each report tells of its own data
    started, worked = time.perf_counter(), time.process_time()
    report = importlib.import_module(f".{name}", __name__).run(setup)
    report.seconds, report.processor_seconds = time.perf_counter() - started, time.process_time() - worked
    report.text(f"Time: {report.seconds:.0f} s, {report.processor_seconds:.0f} s of processor time.")
    return report


__all__ = ["NAMES", "Report", "Row", "Setup", "page", "reproduce"]
