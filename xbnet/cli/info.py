"""`xbnet info`: what is installed and which devices answer; `xbnet info PATH`: what a model or a sweep holds."""

from __future__ import annotations

import argparse
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ..backends.available import describe_backends
from ..backends.machine.load import describe_machine
from ..datasets import Column, Schema
from ..errors import DataError, counted, listed, printable
from ..history import History, plain
from ..io.ensembles import Ensemble, load_any, summary
from ..io.models import Model
from ..sweeps import SweepResult
from ..sweeps.kept import how_to_resume, is_sweep
from .folders import kept_in
from .sweep_table import print_extras, print_table, summarize

COLUMNS = ("layers", "inputs", "outputs", "parameters")
PACKAGES = ("numpy", "scipy", "matplotlib", "safetensors", "tqdm", "numba", "scikit-learn", "torch", "jax")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="file that xbnet saved, or folder of a run or a sweep"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    if args.model is not None:
        return show_sweep(args) if is_sweep(args.model) else show_model(args)
    from .. import __version__

    packages = {name: _version(name) for name in PACKAGES}
    backends, compiled = describe_backends(), describe_machine()
    if args.json:
        about = {"xbnet": __version__, "python": platform.python_version(), "packages": packages}
        print(json.dumps(about | {"backends": backends, "compiled": compiled}))
        return 0
    print(f"xbnet {__version__}, Python {platform.python_version()}, {platform.machine()} {platform.system()}")
    print(", ".join(f"{name} {found}" for name, found in packages.items() if found))
    print()
    print(f"{'backend':<9}{'version':<15}device")
    for row in backends:
        print(_line(row))
    print(f"\nexecution 'compiled': {compiled['why_not'] or _kept(compiled)}")
    return 0


def _kept(compiled: dict[str, Any]) -> str:
    if compiled["cache"] is None:
        return "compiled again in each process: no folder can be written (set NUMBA_CACHE_DIR)"
    if not compiled["bytes"]:
        return f"nothing is compiled yet; machine code will be kept in {compiled['cache']}"
    return f"{compiled['bytes'] / 1e6:.1f} MB of machine code are kept in {compiled['cache']}"


def show_sweep(args: argparse.Namespace) -> int:
    """Print the best configurations of the sweep in a folder, and how far it has come."""
    folder = Path(args.model)
    result = SweepResult.load(folder)
    told = summarize(result) | {"of": result.about.networks}
    if (folder / "result.json").is_file() and len(result) == result.about.networks:
        try:
            kept = json.loads((folder / "result.json").read_text(encoding="utf-8"))
            told |= {key: kept[key] for key in ("refit", "ensemble") if type(kept.get(key)) is dict}
        except (OSError, ValueError, AttributeError, RecursionError):
            pass  # it is told once more, and nothing depends on it
    if args.json:
        print(json.dumps(told))
        return 0
    print_table(result, told)
    print_extras(told)
    if len(result) < result.about.networks:
        print(f"{len(result)} of {result.about.networks} networks have ended; go on with: {how_to_resume(folder)}")
    print(f"in {folder}: {', '.join(kept_in(folder))}")
    return 0


def show_model(args: argparse.Namespace) -> int:
    """Print the architecture, parameters per layer, and the history in brief; of an ensemble its members."""
    model = _load(args.model)
    if isinstance(model, Ensemble):
        return show_ensemble(args, model)
    network, history = model.network, model.history
    about: dict[str, Any] = {
        "file": args.model,
        "written_by": model.version,
        "replicas": network.replicas,
        "dtype": network.dtype.name,
        "n_inputs": network.n_inputs,
        "n_outputs": network.n_outputs,
        "parameters": network.n_parameters,
        "link": network.link,
        "classes": None if model.classes is None else list(model.classes),
        "scaled": model.scales,
        "schema": None if model.schema is None else model.schema.to_json(),
        "features": None if model.features is None else list(model.features),
        "layers": [
            {"layer": repr(layer), "outputs": layer.n_outputs, "parameters": sum(s.size for s in layer.parameters())}
            for layer in network.layers
        ],
        "history": None if history is None else brief(history),
    }
    if args.json:
        print(json.dumps(about))
        return 0
    version = printable(model.version, 40)
    print(f"{args.model}: written by xbnet {version}, {counted(network.replicas, 'network')}, {network.dtype.name}")
    print(network.describe())
    print(f"link: {network.link}" + (f"; classes: {listed(model.classes)}" if model.classes else ""))
    names = f": {listed(model.features)}" if model.features else ""
    print(f"inputs: {network.n_inputs}, {'scaled first' if model.scales else 'as they are'}{names}")
    if model.schema is not None:
        print(describe_schema(model.schema))
    if history is not None:
        figures = [f"{name} {_short(value)}" for name, value in brief(history).items()]
        print(f"history: {', '.join(figures)}")
    return 0


def show_ensemble(args: argparse.Namespace, ensemble: Ensemble) -> int:
    """Print what an ensemble is made of."""
    members = [dict(zip(COLUMNS, summary(network), strict=True)) for network in ensemble.networks]
    if args.json:
        classes = None if ensemble.classes is None else list(ensemble.classes)
        about = {"file": args.model, "written_by": ensemble.version, "link": ensemble.link, "classes": classes}
        print(json.dumps(about | {"members": members}))
        return 0
    size = counted(ensemble.size, "network")
    print(f"{args.model}: written by xbnet {printable(ensemble.version, 40)}, an ensemble of {size}")
    for i, member in enumerate(members):
        print(f"  {i}: {member['layers']}, {member['parameters']:,} parameters")
    print(f"link: {ensemble.link}" + (f"; classes: {listed(ensemble.classes)}" if ensemble.classes else ""))
    if ensemble.schema is not None:
        print(describe_schema(ensemble.schema))
    return 0


def describe_schema(schema: Schema) -> str:
    """A line per column: what it is, and how it becomes inputs."""
    width = max(len(printable(column.name)) for column in schema.columns)
    lines = []
    for column in schema.columns:
        if column.kind == "category":
            more = ["rare"] * column.rare + ["missing"] * column.missing
            how = ("as a code: " if column.coded else "") + listed([*column.values, *(f"({word})" for word in more)])
        else:
            how = _scaling(column)
            how += f"; {_value(column, column.fill)} where missing" if column.indicator else ""
        lines.append(f"  {printable(column.name):<{width}}  {column.kind:<9} {how}".rstrip())
    if schema.target is not None:
        lines.append(f"target: {listed(schema.target.names)} ({schema.target.task})")
    return "\n".join(lines)


def _value(column: Column, value: float) -> str:
    """A number of a column; that of a date as a day, where it is one of the next millennia."""
    if column.kind == "date" and abs(value) < 1e11:
        return str(np.datetime64(round(value), "s").astype("datetime64[D]"))
    return f"{value:.6g}"


def _scaling(column: Column) -> str:
    if not column.scaled:
        return ""
    if column.quantiles:
        return f"{len(column.quantiles)} quantiles from {column.quantiles[0]:.6g} to {column.quantiles[-1]:.6g}"
    if column.clip:
        return f"median {column.mean:.6g}, {column.std:.6g} between the quartiles, clipped smoothly"
    if column.kind == "date":
        return f"mean {_value(column, column.mean)}, deviation {column.std / 86400:.6g} days"
    return f"mean {column.mean:.6g}, deviation {column.std:.6g}"


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"[{listed([_short(one) for one in value])}]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _load(name: str) -> Model | Ensemble:
    """The model or ensemble in a file; for files of data, the error says what would show them."""
    path = Path(name)
    try:
        return load_any(name)
    except DataError as error:
        if "is not a safetensors file" not in str(error) or not path.is_file():
            raise
        raise DataError(f"{error}; if it holds data, show it with: xbnet data show --data {path}") from None


def brief(history: History) -> dict[str, Any]:
    """How the training went, in a few figures: lists for a stack."""
    found: dict[str, Any] = {"epochs": len(history)}
    found["status"] = history.status if history.replicas > 1 else history.status[0]
    found["best_epoch"] = plain(history.best_epoch, history.replicas)
    for name in ("train_loss", "train_accuracy", "train_r2", "val_loss", "val_accuracy", "val_r2"):
        if len(history) and np.isfinite(history.records[-1][name]).any():
            found[f"last_{name}"] = plain(history.records[-1][name], history.replicas)
    return found


def _line(row: dict[str, Any]) -> str:
    return f"{row['backend']:<9}{row['version']:<15}{row['device'] or 'none: ' + row['hint']}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
