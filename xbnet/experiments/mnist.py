"""The report `mnist`: fully connected networks on digits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..datasets import Dataset, Part
from ..nn.mlp import mlp
from ..nn.network import Network
from ..optim.optimizers import SGD, Adam
from ..plots import curves, new_figure
from ..training.evaluation import evaluate
from ..training.fit import fit
from .common import Setup, last, same_seeds
from .pictures import true_class_histograms
from .report import Report, Row

TITLE = "MNIST: fully connected networks on digits"
ACTIVATION, BATCH = "relu", 64
WIDE = (300,)
NETWORKS = ((WIDE, 238_510), ((10, 10), 8_070), ((20, 20), 16_330))
"""Hidden widths, and the reported number of parameters."""
RATE, RATES = 0.1, (0.01, 0.1, 0.3)
"""The usual learning rate, and all."""


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
    """The three networks; the wide one with several learning rates as a stack. Its member of the usual rate."""
    report.heading("Parameters, and overfitting")
    counts: list[Row] = []
    found: list[dict[str, Any]] = []
    lines: dict[str, np.ndarray] = {}
    for hidden, reported in NETWORKS:
        rates = RATES if hidden == WIDE else (RATE,)
        run = _Run.of(setup, data, hidden, rates)
        i = rates.index(RATE)
        counts.append(Row(f"{run.name}: parameters", reported, run.network.n_parameters, "equal", 0))
        train, test = evaluate(run.network, "cross_entropy", data.train.x, data.train.y), run.losses["test"][:, i]
        found.append(
            {
                "lr 0.1": run.name,
                "train loss": train["loss"][i],
                "test loss": test[-1],
                "lowest test loss": test.min(),
                "at epoch": int(test.argmin()) + 1,
                "train accuracy": train["accuracy"][i],
                "test accuracy": run.test_accuracy[i],
            }
        )
        lines |= {f"{part} {run.name}": losses[:, i] for part, losses in run.losses.items()}
        if hidden == WIDE:
            wide = run
    best, *narrow = found
    counts.append(Row(f"{best['lr 0.1']}: test accuracy, lr {RATE}", None, best["test accuracy"]))
    report.compare(counts)
    report.table(tuple(best), [list(row.values()) for row in found])
    report.picture(
        curves([("cross-entropy", lines)] * 2, log=[False, True]), "Train and test error, linear and logarithmic"
    )
    report.text(
        f"""Overfitting: the train error of {best["lr 0.1"]} falls to {best["train loss"]:.2g}, while its test error has
        its lowest value {best["lowest test loss"]:.3f} at epoch {best["at epoch"]} and ends at {best["test loss"]:.3f}.
        The narrow networks have fewer parameters to learn by heart with: their train errors end at
        {" and ".join(f"{row['train loss']:.3f}" for row in narrow)}, their test errors at
        {" and ".join(f"{row['test loss']:.3f}" for row in narrow)}."""
    )
    _rates(report, wide)
    return wide.network.select([RATES.index(RATE)])


@dataclass(frozen=True)
class _Run:
    """A stack of one network with several learning rates: losses by epoch (E, R), accuracies at the end (R,)."""

    name: str
    network: Network
    losses: dict[str, np.ndarray]
    test_accuracy: np.ndarray

    @classmethod
    def of(cls, setup: Setup, data: Dataset, hidden: tuple[int, ...], rates: tuple[float, ...]) -> _Run:
        name = "-".join(map(str, (data.n_inputs, *hidden, 10)))
        setup.progress(f"mnist: {name}, learning rates {', '.join(map(str, rates))}")
        seeds = same_seeds(0, len(rates))
        network = Network(mlp(hidden, 10, ACTIVATION), data.n_inputs, replicas=len(rates), rng=seeds)
        history = fit(
            network, "cross_entropy", SGD(lr=rates), data, epochs=setup.epochs(25), batch_size=BATCH, rng=seeds,
            progress=False,
        )  # fmt: skip
        losses = {
            label: history[f"{part}_loss"].reshape(-1, len(rates))
            for label, part in (("train", "train"), ("test", "val"))
        }
        return cls(name, network, losses, last(history, "val_accuracy"))


def _rates(report: Report, wide: _Run) -> None:
    report.heading("300 hidden units with several learning rates")
    table = [
        [f"{lr:g}", wide.losses["train"][-1, i], wide.losses["test"][-1, i], wide.test_accuracy[i]]
        for i, lr in enumerate(RATES)
    ]
    report.table(("learning rate", "train loss", "test loss", "test accuracy"), table)
    shown = {f"{part} lr {lr:g}": wide.losses[part][:, i] for i, lr in enumerate(RATES) for part in ("train", "test")}
    report.picture(
        curves([("cross-entropy", shown)] * 2, log=[False, True]), f"{wide.name} with several learning rates"
    )
    top = int(wide.test_accuracy.argmax())
    report.text(f"The best test accuracy, {wide.test_accuracy[top]:.4f}, comes with learning rate {RATES[top]:g}.")


def _full_batch(setup: Setup, report: Report, data: Dataset) -> None:
    setup.progress("mnist: full batch against minibatches")
    report.heading("Full-batch against minibatch gradient descent")
    rows, lines = [], {}
    for label, batch_size, lr, epochs in (
        (f"minibatches of {BATCH}, lr 0.1", BATCH, 0.1, 20),
        ("full batch, lr 0.1", None, 0.1, 60),
        ("full batch, lr 0.5", None, 0.5, 60),
    ):
        network = Network(mlp((20, 20), 10, ACTIVATION), data.n_inputs, rng=0)
        history = fit(
            network, "cross_entropy", SGD(lr=lr), data, epochs=setup.epochs(epochs), batch_size=batch_size, rng=0,
            progress=False,
        )  # fmt: skip
        steps = len(history) * -(-len(data.train) // (batch_size or len(data.train)))
        rows.append([label, len(history), steps, *(history[f][-1] for f in ("val_loss", "val_accuracy"))])
        lines[label] = history["val_loss"]
    report.table(("784-20-20-10", "epochs", "steps", "test loss", "test accuracy"), rows)
    report.picture(curves([("test cross-entropy", lines)] * 2, log=[False, True]), "Full batch against minibatches")
    mini, *full = lines.values()
    report.text(
        f"""After a single epoch of minibatches the test error is {mini[0]:.3f}; after {len(full[0])} epochs of the
        full batch, each of which takes one step, it is {full[0][-1]:.3f} with learning rate 0.1 and
        {full[1][-1]:.3f} with 0.5. An epoch costs the same number of products either way: the gradient of a minibatch
        is good enough, and comes {-(-len(data.train) // BATCH)} times as often."""
    )


def _one_number(setup: Setup, report: Report, data: Dataset, wide: Network) -> None:
    setup.progress("mnist: one numeric output")
    report.heading("One numeric output against one-hot outputs")
    assert data.test is not None
    y, x = data.test.y, data.test.x

    def numeric(part: Part) -> Part:
        return Part(part.x, part.y.astype(np.float32)[:, None])

    numbers = Dataset("mnist as numbers", numeric(data.train), val=numeric(data.test))
    network = Network(mlp((300,), 1, ACTIVATION), data.n_inputs, rng=0)
    fit(
        network, "mse", Adam(lr=0.001), numbers, epochs=setup.epochs(20), batch_size=BATCH, rng=0, progress=False
    )  # fmt: skip
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
