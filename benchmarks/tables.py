"""xbnet's defaults on real tables, beside scikit-learn's linear models and networks, in five folds each.

``OPENBLAS_NUM_THREADS=1 python -m benchmarks.tables FOLDER [NAME ...]`` prints a row per table and model: accuracy and
log loss, or R2 and RMSE, means of the folds, and the processor time of fitting. ``train`` is `xbnet train --data FILE
--target COLUMN` and `xbnet predict`, without any other flag; ``estimator`` is `XBClassifier.for_tables()` or
`XBRegressor.for_tables()`. With ``--check`` it is shown instead that `predict` on raw
rows, and onnxruntime on the exported model, end in the same numbers. Other flags are handed to `xbnet train`, to see
what they change; ``--models train`` leaves the others out.

FOLDER holds NAME.csv or NAME.csv.gz for names in `TARGETS`. Folds and rivals' settings: StratifiedKFold or KFold (5,
shuffled by seed 0), numbers scaled, missing ones filled by the median with an indicator, categories one-hot.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from xbnet import XBClassifier, XBRegressor
from xbnet.cli import main as xbnet

TARGETS = {
    "penguins": "species", "credit": "Status", "ames": "Sale_Price", "diamonds": "price", "churn": "churn",
    "attrition": "Attrition", "hitters": "Salary", "wage": "wage", "concrete": "compressive_strength",
    "titanic": "survived",
}  # fmt: skip
FLAGS: list[str] = []
"""More for `xbnet train`."""
LESS = 0.01
"""So much less than the better rival is as good."""


def tables(folder: Path, names: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """The tables, as text where they hold text."""
    for path in sorted(folder.glob("*.csv*")):
        name = path.name.split(".")[0]
        if name in (names or TARGETS):
            yield name, pd.read_csv(path, keep_default_na=False, na_values=[""])


def folds(frame: pd.DataFrame, target: str) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Training and held-back rows."""
    kind = KFold if frame[target].dtype.kind in "if" else StratifiedKFold
    pairs = kind(5, shuffle=True, random_state=0).split(frame, frame[target])
    return [(frame.iloc[train], frame.iloc[held_back]) for train, held_back in pairs]


# -- models: training rows, held-back rows, target -> probabilities or values, classes, and seconds --------------------

Found = tuple[np.ndarray, Any, float]


def rival(name: str) -> Callable[[pd.DataFrame, pd.DataFrame, str], Found]:
    """A pipeline of scikit-learn's around "linear" or "mlp"."""

    def run(train: pd.DataFrame, held_back: pd.DataFrame, target: str) -> Found:
        numbers, text = make_column_selector(dtype_include="number"), make_column_selector(dtype_exclude="number")
        prepared = make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore", min_frequency=5, sparse_output=False), text),
        )
        if train[target].dtype.kind in "if":
            inner = RidgeCV() if name == "linear" else MLPRegressor(early_stopping=True, random_state=0)
            model = TransformedTargetRegressor(make_pipeline(prepared, inner), transformer=StandardScaler())
        else:
            network = MLPClassifier(early_stopping=True, random_state=0)
            model = make_pipeline(prepared, LogisticRegression(max_iter=1000) if name == "linear" else network)
        return fitted(model, train, held_back, target)

    return run


def estimator(train: pd.DataFrame, held_back: pd.DataFrame, target: str) -> Found:
    kind = XBRegressor if train[target].dtype.kind in "if" else XBClassifier
    return fitted(kind.for_tables(random_state=0), train, held_back, target)


def fitted(model: Any, train: pd.DataFrame, held_back: pd.DataFrame, target: str) -> Found:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.csv"
        train.to_csv(path, index=False)
        started = time.process_time()
        rows = pd.read_csv(path, keep_default_na=False, na_values=[""])  # as the command does
        model.fit(rows.drop(columns=target), rows[target])
        seconds = time.process_time() - started
    X = held_back.drop(columns=target)
    if train[target].dtype.kind in "if":
        return model.predict(X), None, seconds
    return model.predict_proba(X), model.classes_, seconds


def command(train: pd.DataFrame, held_back: pd.DataFrame, target: str) -> Found:
    """The command: it is timed when it keeps nothing, for pictures are no part of fitting."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), train, held_back, target)
        started = time.process_time()
        said(run.train)
        seconds = time.process_time() - started
        said([*run.train, "--out", run.model])
        return run.predicted(), run.classes, seconds


class Run:
    """What the command is told, and what it says of the held-back rows."""

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
    """What the command prints; where it fails, that ends the benchmark."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = xbnet(argv)
    if code:
        raise SystemExit(code)
    return out.getvalue()


MODELS = {"linear": rival("linear"), "mlp": rival("mlp"), "train": command, "estimator": estimator}


# -- figures -----------------------------------------------------------------------------------------------------------


def figures(model: str, frame: pd.DataFrame, target: str) -> tuple[float, float, float]:
    """Accuracy and log loss, or R2 and RMSE, means of the folds; and seconds for all of them."""
    first, second, total = [], [], 0.0
    for train, held_back in folds(frame, target):
        found, classes, seconds = MODELS[model](train, held_back, target)
        y, total = held_back[target].to_numpy(), total + seconds
        if classes is None:
            first.append(r2_score(y, found))
            second.append(root_mean_squared_error(y, found))
        else:
            y = y.astype(str)
            first.append(accuracy_score(y, np.asarray(classes, str)[found.argmax(axis=1)]))
            second.append(log_loss(y, found / found.sum(axis=1, keepdims=True), labels=list(map(str, classes))))
    return float(np.mean(first)), float(np.mean(second)), total


def verdict(found: dict[str, tuple[float, float, float]], model: str, classify: bool) -> str:
    """What falls short of the rivals, in words."""
    linear, mlp, own = found["linear"], found["mlp"], found[model]
    short = []
    if own[0] < max(linear[0], mlp[0]) - LESS:
        short.append("score")
    if classify and own[1] > min(linear[1], mlp[1]):
        short.append("log loss")
    if own[2] > mlp[2] / 2:
        short.append("time")
    return ", ".join(short) or "as good"


def difference(frame: pd.DataFrame, target: str, *flags: str) -> float:
    """Of `xbnet predict` and onnxruntime on the raw rows held back first, as a share of the largest value."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), *folds(frame, target)[0], target)
        said([*run.train, *flags, "--out", run.model])
        expected = run.predicted()
        return float(np.abs(run.by_onnxruntime() - expected).max() / np.abs(expected).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--check", action="store_true", help="compare predict with onnxruntime instead")
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(MODELS), metavar="NAME,..")
    args, more = parser.parse_known_args()
    FLAGS[:] = more
    warnings.simplefilter("ignore")
    logging.getLogger("xbnet").setLevel(logging.ERROR)
    if args.check:
        for name, frame in tables(args.folder, args.names):
            print(f"{name}: predict and onnxruntime differ by {difference(frame, TARGETS[name]):.1e}", flush=True)
        return
    print("| table | model | accuracy or R2 | log loss or RMSE | seconds | |\n|---|---|---|---|---|---|")
    for name, frame in tables(args.folder, args.names):
        found = {}
        for model in args.models:
            found[model] = figures(model, frame, TARGETS[name])
            score, loss, seconds = found[model]
            classify = frame[TARGETS[name]].dtype.kind not in "if"
            own = model in ("train", "estimator") and {"linear", "mlp"} <= set(found)
            word = verdict(found, model, classify) if own else ""
            print(f"| {name} | {model} | {score:.4f} | {loss:.4g} | {seconds:.1f} | {word} |", flush=True)


if __name__ == "__main__":
    main()
