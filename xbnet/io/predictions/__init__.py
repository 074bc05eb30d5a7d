"""Predictions for files of any length: chunks out, with memory that does not grow."""

from .score import Score
from .writers import FORMATS, Write, open_writer

__all__ = ["FORMATS", "Score", "Write", "open_writer"]
