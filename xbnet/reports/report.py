"""`report`: is the model good? One self-contained page, or figures to go on with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import Dataset
from ..datasets.schema import Schema
from ..errors import ConfigError, DataError, counted
from ..history import History
from ..io.ensembles import Ensemble, load_any
from ..io.models import Model
from ..nn.network import Network
from ..replicas import Seed
from ..version import __version__
from .figures import Findings, classification, multilabel, regression
from .importance import MOST_COLUMNS, MOST_ROWS, importance_figure, importance_table, permutation_importance
from .page import OnPage, Page
from .rows import readable

WORST = 10
"""Rows that the page shows of those that the model is most wrong about."""
MOST_SHOWN_COLUMNS = 12


@dataclass
class Report(OnPage):
    """A model's figures on data; `html` is the page, `save` writes it.

    Attributes
    ----------
    title
        The title of the page.
    rows
        N, how many were predicted.
    figures
        Name -> number, such as "accuracy" or "R2".
    pictures
        Title -> a matplotlib figure.
    importance
        Column -> mean and standard deviation of the loss in score when it is permuted; empty unless asked for.
    page
        The parts of `html`.
    worst
        (up to 10,) numbers of the rows that the model is most wrong about, the worst first.

    Examples
    --------
    >>> import xbnet
    >>> data = xbnet.load_dataset("gmm")
    >>> network = xbnet.Network([xbnet.Linear(5)], n_inputs=5, rng=0)
    >>> found = xbnet.report(network, data, importance=False)
    >>> found.rows, "accuracy" in found.figures
    (6250, True)
    """

    title: str
    rows: int
    figures: dict[str, float]
    pictures: dict[str, Any]
    importance: dict[str, tuple[float, float]]
    worst: np.ndarray
    page: Page = field(repr=False)


def report(
    model: str | Path | Model | Ensemble | Network,
    data: Dataset | tuple[np.ndarray, np.ndarray],
    *,
    part: str | None = None,
    settings: str | None = None,
    importance: bool = True,
    repeats: int = 5,
    rng: Seed = 0,
    title: str | None = None,
) -> Report:
    """Predict a part of a data set, and find out how good the predictions are.

    Parameters
    ----------
    model
        A `Network` or `Model` of one network, an `Ensemble`, or the file or run folder to load one from.
    data
        Prepared as the model was trained: ``load_dataset`` with the same settings (for an ensemble without `scaling`,
        for each of its networks has a scaling of its own); or a pair of prepared inputs (N, I)
        and targets: labels (N,) in [0, C), (N, C) of 0 and 1, or values (N, O).
    part
        "train", "val" or "test" of a data set; by default the last of them that is there.
    settings
        Text to show as the settings of the run.
    importance
        Whether to measure how much permuting each column costs.
    repeats
        Permutations of each column.
    rng
        Seed of the permutations.
    title
        The title of the page.

    Returns
    -------
    Report

    Raises
    ------
    DataError
        The data do not fit the model, or there is no such part.
    ConfigError
        scikit-learn is not installed.

    Examples
    --------
    >>> import xbnet
    >>> data = xbnet.load_dataset("swissroll")
    >>> net = xbnet.Network([xbnet.Linear(8, "tanh"), xbnet.Linear(2)], n_inputs=2, rng=0)
    >>> history = xbnet.fit(net, "cross_entropy", xbnet.Adam(lr=0.02), data, epochs=5, rng=0)
    >>> found = xbnet.report(net, data)
    >>> sorted(found.figures)
    ['ROC AUC', 'accuracy', 'average precision', 'balanced accuracy', 'log loss']
    """
    dataset = data if isinstance(data, Dataset) else None
    model = _model_of(model, dataset)
    name, x, y = ("", *data) if not isinstance(data, Dataset) else _part_of(data, part, model)
    known = model.classes or (dataset.classes if dataset else None) or range(model.n_outputs)
    classes = [str(c) for c in known]
    judge = _judge(model, classes, _targets_of(dataset, model))
    found = judge(x, y, True)
    page = Page(title or (f"{Path(dataset.name).name}: " if dataset else "") + "how good is the model?")
    of = f" of the {name} part" if name else ""
    page.parts.append(page.text(f"{counted(len(x), 'row')}{of}, {counted(model.n_inputs, 'input')}."))
    page.parts.append(page.figures(found.figures))
    _show_history(page, model.history if isinstance(model, Model) else None)
    for heading, picture in found.pictures.items():
        page.section(heading, page.picture(picture, heading))
    for heading, (head, rows) in found.tables.items():
        page.section(heading, page.table(head, rows))
    columns = columns_of(dataset, model)
    costs = {}
    if importance and len(columns) <= MOST_COLUMNS and len(x) > 1:
        costs = _importance(judge, found, x, y, columns, repeats, rng)
        kind = next(iter(found.figures))
        picture = importance_figure(costs, kind)
        page.section("Which columns matter", page.picture(picture, "importance"), importance_table(costs))
    worst = np.argsort(-found.losses, kind="stable")[:WORST]
    page.section("Rows with the largest loss", _worst_rows(page, model, dataset, x, y, worst, found, classes))
    page.section("Data", page.text(repr(dataset)) if dataset else "")
    page.section(
        "Network" if model.size == 1 else f"{model.size} networks, whose answers are averaged",
        page.code("\n\n".join(network.describe() for network, _ in model.members())),
    )
    if settings:
        page.section("Settings", page.code(settings))
    return Report(page.title, len(x), found.figures, found.pictures, costs, worst, page)


def _model_of(model: str | Path | Model | Ensemble | Network, data: Dataset | None) -> Model | Ensemble:
    if isinstance(model, Network):
        classes, schema = (data.classes, data.schema) if data else (None, None)
        return Model(model, classes, None, None, __version__, schema=schema)
    return model if isinstance(model, (Model, Ensemble)) else load_any(model)


def _part_of(data: Dataset, part: str | None, model: Model | Ensemble) -> tuple[str, np.ndarray, np.ndarray]:
    """Name, inputs and targets of the part to predict."""
    parts = dict(data.parts())
    name = part or list(parts)[-1]
    if name not in parts:
        raise DataError(f"report: expected part to be one of {', '.join(parts)}, got {name!r}")
    if data.n_inputs != model.n_inputs:
        raise DataError(f"report: expected {model.n_inputs} inputs as the model has, got {data.n_inputs}")
    y = parts[name].y
    if data.target_scale is not None and model.target_scale is not None:  # the model answers in the targets' own units
        y = y * data.target_scale.scale + data.target_scale.mean
    return name, parts[name].x, y


def _schema_of(data: Dataset | None, model: Model | Ensemble) -> Schema | None:
    return model.schema if data is None or data.schema is None else data.schema


def _targets_of(data: Dataset | None, model: Model | Ensemble) -> list[str]:
    """Names of a regression's targets."""
    schema = _schema_of(data, model)
    if schema is not None and schema.target is not None:
        return list(schema.target.names)
    n = model.n_outputs
    return ["y"] if n == 1 else [f"y{i}" for i in range(n)]


Judge = Callable[[np.ndarray, np.ndarray, bool], Findings]


def _judge(model: Model | Ensemble, classes: Sequence[str], targets: Sequence[str]) -> Judge:
    """The function from inputs, targets, and whether pictures are wanted, to what is found."""
    link = model.link
    if link == "scores":
        raise ConfigError(
            "report: expected a model with probabilities or values; a classifier trained with mse has neither"
        )

    def judge(x: np.ndarray, y: np.ndarray, pictures: bool) -> Findings:
        values = model.outputs(x).astype(float)
        if link == "identity":
            return regression(values, np.asarray(y, float).reshape(len(x), -1), targets, pictures=pictures)
        if link == "multilabel":
            return multilabel(values, y, classes, pictures=pictures)
        return classification(values / values.sum(axis=1, keepdims=True), y, classes, pictures=pictures)

    return judge


def _importance(
    judge: Judge,
    found: Findings,
    x: np.ndarray,
    y: np.ndarray,
    columns: Mapping[str, Sequence[int]],
    repeats: int,
    rng: Seed,
) -> dict[str, tuple[float, float]]:
    """Return by how much permuting each column worsens the first figure: mean and spread."""
    kind = next(iter(found.figures))
    rows = np.random.default_rng(rng).permutation(len(x))[:MOST_ROWS]
    some_y = y[rows]

    def score(inputs: np.ndarray) -> float:
        return judge(inputs, some_y, False).figures[kind]

    return permutation_importance(score, x[rows], columns, repeats=repeats, rng=rng)


def _inputs_of(data: Dataset | None, model: Model | Ensemble) -> list[str]:
    """Names of the inputs (I,)."""
    names = (data.features if data else None) or model.features
    return list(names or (f"x{i}" for i in range(model.n_inputs)))


def columns_of(data: Dataset | None, model: Model | Ensemble) -> dict[str, Sequence[int]]:
    """Name of each column of the table -> the inputs that it became."""
    schema = _schema_of(data, model)
    if schema is None:
        names = _inputs_of(data, model)
        return {name: [i] for i, name in enumerate(names)}
    starts = np.cumsum([0, *(column.width for column in schema.columns)])
    return {c.name: range(a, a + c.width) for c, a in zip(schema.columns, starts[:-1].tolist(), strict=True)}


def _show_history(page: Page, history: History | None) -> None:
    if history is not None and len(history):
        best = ", ".join(str(int(epoch)) for epoch in history.best_epoch[:8])
        line = f"{len(history)} epochs, {', '.join(dict.fromkeys(history.status))}; best epoch {best}."
        page.section("Training", page.picture(history.plot(), "loss and accuracy by epoch"), page.text(line))


def _worst_rows(
    page: Page,
    model: Model | Ensemble,
    data: Dataset | None,
    x: np.ndarray,
    y: np.ndarray,
    worst: np.ndarray,
    found: Findings,
    classes: Sequence[str],
) -> str:
    """A table of the rows: true and predicted values, and the first columns as the table has them."""
    values = model.outputs(x[worst]).astype(float)
    schema = _schema_of(data, model)
    own = model.preparation if isinstance(model, Model) else None  # each network of an ensemble has one of its own
    scaler = own if schema is None else schema.scaler
    if scaler is None and data is not None:
        scaler = data.preparation
    names, texts = readable(x[worst], _inputs_of(data, model), schema, scaler)
    rows = []
    for row, value, columns in zip(worst, values, texts, strict=True):
        if model.link == "identity":
            right, said = " ".join(f"{v:.5g}" for v in np.ravel(y[row])), " ".join(f"{v:.5g}" for v in value)
        elif model.link == "multilabel":
            right = "|".join(c for c, on in zip(classes, y[row], strict=True) if on)
            said = "|".join(c for c, p in zip(classes, value, strict=True) if p >= 0.5)
        else:
            right, said = classes[int(y[row])], f"{classes[int(value.argmax())]} ({value.max():.0%})"
        rows.append((int(row), right, said, float(found.losses[row]), *columns[:MOST_SHOWN_COLUMNS]))
    return page.table(("row", "true", "predicted", "loss", *names[:MOST_SHOWN_COLUMNS]), rows)
