"""After training: `report` says how good a model is, on one page; `compare` sets runs beside each other."""

from .compare import compare
from .report import Report, report

__all__ = ["Report", "compare", "report"]
