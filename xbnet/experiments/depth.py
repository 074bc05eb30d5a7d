"""The report `depth`: softmax regression over a grid of settings, and networks of growing depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..datasets import Dataset
from ..history import History
from ..nn.layers import Linear
from ..nn.mlp import mlp
from ..nn.network import Network
from ..optim.optimizers import SGD, Adam
from ..plots import curves
from ..training.fit import fit
from .common import Setup, best_by_training, last, same_seeds, train_seeds
from .gradients import gradient_section, jacobian_section
from .pictures import heat_map, spread
from .report import Report, Row

TITLE = "Depth: a grid for softmax regression, and networks of 1 to 16 layers"
SEEDS = 4
RATES, BATCHES = (0.0001, 0.001, 0.05), (32, 64, 128)
REPORTED_GRID = {
    0.0001: ((1.344, 0.42, 0.42), (1.48, 0.27, 0.28), (1.65, 0.18, 0.18)),
    0.001: ((1.22, 0.57, 0.57), (1.23, 0.56, 0.56), (1.26, 0.53, 0.53)),
    0.05: ((1.22, 0.57, 0.56), (1.22, 0.57, 0.57), (1.22, 0.57, 0.57)),
}
"""Learning rate -> for each batch size: loss, training and validation accuracy on Peaks."""
LENGTHS = (1, 2, 4, 6, 8, 10, 12, 16)
REPORTED_DEPTH = {"GMM": (0.2, 0.958, 0.959), "Peaks": (0.26, 0.926, 0.929)}
"""Loss, training and validation accuracy at 12 layers."""


def hidden_widths(length: int) -> list[int]:
    """Widths before the softmax layer of a network with `length` layers: 6, 8, 10, ... and back to 6."""
    rising = [6 + 2 * i for i in range(length // 2)]
    return rising + rising[: (length - 1) // 2][::-1]


def run(setup: Setup) -> Report:
    """Gradient tests, grid, Jacobian tests, depth study."""
    report = Report("depth", TITLE)
    gmm, peaks = setup.points("gmm"), setup.points("peaks")
    setup.say_data(report)

    setup.progress("depth: gradient tests")
    x, y = peaks.train.x[:16].astype(float), peaks.train.y[:16]
    report.heading("Gradient test of the softmax loss for W, X and b")
    softmax = Network([Linear(peaks.n_outputs)], 2, dtype="float64", rng=0)
    gradient_section(report, softmax, x, y)

    setup.progress("depth: grid of softmax regression")
    report.heading("Softmax regression on Peaks: learning rate and batch size")
    _grid(setup, report, peaks)

    setup.progress("depth: Jacobian tests")
    report.heading("Jacobian test of one layer 2 -> 3 with tanh, and gradient test of a whole network")
    jacobian_section(report, Network([Linear(3, "tanh")], 2, dtype="float64", rng=0), x)
    gradient_section(report, Network(mlp(hidden_widths(4), 5, "tanh"), 2, dtype="float64", rng=0), x, y)

    report.heading("Depth study: ReLU, learning rate 0.001, batch 32")
    _study(setup, report, {"GMM": gmm, "Peaks": peaks})
    return report


def _grid(setup: Setup, report: Report, data: Dataset) -> None:
    epochs = setup.epochs(60)
    found = {}
    for batch_size in BATCHES:
        layers = [Linear(data.n_outputs, initializer="normal:0.1")]
        network = Network(layers, 2, replicas=len(RATES), rng=same_seeds(0, len(RATES)))
        history = fit(
            network, "cross_entropy", SGD(lr=RATES), data, epochs=epochs, batch_size=batch_size, rng=network.seeds,
            progress=False,
        )  # fmt: skip
        for i, lr in enumerate(RATES):
            found[lr, batch_size] = [last(history, f)[i] for f in ("train_loss", "train_accuracy", "val_accuracy")]
    rows = []
    for lr in RATES:
        for batch_size, reported in zip(BATCHES, REPORTED_GRID[lr], strict=True):
            loss, _, accuracy = found[lr, batch_size]
            where = f"lr {lr:g}, batch {batch_size}"
            rows += [
                Row(f"{where}: loss", reported[0], loss, "lower", 3),
                Row(f"{where}: validation accuracy", reported[2], accuracy, digits=3),
            ]
    report.compare(rows)
    accuracies = np.array([[found[lr, b][2] for b in BATCHES] for lr in RATES])
    report.picture(
        heat_map(accuracies, RATES, BATCHES, title="validation accuracy", row="learning rate", column="batch size"),
        "Softmax regression on Peaks after 60 epochs",
    )
    slow, fast = accuracies[0], accuracies[-1]
    report.text(
        f"""With learning rate {RATES[0]} the model is still on its way after {epochs} epochs, the further behind the
        larger the batch ({", ".join(f"{a:.3f}" for a in slow)}); with {RATES[-1]} the batch size hardly matters
        ({", ".join(f"{a:.3f}" for a in fast)}): that is what a linear model can do here. Where a run has not
        converged, its figure depends on the initial weights, which the report does not give."""
    )


@dataclass(frozen=True)
class Seeds:
    """Networks of one length, trained from several seeds; `figures` are those of the one with the best training loss.

    Attributes
    ----------
    losses
        Part -> its loss by epoch.
    figures
        Training loss, training accuracy and validation accuracy at the end.
    accuracies
        Validation accuracies of all seeds.
    """

    losses: dict[str, np.ndarray]
    figures: list[float]
    accuracies: np.ndarray

    @classmethod
    def of(cls, history: History) -> Seeds:
        """Make the results of a stack of seeds."""
        best = best_by_training(history)
        return cls(
            {part: history[f"{part}_loss"][:, best] for part in ("train", "val")},
            [last(history, name)[best] for name in ("train_loss", "train_accuracy", "val_accuracy")],
            last(history, "val_accuracy"),
        )


def _study(setup: Setup, report: Report, sets: dict[str, Dataset]) -> None:
    lengths = setup.short(LENGTHS, (1, 3))
    ways = {"SGD": (SGD(lr=0.001), 100), "Adam": (Adam(lr=0.001), 40)}
    report.text(
        f"""Widths: inputs -> 6 -> 8 -> 10 ... rising for half of the layers, then back to 6, then the softmax layer.
        Every length is trained from {SEEDS} seeds in one stack: with plain SGD for {ways["SGD"][1]} epochs and with
        Adam for {ways["Adam"][1]}; the report does not name its epochs."""
    )
    rows: list[Row] = []
    for label, data in sets.items():
        found: dict[str, dict[int, Seeds]] = {way: {} for way in ways}
        for way, (optimizer, epochs) in ways.items():
            for length in lengths:
                setup.progress(f"depth: {label}, {length} layers, {way}")
                layers, settings = mlp(hidden_widths(length), data.n_outputs, "relu"), {"batch_size": 32}
                _, history = train_seeds(
                    layers, data, optimizer, seeds=SEEDS, rng=length, epochs=setup.epochs(epochs, 1), **settings
                )
                found[way][length] = Seeds.of(history)
        rows += _depth_section(report, label, found)
    report.compare(rows)


def _depth_section(report: Report, label: str, found: dict[str, dict[int, Seeds]]) -> list[Row]:
    """Show the study of one set: the result of each optimizer at each length, compared with the report."""
    table, rows = [], []
    for way, runs in found.items():
        for length, run in runs.items():
            seeds = (np.median(run.accuracies), run.accuracies.min())
            table.append([f"{way}, {length} layer{'s' * (length > 1)}", *run.figures, *seeds])
        top = max(runs, key=lambda length: runs[length].figures[2])
        rows += [
            Row(f"{label}, {way}, best length ({top}): {what}", reported, ours, better)
            for what, reported, ours, better in zip(
                ("loss", "training accuracy", "validation accuracy"), REPORTED_DEPTH[label], runs[top].figures,
                ("lower", "higher", "higher"), strict=True,
            )
        ]  # fmt: skip
    report.table((label, "loss", "train", "validation", "median seed", "worst seed"), table)
    lengths = list(next(iter(found.values())))
    lines = {way: np.array([run.accuracies for run in runs.values()]) for way, runs in found.items()}
    figure = spread(lengths, lines, xlabel="layers", ylabel="validation accuracy")
    report.picture(figure, f"{label}: validation accuracy by depth; a point per seed, lines through the medians")
    losses = found[way][top].losses  # of the last optimizer
    report.picture(
        curves([("loss", losses)] * 2, log=[False, True], width=4.2), f"{label}, {way}, {top} layers: learning curves"
    )
    report.text(_trend(label, lengths, lines))
    return rows


def _trend(label: str, lengths: list[int], lines: dict[str, np.ndarray]) -> str:
    """Describe the study's outcome, from its own figures."""
    parts = []
    for way, accuracies in lines.items():
        medians, width = np.median(accuracies, axis=1), np.ptp(accuracies, axis=1)
        best = int(medians.argmax())
        parts.append(
            f"with {way} the median accuracy is {medians[0]:.3f} at {lengths[0]}, at best {medians[best]:.3f} at "
            f"{lengths[best]} layers, and {medians[-1]:.3f} at {lengths[-1]}, where the seeds lie {width[-1]:.3f} "
            f"apart (at {lengths[best]} layers {width[best]:.3f})"
        )
    return f"{label}: " + "; ".join(parts) + "."
