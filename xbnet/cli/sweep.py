"""`xbnet sweep`: train every configuration of a space, as a few stacks of many networks."""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import Dataset
from ..errors import ConfigError, DivergenceError, Interrupted, XbnetError
from ..files import write_text
from ..sweeps import SweepResult, sweep
from ..sweeps.distributions import as_distribution
from ..sweeps.space import shown
from ..sweeps.store import plain_row
from ..training import tables as usual
from . import arguments as flags
from .folders import kept_in, open_folder, replacing_run
from .tables import OF_TABLES, is_table_of, settle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    flags.add_data_arguments(parser)
    group = parser.add_argument_group("space")
    group.add_argument(
        "--space",
        action="append",
        default=[],
        metavar="KEY=VALUES",
        help="lr=0.01,0.1 or l2=loguniform:1e-6,1e-2 or hidden=[[10,7],[20]] or epochs=50; in a TOML file: [space]",
    )
    group.add_argument("--draws", type=flags.positive, metavar="N", help="draw this many configurations at random")
    group.add_argument("--sampler", metavar="NAME", help="tpe, random: Optuna proposes configurations by what came out")
    group.add_argument("--trials", type=flags.positive, metavar="N", help="how many configurations --sampler proposes")
    group.add_argument(
        "--at-once", type=flags.positive, metavar="R", help="networks at a time; by default of 32 trials"
    )
    group.add_argument("--seeds", type=seeds, default=1, metavar="N|N,N,..", help="how many, or which")
    group.add_argument("--folds", type=flags.positive, metavar="K", help="cross-validation on the training part")
    group.add_argument(
        "--halving",
        metavar="N|hyperband|asha",
        help="after 1/9, 1/3 of the epochs and so on only the best 1 in N configurations trains on; "
        "hyperband: in brackets; asha: without waiting; asha:4",
    )
    group.add_argument("--min-epochs", type=flags.positive, metavar="N", help="epochs of the first rung; by default 1")
    group.add_argument("--monitor", metavar="FIGURE", help="the figure that stops and ranks; val_loss by default")
    group = parser.add_argument_group("execution")
    group.add_argument("--backend", default="numpy", metavar="NAME", help="numpy, cupy, dpnp, auto")
    group.add_argument("--dtype", default="float32", metavar="TYPE", help="float32, float64")
    group.add_argument("--seed", type=flags.count, default=0, metavar="N", help="of draws, folds and splits")
    group.add_argument("--executor", default="threads", metavar="NAME", help="threads, processes")
    group.add_argument("--dask", metavar="ADDRESS|local", help="run on this Dask scheduler, or on one started here")
    group.add_argument("--workers", type=flags.positive, metavar="N", help="chunks at once; by default one per core")
    group.add_argument("--memory", metavar="SIZE", help="for all chunks, e.g. 2GB; by default half of what is free")
    group = parser.add_argument_group("output")
    group.add_argument("--config", metavar="FILE", help="TOML file with any of these flags; flags given here win")
    group.add_argument("--out", metavar="DIR", help="keep results there as chunks end, the best network and pictures")
    group.add_argument("--overwrite", action="store_true", help="replace the run that --out holds")
    group.add_argument("--resume", metavar="DIR", help="go on with the sweep that was kept with --out DIR")
    group.add_argument("--json", action="store_true", help="print the result as one JSON object")
    group.add_argument("--quiet", action="store_true", help="no plan, no progress bar, no table")


def run(args: argparse.Namespace) -> int:
    """Sweep, and report."""
    started = time.perf_counter()
    folder = open_folder(args.out, overwrite=args.overwrite, resume=args.resume is not None) if args.out else None
    space = join_space(args.space)
    if not space:
        raise ConfigError("sweep: expected a space, e.g. --space lr=0.01,0.1, or [space] in the --config file")
    with replacing_run(folder, args.overwrite):
        if folder is not None and not args.resume:
            write_text(folder / "config.toml", config_text(args, space))
        try:
            result = train(args, space, folder)
        except XbnetError:
            if folder is not None and not (folder / "sweep.json").exists():  # it was refused: there is no sweep
                (folder / "config.toml").unlink(missing_ok=True)
            raise
        except KeyboardInterrupt:
            if folder is None:
                raise
            raise Interrupted(f"interrupted; go on with: xbnet sweep --resume {folder}") from None
        summary = summarize(args, result, time.perf_counter() - started)
        if folder is not None:
            keep(folder, result, summary)
    if not args.quiet:
        print_table(result, summary)
        if folder is not None:
            print(f"kept in {folder}: {', '.join(kept_in(folder))}")
    if args.json:
        print(json.dumps(summary))
    if summary["diverged"] == summary["networks"]:
        raise DivergenceError("sweep: all networks diverged; try smaller learning rates, or clip_norm")
    return 0


def train(args: argparse.Namespace, space: dict[str, Any], folder: Path | None) -> SweepResult:
    """Run `sweep` with the flags."""
    if args.folds and args.val is None:
        args.val = 0  # each fold is validated on what it leaves out
    taken = settle(args)
    data = flags.data_from(argparse.Namespace(**vars(args) | {"standardize": False}), taken)
    return sweep(
        space,
        data,
        draws=args.draws,
        sampler=args.sampler,
        trials=args.trials,
        at_once=args.at_once,
        seeds=args.seeds,
        folds=args.folds,
        halving=args.halving,
        min_epochs=args.min_epochs,
        standardize=args.standardize,
        monitor=args.monitor,
        backend=args.backend,
        dtype=args.dtype,
        rng=args.seed,
        executor=f"dask:{args.dask}" if args.dask else args.executor,
        workers=args.workers,
        memory=args.memory,
        out=folder,
        resume=args.resume is not None,
        progress=False if args.quiet else None,
        **fixed_for_table(args, space, data),
    )


def fixed_for_table(args: argparse.Namespace, space: dict[str, Any], data: Dataset) -> dict[str, Any]:
    """What `train` takes for a table, where the space does not say it."""
    if not is_table_of(args):
        return {}
    fixed = {key: OF_TABLES[key] for key in ("hidden", "activation", "optimizer", "lr", "schedule", "l2", "epochs")}
    fixed["batch_size"] = usual.batch_size(len(data.train))
    if data.val is not None or args.folds:
        fixed["patience"] = OF_TABLES["patience"]
    if "optimizer" in space:
        del fixed["lr"]  # it is that of the other optimizer
    if "width" in space or "depth" in space:
        del fixed["hidden"]
    return {key: value for key, value in fixed.items() if key not in space}


def config_text(args: argparse.Namespace, space: dict[str, Any]) -> str:
    """The flags as a TOML file that `--config` takes."""
    lines = []
    for key, value in sorted(vars(args).items()):
        if key in (*flags.NOT_KEPT, "space") or value is None:
            continue
        lines.append(f"{key.replace('_', '-')} = {json.dumps(value)}")
    lines += ["", "[space]", *(f"{json.dumps(key)} = {_toml(value)}" for key, value in space.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """A value of the space; TOML has no null."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps("none" if value is None else value)


def join_space(texts: list[str]) -> dict[str, Any]:
    """All ``KEY=VALUES`` as one space."""
    space: dict[str, Any] = {}
    for key, values in map(parse_space, texts):
        if key in space:
            raise ConfigError(f"--space: {key} is given twice; give all its values at once, like {key}=1,2")
        space[key] = values
    return space


def parse_space(text: str) -> tuple[str, Any]:
    """``KEY=VALUES`` -> key and values: JSON, a distribution, or words with commas in between."""
    key, equals, values = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--space: expected KEY=VALUES like lr=0.01,0.1, got {text!r}")
    found = _value(values)
    if found is not values or as_distribution(values) is not None:
        return key.strip(), found
    words = [_value(word.strip()) for word in values.split(",")]
    return key.strip(), words if len(words) > 1 else words[0]


BARE_POINT = re.compile(r"(?<![\w.])([+-]?)(?:(\d+)\.(?!\d)|\.(\d+))")
"""Numbers without a digit in front of their point or behind it: JSON wants both."""


def _value(word: str) -> Any:
    """JSON, also with numbers like ``.1`` and ``1.``; a text that is none comes back as it is."""
    full = BARE_POINT.sub(lambda m: f"{m[1].strip('+')}{m[2] or 0}.{m[3] or 0}", word)
    try:
        return json.loads(full)
    except (json.JSONDecodeError, RecursionError):
        return word


def seeds(text: str) -> int | list[int]:
    """``3`` -> how many; ``0,1,5`` -> which."""
    try:
        found = [flags.count(word.strip()) for word in text.split(",")]
    except argparse.ArgumentTypeError:
        found = [0]
    if len(found) == 1 and found[0] < 1:
        raise argparse.ArgumentTypeError(f"expected a count >= 1 or seeds like 0,1,5, got {text!r}")
    return found if len(found) > 1 else found[0]


def summarize(args: argparse.Namespace, result: SweepResult, seconds: float) -> dict[str, Any]:
    """The result as JSON has it."""
    best = result.best
    r2 = r2_of(result, best["configuration"])
    return {
        "backend": result.program.backend,
        "dtype": args.dtype,
        "dataset": result.program.pool.data.name,
        "networks": len(result),
        "configurations": len(result.configurations()),
        "diverged": int((result.column("status") == "diverged").sum()),
        "monitor": result.monitor,
        "best": plain_row(best["settings"]),
        "best_mean": plain_row(best)["mean"],
        "best_spread": plain_row(best)["spread"],
        "best_member": result.best_member(),
        **({} if r2 is None else {"best_r2": r2}),
        "seconds": seconds,
    }


def r2_of(result: SweepResult, configuration: int) -> float | None:
    """The mean R2 of a configuration's networks, of validation where there is one; None where there are classes."""
    if result.program.pool.data.task != "regression":
        return None
    where = [i for i, member in enumerate(result.members) if member.configuration == configuration]
    found = [result.column(name)[where].mean() for name in ("val_r2", "train_r2")]
    return next((float(value) for value in found if np.isfinite(value)), None)


def keep(folder: Path, result: SweepResult, summary: dict[str, Any]) -> None:
    """Write the best network, the summary and pictures beside the table."""
    from ..io.about import about_inputs, put_targets_back
    from ..io.models import save
    from ..plots import save_figure

    best, data = result.best_member(), result.program.pool.data
    write_text(folder / "result.json", json.dumps(summary, indent=1) + "\n")
    network = result.network(best)
    put_targets_back(network, data)
    save(network, folder / "best.safetensors", **about_inputs(data, result.preparation(best)))
    save_figure(result.plot_curves(), folder / "curves.png")
    if result.keys:
        save_figure(result.plot_keys(), folder / "keys.png")
    if result.brackets:
        save_figure(result.plot_rungs(), folder / "rungs.png")
    if len(result.keys) == 2:
        save_figure(result.plot_heat_map(*result.keys), folder / "heat_map.png")


def print_table(result: SweepResult, summary: dict[str, Any], rows: int = 10) -> None:
    """The best configurations, for people."""
    print(
        f"{summary['dataset']}: {summary['networks']} networks of {summary['configurations']} configurations in "
        f"{summary['seconds']:.2f} s on {summary['backend']} ({summary['dtype']}), {summary['diverged']} diverged"
    )
    found = result.configurations()
    scores = {row["configuration"]: r2_of(result, row["configuration"]) for row in found[:rows]}
    regression = result.program.pool.data.task == "regression"
    title = f"{'R2':>10}" if regression else ""
    places = [key for key in ("bracket", "rung") if key in found[0]]
    head = "".join(f"{name:>9}" for name in places)
    print(f"{result.monitor:>12}{'spread':>10}{title}{'networks':>10}{head}  settings")
    for row in found[:rows]:
        where = "".join(f"{row[name]:>9}" for name in places)
        settings = ", ".join(f"{key}={shown(value)}" for key, value in row["settings"].items()) or "the only ones"
        r2 = scores[row["configuration"]]
        score = f"{'' if r2 is None else f'{r2:.4f}':>10}" if regression else ""
        print(f"{row['mean']:>12.5f}{row['spread']:>10.5f}{score}{row['networks']:>10}{where}  {settings}")
    if len(found) > rows:
        print(f"... and {len(found) - rows} more")
