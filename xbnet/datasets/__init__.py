"""Data sets: records, loaders, generators, splits.

The generators are in `xbnet.datasets.synthetic`, which is also a command.
"""

from .dataset import Dataset, Part, Standardizer
from .load import load_dataset
from .splits import split

__all__ = ["Dataset", "Part", "Standardizer", "load_dataset", "split"]
