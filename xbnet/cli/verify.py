"""`xbnet verify`: test a network's gradient, a layer's backward, steps of training, or all that the library has."""

from __future__ import annotations

import argparse
import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import Dataset
from ..errors import ConfigError, unknown_name
from ..files import write_text
from ..nn.layers import LAYERS, Layer
from ..nn.network import Network
from ..verify import GradientComparison, Verification, compare_gradients, gradient_test, jacobian_test
from ..verify.catalogue import catalogue
from . import arguments as flags
from . import verify_steps
from .catalogues import run_catalogue
from .folders import open_folder, replacing_run
from .layers import layers_from
from .own import is_own, own_object
from .tables import settle

KINDS = {name.lower(): kind for name, kind in LAYERS.items()}
REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
ROWS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    group = parser.add_argument_group("what to test (default: the network that `train` would train)")
    group.add_argument(
        "--layer", metavar="KIND", help=f"backward of one layer: {', '.join(KINDS)}; your own: mymodule:Class"
    )
    group.add_argument("--all", action="store_true", help="test every layer, activation and loss, and depths 1 to 20")
    group.add_argument("--entries", action="store_true", help="also compare every entry with central differences")
    group.add_argument(
        "--rows",
        type=flags.positive,
        metavar="B",
        help="number of training rows to test with; default: 8, with --training 11",
    )
    flags.add_data_arguments(parser)
    flags.add_network_arguments(parser)
    flags.add_loss_arguments(parser)
    verify_steps.add_arguments(parser)
    group = parser.add_argument_group("settings of the test")
    group.add_argument("--e0", type=flags.number, default=1.0, metavar="E", help="largest step along a direction")
    group.add_argument("--steps", type=flags.positive, default=32, metavar="N", help="steps e0 * 0.5^i, at least 8")
    group.add_argument(
        "--tolerance", type=flags.number, default=0.05, metavar="T", help="allowed deviation of the orders from 1 and 2"
    )
    group = parser.add_argument_group("output")
    group.add_argument("--config", metavar="FILE", help="TOML file with any of these flags; flags given here win")
    group.add_argument("--out", metavar="DIR", help="folder for the table, the result as JSON, and pictures")
    group.add_argument("--overwrite", action="store_true", help="replace the run that --out holds")
    group.add_argument("--json", action="store_true", help="print the result as one JSON object")
    group.add_argument("--quiet", action="store_true", help="print no table")


def run(args: argparse.Namespace) -> int:
    """Test, report, and fail where a test fails."""
    verify_steps.check(args)
    if args.all and (args.layer or args.entries):
        raise ConfigError("--all tests everything; leave out --layer and --entries")
    with open_folder(args.out, overwrite=args.overwrite) as folder, replacing_run(folder, args.overwrite):
        if args.training:
            return verify_steps.run_all_steps(args, folder) if args.all else run_training(args, folder)
        return run_all(args, folder) if args.all else run_one(args, folder)


def run_training(args: argparse.Namespace, folder: Path | None) -> int:
    """Steps of the run that the flags describe."""
    own = args.optimizer, args.lr, args.epochs
    data = flags.data_from(args, settle(args))
    args.optimizer, args.lr, args.epochs = own  # those of a table are for learning
    result = verify_steps.verify_steps(args, data, network_from(args, data), flags.loss_from(args, data))
    verify_steps.report_steps(args, folder, result)
    result.raise_if_failed()
    return 0


def run_one(args: argparse.Namespace, folder: Path | None) -> int:
    """One network, or one layer."""
    data = flags.data_from(args, settle(args))
    rows = np.random.default_rng(args.seed).permutation(len(data.train.x))[: args.rows or ROWS]
    x = np.asarray(data.train.x[rows], dtype=float)
    how: dict[str, Any] = {"e0": args.e0, "steps": args.steps, "tolerance": args.tolerance, "rng": args.seed}
    comparison = None
    if args.layer:
        if args.entries:
            raise ConfigError("--entries compares a network's gradient; leave out --layer, which does this anyway")
        stack = {"replicas": args.replicas, "backend": args.backend, "dtype": args.dtype}
        result = jacobian_test(layer_from(args, data.n_inputs), x, **stack, **how)
    else:
        network = network_from(args, data)
        loss = flags.loss_from(args, data)
        cost: dict[str, Any] = {"l2": args.l2, "l1": args.l1, "task": data.task}
        result = gradient_test(network, loss, x, data.train.y[rows], **cost, **how)
        if args.entries:
            comparison = compare_gradients(network, loss, x, data.train.y[rows], rng=args.seed, **cost)
    report(args, folder, result, comparison)
    result.raise_if_failed()
    if comparison is not None:
        comparison.raise_if_failed()
    return 0


def network_from(args: argparse.Namespace, data: Dataset) -> Network:
    """The network that the flags describe."""
    return Network(
        layers_from(args, data),
        data.n_inputs,
        replicas=args.replicas,
        backend=args.backend,
        dtype=args.dtype,
        rng=args.seed,
    )


def layer_from(args: argparse.Namespace, n_inputs: int) -> Layer:
    """The layer that the flags describe; its kind may be spelled as `Network` or a flag of `train` does."""
    word = args.layer.lower().replace("_", "").replace("-", "")  # BatchNorm, batch-norm, batch_norm
    if word not in KINDS and not is_own(args.layer):
        raise unknown_name("--layer", "layer", args.layer, KINDS)
    kind = KINDS[word] if word in KINDS else own_object("--layer", args.layer)
    if isinstance(kind, Layer):
        return kind
    if not (isinstance(kind, type) and issubclass(kind, Layer)):
        raise ConfigError(f"--layer: expected {args.layer} to be a class derived from xbnet.Layer, got {kind!r}")
    given = {
        "n_outputs": args.hidden[0] if args.hidden else 3,
        "activation": args.activation,
        "initializer": args.init,
        "rate": args.dropout or 0.5,
        "members": args.members if args.members > 1 else n_inputs,  # the inputs of so many can stand side by side
    }
    takes = inspect.signature(kind).parameters
    if needed := [
        name for name, p in takes.items() if p.default is p.empty and name not in given and p.kind not in REST
    ]:
        own = f"in a file mine.py, write layer = {kind.__name__}(...), and give mine:layer"
        raise ConfigError(f"--layer: {kind.__name__} needs {', '.join(needed)}; {own}")
    return kind(**{name: value for name, value in given.items() if name in takes})


def report(
    args: argparse.Namespace, folder: Path | None, result: Verification, comparison: GradientComparison | None
) -> None:
    """Print, and keep."""
    text = str(result) if comparison is None else f"{result}\n\n{comparison}"
    summary = result.to_dict() | ({} if comparison is None else {"entries": comparison.to_dict()})
    if not args.quiet:
        print(text)
    if folder is not None:
        from ..plots import save_figure

        write_text(folder / "report.txt", text + "\n")
        write_text(folder / "result.json", json.dumps(summary, indent=1) + "\n")
        save_figure(result.plot(), folder / "orders.png")
        if comparison is not None:
            save_figure(comparison.plot(), folder / "entries.png")
    if args.json:
        print(json.dumps(summary))


def run_all(args: argparse.Namespace, folder: Path | None) -> int:
    """The catalogue, a line per case."""

    def row(result: Verification) -> str:
        orders = np.concatenate(list(result.orders.values()))
        return f"{len(result.curves):>7}{spread(orders[:, 0]):>16}{spread(orders[:, 1]):>16}"

    cases = catalogue(args.backend, args.dtype, max(2, args.replicas), args.seed)
    return run_catalogue(args, folder, cases, f"{'blocks':>7}{'order 1':>16}{'order 2':>16}", row)


def spread(orders: np.ndarray) -> str:
    """The smallest and the largest order that could be observed."""
    seen = orders[~np.isnan(orders)]
    return f"{seen.min():.3f} - {seen.max():.3f}" if seen.size else "linear"
