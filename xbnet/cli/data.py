"""`xbnet data`: fetch a public data set, or show what a name or a file holds."""

from __future__ import annotations

import argparse

import numpy as np

from ..datasets import Dataset, Part, fetch
from ..datasets.download import SOURCES
from ..errors import counted, listed
from . import arguments as flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    fetching = actions.add_parser("fetch", help="download a data set into the cache (XBNET_DATA_DIR, or the user's)")
    fetching.add_argument("name", metavar="NAME", help=", ".join(SOURCES))
    fetching.add_argument("--quiet", action="store_true", help="print no progress bar")
    showing = actions.add_parser("show", help="print parts, sizes and classes of a data set or file")
    flags.add_data_arguments(showing)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    if args.action == "fetch":
        print(fetch(args.name, progress=False if args.quiet else None))
        return 0
    args.scaling, args.scale_targets = args.scaling or "none", bool(args.scale_targets)  # as the file has them
    show(flags.data_from(args))
    return 0


def show(data: Dataset) -> None:
    """A line about the set, and one per part."""
    shape = "" if data.image_shape is None else f", images {'x'.join(map(str, data.image_shape))}"
    print(f"{data.name}: {data.task}, {counted(data.n_inputs, 'input')}{shape}, {counted(data.n_outputs, 'output')}")
    if data.classes:
        print(f"classes: {listed(data.classes, most=25)}")
    print(f"{'part':<6}{'samples':>9}  {'type':<9}{'least':>11}{'mean':>11}{'most':>11}  counts per class")
    for name in ("train", "val", "test"):
        part = getattr(data, name)
        if part is not None:
            print(f"{name:<6}{len(part):>9,}  {part.x.dtype!s:<9}{_range(part)}  {_counts(data, part)}".rstrip())


def _range(part: Part) -> str:
    return "".join(f"{float(value):>11.4g}" for value in (part.x.min(), part.x.mean(dtype=float), part.x.max()))


def _counts(data: Dataset, part: Part) -> str:
    if data.task == "classification":
        return " ".join(map(str, np.bincount(part.y, minlength=data.n_outputs)))
    return " ".join(f"{value:.0f}" for value in part.y.sum(axis=0)) if data.task == "multilabel" else ""
