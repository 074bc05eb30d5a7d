"""The stacked searches against scikit-learn's over its own network, on GMM.

    python -m benchmarks.search             all of it:
    python -m benchmarks.search grid        24 configurations x 5 folds against GridSearchCV(MLPClassifier, n_jobs=2)
    python -m benchmarks.search halving     500 configurations x 3 folds: halving against the full stacked grid
    python -m benchmarks.search sklearn     27 configurations x 3 folds: against HalvingGridSearchCV(MLPClassifier)

Contenders take turns in one process; medians of wall times, and of each the best score it finds.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from typing import Any

from scipy.stats import loguniform
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier

import xbnet

NET = {
    "hidden_layer_sizes": (10, 7),
    "activation": "tanh",
    "batch_size": 64,
    "random_state": 0,
    "n_iter_no_change": 1000,
}
GRID = {"learning_rate_init": [0.001, 0.003, 0.01, 0.03], "alpha": [0.0, 1e-4, 1e-2], "beta_1": [0.8, 0.9]}
SPACE = {"learning_rate_init": loguniform(1e-4, 0.1), "alpha": loguniform(1e-6, 1), "beta_1": [0.8, 0.9, 0.95]}
CUBE = {"learning_rate_init": [0.001, 0.003, 0.01], "alpha": [0.0, 1e-4, 1e-2], "beta_1": [0.8, 0.9, 0.95]}


def take_turns(title: str, contenders: dict[str, Any], rows: int, repeats: int, goal: float) -> None:
    """Fit all in turn; the ratio of the second's median to the first's."""
    data = xbnet.load_dataset("gmm").train
    x, y = data.x[:rows], data.y[:rows]
    times: dict[str, list[float]] = {name: [] for name in contenders}
    print(f"{title}, {rows:,} rows, {repeats} repeats in turn")
    for _ in range(repeats):
        for name, search in contenders.items():
            started = time.perf_counter()
            search.fit(x, y)
            times[name].append(time.perf_counter() - started)
    for name, search in contenders.items():
        print(f"  {name:<44}{statistics.median(times[name]):>8.2f} s   best {search.best_score_:.5f}")
    first, second = (statistics.median(seconds) for seconds in times.values())
    print(f"  {'ratio':<44}{second / first:>8.1f}     asked {goal}")


def grid(repeats: int) -> None:
    settings = {**NET, "max_iter": 20}
    more = {"cv": StratifiedKFold(5, shuffle=True, random_state=0), "refit": False}
    contenders = {
        "StackedSearchCV": xbnet.StackedSearchCV(xbnet.XBClassifier(**settings), GRID, **more),
        "GridSearchCV(MLPClassifier, n_jobs=2)": GridSearchCV(MLPClassifier(**settings), GRID, n_jobs=2, **more),
    }
    take_turns("24 configurations x 5 folds, 20 epochs", contenders, 5000, repeats, 25)


def halving(repeats: int) -> None:
    more = {"cv": StratifiedKFold(3, shuffle=True, random_state=0), "refit": False, "random_state": 0}
    net = xbnet.XBClassifier(**NET, max_iter=81)
    contenders = {
        "StackedHalvingSearchCV": xbnet.StackedHalvingSearchCV(
            net, SPACE, n_candidates=500, max_resources=81, return_train_score=False, **more
        ),
        "StackedSearchCV": xbnet.StackedSearchCV(net, SPACE, n_iter=500, **more),
    }
    take_turns("500 configurations x 3 folds, 81 epochs", contenders, 1000, repeats, 5)


def sklearn(repeats: int) -> None:
    more = {
        "cv": StratifiedKFold(3, shuffle=True, random_state=0),
        "refit": False,
        "max_resources": 81,
        "return_train_score": False,
        "resource": "max_iter",
    }
    contenders = {
        "StackedHalvingSearchCV": xbnet.StackedHalvingSearchCV(xbnet.XBClassifier(**NET), CUBE, **more),
        "HalvingGridSearchCV(MLPClassifier, n_jobs=2)": HalvingGridSearchCV(
            MLPClassifier(**NET), CUBE, n_jobs=2, **more
        ),
    }
    take_turns("27 configurations x 3 folds, 81 epochs", contenders, 5000, repeats, 40)


PARTS = {"grid": grid, "halving": halving, "sklearn": sklearn}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    for name, part in PARTS.items():
        if arguments.part in (None, name):
            part(arguments.repeats)


if __name__ == "__main__":
    main()
