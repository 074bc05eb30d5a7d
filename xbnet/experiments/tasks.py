"""The report `tasks`: a library of modules, and the tasks that it solves one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..datasets import Dataset
from ..nn.layers import Linear
from ..nn.losses import SoftmaxCrossEntropy
from ..nn.mlp import mlp
from ..nn.network import Network
from ..optim.optimizers import SGD
from ..plots import curves, decision_regions
from ..training.fit import fit
from .common import Setup, best_by_training, last, train_seeds
from .gradients import gradient_section, jacobian_section
from .report import Report, Row

TITLE = "Tasks: a module-based library, from one example to GMM and SwissRoll"
SEEDS = 5
EXAMPLE, LABEL, CLASSES = np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([0]), 3


def run(setup: Setup) -> Report:
    """All tasks that show figures: 1, 3, 6 and 7."""
    report = Report("tasks", TITLE)
    gmm, peaks, roll = (setup.points(name) for name in ("gmm", "peaks", "swissroll"))
    setup.say_data(report)
    report.text(
        f"""Accuracies are those of the files' validation parts, which the report calls test. Where several seeds are
        trained ({SEEDS} here, as one stack), "ours" is the network with the lowest training loss, and the table behind
        it shows all."""
    )

    setup.progress("tasks: gradient test of the softmax objective")
    softmax = Network([Linear(CLASSES)], 4, dtype="float64", rng=0)
    report.heading("Task 1: gradient test of the softmax objective on x = [1, 2, 3, 4], label 0")
    gradient_section(report, softmax, EXAMPLE, LABEL)

    setup.progress("tasks: one example, softmax regression")
    report.heading("Task 3: SGD on one example, and softmax regression")
    _one_example(report)
    _softmax_regression(setup, report, {"GMM": gmm, "Peaks": peaks})

    setup.progress("tasks: Jacobian and gradient test of a two-layer network")
    report.heading("Task 6: Jacobian and gradient test of a two-layer network on the same example")
    two_layers = Network(mlp([5], CLASSES, "tanh"), 4, dtype="float64", rng=0)
    jacobian_section(report, two_layers, EXAMPLE)
    gradient_section(report, two_layers, EXAMPLE, LABEL)

    report.heading("Task 7: hidden layers of 10 and 7, tanh, batch 64, 250 epochs, learning rate 0.1")
    rows, table, loss, accuracy = [], [], {}, {}
    for label, data, reported in (("GMM", gmm, 0.9857), ("SwissRoll", roll, 1.0)):
        setup.progress(f"tasks: two hidden layers on {label}")
        epochs = setup.epochs(250)
        layers = mlp([10, 7], data.n_outputs, "tanh")
        network, history = train_seeds(layers, data, SGD(lr=0.1), seeds=SEEDS, epochs=epochs, batch_size=64)
        chosen = best_by_training(history)
        rows.append(Row(f"{label}, accuracy", reported, last(history, "val_accuracy")[chosen], decimals=4))
        table.append([label, *last(history, "val_accuracy")])
        for part in ("train", "val"):
            loss[f"{part} {label}"] = history[f"{part}_loss"][:, chosen]
            accuracy[f"{part} {label}"] = history[f"{part}_accuracy"][:, chosen]
        if label == "SwissRoll" and data.val is not None:
            regions = decision_regions(network.select([chosen]), data.val.x, data.val.y)
    report.compare(rows)
    report.table(("accuracy of each seed", *map(str, range(SEEDS))), table)
    figure = curves([("loss", loss), ("loss", loss), ("accuracy", accuracy)], log=[False, True, False], width=4.2)
    report.picture(figure, "Two hidden layers: loss on a linear and on a logarithmic axis, and accuracy")
    report.picture(regions, "SwissRoll: what the network decides over the plane, with validation samples")
    return report


def _one_example(report: Report) -> None:
    """By the modules themselves: `fit` would ask for samples of every class."""
    network = Network([Linear(CLASSES)], 4, dtype="float64", rng=0)
    objective, optimizer = SoftmaxCrossEntropy().bind(network), SGD(lr=0.1).bind(network)
    loss = np.zeros(50)
    for epoch in range(50):
        logits = network.forward(EXAMPLE[None], training=True)
        loss[epoch] = np.asarray(objective(logits, LABEL[None], network.output_gradient))[0, 0]
        network.backward()
        optimizer.step()
    report.text(f"One example, 50 epochs: the loss falls from {loss[0]:.4f} to {loss[-1]:.2e}; it is learnt by heart.")
    report.picture(curves([("loss", {"loss": loss})] * 2, log=[False, True], width=4.2), "Overfitting one example")


def _softmax_regression(setup: Setup, report: Report, sets: dict[str, Dataset]) -> None:
    table: list[list[Any]] = []
    lines: dict[str, np.ndarray] = {}
    told = []
    for label, data in sets.items():
        network = Network([Linear(data.n_outputs)], data.n_inputs, rng=0)
        history = fit(
            network, "cross_entropy", SGD(lr=0.1), data, epochs=setup.epochs(200), batch_size=64, rng=0, progress=False
        )
        half, end = history["val_accuracy"][len(history) // 2 - 1], history["val_accuracy"][-1]
        table.append([label, *(history[k][-1] for k in ("train_loss", "train_accuracy")), end, half])
        lines |= {f"{part} {label}": history[f"{part}_accuracy"] for part in ("train", "val")}
        told.append(f"{end:.4f} on {label}, {end - half:+.4f} in the second half of the epochs")
    report.table(("softmax regression, lr 0.1", "loss", "train", "validation", "at half the epochs"), table)
    report.text(f"A linear model fits neither set; its accuracy ends at {'; and at '.join(told)}.")
    report.picture(curves([("accuracy", lines)]), "Softmax regression does not fit these sets")
