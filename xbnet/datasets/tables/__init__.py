"""Tables with named columns, read a batch at a time: text, Parquet, Arrow, and objects that Arrow can read."""

from .opening import is_table, is_table_file, open_table
from .source import Table

__all__ = ["Table", "is_table", "is_table_file", "open_table"]
