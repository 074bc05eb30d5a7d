"""The summary of a run by `xbnet train`: its figures, as JSON and for people, and in words what they mean."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import counted
from ..history import History, plain

if TYPE_CHECKING:  # imported where they are used: so the help comes quickly
    from ..datasets import Dataset
    from ..nn.losses import Loss
    from ..nn.network import Network

PARTS = ("train", "val", "test")
FIGURES = {"accuracy": "accuracy", "r2": "R2", "rmse": "RMSE", "mae": "MAE"}
"""Figures that may follow the loss -> their heads in the table."""
SOME = 0.999
"""Who learns something ends with a loss of less than this share of the loss of guessing."""
FAR, ABOVE, FALLS = 3.0, 1.01, 0.99
"""A loss of more than `FAR` times that of guessing jumps about, and so does one `ABOVE` it that does not fall, which
is one of less than `FALLS` times the first."""


def summarize(
    args: argparse.Namespace, network: Network, loss: Loss, data: Dataset, history: History
) -> dict[str, Any]:
    """The result as JSON has it: numbers for one network, lists for a stack.

    Figures are those of the weights that the network ends with, over whole parts, when not training. RMSE and MAE are
    in the targets' own units; of several targets all but the loss are means, and are under "targets" one by one.
    """
    R, n, epochs = network.replicas, len(data.train.x), len(history)
    batch_size = min(64 if args.batch_size == "auto" else args.batch_size or n, n)
    best = "r2" if data.task == "regression" else "accuracy"
    result: dict[str, Any] = {
        "backend": network.backend.name,
        "device": network.backend.device,
        "dtype": network.dtype.name,
        "execution": history.execution,
        "dataset": data.name,
        "task": data.task,
        "replicas": R,
        "parameters": network.n_parameters,
        "epochs": epochs,
        "steps": epochs * -(-n // batch_size),
        "batch_size": batch_size,
        "seconds": history.seconds,
        "samples_per_second": float(np.median(history["samples_per_second"])),
    }
    result |= _figures_of_parts(args, network, loss, data)
    result["best_epoch"] = plain(history.best_epoch, R)
    result[f"best_val_{best}"] = plain(history.at_best(f"val_{best}"), R)
    result["status"] = history.status[0] if R == 1 else history.status
    result["learned"] = plain(_learned(network, loss, data, result), R)
    return result


def _figures_of_parts(args: argparse.Namespace, network: Network, loss: Loss, data: Dataset) -> dict[str, Any]:
    from ..training.evaluation import evaluate

    R, found = network.replicas, dict[str, Any]()
    names, scale = _targets(data)
    targets: dict[str, dict[str, Any]] = {name: {} for name in names}
    for name in PARTS:
        part = getattr(data, name)
        if part is None:
            if name == "val":
                found |= {f"val_{key}": plain(np.full(R, np.nan), R) for key in ("loss", *_kinds(data))}
            continue
        figures = evaluate(network, loss, part.x, part.y, device_memory=args.device_memory, per_target=True)
        found[f"{name}_loss"] = plain(figures.pop("loss"), R)
        for key, values in figures.items():
            values = values * scale if key in ("rmse", "mae") else values
            found[f"{name}_{key}"] = plain(values if values.ndim == 1 else values.mean(axis=1), R)
            for target, column in zip(targets, values.T if values.ndim == 2 else (), strict=False):
                targets[target][f"{name}_{key}"] = plain(column, R)
    return found | ({"targets": targets} if len(targets) > 1 else {})


def _kinds(data: Dataset) -> tuple[str, ...]:
    return ("r2", "rmse", "mae") if data.task == "regression" else ("accuracy",)


def _targets(data: Dataset) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of a regression's targets, and what their units are in those that the network learned."""
    if data.task != "regression":
        return (), np.ones(1)
    named = None if data.schema is None or data.schema.target is None else data.schema.target.names
    scale = np.ones(data.n_outputs) if data.target_scale is None else data.target_scale.scale
    return named or tuple(f"y{i}" for i in range(data.n_outputs)), scale


def _learned(network: Network, loss: Loss, data: Dataset, result: dict[str, Any]) -> np.ndarray:
    """Whether each network (R,) is better than an answer that does not look at the inputs."""
    from ..training.chance import chance_loss

    loss_of_all = np.array([np.nan if v is None else v for v in np.atleast_1d(result["train_loss"])], float)
    result["chance_loss"] = plain(chance_loss(network, loss, data.task, data.train.y), network.replicas)
    return loss_of_all < SOME * np.atleast_1d(result["chance_loss"])


# -- for people ----------------------------------------------------------------------------------------------------


def print_table(network: Network, result: dict[str, Any]) -> None:
    """The network and the figures."""
    print(network.describe())
    print()
    print(
        f"{result['dataset']}: {counted(result['epochs'], 'epoch')}, {counted(result['steps'], 'step')} of "
        f"{counted(result['batch_size'], 'row')} "
        f"in {result['seconds']:.2f} s on {result['backend']} "
        f"({result['device']}, {result['dtype']}, {result['execution']}), "
        f"{result['samples_per_second']:,.0f} samples/s"
    )
    kinds = [kind for kind in FIGURES if f"train_{kind}" in result]
    print(f"{'part':<12}{'loss':>12}" + "".join(f"{FIGURES[kind]:>12}" for kind in kinds))
    for name in PARTS:
        if result.get(f"{name}_loss") is None:
            continue
        columns = [np.atleast_1d(result[f"{name}_{kind}"]) for kind in ("loss", *kinds)]
        for r, (loss, *figures) in enumerate(zip(*columns, strict=True)):
            label = name if len(columns[0]) == 1 else f"{name}[{r}]"
            print(f"{label:<12}{_number(loss):>12}" + "".join(map(_cell, kinds, figures)))
            for target, one in result.get("targets", {}).items():
                figures = [np.atleast_1d(one[f"{name}_{kind}"])[r] for kind in kinds]
                print(f"  {target:<22}" + "".join(map(_cell, kinds, figures)))


def _number(value: float | None) -> str:
    return "nan" if value is None else f"{value:.5f}" if abs(value) < 1e4 else f"{value:.5g}"


def _cell(kind: str, value: float | None) -> str:
    if value is None:
        return f"{'':>12}"
    text = f"{value:.2%}" if kind == "accuracy" else f"{value:.4f}" if kind == "r2" else f"{value:,.5g}"
    return f"{text:>12}"


def next_command(folder: Path | None) -> str:
    """The next step for a run: the command for its model, or the flag that keeps one."""
    if folder is None:
        return "next: add --out DIR to keep the model, its curves and settings"
    name = shlex.quote(str(folder))
    return f"next: xbnet predict {name} --data FILE, or xbnet report {name}"


def stopping(args: argparse.Namespace, history: History) -> str:
    """When training ended, and which weights were kept; nothing where all epochs ran and the last weights stay."""
    epochs = [sum(bool(np.isfinite(record["lr"][r])) for record in history.records) for r in range(history.replicas)]
    stopped = [e for e, status in zip(epochs, history.status, strict=True) if status == "stopped"]
    words = []
    if args.patience and history.replicas == 1:
        end = f"stopped after {counted(epochs[0], 'epoch')}" if stopped else f"all {counted(epochs[0], 'epoch')} ran"
        words = [f"{end}; best was {history.best_epoch[0]}, kept"]
        if not stopped and history.best_epoch[0] == epochs[0] > 1:
            words[0] += " (it may get better with more --epochs)"
    elif args.patience and stopped:
        after = f"{min(stopped)} to {max(stopped)}" if min(stopped) < max(stopped) else f"{stopped[0]}"
        words = [f"{len(stopped)} of {len(epochs)} networks stopped, after {after} epochs; each keeps its best"]
    elif args.patience:
        words = [f"all {max(epochs)} epochs ran; each network keeps its best"]
    diverged = history.status.count("diverged")
    return "; ".join([*words, *([f"{diverged} of {len(epochs)} networks diverged"] if diverged else [])])


def not_learned(network: Network, data: Dataset, history: History, result: dict[str, Any], lr: Any) -> str | None:
    """One line where a network is no better than guessing, with what to try."""
    bad = np.flatnonzero(~np.atleast_1d(result["learned"]).astype(bool))
    if not len(bad):
        return None
    r = bad[0]
    loss, chance = (np.atleast_1d(result[key])[r] for key in ("train_loss", "chance_loss"))
    who = "the network" if network.replicas == 1 else f"{len(bad)} of {network.replicas} networks"
    guess = "the targets' mean" if data.task == "regression" else "the classes' shares"
    rate = f"{float(np.max(lr)):g}"
    losses = np.array([record["train_loss"][r] for record in history.records])
    falls = len(losses) > 1 and losses[-1] < FALLS * losses[0] and losses[-1] <= np.nanmin(losses)
    if loss is None or loss > FAR * chance or (loss > ABOVE * chance and not falls):
        advice = f"a smaller --lr (it was {rate})"
    elif falls:
        advice = f"more --epochs (the loss still fell after {len(losses)})"
    else:
        advice = f"another --lr (it was {rate}), more --epochs" + (
            "" if data.scaler is not None else ", --scaling standard"
        )
    told = "a loss of NaN" if loss is None else f"a training loss of {loss:,.4g}"
    told += f", while guessing by {guess} gives {chance:,.4g}"
    return f"{result['dataset']}: {who} did not learn: {told}; try {advice}"
