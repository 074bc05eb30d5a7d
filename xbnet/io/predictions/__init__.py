"""Predictions for files of any length: chunks in, chunks out, with memory that does not grow."""

from .readers import Chunk, open_rows
from .score import Score
from .writers import FORMATS, open_writer

__all__ = ["FORMATS", "Chunk", "Score", "open_rows", "open_writer"]
