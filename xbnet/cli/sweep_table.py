"""The report of `xbnet sweep` and `xbnet info SWEEP`: the best configurations, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import counted
from ..nn.outputs import LINKS
from ..sweeps.space import shown
from ..sweeps.store import plain_row
from .folders import kept_in
from .summary import SOME

if TYPE_CHECKING:  # imported where they are used: so the help comes quickly
    from ..datasets import Dataset
    from ..io.ensembles import Ensemble
    from ..sweeps import SweepResult
    from ..sweeps.refit import Refit


def summarize(result: SweepResult, seconds: float | None = None) -> dict[str, Any]:
    """The result as JSON has it."""
    best, about = result.best, result.about
    found = {
        "backend": about.backend,
        "dtype": about.dtype,
        "dataset": about.dataset,
        "networks": len(result),
        "configurations": len(result.configurations()),
        "diverged": int((result.column("status") == "diverged").sum()),
        "monitor": result.monitor,
        "best": plain_row(best["settings"]),
        "best_mean": plain_row(best)["mean"],
        "best_spread": plain_row(best)["spread"],
        f"best_{result.beside}": plain_row(best)[result.beside],
        "best_member": result.best_member(),
        "on_the_rim": result.on_the_rim(),
    }
    return found | ({} if seconds is None else {"seconds": seconds})


def describe_refit(refit: Refit) -> dict[str, Any]:
    """A refit as JSON has it."""
    return {"rows": refit.rows, "epochs": refit.epochs, **plain_row(refit.figures)}


def describe_ensemble(ensemble: Ensemble, data: Dataset) -> dict[str, Any]:
    """How good an ensemble is on the parts that it was not trained on: accuracy, or R2 of a regression."""
    found: dict[str, Any] = {"networks": ensemble.size}
    for name, part in data.parts():
        if name == "train":
            continue
        p, y = ensemble.from_encoded(part.x), np.asarray(part.y)
        if data.task == "regression":
            scale = data.target_scale
            y = y if scale is None else y * scale.scale + scale.mean
            found[f"{name}_r2"] = float(np.mean(1 - np.square(p - y).mean(axis=0) / np.maximum(y.var(axis=0), 1e-300)))
        else:
            found[f"{name}_accuracy"] = float((LINKS[ensemble.link][1](p) == y).mean())
    return found


def not_learned(result: SweepResult) -> str | None:
    """One line where networks are no better than guessing, with the configurations that they have."""
    losses = _chance_losses(result)
    name = "val_loss" if np.isfinite(result.column("val_loss")).any() else "train_loss"
    status, rung = result.column("status"), result.column("rung") if result.brackets else np.zeros(len(result))
    trained = (status != "diverged") & (rung == rung.max())  # halving sends others away before they can learn much
    bad = np.flatnonzero(trained & ~(result.column(name) < SOME * losses))
    if not len(bad):
        return None
    settings = dict.fromkeys(
        ", ".join(f"{key}={shown(result.members[i].settings.get(key))}" for key in result.keys) for i in bad
    )
    named = "; ".join(list(settings)[:3]) + (f" and {len(settings) - 3} more" if len(settings) > 3 else "")
    with_ = f", with {named}" if named else ""
    guess = "the targets' mean" if result.about.task == "regression" else "the classes' shares"
    best = result.best_member() in bad
    cure = "try smaller learning rates, or more epochs" if best else "leave such values out"
    return (
        f"{result.about.dataset}: {len(bad)} of {len(result)} networks did not learn: a {name} of "
        f"{result.column(name)[bad[0]]:,.4g}, while guessing by {guess} gives {losses[bad[0]]:,.4g}{with_}; {cure}"
    )


def _chance_losses(result: SweepResult) -> np.ndarray:
    """The loss of guessing for each network (N,); configurations may have different losses."""
    from ..sweeps.build import make_loss, make_network
    from ..training.chance import chance_loss

    program = result.program
    data = program.pool.data
    y = (data.train if data.val is None else data.val).y
    found: dict[Any, float] = {}
    keys = [(shown(m.settings["loss"]), m.settings.get("label_smoothing")) for m in result.members]
    for key, member in zip(keys, result.members, strict=True):
        if key not in found:
            network, loss = make_network(program, [member]), make_loss(program, [member])
            found[key] = float(chance_loss(network, loss, data.task, y)[0])
    return np.array([found[key] for key in keys])


def print_table(result: SweepResult, summary: dict[str, Any], rows: int = 10) -> None:
    """The best configurations, for people; and where the best of all may be."""
    took = f" in {summary['seconds']:.2f} s" if "seconds" in summary else ""
    print(
        f"{summary['dataset']}: {counted(summary['networks'], 'network')} of "
        f"{counted(summary['configurations'], 'configuration')}{took} "
        f"on {summary['backend']} ({summary['dtype']}), {summary['diverged']} diverged"
    )
    found = result.configurations()
    places = [key for key in ("bracket", "rung") if key in found[0]]
    head = [result.monitor, "spread", result.beside, "networks", *places, "settings"]
    table = [
        [
            cell(result.monitor, row["mean"]),
            cell("spread", row["spread"]),
            cell(result.beside, row[result.beside]),
            *(str(row[key]) for key in ("networks", *places)),
            ", ".join(f"{key}={shown(value)}" for key, value in row["settings"].items()) or "the only ones",
        ]
        for row in found[:rows]
    ]
    print_columns(head, table)
    if len(found) > rows:
        print(f"... and {len(found) - rows} more")
    for line in summary["on_the_rim"]:
        print(line)


def print_report(result: SweepResult, summary: dict[str, Any], folder: Path | None) -> None:
    """Print all about a sweep that has ended, and what one does next: a command, or the flag to keep a network."""
    print_table(result, summary)
    print_extras(summary)
    if folder is None:
        print("next: add --out DIR to keep the table, the best network and pictures")
        return
    print(f"kept in {folder}: {', '.join(kept_in(folder))}")
    if summary["diverged"] < summary["networks"]:
        best = shlex.quote(str(folder / "best.safetensors"))
        print(f"next: xbnet predict {best} --data FILE, or xbnet info {shlex.quote(str(folder))}")


def print_extras(summary: dict[str, Any]) -> None:
    """Print the figures of the refit, with its last test, and of the ensemble."""
    if "refit" in summary:
        refit = summary["refit"]
        figures = {key: value for key, value in refit.items() if key not in ("rows", "epochs")}
        tested = {key: value for key, value in figures.items() if not key.startswith("train")}
        print(
            f"the best configuration was trained again on all {refit['rows']:,} rows, "
            f"{counted(refit['epochs'], 'epoch')}: "
            f"{_figures({k: v for k, v in figures.items() if k.startswith('train')})}"
            + (f"; last test, on rows that nothing was chosen by: {_figures(tested)}" if tested else "")
        )
    if "ensemble" in summary:
        figures = {key: value for key, value in summary["ensemble"].items() if key != "networks"}
        print(f"ensemble of {summary['ensemble']['networks']}" + (f": {_figures(figures)}" if figures else ""))


def _figures(figures: dict[str, Any]) -> str:
    return ", ".join(f"{key} {cell(key, value)}" for key, value in figures.items())


def cell(name: str, value: float | None) -> str:
    """A figure for people."""
    if value is None or not np.isfinite(value):
        return "nan"
    if name.endswith("accuracy"):
        return f"{value:.2%}"
    return f"{value:.4f}" if name.endswith("r2") else f"{value:.5f}" if abs(value) < 1e4 else f"{value:.4g}"


def print_columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table whose columns are as wide as what is in them; the last one begins at its left."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        *figures, last = row
        print("  ".join([*(text.rjust(width) for text, width in zip(figures, widths, strict=False)), last]).rstrip())
