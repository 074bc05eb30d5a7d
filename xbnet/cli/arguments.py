"""Flags that several verbs share, and what they make: data, layers, loss, settings of `fit`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from ..datasets import Dataset, load_dataset
from ..datasets.load import NAMES
from ..errors import ConfigError, DataError, say
from ..nn.activations import ACTIVATIONS
from ..nn.class_weights import balanced_weights
from ..nn.layers.tables import EMBED_NUMBERS
from ..nn.losses import DEFAULT_LOSSES, LOSSES, Loss, SoftmaxCrossEntropy, get_loss
from ..nn.sharing import SHARING
from ..optim.optimizer import Optimizer
from ..optim.optimizers import OPTIMIZERS, get_optimizer
from ..optim.schedules import SCHEDULES
from ..optim.strategies import STRATEGIES
from ..parsing import parse_bytes
from ..training.recipe import Settings
from .tables import add_table_arguments, table_options, target_of

NOT_KEPT = ("verb", "version", "config", "out", "overwrite", "resume", "json", "quiet")
"""Flags that a run's config.toml has not: they say where to write, and how much to print."""


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Which data."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data", default="gmm", metavar="NAME|FILE", help=f"data set to use: {', '.join(NAMES)}, or a file"
    )
    group.add_argument("--target", action="append", metavar="COLUMN,..", help="column of a table that holds the target")
    group.add_argument(
        "--task", metavar="TASK", help="classification or regression, for a table; found from the target by default"
    )
    add_table_arguments(group)
    group.add_argument(
        "--scaling", metavar="HOW",
        help="scaling of inputs: standard, robust, quantile, none; default for tables: standard",
    )  # fmt: skip
    switch(group, "--scale-targets", "standardize a regression's targets; on by default", default=None)
    group.add_argument(
        "--val", type=share, metavar="SHARE",
        help="validation part to split off: a fraction, a count, or none; default for tables: 0.15",
    )  # fmt: skip
    group.add_argument("--test", type=share, metavar="SHARE", help="test part to split off: a fraction or a count")


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Which network, on which device."""
    group = parser.add_argument_group("network")
    group.add_argument(
        "--hidden", type=widths, metavar="N,N,..", help="hidden widths, or none; default: 10,7, for tables 32"
    )
    group.add_argument("--residual", type=count, default=0, metavar="N", help="residual blocks after the hidden layers")
    group.add_argument("--activation", metavar="NAME", help=f"{', '.join(ACTIVATIONS)}; default: tanh")
    group.add_argument(
        "--embedding-dim", type=positive, default=8, metavar="D",
        help="length of the learned vectors of categories, see --one-hot",
    )  # fmt: skip
    group.add_argument(
        "--embed-numbers", choices=EMBED_NUMBERS, default="none",
        help="learned embedding of each number of a table, or input of other data, of 3 values or more",
    )  # fmt: skip
    switch(group, "--batch-norm", "add batch normalization after each hidden layer")
    group.add_argument("--dropout", type=number, metavar="RATE", help="dropout rate of the hidden layers; default: 0")
    group.add_argument(
        "--init", metavar="NAME",
        help="glorot, he, lecun, zeros, normal:STD, uniform:A; chosen by the activation by default",
    )  # fmt: skip
    group.add_argument(
        "--replicas", type=positive, default=1, metavar="R", help="networks to train, each with its own seed"
    )
    group.add_argument(
        "--members", type=positive, metavar="N",
        help="number of networks to train and average into one model; default: 1, for tables 4",
    )  # fmt: skip
    group.add_argument("--sharing", choices=SHARING, default="none", help="how members share hidden weights")
    group.add_argument(
        "--backend", default="numpy", metavar="NAME", help="numpy, cupy, dpnp, auto; with settings: cupy:precision=tf32"
    )
    group.add_argument("--dtype", default="float32", metavar="TYPE", help="float32, float64")
    group.add_argument(
        "--seed", type=count, default=0, metavar="N", help="seed of weights, row order, dropout and splits"
    )


def add_loss_arguments(parser: argparse.ArgumentParser) -> None:
    """Which cost."""
    group = parser.add_argument_group("cost")
    group.add_argument("--loss", metavar="NAME", help=f"{', '.join(LOSSES)}; the default depends on the task")
    group.add_argument("--class-weight", metavar="W,W,..", help="one weight per class, or balanced")
    group.add_argument("--label-smoothing", type=number, default=0.0, metavar="E", help="label smoothing in [0, 1)")
    group.add_argument(
        "--l2", type=number, metavar="X",
        help="L2 penalty, times the sum of squared weights; default: 0, for tables 0.0003",
    )  # fmt: skip
    group.add_argument("--l1", type=number, default=0.0, metavar="X", help="L1 penalty, times the sum of |weights|")


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """How to train."""
    group = parser.add_argument_group("training")
    group.add_argument(
        "--optimizer", metavar="NAME",
        help=f"{', '.join(OPTIMIZERS)}; with settings: adam:beta2=0.99; default: sgd, for tables adam",
    )  # fmt: skip
    group.add_argument(
        "--lr", type=rate, metavar="X|auto",
        help="learning rate; auto tries 100; default: sgd 0.1, adam 0.001, for tables 0.03",
    )  # fmt: skip
    group.add_argument(
        "--schedule", metavar="NAME",
        help=f"{', '.join(SCHEDULES)}; with settings: step:every=20; default: constant, for tables cosine",
    )  # fmt: skip
    group.add_argument(
        "--strategy", default="joint", metavar="NAME",
        help=f"{', '.join(STRATEGIES)}; with settings: alternating:every=2, weighted:ratio=0.5, layerwise:epochs=5",
    )  # fmt: skip
    group.add_argument("--flip", type=number, default=0.0, metavar="P", help="probability of mirroring an image")
    group.add_argument("--clip-norm", type=number, metavar="X", help="clip the gradient to this norm")
    group.add_argument(
        "--batch-size", type=batch_size, default="auto", metavar="N|full",
        help="rows per step; auto is 64, for tables 32 to 256",
    )  # fmt: skip
    group.add_argument("--epochs", type=positive, metavar="N", help="passes over the training part; default: 100")
    group.add_argument(
        "--device-memory", type=memory, metavar="BYTES",
        help="device memory for the data, like 2GB; larger data is sent in chunks",
    )  # fmt: skip
    group.add_argument(
        "--execution", default="auto", metavar="LEVEL",
        help="eager; replay or compiled on CPUs; graph or persistent on CUDA; or auto",
    )  # fmt: skip
    group.add_argument(
        "--patience",
        type=patience,
        metavar="N|none",
        help="early stopping: stop after N epochs without improvement and keep the best weights; default for tables: 8",
    )
    group.add_argument(
        "--monitor", metavar="FIGURE",
        help="metric that decides about the best epoch: val_loss (the default), val_accuracy, ...",
    )  # fmt: skip


def switch(group: Any, flag: str, text: str, default: bool | None = False) -> None:
    """A flag without a value, and ``--no-...``, which turns off what a file of `--config`, or a default, has on."""
    group.add_argument(flag, action="store_true", default=default, help=text)
    dest = flag[2:].replace("-", "_")
    group.add_argument(f"--no-{flag[2:]}", dest=dest, action="store_false", default=default, help=argparse.SUPPRESS)


def data_from(args: argparse.Namespace, taken: Sequence[str] = ()) -> Dataset:
    """The data set that the flags name; `taken` are those which nobody gave."""
    settings: dict[str, Any] = {
        "scaling": args.scaling,
        "val": args.val or None,
        "test": args.test or None,
        "rng": getattr(args, "seed", 0),
        "target": target_of(args),
        "task": args.task,
        **table_options(args),
    }
    try:
        data = load_dataset(args.data, **settings)
    except DataError as error:
        if "val" not in taken:
            raise
        data = load_dataset(args.data, **settings | {"val": None})  # where this goes well, it was the split
        args.val = 0
        say(f"{error}; trains without a validation part")
    return data if args.scale_targets is False else data.with_scaled_targets()


def loss_from(args: argparse.Namespace, data: Dataset) -> Loss:
    """The loss that the flags name, or the one that suits the targets."""
    name = args.loss or DEFAULT_LOSSES[data.task]
    weight = class_weight_from(args.class_weight, data)
    if name == SoftmaxCrossEntropy.name:
        return SoftmaxCrossEntropy(class_weight=weight, label_smoothing=args.label_smoothing)
    if args.label_smoothing:
        raise ConfigError(f"--label-smoothing works with --loss {SoftmaxCrossEntropy.name}, got --loss {name}")
    return type(get_loss(name))(class_weight=weight)


def class_weight_from(text: str | None, data: Dataset) -> np.ndarray | None:
    """Weights (C,) of the flag; "balanced" is N / (C * count of the class), as in scikit-learn."""
    if text is None:
        return None
    if data.task != "classification":
        raise ConfigError(f"--class-weight needs classes, but {data.name} is for {data.task}")
    if text == "balanced":
        return balanced_weights(data.train.y, data.n_outputs)
    try:
        weights = np.array([float(word) for word in text.split(",")])
    except ValueError:
        raise ConfigError(f"--class-weight: expected numbers like 1,2.5,1 or balanced, got {text!r}") from None
    if len(weights) != data.n_outputs:
        raise ConfigError(f"--class-weight: expected {data.n_outputs} weights, one per class, got {len(weights)}")
    return weights


def optimizer_from(args: argparse.Namespace) -> Optimizer:
    """The optimizer that the flags name; where its rate is to be found, with the usual one."""
    if args.lr == "auto":
        return get_optimizer(args.optimizer)
    return get_optimizer(args.optimizer, **({} if args.lr is None else {"lr": args.lr}))


def recipe_from(args: argparse.Namespace) -> Settings:
    """The settings of a `Recipe` that have a flag."""
    found = {name: getattr(args, name) for name in Settings.__annotations__ if hasattr(args, name)}
    return cast(Settings, found | {"patience": args.patience or None})


# -- types of flags: argparse turns the ArgumentTypeError into one line that names the flag ----------------------------


def widths(text: str) -> tuple[int, ...]:
    """``10,7`` -> (10, 7); ``none`` or nothing -> ()."""
    if text.strip().lower() in ("", "none", "0"):
        return ()
    try:
        found = tuple(int(word) for word in text.split(","))
    except ValueError:
        found = (0,)
    if min(found) < 1:
        raise argparse.ArgumentTypeError(f"expected whole numbers >= 1 like 10,7, or none, got {text!r}")
    return found


def number(text: str) -> float:
    """Any number."""
    try:
        return float(text)
    except ValueError:
        hint = "; several at once are for xbnet sweep" if "," in text else ""
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}{hint}") from None


def rate(text: str) -> float | str:
    """A number, or ``auto``."""
    return text if text == "auto" else number(text)


def count(text: str) -> int:
    """A whole number >= 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number >= 0, got {text!r}")
    return int(text)


def positive(text: str) -> int:
    """A whole number >= 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number >= 1, got {text!r}")
    return int(text)


def memory(text: str) -> int:
    """``500MB`` or ``2GB`` -> bytes."""
    try:
        return parse_bytes("--device-memory", text)
    except ConfigError:
        raise argparse.ArgumentTypeError(f"expected bytes like 500MB or 2GB, got {text!r}") from None


def batch_size(text: str) -> int | str | None:
    """A whole number >= 1, ``auto``, or ``full`` -> None."""
    if text == "auto":
        return text
    if text == "full":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number >= 1 or full, got {text!r}")
    return int(text)


def patience(text: str) -> int:
    """A whole number >= 1, or ``none`` -> 0."""
    return 0 if text in ("none", "0") else positive(text)


def share(text: str) -> float | int:
    """``0.2`` -> a fraction in (0, 1); ``1000`` -> a count; ``none`` -> 0."""
    if text in ("none", "0"):
        return 0
    try:
        value = int(text) if text.isdecimal() else float(text)
    except ValueError:
        value = 0
    if not (isinstance(value, int) and value >= 1) and not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a fraction in (0, 1) or a count >= 1, got {text!r}")
    return value
