"""The report `mnist`: fully connected networks on digits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..datasets import Dataset, Part
from ..evaluation import evaluate
from ..network import Network
from ..optimizers import SGD, Adam
from ..plots import curves, new_figure, true_class_histograms
from ..training import fit
from .common import Setup, dense, last, same_seeds
from .report import Report, Row

TITLE = "MNIST: fully connected networks on digits"
ACTIVATION, BATCH = "relu", 64
NETWORKS = (((300,), 238_510), ((10, 10), 8_070), ((20, 20), 16_330))
"""Hidden widths -> reported number of parameters."""
RATES = (0.01, 0.1, 0.3)
BASE = 1


def run(setup: Setup) -> Report:
    """Overfitting, learning rates, full batch against minibatches, one number against ten probabilities."""
    report = Report("mnist", TITLE)
    setup.progress("mnist: reading")
    digits = setup.images("mnist")
    setup.say_data(report)
    assert digits.test is not None
    data = replace(digits, val=digits.test)
    report.text(
        f"""{len(data.train):,} digits to train on, {len(digits.test):,} to test; pixels in [0, 1]; {ACTIVATION},
        minibatches of {BATCH}, plain SGD. The test part is looked at after every epoch but decides nothing."""
    )
    wide = _networks(setup, report, data)
    _full_batch(setup, report, data)
    _one_number(setup, report, data, wide)
    return report


def _networks(setup: Setup, report: Report, data: Dataset) -> Network:
    """The three networks; the wide one with several learning rates as a stack. Its member of rate 0.1."""
    report.heading("Parameters, and overfitting")
    counts, found, lines = [], [], {}
    for hidden, reported in NETWORKS:
        name = "-".join(map(str, (data.n_inputs, *hidden, 10)))
        rates = RATES if hidden == (300,) else (RATES[BASE],)
        setup.progress(f"mnist: {name}, learning rates {', '.join(map(str, rates))}")
        seeds = same_seeds(0, len(rates))
        network = Network(dense(hidden, ACTIVATION, 10), data.n_inputs, replicas=len(rates), rng=seeds)
        history = fit(
            network, "cross_entropy", SGD(lr=rates), data, epochs=setup.epochs(25), batch_size=BATCH, rng=seeds,
            progress=False,
        )  # fmt: skip
        base = min(BASE, len(rates) - 1)
        counts.append(Row(f"{name}: parameters", reported, network.n_parameters, "equal", 0))
        train = evaluate(network, "cross_entropy", data.train.x, data.train.y)
        figures = [train["loss"][base], last(history, "val_loss")[base], history["val_loss"].reshape(-1, len(rates))]
        lowest = figures[2][:, base]
        found.append(
            [name, figures[0], figures[1], lowest.min(), int(lowest.argmin()) + 1, train["accuracy"][base],
             last(history, "val_accuracy")[base]]
        )  # fmt: skip
        for part, label in (("train", "train"), ("val", "test")):
            lines[f"{label} {name}"] = history[f"{part}_loss"].reshape(-1, len(rates))[:, base]
        if hidden == (300,):
            wide, by_rate = network.select([BASE]), history
    counts.append(Row("784-300-10: test accuracy, lr 0.1", None, found[0][-1]))
    report.compare(counts)
    report.table(
        ("lr 0.1", "train loss", "test loss", "lowest test loss", "at epoch", "train accuracy", "test accuracy"), found
    )
    report.picture(
        curves([("cross-entropy", lines)] * 2, log=[False, True]), "Train and test error, linear and logarithmic"
    )
    best = found[0]
    report.text(
        f"""Overfitting: the train error of {best[0]} falls to {best[1]:.2g}, while its test error has its lowest value
        {best[3]:.3f} at epoch {best[4]} and ends at {best[2]:.3f}. The narrow networks have fewer parameters to learn
        by heart with: their train errors end at {found[1][1]:.3f} and {found[2][1]:.3f}, their test errors at
        {found[1][2]:.3f} and {found[2][2]:.3f}."""
    )
    report.heading("300 hidden units with several learning rates")
    rates_table = [
        [f"{lr:g}", *(last(by_rate, f)[i] for f in ("train_loss", "val_loss", "val_accuracy"))]
        for i, lr in enumerate(RATES)
    ]
    report.table(("learning rate", "train loss", "test loss", "test accuracy"), rates_table)
    shown = {f"{part} lr {lr:g}": by_rate[f"{key}_loss"][:, i] for i, lr in enumerate(RATES)
             for part, key in (("train", "train"), ("test", "val"))}  # fmt: skip
    report.picture(curves([("cross-entropy", shown)] * 2, log=[False, True]), "784-300-10 with several learning rates")
    top = max(rates_table, key=lambda row: row[3])
    report.text(f"The best test accuracy, {top[3]:.4f}, comes with learning rate {top[0]}.")
    return wide


def _full_batch(setup: Setup, report: Report, data: Dataset) -> None:
    setup.progress("mnist: full batch against minibatches")
    report.heading("Full-batch against minibatch gradient descent")
    rows, lines, reached = [], {}, []
    for label, batch_size, lr, epochs in (
        (f"minibatches of {BATCH}, lr 0.1", BATCH, 0.1, 20),
        ("full batch, lr 0.1", None, 0.1, 60),
        ("full batch, lr 0.5", None, 0.5, 60),
    ):
        network = Network(dense((20, 20), ACTIVATION, 10), data.n_inputs, rng=0)
        settings: dict[str, Any] = {
            "epochs": setup.epochs(epochs),
            "batch_size": batch_size,
            "rng": 0,
            "progress": False,
        }
        history = fit(network, "cross_entropy", SGD(lr=lr), data, **settings)
        steps = len(history) * -(-len(data.train) // (batch_size or len(data.train)))
        rows.append([label, len(history), steps, *(history[f][-1] for f in ("val_loss", "val_accuracy"))])
        lines[label] = history["val_loss"]
        reached.append(history["val_loss"][0 if batch_size else -1])
    report.table(("784-20-20-10", "epochs", "steps", "test loss", "test accuracy"), rows)
    report.picture(curves([("test cross-entropy", lines)] * 2, log=[False, True]), "Full batch against minibatches")
    report.text(
        f"""After a single epoch of minibatches the test error is {reached[0]:.3f}; after {rows[1][1]} epochs of the
        full batch, each of which takes one step, it is {reached[1]:.3f} with learning rate 0.1 and
        {reached[2]:.3f} with 0.5.
        An epoch costs the same number of products either way: the gradient of a minibatch is good enough, and comes
        {-(-len(data.train) // BATCH)} times as often."""
    )


def _one_number(setup: Setup, report: Report, data: Dataset, wide: Network) -> None:
    setup.progress("mnist: one numeric output")
    report.heading("One numeric output against one-hot outputs")
    assert data.test is not None
    y, x = data.test.y, data.test.x

    def numeric(part: Part) -> Part:
        return Part(part.x, part.y.astype(np.float32)[:, None])

    numbers = Dataset("mnist as numbers", numeric(data.train), val=numeric(data.test))
    network = Network(dense((300,), ACTIVATION, 1), data.n_inputs, rng=0)
    settings: dict[str, Any] = {
        "epochs": setup.epochs(20),
        "batch_size": BATCH,
        "rng": 0,
        "progress": False,
    }
    fit(network, "mse", Adam(lr=0.001), numbers, **settings)
    output = network.predict(x)[:, 0]
    digit = np.clip(np.rint(output), 0, 9).astype(int)
    p = wide.predict_proba(x)
    right, right_number = p.argmax(axis=1) == y, digit == y
    report.table(
        ("784-300-...", "test accuracy"),
        [
            ["ten outputs, softmax", right.mean()],
            ["one output, mean squared error with Adam, rounded", right_number.mean()],
        ],
    )
    top = p.max(axis=1)
    bands = [(0.0, 0.5), (0.5, 0.9), (0.9, 0.99), (0.99, 1.01)]
    rows = []
    for low, high in bands:
        some = (top >= low) & (top < high)
        if some.any():
            rows.append([f"{low:g} to {min(high, 1):g}", int(some.sum()), top[some].mean(), right[some].mean()])
    report.table(("softmax: largest probability", "digits", "its mean", "accuracy"), rows)
    distance = np.abs(output - np.rint(output))
    near = distance < 0.1
    report.table(
        ("one number: distance from a whole number", "digits", "accuracy"),
        [["below 0.1", int(near.sum()), _share(right_number[near])],
         ["0.1 or more", int((~near).sum()), _share(right_number[~near])]],
    )  # fmt: skip
    report.picture(true_class_histograms({"ten outputs, softmax": p}, y, log=True), "Probability of the true digit")
    figure, axes = new_figure(width=6.0)
    edges = np.linspace(-1, 10, 111)
    for which, label, color in ((right_number, "right", "#1f77b4"), (~right_number, "wrong", "#d62728")):
        axes[0, 0].hist(output[which], edges, alpha=0.6, color=color, label=f"{label} ({which.sum():,})")
    axes[0, 0].set_xlabel("the one output")
    axes[0, 0].set_ylabel("digits")
    axes[0, 0].legend(frameon=False)
    report.picture(figure, "The numeric output, for digits that its rounding gets right and wrong")
    off = np.abs(digit - y)[~right_number]
    report.text(
        f"""One number has to put the digits on a line, where 3 lies between 2 and 4 although it looks like neither:
        {right_number.mean():.4f} right against {right.mean():.4f}. Its mistakes are neighbours in value:
        {(off == 1).mean():.0%} are off by one. How near it is to a whole number says something
        ({_share(right_number[near]):.3f} right when nearer than 0.1, else {_share(right_number[~near]):.3f}); softmax's
        largest probability says more: where it is 0.99 or more, {_share(right[top >= 0.99]):.4f} are right, else
        {_share(right[top < 0.99]):.3f}."""
    )


def _share(hits: np.ndarray) -> float:
    """Their mean; NaN of nothing."""
    return float(hits.mean()) if hits.size else float("nan")
