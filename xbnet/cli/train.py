"""`xbnet train`: train a network on a data set, and tell how good it is."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, DivergenceError
from ..files import make_folder, write_text
from ..history import History, plain
from . import arguments as flags

if TYPE_CHECKING:  # imported where they are used: so the help comes quickly
    from ..datasets import Dataset
    from ..nn.losses import Loss
    from ..nn.network import Network
    from ..optim.optimizers import Optimizer


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
    group.add_argument("--out", metavar="DIR", help="keep config, history, model and pictures there")
    group.add_argument(
        "--checkpoint-every", type=flags.positive, metavar="N", help="keep the run's state in --out every N epochs"
    )
    group.add_argument("--resume", metavar="DIR", help="go on with the run that was kept with --out DIR")
    flags.switch(group, "--tensorboard", "write event files for TensorBoard to --out")
    group.add_argument("--json", action="store_true", help="print the result as one JSON object")
    group.add_argument("--quiet", action="store_true", help="no progress bar, no table")


def run(args: argparse.Namespace) -> int:
    """Train, and report."""
    from ..nn.network import Network

    folder = make_folder(args.out) if args.out else None
    for flag in ("checkpoint_every", "tensorboard"):
        if folder is None and getattr(args, flag):
            raise ConfigError(f"--{flag.replace('_', '-')} needs --out DIR, the folder to write to")
    data = flags.data_from(args)
    loss, optimizer = flags.loss_from(args, data), flags.optimizer_from(args)
    network = Network(
        flags.layers_from(args, data.n_outputs),
        data.n_inputs,
        replicas=args.replicas,
        backend=args.backend,
        dtype=args.dtype,
        rng=args.seed,
    )
    diverged = None
    try:
        history = train(args, folder, network, loss, optimizer, data)
    except DivergenceError as error:
        if folder is None:
            raise
        history, diverged = error.history, error
    result = summarize(args, network, loss, data, history)
    if folder is not None:
        keep(folder, args, network, data, history, result)
    if diverged is not None:
        raise diverged
    if not args.quiet:
        print_table(network, result)
        if folder is not None:
            print(f"kept in {folder}: {', '.join(sorted(p.name for p in folder.iterdir()))}")
    if args.json:
        print(json.dumps(result))
    return 0


def train(
    args: argparse.Namespace, folder: Path | None, network: Network, loss: Loss, optimizer: Optimizer, data: Dataset
) -> History:
    """Run `fit`; with a folder, so that an interrupted run can be resumed."""
    from ..training.fit import fit
    from ..training.tensorboard import event_writer

    settings = flags.fit_settings_from(args) | {"progress": False if args.quiet else None}
    if folder is None:
        return fit(network, loss, optimizer, data, **settings)
    if args.resume and (folder / "result.json").exists() and not any((folder / "checkpoints").glob("epoch-*")):
        raise ConfigError(
            f"--resume {folder}: the run there has ended and kept no checkpoints to go on from; train into another "
            "folder, with --checkpoint-every N"
        )
    settings |= {
        "checkpoint": folder / "checkpoints",
        "checkpoint_every": args.checkpoint_every,
        "resume": args.resume is not None,
    }
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

            return fit(network, loss, optimizer, data, on_epoch=on_epoch, **settings)
    except KeyboardInterrupt as interrupt:
        if not str(interrupt):  # before the first epoch: there is nothing to go on with
            raise
        raise KeyboardInterrupt(f"{interrupt}; go on with: xbnet train --resume {folder}") from None


def summarize(
    args: argparse.Namespace, network: Network, loss: Loss, data: Dataset, history: History
) -> dict[str, Any]:
    """The result as JSON has it: numbers for one network, lists for a stack.

    Losses and accuracies are those of the weights that the network ends with, over whole parts, when not training.
    """
    from ..training.evaluation import evaluate

    R, n, epochs = network.replicas, len(data.train.x), len(history)
    batch_size = min(64 if args.batch_size == "auto" else args.batch_size or n, n)
    result: dict[str, Any] = {
        "backend": network.backend.name,
        "device": network.backend.device,
        "dtype": network.dtype.name,
        "execution": history.execution,
        "dataset": data.name,
        "replicas": R,
        "parameters": network.n_parameters,
        "epochs": epochs,
        "steps": epochs * -(-n // batch_size),
        "batch_size": batch_size,
        "seconds": history.seconds,
        "samples_per_second": float(np.median(history["samples_per_second"])),
    }
    for name in ("train", "val", "test"):
        part = getattr(data, name)
        figures = {} if part is None else evaluate(network, loss, part.x, part.y, device_memory=args.device_memory)
        if part is not None or name == "val":
            for key in ("loss", "accuracy"):
                result[f"{name}_{key}"] = plain(figures.get(key, np.full(R, np.nan)), R)
    result["best_epoch"] = plain(history.best_epoch, R)
    result["best_val_accuracy"] = plain(history.at_best("val_accuracy"), R)
    result["status"] = history.status[0] if R == 1 else history.status
    return result


def print_table(network: Network, result: dict[str, Any]) -> None:
    """The network and the result, for people."""
    print(network.describe())
    print()
    print(
        f"{result['dataset']}: {result['epochs']} epochs, {result['steps']:,} steps of {result['batch_size']} rows "
        f"in {result['seconds']:.2f} s on {result['backend']} "
        f"({result['device']}, {result['dtype']}, {result['execution']}), "
        f"{result['samples_per_second']:,.0f} samples/s"
    )
    print(f"{'part':<12}{'loss':>12}{'accuracy':>12}")
    for name in ("train", "val", "test"):
        losses, accuracies = (np.atleast_1d(result.get(f"{name}_{key}", [])) for key in ("loss", "accuracy"))
        for r, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True)):
            if loss is not None:
                label = name if len(losses) == 1 else f"{name}[{r}]"
                print(f"{label:<12}{loss:>12.5f}{'' if accuracy is None else f'{accuracy:.2%}':>12}")


def keep(
    folder: Path, args: argparse.Namespace, network: Network, data: Dataset, history: History, result: dict[str, Any]
) -> None:
    """Write what a later reader needs to `folder`."""
    from ..io.models import save
    from ..plots import decision_regions, learning_curves, save_figure

    write_text(folder / "config.toml", config_text(args))
    write_text(folder / "result.json", json.dumps(result, indent=1) + "\n")
    history.to_jsonl(folder / "history.jsonl")
    about: dict[str, Any] = {"classes": data.classes, "preparation": data.preparation, "features": data.features}
    save(network, folder / "model.safetensors", history=history, **about)
    save_figure(learning_curves(history), folder / "curves.png")
    if data.n_inputs == 2 and data.task == "classification":
        part = data.val or data.train
        save_figure(decision_regions(network, part.x, part.y, classes=data.classes), folder / "regions.png")


def config_text(args: argparse.Namespace) -> str:
    """The flags as a TOML file that `--config` takes."""
    lines = []
    for key, value in sorted(vars(args).items()):
        if key in ("verb", "version", "config", "out", "resume", "json", "quiet") or value is None:
            continue
        value = ",".join(map(str, value)) or "none" if isinstance(value, tuple) else value
        lines.append(f"{key.replace('_', '-')} = {json.dumps(value)}")
    if args.batch_size is None:
        lines.append('batch-size = "full"')
    return "\n".join(lines) + "\n"
