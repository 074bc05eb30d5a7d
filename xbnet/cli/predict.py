"""`xbnet predict`: labels and probabilities for the rows of a file."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..datasets.reading import Reading
from ..datasets.rows import Chunk, open_rows
from ..datasets.tables import is_table_file, open_table
from ..errors import ConfigError, DataError, counted
from ..files import keep_input
from ..io.ensembles import Ensemble, chosen, load_any
from ..io.folders import file_of
from ..io.models import Model
from ..io.predictions import FORMATS, Score, Write, open_writer
from .arguments import count
from .tables import split_names

FIGURES = {"accuracy": "accuracy", "r2": "R2", "rmse": "RMSE", "mae": "MAE"}
"""Figures of the result -> their labels in the printed summary."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.add_argument("model", metavar="MODEL", help="file of xbnet.save, ensemble, or folder of `xbnet train --out`")
    parser.add_argument(
        "--data", required=True, metavar="FILE", help=".csv, .parquet, .npy, .npz, a data set, or - for stdin"
    )
    parser.add_argument(
        "--target",
        action="append",
        metavar="COLUMN,..",
        help="columns with the true values, to measure the predictions; not used as inputs",
    )
    parser.add_argument(
        "--id",
        action="append",
        metavar="COLUMN,..",
        help="columns to copy to the predictions; as in training by default",
    )
    parser.add_argument(
        "--no-header", dest="header", action="store_false", default=None, help="the first line holds data, not names"
    )
    parser.add_argument(
        "--header", action="store_true", default=None, help="the first line holds names; as in training by default"
    )
    parser.add_argument(
        "--delimiter", metavar="CHAR", help="character between the columns of a text table; detected by default"
    )
    parser.add_argument(
        "--decimal", metavar="CHAR", help="decimal point of a text table, . or ,; as in training by default"
    )
    parser.add_argument("--part", choices=["train", "val", "test"], help="part of a data set to predict")
    parser.add_argument("--out", default="-", metavar="FILE", help="file for the predictions")
    parser.add_argument("--format", choices=list(FORMATS), help="format of --out; default: by its ending")
    parser.add_argument(
        "--replica", type=count, metavar="R", help="predict with one member; by default the mean of all"
    )
    parser.add_argument(
        "--std",
        action="store_true",
        help="also write the standard deviation over the members, a measure of uncertainty",
    )
    parser.add_argument("--backend", default="numpy", metavar="NAME", help="numpy, cupy, dpnp, auto")
    parser.add_argument("--json", action="store_true", help="print the metrics as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Predict, and measure where the file says what is right."""
    if args.json and args.out == "-":
        raise ConfigError("--json prints to stdout, as the predictions do; give --out FILE")
    keep_input(args.out, file_of(args.model), args.data)
    started = time.perf_counter()
    model = chosen(load_any(args.model, args.backend), args.replica)
    names = class_names(model)
    score, rows = Score(names), 0
    columns = columns_of(model, names)
    columns += [f"std_{name.removeprefix('p_') if names else name}" for name in columns] * args.std
    with open_writer(args.out, args.format, columns) as write:
        for chunk in chunks_of(args, model):
            rows += len(chunk.x)
            deviations = model.std_of_encoded(chunk.x) if args.std else None
            predict_chunk(args.data, model, names, chunk, score, _with_more(write, deviations))
        if not rows:
            raise DataError(f"{args.data}: expected at least one row, got none")
    report(args, score, rows, time.perf_counter() - started)
    return 0


def chunks_of(args: argparse.Namespace, model: Model | Ensemble) -> Iterator[Chunk]:
    """The rows of the file that the flags name; a table is read as in training where they don't say otherwise."""
    reading = Reading() if model.schema is None else model.schema.reading
    source: Any = args.data
    options = {"header": args.header is not False, "delimiter": args.delimiter, "decimal": args.decimal}
    ids = split_names(args.id or (), reading.ids)
    if is_table_file(source):
        header = reading.header if args.header is None else args.header
        source = open_table(source, header=header, delimiter=args.delimiter, decimal=args.decimal or reading.decimal)
        options = {}
        if args.id is None:  # those of training, if the rows have names at all
            there = {name.strip() for name in source.columns}
            ids = [name for name in reading.ids if name.strip() in there]
    return open_rows(
        source,
        model.n_inputs,
        split_names(args.target, outputs_of(model)) if args.target else None,
        args.part,
        model.features,
        model.schema,
        ids,
        class_names(model) is None,
        **options,
    )


def outputs_of(model: Model | Ensemble) -> list[str]:
    """A name per target of the model."""
    target = None if model.schema is None else model.schema.target
    return [f"y{i}" for i in range(model.n_outputs)] if target is None else list(target.names)


def class_names(model: Model | Ensemble) -> list[str] | None:
    """Names of the classes; None for a regression."""
    if model.link in ("identity", "exp"):
        return None
    return [str(c) for c in (model.classes or range(model.n_outputs))]


def columns_of(model: Model | Ensemble, names: list[str] | None) -> list[str]:
    """Names of the columns of values."""
    if names is None:
        return outputs_of(model)
    return [f"p_{name}" for name in names]


def predict_chunk(
    source: str, model: Model | Ensemble, names: list[str] | None, chunk: Chunk, score: Score, write: Any
) -> None:
    """Prepare, predict, write, and measure one chunk."""
    values = model.from_encoded(chunk.x)
    if names is None:
        write(None, values, chunk.ids)
        if chunk.y is not None:
            score.add_values(source, chunk.y, values)
    elif model.link == "multilabel":
        decided = values >= 0.5
        longest = len("|".join(names))
        write(np.array(["|".join(np.asarray(names)[row]) for row in decided], f"<U{longest}"), values, chunk.ids)
        if chunk.y is not None:
            score.add_decisions(source, chunk.y, decided)
    else:
        predicted = values.argmax(axis=1)
        write(np.asarray(names)[predicted], values, chunk.ids)
        if chunk.y is not None:
            score.add_labels(source, chunk.y, predicted)


def _with_more(write: Write, deviations: np.ndarray | None) -> Write:
    """Write these beside each chunk's values."""
    if deviations is None:
        return write
    return lambda labels, values, ids: write(labels, np.concatenate([values, deviations], axis=1), ids)


def report(args: argparse.Namespace, score: Score, rows: int, seconds: float) -> None:
    """Figures to stdout, or to stderr where the predictions have stdout."""
    result = {"rows": rows, "seconds": seconds, "rows_per_second": rows / seconds, **score.result()}
    if args.json:
        print(json.dumps(result))
        return
    to = sys.stderr if args.out == "-" else sys.stdout
    figures = "".join(f", {FIGURES[k]} {result[k]:.6g}" for k in FIGURES if k in result)
    print(f"{counted(rows, 'row')} in {seconds:.2f} s{figures}", file=to)
    if table := score.table():
        print(table, file=to)
