"""`xbnet report`: is a trained model good? Figures, and one page with the pictures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from ..datasets.labels import Labels
from ..datasets.reading import Reading
from ..datasets.rows import open_rows
from ..datasets.tables import is_table_file, open_table
from ..errors import ConfigError, DataError, counted, printable
from ..files import keep_input
from ..io.ensembles import Ensemble, load_any
from ..io.folders import file_of
from ..io.models import Model
from ..reports import report
from ..sweeps.kept import is_sweep
from . import arguments as flags
from .parser import expand_config
from .tables import settle, target_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.add_argument(
        "run", metavar="RUN", help="the folder of `xbnet train --out` or `xbnet sweep --out`, or a model in it"
    )
    parser.add_argument("--data", metavar="FILE", help="other rows, with their target; default: the data of the run")
    parser.add_argument(
        "--part", choices=["train", "val", "test"], help="part to judge on; default: the last that exists"
    )
    parser.add_argument(
        "--out", metavar="FILE.html", help="page to write; default: report.html in the folder of the run"
    )
    parser.add_argument(
        "--repeats",
        type=flags.count,
        default=5,
        metavar="N",
        help="permutations per column for the feature importance; 0: none",
    )
    parser.add_argument("--json", action="store_true", help="print the metrics as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Judge, print, and write the page."""
    path = file_of(args.run)
    config = path.parent / "config.toml"
    out = Path(args.out) if args.out else path.parent / "report.html"
    keep_input(out, path, *filter(None, [args.data]))
    model = load_any(path)
    run_args = args_of_run(config)
    if isinstance(model, Ensemble):
        run_args.scaling = "none"  # each of its networks has a scaling of its own
    taken = settle(run_args)
    run_args.scale_targets = False  # it is judged in the targets' own units
    data = flags.data_from(run_args, taken) if args.data is None else rows_of(args, model, target_of(run_args))
    settings = config.read_text(encoding="utf-8")
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
    print(counted(found.rows, "row"))
    for name, value in found.figures.items():
        print(f"{name:<28}{value:>12.5g}")
    print(f"written: {out}")
    return 0


def args_of_run(config: Path) -> argparse.Namespace:
    """The flags of the run, or of the sweep."""
    from . import build_parser

    if not config.is_file():
        raise ConfigError(f"{config}: not found; report reads there what the model was trained on and how")
    verb = "sweep" if is_sweep(config.parent) else "train"
    parser = build_parser(verb)
    args = parser.parse_args(expand_config([verb, "--config", str(config)], parser))
    if verb == "sweep" and args.folds and args.val is None:
        args.val = 0  # as in the sweep
    return args


def rows_of(
    args: argparse.Namespace, model: Model | Ensemble, target: str | list[str] | None
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of --data, prepared, and what is right, as the network has it."""
    names = list(model.schema.target.names) if model.schema and model.schema.target else target
    source, named = args.data, Path(args.data).suffix.lower() == ".npy"
    if is_table_file(source):
        reading, named = Reading() if model.schema is None else model.schema.reading, True
        source = open_table(source, header=reading.header, decimal=reading.decimal)
    regression = model.link in ("identity", "exp")
    parts = names if named else None, args.part, model.features, model.schema
    chunks = list(open_rows(source, model.n_inputs, *parts, regression=regression))
    if not chunks or any(chunk.y is None for chunk in chunks):
        raise DataError(f"{args.data}: expected rows with what is right, got none")
    x, y = (np.concatenate([chunk[i] for chunk in chunks]) for i in (0, 1))
    x = x if isinstance(model, Ensemble) or model.preparation is None else model.preparation(x)
    if model.link in ("identity", "multilabel"):
        return x, y.astype(float).reshape(len(x), -1)
    known = Labels(model.classes or range(model.n_outputs))
    labels = known.find(y)
    if (labels < 0).any():
        raise DataError(
            f"{args.data}: expected a class of the model ({', '.join(known.names[:10])}), "
            f"got {printable(str(y[labels < 0][0]))!r}"
        )
    return x, labels
