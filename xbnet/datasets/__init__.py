"""Data sets: records, loaders, generators, splits.

The generators are in `xbnet.datasets.synthetic`, which is also a command.
"""

from .dataset import Dataset, Part, Standardizer
from .download import fetch
from .load import load_dataset
from .splits import split

__all__ = ["Dataset", "Part", "Standardizer", "fetch", "load_dataset", "split"]
