"""After training: `report` says how good a model is, on one page; `compare` compares runs."""

from .compare import compare
from .report import Report, report

__all__ = ["Report", "compare", "report"]
