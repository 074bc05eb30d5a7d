"""XBClassifier against scikit-learn's MLPClassifier: fit time at equal epochs, and accuracy over seeds.

``OPENBLAS_NUM_THREADS=1 taskset -c 0 python -m benchmarks.estimator`` prints both tables. Times are processor time,
medians of interleaved runs in one process, so that whatever else the machine does falls on all alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine, make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xbnet import XBClassifier, XBRegressor

CLASSIFICATION = {"digits": load_digits, "wine": load_wine, "breast_cancer": load_breast_cancer}


def friedman(return_X_y: bool = True) -> Any:
    """A table like california's, which is not shipped: 5,000 rows, 8 inputs, a noisy non-linear target."""
    X, y = make_friedman1(5000, 8, noise=1.0, random_state=0)
    return X, (y - y.mean()) / y.std()


def diabetes(return_X_y: bool = True) -> Any:
    X, y = load_diabetes(return_X_y=True)
    return X, (y - y.mean()) / y.std()


REGRESSION = {"diabetes": diabetes, "friedman": friedman}


def fit_times(name: str, epochs: int, runs: int) -> dict[str, float]:
    """Median processor time, in seconds, of `fit` with default settings and a fixed number of epochs."""
    classify = name in CLASSIFICATION
    X, y = (CLASSIFICATION if classify else REGRESSION)[name](return_X_y=True)
    theirs, ours = (MLPClassifier, XBClassifier) if classify else (MLPRegressor, XBRegressor)
    X = StandardScaler().fit_transform(X)
    settings = {"max_iter": epochs, "n_iter_no_change": epochs + 1, "random_state": 0}
    small = X.astype(np.float32)
    models = {
        "sklearn float64": (theirs(**settings), X),
        "xbnet float64": (ours(dtype="float64", **settings), X),
        "sklearn float32": (theirs(**settings), small),
        "xbnet float32": (ours(**settings), X),
    }
    times: dict[str, list[float]] = {key: [] for key in models}
    for run in range(runs + 1):  # the first one warms up
        for key, (model, inputs) in models.items():
            started = time.process_time()
            model.fit(inputs, y)
            if run:
                times[key].append(time.process_time() - started)
    return {key: statistics.median(values) for key, values in times.items()}


def scores(name: str, seeds: int) -> dict[str, list[float]]:
    """Test scores with default settings, standardized inputs, over seeds of split and network."""
    classify = name in CLASSIFICATION
    X, y = (CLASSIFICATION if classify else REGRESSION)[name](return_X_y=True)
    kinds = (MLPClassifier, XBClassifier) if classify else (MLPRegressor, XBRegressor)
    found: dict[str, list[float]] = {"sklearn": [], "xbnet": []}
    for seed in range(seeds):
        parts = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=y if classify else None)
        for key, kind in zip(found, kinds, strict=True):
            model = make_pipeline(StandardScaler(), kind(random_state=seed)).fit(parts[0], parts[2])
            found[key].append(float(model.score(parts[1], parts[3])))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    result: dict[str, Any] = {"fit_seconds": {}, "scores": {}}
    for name in [*CLASSIFICATION, *REGRESSION]:
        times = result["fit_seconds"][name] = fit_times(name, args.epochs, args.runs)
        ratios = [
            times["sklearn float64"] / times["xbnet float64"],
            times["sklearn float32"] / times["xbnet float32"],
            times["sklearn float64"] / times["xbnet float32"],
        ]
        line = ", ".join(f"{key} {value * 1e3:.1f} ms" for key, value in times.items())
        print(f"{name:<14} {line}; faster at float64 {ratios[0]:.2f}, at float32 {ratios[1]:.2f}, "
              f"our float32 against its float64 {ratios[2]:.2f}", flush=True)  # fmt: skip
    for name in [*CLASSIFICATION, *REGRESSION]:
        found = result["scores"][name] = scores(name, args.seeds)
        line = ", ".join(f"{k} {statistics.mean(v):.4f} +- {statistics.stdev(v):.4f}" for k, v in found.items())
        print(f"{name:<14} {line}", flush=True)
    if args.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
