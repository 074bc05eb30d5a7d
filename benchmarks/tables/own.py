"""xbnet on a table: by its command, and by its estimators."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xbnet import PeriodicEmbedding, XBClassifier, XBRegressor
from xbnet.cli import main as xbnet

from .clocks import Clock, Found
from .data import folds

FLAGS: list[str] = []
"""More for `xbnet train`."""


def estimator(train: pd.DataFrame, held_back: pd.DataFrame, target: str) -> Found:
    kind = XBRegressor if train[target].dtype.kind in "if" else XBClassifier
    return fitted(kind.for_tables(random_state=0), train, held_back, target)


class Embedded:
    """``for_tables()`` with RealMLP's embedding of the numbers in front."""

    def __init__(self, kind: type[Any]):
        self.kind = kind

    def fit(self, X: pd.DataFrame, y: pd.Series) -> None:
        first = self.kind.for_tables(max_iter=1, random_state=0).fit(X, y)  # for its schema
        inputs = first.schema_.encode(X)
        numbers = [at for at in range(inputs.shape[1]) if len(np.unique(inputs[:, at])) > 2]
        embedding = PeriodicEmbedding(4, n_frequencies=16, sigma=0.1, columns=numbers)
        self.model = self.kind.for_tables(hidden_layer_sizes=(embedding, 32), random_state=0).fit(X, y)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


def embedded(train: pd.DataFrame, held_back: pd.DataFrame, target: str) -> Found:
    kind = XBRegressor if train[target].dtype.kind in "if" else XBClassifier
    return fitted(Embedded(kind), train, held_back, target)


def fitted(model: Any, train: pd.DataFrame, held_back: pd.DataFrame, target: str) -> Found:
    """The time of fitting begins with the reading of a file, as the command's does."""
    fit, predict = Clock(), Clock()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.csv"
        train.to_csv(path, index=False)
        with fit:
            rows = pd.read_csv(path, keep_default_na=False, na_values=[""])
            model.fit(rows.drop(columns=target), rows[target])
    X = held_back.drop(columns=target)
    classify = train[target].dtype.kind not in "if"
    with predict:
        values = model.predict_proba(X) if classify else model.predict(X)
    return Found(np.asarray(values), model.classes_ if classify else None, fit, predict)


def command(train: pd.DataFrame, held_back: pd.DataFrame, target: str) -> Found:
    """The command: it is timed when it keeps nothing, for pictures are no part of fitting."""
    fit, predict = Clock(), Clock()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), train, held_back, target)
        with fit:
            said(run.train)
        said([*run.train, "--out", run.model])
        with predict:
            values = run.predicted()
        return Found(values, run.classes, fit, predict)


class Run:
    """The flags of the command, and its predictions for the held-out rows."""

    def __init__(self, folder: Path, train: pd.DataFrame, held_back: pd.DataFrame, target: str):
        self.folder, self.model, self.target = folder, str(folder / "run"), target
        train.to_csv(folder / "train.csv", index=False)
        held_back.drop(columns=target).to_csv(folder / "new.csv", index=False)
        self.train = ["train", "--data", str(folder / "train.csv"), "--target", target, "--quiet", *FLAGS]
        self.classes: list[str] | None = None

    def predicted(self) -> np.ndarray:
        out = self.folder / "predictions.csv"
        said(["predict", self.model, "--data", str(self.folder / "new.csv"), "--out", str(out)])
        found = pd.read_csv(out)
        if "label" not in found:
            return found[self.target].to_numpy()
        names = [name for name in found if name.startswith("p_")]
        self.classes = [name.removeprefix("p_") for name in names]
        return found[names].to_numpy()

    def by_onnxruntime(self) -> np.ndarray:
        """Raw rows in, without xbnet."""
        import onnxruntime

        said(["export", self.model, "--out", str(self.folder / "model.onnx")])
        session = onnxruntime.InferenceSession(self.folder / "model.onnx", providers=["CPUExecutionProvider"])
        about = session.get_modelmeta().custom_metadata_map
        columns = json.loads(about["schema"])["columns"]
        text = [column["name"] for column in columns if column["kind"] == "category"]
        rows = pd.read_csv(self.folder / "new.csv", dtype=dict.fromkeys(text, str))
        feed = {}
        for column, entry in zip(columns, json.loads(about["inputs"]), strict=True):
            values = rows[column["name"]]
            values = values.fillna("").astype(object) if column["name"] in text else values.astype(float)
            feed[entry] = values.to_numpy()[:, None]
        values = session.run([session.get_outputs()[0].name], feed)[0]
        return values[:, 0] if values.shape[1] == 1 else values


def said(argv: list[str]) -> str:
    """The output of the command; its failure ends the benchmark."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = xbnet(argv)
    if code:
        raise SystemExit(code)
    return out.getvalue()


def difference(frame: pd.DataFrame, target: str, *flags: str) -> float:
    """Difference between `xbnet predict` and onnxruntime on the first held-out rows, relative to the largest value."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), *folds(frame, target)[0], target)
        said([*run.train, *flags, "--out", run.model])
        expected = run.predicted()
        return float(np.abs(run.by_onnxruntime() - expected).max() / np.abs(expected).max())
