"""`xbnet sweep`: train every configuration of a space, as a few stacks of many networks."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from ..datasets import Dataset
from ..errors import ConfigError, DivergenceError, Interrupted, XbnetError, say
from ..files import write_text
from ..sweeps import SweepResult, sweep
from ..sweeps.cluster import LostCluster
from ..sweeps.distributions import as_distribution
from ..sweeps.refit import Refit
from ..training import tables as usual
from . import arguments as flags
from .folders import open_folder, replacing_run
from .sweep_extras import ensemble_of, refit_of
from .sweep_rates import run_find_lr
from .sweep_table import describe_ensemble, describe_refit, not_learned, print_report, summarize
from .tables import OF_TABLES, is_table_of, settle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    flags.add_data_arguments(parser)
    group = parser.add_argument_group("space")
    group.add_argument(
        "--space", action="append", default=[], metavar="KEY=VALUES",
        help="values to try: lr=0.01,0.1 or l2=loguniform:1e-6,1e-2 or epochs=50; hidden=10,7 is one network, "
        "10,7|20 are two",
    )  # fmt: skip
    group.add_argument(
        "--find-lr", action="store_true", help="find a learning rate for one configuration by trying 100 at once"
    )
    group.add_argument("--draws", type=flags.positive, metavar="N", help="draw this many configurations at random")
    group.add_argument(
        "--sampler", metavar="NAME", help="tpe or random: Optuna proposes configurations from the results so far"
    )
    group.add_argument("--trials", type=flags.positive, metavar="N", help="configurations that --sampler proposes")
    group.add_argument(
        "--at-once", type=flags.positive, metavar="R", help="networks to train at a time; default: those of 32 trials"
    )
    group.add_argument("--seeds", type=seeds, default=1, metavar="N|N,N,..", help="number of seeds, or a list of them")
    group.add_argument(
        "--folds", type=flags.positive, metavar="K", help="folds of cross-validation on the training part"
    )
    group.add_argument(
        "--halving",
        metavar="N|hyperband|asha",
        help="successive halving: at each rung (1/9, 1/3, ... of the epochs) only the best 1/N of the configurations "
        "trains on; hyperband: several brackets; asha or asha:N: asynchronous",
    )
    group.add_argument("--min-epochs", type=flags.positive, metavar="N", help="epochs of the first rung; default: 1")
    group.add_argument(
        "--monitor", metavar="FIGURE", help="metric that ranks configurations and stops them; default: val_loss"
    )
    group.add_argument("--class-weight", metavar="W,W,..", help="one weight per class, or balanced")
    group = parser.add_argument_group("execution")
    group.add_argument("--backend", default="numpy", metavar="NAME", help="numpy, cupy, dpnp, auto")
    group.add_argument("--dtype", default="float32", metavar="TYPE", help="float32, float64")
    group.add_argument("--execution", default="auto", metavar="LEVEL", help="see xbnet train --help")
    group.add_argument("--seed", type=flags.count, default=0, metavar="N", help="seed of draws, folds and splits")
    group.add_argument("--executor", default="threads", metavar="NAME", help="threads, processes, ray")
    group.add_argument("--dask", metavar="ADDRESS|local", help="run on this Dask scheduler, or on one started here")
    group.add_argument(
        "--workers", type=flags.positive, metavar="N", help="number of chunks to train at once; default: one per core"
    )
    group.add_argument(
        "--memory", metavar="SIZE", help="memory for all chunks, e.g. 2GB; default: half of the free memory"
    )
    group = parser.add_argument_group("output")
    group.add_argument("--config", metavar="FILE", help="TOML file with any of these flags; flags given here win")
    group.add_argument(
        "--out", metavar="DIR", help="folder for results (written as chunks end), the best network and pictures"
    )
    group.add_argument("--overwrite", action="store_true", help="replace the run that --out holds")
    group.add_argument(
        "--ensemble", type=flags.positive, metavar="N", help="also save the N best networks as one model"
    )
    group.add_argument("--resume", metavar="DIR", help="resume the sweep in this folder")
    group.add_argument("--json", action="store_true", help="print the result as one JSON object")
    group.add_argument("--quiet", action="store_true", help="print no plan, no progress bar and no table")


def run(args: argparse.Namespace) -> int:
    """Sweep, and report; nobody else writes to the folder meanwhile."""
    with open_folder(args.out, overwrite=args.overwrite, resume=args.resume is not None) as folder:
        return sweep_and_report(args, folder)


def sweep_and_report(args: argparse.Namespace, folder: Path | None) -> int:
    """Sweep, keep, and print."""
    started = time.perf_counter()
    space = join_space(args.space)
    if args.find_lr:
        with replacing_run(folder, args.overwrite):
            return run_find_lr(args, space, folder, fixed_for_table)
    if not space:
        raise ConfigError("sweep: expected a space, e.g. --space lr=0.01,0.1, or [space] in the --config file")
    with replacing_run(folder, args.overwrite):
        if folder is not None and not args.resume:
            write_text(folder / "config.toml", config_text(args, space))
        try:
            result = train(args, space, folder)
        except LostCluster as error:
            raise error if folder is None else error.gone_on(f"xbnet sweep --resume {folder}") from None
        except XbnetError:
            if folder is not None and not (folder / "sweep.json").exists():  # it was refused: there is no sweep
                (folder / "config.toml").unlink(missing_ok=True)
            raise
        except KeyboardInterrupt:
            if folder is None:
                raise
            raise Interrupted(f"interrupted; go on with: xbnet sweep --resume {folder}") from None
        summary = summarize(result, time.perf_counter() - started)
        refit, ensemble = None, None
        if summary["diverged"] < len(result):
            refit = refit_of(result) if args.folds else None
            ensemble = None if args.ensemble is None else ensemble_of(result, args.ensemble)
        if refit is not None:
            summary["refit"] = describe_refit(refit)
        if ensemble is not None and result.source is not None:
            summary["ensemble"] = describe_ensemble(ensemble, result.source.data)
        if folder is not None:
            keep(folder, result, summary, refit, ensemble)
    if not args.quiet:
        print_report(result, summary, folder)
    if complaint := not_learned(result):
        print(f"xbnet: {complaint}", file=sys.stderr)
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
    data = flags.data_from(argparse.Namespace(**vars(args) | {"scaling": "none"}), taken)
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
        scaling=args.scaling,
        monitor=args.monitor,
        class_weight=flags.class_weight_from(args.class_weight, data),
        backend=args.backend,
        dtype=args.dtype,
        execution=args.execution,
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
    """Return the defaults of `train` for a table, where the space does not set them."""
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
    if key.strip() == "hidden":
        return "hidden", parse_hidden(values)
    found = _value(values)
    if found is not values or as_distribution(values) is not None:
        return key.strip(), found
    words = [_value(word.strip()) for word in values.split(",")]
    return key.strip(), words if len(words) > 1 else words[0]


def parse_hidden(text: str) -> Any:
    """``10,7`` -> one network with these widths, as `xbnet train --hidden` has it; ``10,7|20`` -> two; or JSON."""
    found = _value(text)
    if isinstance(found, list) and len(found) > 1 and all(isinstance(one, int) for one in found):
        say(f"--space hidden={text}: takes {len(found)} networks with a layer each; one network is {text[1:-1]}")
    if found is not text:
        return found
    try:
        return [list(flags.widths(one)) for one in text.split("|")]
    except argparse.ArgumentTypeError:
        raise ConfigError(
            f"--space hidden={text}: expected widths of one network like 10,7, several as 10,7|20|none"
        ) from None


BARE_POINT = re.compile(r"(?<![\w.])([+-]?)(?:(\d+)\.(?!\d)|\.(\d+))")
"""Numbers without a digit before or after their point: JSON wants both."""


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


def keep(folder: Path, result: SweepResult, summary: dict[str, Any], refit: Refit | None, ensemble: Any) -> None:
    """Write the best network, the ensemble, the summary and pictures next to the table."""
    from ..io.about import about_inputs, put_targets_back
    from ..io.models import save
    from ..plots import save_figure

    write_text(folder / "result.json", json.dumps(summary, indent=1) + "\n")
    data, file = result.program.pool.data, folder / "best.safetensors"
    if refit is not None:
        model = refit.model
        about = {"preparation": model.preparation} if model.schema is None else {"schema": model.schema}
        features = model.features if model.schema is None else None
        save(model.network, file, classes=model.classes, features=features, history=model.history, **about)
    else:
        network = result.network(result.best_member())
        put_targets_back(network, data)
        save(network, file, **about_inputs(data, result.preparation(result.best_member())))
    if ensemble is not None:
        ensemble.save(folder / "ensemble.safetensors")
    save_figure(result.plot_curves(), folder / "curves.png")
    if result.keys:
        save_figure(result.plot_keys(), folder / "keys.png")
    if result.brackets:
        save_figure(result.plot_rungs(), folder / "rungs.png")
    if len(result.keys) == 2:
        save_figure(result.plot_heat_map(*result.keys), folder / "heat_map.png")
    if len(result.keys) > 2:
        save_figure(result.plot_parallel(), folder / "parallel.png")
