"""`xbnet export`: a trained network for other programs."""

from __future__ import annotations

import argparse
import sys

from ..files import keep_input
from ..io.ensembles import chosen, load_any
from ..io.export import FORMATS, format_of
from ..io.folders import file_of
from .arguments import count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.add_argument("model", metavar="MODEL", help="file of xbnet.save, ensemble, or folder of `xbnet train --out`")
    parser.add_argument("--out", required=True, metavar="FILE", help=".onnx, .safetensors (PyTorch) or .npz")
    parser.add_argument("--format", choices=list(FORMATS), help="format of --out; default: by its ending")
    parser.add_argument(
        "--replica", type=count, metavar="R", help="export one member; by default ONNX and PyTorch give the mean of all"
    )


def run(args: argparse.Namespace) -> int:
    """Write the file; for PyTorch print the module that loads it."""
    form = args.format or format_of(args.out)
    keep_input(args.out, file_of(args.model))
    model = chosen(load_any(args.model), args.replica)
    definition = FORMATS[form](model, args.out)
    if definition is not None:
        print(definition, end="")
    print(f"written: {args.out}", file=sys.stdout if definition is None else sys.stderr)
    return 0
