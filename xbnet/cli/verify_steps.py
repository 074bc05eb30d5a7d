"""`xbnet verify --training`: hold steps of training against the papers' rules."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets import Dataset, Part
from ..errors import ConfigError
from ..files import write_text
from ..optim.optimizers import OPTIMIZERS, Optimizer, get_optimizer
from ..optim.schedules import SCHEDULES
from ..optim.strategies import STRATEGIES
from ..parsing import parse_number, parse_settings
from ..training.execution import LEVELS
from ..verify.steps.catalogue import training_catalogue
from ..verify.steps.results import TrainingVerification
from ..verify.steps.rules import Rule
from ..verify.steps.training import training_test
from . import arguments as flags
from .catalogues import run_catalogue
from .own import is_own, own_object

if TYPE_CHECKING:
    from ..nn.losses import Loss
    from ..nn.network import Network

FLAGS = (
    "optimizer", "rule", "lr", "schedule", "strategy", "flip", "clip_norm", "batch_size", "epochs", "device_memory",
    "execution",
)  # fmt: skip
"""Flags that have a meaning with --training only."""
SETTINGS = ("schedule", "strategy", "flip", "clip_norm", "epochs", "device_memory", "l2", "l1")
ROWS = 11


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags that go with --training."""
    group = parser.add_argument_group("a step of training")
    group.add_argument(
        "--training",
        action="store_true",
        help="test training steps against the papers' rules; with --all, those of all parts",
    )
    group.add_argument(
        "--optimizer", metavar="NAME",
        help=f"{', '.join(OPTIMIZERS)}; with settings: adam:beta2=0.99; your own: mymodule:Class; default: sgd",
    )  # fmt: skip
    group.add_argument("--rule", metavar="MODULE:FUNCTION", help="the rule that your own optimizer should follow")
    group.add_argument("--lr", type=flags.number, metavar="X", help="learning rate")
    group.add_argument("--schedule", metavar="NAME", help=f"{', '.join(SCHEDULES)}; with settings: step:every=20")
    group.add_argument("--strategy", metavar="NAME", help=f"{', '.join(STRATEGIES)}; with settings: weighted:ratio=0.5")
    group.add_argument("--flip", type=flags.number, metavar="P", help="probability of flipping an image horizontally")
    group.add_argument("--clip-norm", type=flags.number, metavar="X", help="clip the gradient to this norm")
    group.add_argument(
        "--batch-size",
        type=flags.widths,
        metavar="N,N",
        help="rows per step; several sizes are tested one after the other",
    )
    group.add_argument("--epochs", type=flags.positive, metavar="N", help="epochs of each run; default: 3")
    group.add_argument(
        "--device-memory", type=flags.memory, metavar="BYTES", help="device memory for the data, like 2KB"
    )
    group.add_argument(
        "--execution", metavar="LEVEL,..", help=f"{', '.join(LEVELS[1:])}; default: all that this machine can run"
    )


def check(args: argparse.Namespace) -> None:
    """Refuse what goes with --training where that is not, and what does not go with it where it is."""
    if not args.training:
        for name in FLAGS:
            if getattr(args, name) is not None:
                raise ConfigError(f"--{name.replace('_', '-')} says how steps are taken; add --training to test them")
        return
    if args.layer or args.entries:
        raise ConfigError("--training tests steps; leave out --layer and --entries, which test backward")
    given = [name for name in FLAGS if name != "execution" and getattr(args, name) is not None]
    if args.all and given:
        raise ConfigError(f"--training --all tests everything; leave out --{given[0].replace('_', '-')}")


def verify_steps(args: argparse.Namespace, data: Dataset, network: Network, loss: Loss) -> TrainingVerification:
    """Verify the steps of the run that the flags describe."""
    rows = np.random.default_rng(args.seed).permutation(len(data.train.x))[: args.rows or ROWS]
    some = replace(data, train=Part(data.train.x[rows], data.train.y[rows]), val=None, test=None, partial=True)
    settings: dict[str, Any] = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    return training_test(
        network,
        loss,
        optimizer_from(args),
        some,
        rule=None if args.rule is None else rule_from(args.rule),
        levels=levels_from(args),
        batch_sizes=args.batch_size or None,
        rng=args.seed,
        **settings,
    )


def levels_from(args: argparse.Namespace) -> list[str] | None:
    """Return the levels that --execution names."""
    return None if args.execution is None else [word.strip() for word in args.execution.split(",")]


def optimizer_from(args: argparse.Namespace) -> Optimizer:
    """The library's, or the user's own: ``mymodule:Class``, followed by settings as for ours."""
    text = args.optimizer or "sgd"
    rate = {} if args.lr is None else {"lr": args.lr}
    if not is_own(text):
        return get_optimizer(text, **rate)
    module, _, rest = text.partition(":")
    name, settings = parse_settings("--optimizer", rest)
    kind = own_object("--optimizer", f"{module}:{name}")
    if isinstance(kind, Optimizer):
        return kind
    if not (isinstance(kind, type) and issubclass(kind, Optimizer)):
        raise ConfigError(
            f"--optimizer: expected {module}:{name} to be a class derived from xbnet.Optimizer, got {kind!r}"
        )
    hyper = {key: parse_number(f"--optimizer {name}", key, value) for key, value in settings.items()}
    try:
        return kind(**rate, **hyper)
    except TypeError as error:
        raise ConfigError(f"--optimizer: {name} could not be made: {error}") from None


def rule_from(text: str) -> Rule:
    """The user's function."""
    if not is_own(text):
        raise ConfigError(f"--rule: expected MODULE:FUNCTION, got {text!r}")
    rule = own_object("--rule", text)
    if not callable(rule):
        raise ConfigError(f"--rule: expected {text} to be a function, got {rule!r}")
    return rule


def report_steps(args: argparse.Namespace, folder: Path | None, result: TrainingVerification) -> None:
    """Print, and keep."""
    if not args.quiet:
        print(result)
    if folder is not None:
        write_text(folder / "report.txt", f"{result}\n")
        write_text(folder / "result.json", json.dumps(result.to_dict(), indent=1) + "\n")
    if args.json:
        print(json.dumps(result.to_dict()))


def run_all_steps(args: argparse.Namespace, folder: Path | None) -> int:
    """The catalogue, a line per case; the levels that can't run one are those that this machine lacks."""

    def row(result: TrainingVerification) -> str:
        levels = ", ".join(dict.fromkeys(level.level for level in result.levels))
        shown = max(level.sharpness for level in result.levels)
        return f"{sum(level.steps for level in result.levels):>6}  {levels:<26}{shown:>7.0e}"

    cases = training_catalogue(args.backend, args.dtype, max(3, args.replicas), args.seed, levels_from(args))
    return run_catalogue(args, folder, cases, f"{'steps':>6}  {'levels':<26}{'shows':>7}", row)
