"""`xbnet train`: train a network on a data set, and tell how good it is."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DivergenceError, Interrupted
from ..files import write_text
from ..history import History
from . import arguments as flags
from . import summary, tables
from .folders import kept_in, open_folder, replacing_run
from .layers import layers_from, replicas_from

if TYPE_CHECKING:  # imported where they are used: so the help comes quickly
    from ..datasets import Dataset
    from ..nn.losses import Loss
    from ..nn.network import Network
    from ..optim.optimizer import Optimizer
    from ..training.rates import Rates


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    flags.add_data_arguments(parser)
    flags.add_network_arguments(parser)
    flags.add_loss_arguments(parser)
    flags.add_training_arguments(parser)
    group = parser.add_argument_group("output")
    group.add_argument(
        "--config", metavar="FILE", help="TOML file with any of these flags, or a run's folder; flags given here win"
    )
    group.add_argument("--out", metavar="DIR", help="folder for settings, history, model and pictures")
    group.add_argument("--overwrite", action="store_true", help="replace the run that --out holds")
    group.add_argument(
        "--checkpoint-every", type=flags.positive, metavar="N", help="save a checkpoint to --out every N epochs"
    )
    group.add_argument("--resume", metavar="DIR", help="resume the run in this folder")
    flags.switch(group, "--tensorboard", "write event files for TensorBoard to --out")
    group.add_argument("--json", action="store_true", help="print the result as one JSON object")
    group.add_argument("--quiet", action="store_true", help="print no progress bar and no table")


def run(args: argparse.Namespace) -> int:
    """Train, and report; nobody else writes to the folder meanwhile."""
    with open_folder(args.out, overwrite=args.overwrite, resume=args.resume is not None) as folder:
        return train_and_report(args, folder)


def train_and_report(args: argparse.Namespace, folder: Path | None) -> int:
    """Train, keep, and print."""
    from ..io.about import put_targets_back
    from ..nn.network import Network
    from ..optim.optimizers import get_optimizer
    from ..plots import save_figure
    from ..training.memory import expect_training

    for flag in ("checkpoint_every", "tensorboard"):
        if folder is None and getattr(args, flag):
            raise ConfigError(f"--{flag.replace('_', '-')} needs --out DIR, the folder to write to")
    taken = tables.settle(args)
    data = flags.data_from(args, taken)
    tables.settle_batch_size(args, data)
    loss, optimizer = flags.loss_from(args, data), flags.optimizer_from(args)
    layers, n = layers_from(args, data), len(data.train)
    shape: dict[str, Any] = {"replicas": replicas_from(args), "backend": args.backend, "dtype": args.dtype}
    rows = 1 if args.batch_size == "auto" else min(args.batch_size or n, n)
    expect_training(layers, data.n_inputs, optimizer, batch_size=rows, **shape)
    network = Network(layers, data.n_inputs, rng=args.seed, **shape)
    rates = None
    if args.lr == "auto":
        rates = find_rate(args, network, loss, optimizer, data)
        args.lr, optimizer = rates.lr, get_optimizer(args.optimizer, lr=rates.lr)
    diverged = None
    with replacing_run(folder, args.overwrite):
        try:
            history = train(args, folder, network, loss, optimizer, data)
        except DivergenceError as error:
            if folder is None:
                raise
            history, diverged = error.history, error
        ended = summary.stopping(args, history)
        if args.members > 1 and args.sharing == "none":
            network, history = joined(network, history)
        result = summary.summarize(args, network, loss, data, history)
        put_targets_back(network, data)
        if rates is not None:
            result["lr"] = rates.lr
        if folder is not None:
            keep(folder, args, network, data, history, result)
            if rates is not None:
                save_figure(rates.plot(), folder / "rates.png")
    if diverged is not None:
        raise diverged
    if not args.quiet:
        summary.print_table(network, result)
        found = None if rates is None else rates.describe()
        for words in (found, tables.told(args, taken), ended):
            if words:
                print(words)
        if folder is not None:
            print(f"kept in {folder}: {', '.join(kept_in(folder))}")
        print(summary.next_command(folder))
    if complaint := summary.not_learned(network, data, history, result, optimizer.hyper["lr"]):
        print(f"xbnet: {complaint}", file=sys.stderr)
    if args.json:
        print(json.dumps(result))
    return 0


def find_rate(args: argparse.Namespace, network: Network, loss: Loss, optimizer: Optimizer, data: Dataset) -> Rates:
    """Find the learning rate for --lr auto."""
    from ..training.rates import NOT_TAKEN, find_lr

    settings = {key: value for key, value in flags.recipe_from(args).items() if key not in NOT_TAKEN}
    return find_lr(network, loss, optimizer, data, **settings)  # type: ignore[arg-type]


def train(
    args: argparse.Namespace, folder: Path | None, network: Network, loss: Loss, optimizer: Optimizer, data: Dataset
) -> History:
    """Run `fit`; with a folder, so that an interrupted run can be resumed."""
    from ..training.fit import fit
    from ..training.tensorboard import event_writer

    settings = flags.recipe_from(args)
    progress = False if args.quiet else None
    if folder is None:
        return fit(network, loss, optimizer, data, progress=progress, **settings)
    if args.resume and (folder / "result.json").exists() and not any((folder / "checkpoints").glob("epoch-*")):
        raise ConfigError(
            f"--resume {folder}: the run there has ended and kept no checkpoints to go on from; train into another "
            "folder, with --checkpoint-every N"
        )
    config_written = False
    try:
        with event_writer(folder / "tensorboard" if args.tensorboard else None) as write_events:

            def on_epoch(record: dict[str, Any]) -> None:
                nonlocal config_written
                # Not before an epoch has ended: until then `fit` may refuse to touch the run that is in the folder.
                if not config_written:
                    write_text(folder / "config.toml", config_text(args))
                    config_written = True
                if write_events is not None:
                    write_events(record)

            return fit(
                network, loss, optimizer, data, progress=progress, on_epoch=on_epoch,
                checkpoint=folder / "checkpoints", checkpoint_every=args.checkpoint_every,
                resume=args.resume is not None, **settings,
            )  # fmt: skip
    except Interrupted as interrupt:
        raise Interrupted(f"{interrupt}; go on with: xbnet train --resume {folder}") from None


def joined(network: Network, history: History) -> tuple[Network, History]:
    """One network of those that have not diverged, and what happened to all of them."""
    from ..io.joining import join

    good = [r for r, status in enumerate(history.status) if status != "diverged"]
    return join(network.select(good) if 0 < len(good) < network.replicas else network), history.mean()


def keep(
    folder: Path, args: argparse.Namespace, network: Network, data: Dataset, history: History, result: dict[str, Any]
) -> None:
    """Write what a later reader needs to `folder`."""
    from ..io.about import about_inputs
    from ..io.models import save
    from ..plots import decision_regions, learning_curves, save_figure

    write_text(folder / "config.toml", config_text(args))
    write_text(folder / "result.json", json.dumps(result, indent=1) + "\n")
    history.to_jsonl(folder / "history.jsonl")
    save(network, folder / "model.safetensors", history=history, **about_inputs(data))
    save_figure(learning_curves(history), folder / "curves.png")
    if data.n_inputs == 2 and data.task == "classification":
        part = data.val or data.train
        names: Any = {"classes": data.classes, "features": data.features}
        figure = decision_regions(network, part.x, part.y, scaler=data.scaler, **names)
        save_figure(figure, folder / "regions.png")


def config_text(args: argparse.Namespace) -> str:
    """The flags as a TOML file that `--config` takes."""
    lines = []
    for key, value in sorted(vars(args).items()):
        if key in flags.NOT_KEPT or value is None:
            continue
        value = ",".join(map(str, value)) or "none" if isinstance(value, tuple) else value
        lines.append(f"{key.replace('_', '-')} = {json.dumps(value)}")
    if args.batch_size is None:
        lines.append('batch-size = "full"')
    return "\n".join(lines) + "\n"
