"""The report `assignment`: the specification, part by part, on Peaks and GMM."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..datasets import Dataset, Part
from ..history import History
from ..nn.layers import Dropout, Layer, Linear, Residual
from ..nn.mlp import mlp
from ..nn.network import Network
from ..optim.optimizers import SGD
from ..plots import curves
from ..training.fit import fit
from .common import Setup, last, same_seeds, train_seeds
from .gradients import gradient_section, jacobian_section
from .pictures import heat_map, spread
from .report import Report

TITLE = "Assignment: softmax, standard and residual networks, regularisation and strategies"
SEEDS = 3
WIDTH = 8


def run(setup: Setup) -> Report:
    """All parts of the specification, each with a conclusion from its own figures."""
    report = Report("assignment", TITLE)
    sets = {"Peaks": setup.points("peaks"), "GMM": setup.points("gmm")}
    setup.say_data(report)
    report.text(f"Where several seeds are trained ({SEEDS}, as one stack), figures are those of the median seed.")
    gmm = sets["GMM"]
    x, y = gmm.train.x[:: len(gmm.train) // 16][:16].astype(float), gmm.train.y[:: len(gmm.train) // 16][:16]

    setup.progress("assignment: gradient and Jacobian tests")
    report.heading("The softmax objective and its gradient")
    gradient_section(report, Network([Linear(gmm.n_outputs)], gmm.n_inputs, dtype="float64", rng=0), x, y)
    report.heading("SGD: learning rates and batch sizes")
    for label, data in sets.items():
        _rates(setup, report, label, data)
    report.heading("Standard and residual networks: Jacobian and gradient tests with tanh")
    for block in (Linear(WIDTH, "tanh"), Residual("tanh"), Residual("tanh", end="tanh")):
        report.text(f"{block!r}:")
        jacobian_section(report, Network([block], gmm.n_inputs, dtype="float64", rng=0), x)
    whole = Network(_layers("residual", 2, gmm.n_outputs), gmm.n_inputs, dtype="float64", rng=0)
    report.text("A whole residual network of 2 blocks:")
    gradient_section(report, whole, x, y)
    report.heading("Lengths compared")
    _lengths(setup, report, sets, setup.short((1, 2, 4, 6), (0, 1)), 0.1, 40)
    report.heading("Regularisation against overfitting")
    _regularisation(setup, report, sets["Peaks"])
    report.heading("Strategies compared with plain SGD")
    for label, data in sets.items():
        _strategies(setup, report, label, data)
    report.heading("Standard against residual, 10 to 20 layers of equal width")
    _lengths(setup, report, sets, setup.short((10, 15, 20), (0,)), 0.05, 30)
    return report


def _layers(kind: str, length: int, n_outputs: int) -> list[Layer]:
    """A tanh layer to the common width, `length` standard layers or residual blocks, the softmax layer."""
    blocks: list[Layer] = [Residual("tanh") if kind == "residual" else Linear(WIDTH, "tanh") for _ in range(length)]
    return [Linear(WIDTH, "tanh"), *blocks, Linear(n_outputs)]


def _rates(setup: Setup, report: Report, label: str, data: Dataset) -> None:
    rates, batches = (0.01, 0.1, 1.0), (32, 128, 512)
    accuracies, lines = np.zeros((len(rates), len(batches))), {}
    for j, batch_size in enumerate(batches):
        setup.progress(f"assignment: {label}, batches of {batch_size}")
        seeds = same_seeds(0, len(rates))
        network = Network(mlp([10], data.n_outputs, "tanh"), data.n_inputs, replicas=len(rates), rng=seeds)
        settings: dict[str, Any] = {"epochs": setup.epochs(30), "batch_size": batch_size, "rng": seeds}
        history = fit(network, "cross_entropy", SGD(lr=rates), data, progress=False, **settings)
        accuracies[:, j] = last(history, "val_accuracy")
        for i, lr in enumerate(rates):
            if batch_size in (batches[0], batches[-1]):
                for part in ("train", "val"):
                    lines[f"{part} lr {lr:g}, batch {batch_size}"] = history[f"{part}_accuracy"][:, i]
    report.picture(curves([("success", lines)], width=7.0), f"{label}, one hidden layer of 10: success per epoch")
    report.picture(
        heat_map(accuracies, rates, batches, title="validation accuracy", row="learning rate", column="batch size"),
        f"{label}, after {setup.epochs(30)} epochs",
    )
    (best, b), (worst, w) = (divmod(int(at), len(batches)) for at in (accuracies.argmax(), accuracies.argmin()))
    report.text(
        f"""{label}: best is learning rate {rates[best]:g} with batches of {batches[b]} ({accuracies[best, b]:.4f}),
        worst {rates[worst]:g} with {batches[w]} ({accuracies[worst, w]:.4f}). With batches of {batches[0]}, the three
        rates reach
        {", ".join(f"{v:.3f}" for v in accuracies[:, 0])}, with {batches[-1]}
        {", ".join(f"{v:.3f}" for v in accuracies[:, -1])}."""
    )


def _lengths(
    setup: Setup, report: Report, sets: dict[str, Dataset], lengths: list[int], lr: float, epochs: int
) -> None:
    passes = setup.epochs(epochs, 1)
    for label, data in sets.items():
        found: dict[str, list[np.ndarray]] = {"standard": [], "residual": []}
        table: list[list[Any]] = []
        shown: dict[str, np.ndarray] = {}
        for kind in found:
            for length in lengths:
                setup.progress(f"assignment: {label}, {kind}, {length} layers")
                layers, settings = _layers(kind, length, data.n_outputs), {"epochs": passes, "batch_size": 64}
                _, history = train_seeds(layers, data, SGD(lr=lr), seeds=SEEDS, **settings)
                found[kind].append(last(history, "val_accuracy"))
                middle = [np.median(last(history, f)) for f in ("train_loss", "train_accuracy", "val_accuracy")]
                table.append([f"{kind}, {length}", *middle, found[kind][-1].min()])
            shown |= {f"{part} {kind}, {length}": _median(history, f"{part}_loss") for part in ("train", "val")}
        report.table((f"{label}: layers", "train loss", "train", "validation", "worst seed"), table)
        lines = {kind: np.array(values) for kind, values in found.items()}
        report.picture(
            spread(lengths, lines, xlabel="layers of equal width", ylabel="validation accuracy"),
            f"{label}: standard against residual; a point per seed, lines through the medians",
        )
        report.picture(
            curves([("loss", shown)] * 2, log=[False, True]), f"{label}: learning curves with {lengths[-1]} layers"
        )
        medians = {kind: np.median(values, axis=1) for kind, values in lines.items()}
        wins = [n for n, s, r in zip(lengths, medians["standard"], medians["residual"], strict=True) if r > s]
        report.text(
            f"""{label}, learning rate {lr:g}, {passes} epochs: from {lengths[0]} to {lengths[-1]} layers the standard
            network goes from {medians["standard"][0]:.4f} to {medians["standard"][-1]:.4f}, the residual one from
            {medians["residual"][0]:.4f} to {medians["residual"][-1]:.4f}. The residual network is ahead at
            {", ".join(map(str, wins)) or "no number of"} layers."""
        )


def _regularisation(setup: Setup, report: Report, data: Dataset) -> None:
    """A network that is too large for 200 samples; every way of restraint is a replica of one stack."""
    setup.progress("assignment: regularisation")
    assert data.val is not None
    small = replace(data, train=_thinned(data.train, 200), val=_thinned(data.val, 2000))
    ways = {
        "nothing": (0.0, 0.0, 0.0),
        **{f"l2 {v:g}": (v, 0.0, 0.0) for v in (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)},
        **{f"l1 {v:g}": (0.0, v, 0.0) for v in (1e-4, 3e-4, 1e-3)},
        **{f"dropout {v:g}": (0.0, 0.0, v) for v in (0.05, 0.1, 0.2)},
    }
    l2, l1, rates = (list(values) for values in zip(*ways.values(), strict=True))
    R, seeds = len(ways), same_seeds(0, len(ways))
    layers: list[Layer] = []
    for _ in range(2):
        layers += [Linear(40, "tanh"), Dropout(rates)]
    network = Network([*layers, Linear(data.n_outputs)], data.n_inputs, replicas=R, rng=seeds)
    history = fit(
        network, "cross_entropy", SGD(lr=0.3), small, epochs=setup.epochs(1000, 20), batch_size=50, l2=l2, l1=l1,
        rng=seeds, progress=False,
    )  # fmt: skip
    figures = [last(history, f) for f in ("train_loss", "train_accuracy", "val_loss", "val_accuracy")]
    report.text(f"A 2-40-40-5 network on {len(small.train)} samples of Peaks; {R} replicas of one stack, one way each.")
    report.table(
        ("", "train loss", "train", "validation loss", "validation"),
        [[name, *(values[i] for values in figures)] for i, name in enumerate(ways)],
    )
    names, loss, accuracy = list(ways), figures[2], figures[3]
    picks = [0, *(min(group, key=lambda i: loss[i]) for group in (range(1, 6), range(6, 9), range(9, 12)))]
    lines = {f"{part} {names[i]}": history[f"{part}_loss"][:, i] for i in picks for part in ("train", "val")}
    window = setup.epochs(20, 1)
    caption = f"Overfitting, and the best of each restraint; a point is the mean of {window} epochs"
    report.picture(curves([("loss", lines)] * 2, log=[False, True], window=window), caption)
    best = int(loss.argmin())
    report.text(
        f"""Without restraint the validation loss ends at {loss[0]:.3f} (its lowest was
        {history["val_loss"][:, 0].min():.3f}), with {", ".join(f"{names[i]} at {loss[i]:.3f}" for i in picks[1:])}. The
        best validation loss comes with {names[best]}; the accuracy there is {accuracy[best]:.4f} instead of
        {accuracy[0]:.4f}."""
    )


def _thinned(part: Part, n: int) -> Part:
    """About n samples, evenly spread over the part."""
    some = slice(None, None, max(1, len(part) // n))
    return Part(part.x[some], part.y[some])


def _strategies(setup: Setup, report: Report, label: str, data: Dataset) -> None:
    epochs, stage = setup.epochs(60, 4), setup.epochs(10, 1)
    plans = {
        "joint": ("joint", epochs),
        "alternating, 1 epoch each": ("alternating:every=1", epochs),
        "alternating, 5 epochs each": ("alternating:every=5", epochs),
        "layer by layer": (f"layerwise:epochs={stage}", epochs - 3 * stage),
        "weighted, ratio 0.5": ("weighted:ratio=0.5", epochs),
        "weighted, ratio 2": ("weighted:ratio=2", epochs),
    }
    table, lines = [], {}
    for name, (strategy, count) in plans.items():
        setup.progress(f"assignment: {label}, {name}")
        _, history = train_seeds(
            mlp([10, 10, 10], data.n_outputs, "tanh"), data, SGD(lr=0.1), seeds=SEEDS, epochs=count, batch_size=64,
            strategy=strategy,
        )  # fmt: skip
        parts = [*history.stages, history]
        curve = np.concatenate([_median(part, "val_accuracy") for part in parts])
        lines[name] = curve
        table.append([name, len(curve), np.median(last(history, "train_loss")), curve[-1]])
    report.table((label, "epochs in all", "train loss", "validation"), table)
    report.picture(
        curves([("validation accuracy", lines)], width=7.0), f"{label}: strategies by epoch, layers grown first"
    )
    ranked = sorted(table, key=lambda row: -row[3])
    joint = table[0][3]
    better = [row[0] for row in ranked if row[3] > joint]
    report.text(
        f"""{label}: best is {ranked[0][0]} ({ranked[0][3]:.4f}), last {ranked[-1][0]} ({ranked[-1][3]:.4f}). Plain
        SGD on everything jointly reaches {joint:.4f}; better than that: {", ".join(better) or "none"}. Every strategy
        had the same number of passes over the data."""
    )


def _median(history: History, figure: str) -> np.ndarray:
    """Return the median over the seeds, by epoch."""
    values = history[figure]
    return np.median(values, axis=1) if values.ndim == 2 else values
