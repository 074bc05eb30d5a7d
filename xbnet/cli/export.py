"""`xbnet export`: a trained network for other programs."""

from __future__ import annotations

import argparse

from ..errors import ConfigError
from ..files import keep_input
from ..io.export import FORMATS, format_of
from ..io.models import file_of, load_model
from .arguments import count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.add_argument("model", metavar="MODEL", help="a file of xbnet.save, or the folder of `xbnet train --out`")
    parser.add_argument("--out", required=True, metavar="FILE", help=".onnx, .safetensors (PyTorch) or .npz")
    parser.add_argument("--format", choices=list(FORMATS), help="by default what the name of --out says")
    parser.add_argument("--replica", type=count, metavar="R", help="of a stack")


def run(args: argparse.Namespace) -> int:
    """Write the file; for PyTorch print the module that loads it."""
    form = args.format or format_of(args.out)
    keep_input(args.out, file_of(args.model))
    model = load_model(args.model)
    if args.replica is not None:
        if args.replica >= model.network.replicas:
            raise ConfigError(f"--replica {args.replica}: the model has {model.network.replicas}, counted from 0")
        model.network = model.network.select([args.replica])
    definition = FORMATS[form](model, args.out)
    if definition is not None:
        print(definition, end="")
    return 0
