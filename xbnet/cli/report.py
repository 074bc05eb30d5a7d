"""`xbnet report`: is a trained model good? Figures, and one page with the pictures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..datasets import Dataset
from ..errors import ConfigError
from ..files import keep_input
from ..io.models import Model, file_of, load_model
from ..reports import report
from . import arguments as flags
from .parser import expand_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.add_argument("run", metavar="RUN", help="the folder of `xbnet train --out`, or the model in it")
    parser.add_argument(
        "--data", metavar="FILE", help="other rows to judge by, with their target; by default the run's"
    )
    parser.add_argument("--part", choices=["train", "val", "test"], help="by default the last that is there")
    parser.add_argument("--out", metavar="FILE.html", help="the page; by default report.html in the run's folder")
    parser.add_argument("--repeats", type=flags.count, default=5, metavar="N", help="permutations of a column; 0: none")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Judge, print, and write the page."""
    path = file_of(args.run)
    config = path.parent / "config.toml"
    out = Path(args.out) if args.out else path.parent / "report.html"
    keep_input(str(out), path, args.data)
    model = load_model(path)
    data = data_of(args, config, model)
    settings = config.read_text(encoding="utf-8") if config.exists() else None
    found = report(
        model,
        data,
        part=args.part,
        settings=settings,
        importance=args.repeats > 0,
        repeats=max(args.repeats, 1),
    )
    found.save(out)
    if args.json:
        importance = {name: list(values) for name, values in found.importance.items()}
        print(json.dumps({"rows": found.rows, "figures": found.figures, "importance": importance, "page": str(out)}))
        return 0
    print(f"{found.rows:,} rows")
    for name, value in found.figures.items():
        print(f"{name:<28}{value:>12.5g}")
    print(f"written: {out}")
    return 0


def data_of(args: argparse.Namespace, config: Path, model: Model) -> Dataset:
    """The run's own data set, or that of --data, prepared as the model's was."""
    from . import build_parser

    if not config.exists():
        raise ConfigError(f"{config}: not found; report reads there what the model was trained on and how")
    parser = build_parser("train")
    more = ["--data", args.data, "--val", "0", "--test", "0"] if args.data else []
    words = expand_config(["train", "--config", str(config), *more], parser)
    return flags.data_from(parser.parse_args(words))
