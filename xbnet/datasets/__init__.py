"""Data sets: records, loaders, generators, splits.

The generators are in `xbnet.datasets.synthetic`, which is also a command.
"""

from .columns import Column
from .dataset import Dataset, Part
from .download import fetch
from .load import load_dataset
from .scaler import Scaler
from .schema import Schema
from .splits import split
from .target import Target

__all__ = ["Column", "Dataset", "Part", "Scaler", "Schema", "Target", "fetch", "load_dataset", "split"]
