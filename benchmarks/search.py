"""The searches against scikit-learn's and Optuna's over scikit-learn's network, on GMM.

    python -m benchmarks.search             all of it:
    python -m benchmarks.search grid        24 configurations x 5 folds: GridSearchCV(MLPClassifier, n_jobs=2)
    python -m benchmarks.search sweep       500 configurations x 3 folds: a sweep with halving against the whole one
    python -m benchmarks.search halving     the same in scikit-learn's form: StackedHalvingSearchCV, StackedSearchCV
    python -m benchmarks.search sklearn     81 configurations x 3 folds: HalvingGridSearchCV(MLPClassifier, n_jobs=2)
    python -m benchmarks.search optuna      TPE: a sweep with refilled places against Optuna's own loop, n_jobs=2
    python -m benchmarks.search sampler     what TPE alone takes for as many trials: the floor of the row before

Contenders take turns in one process, which has loaded the compiled level before; medians of wall times, and of each
the best score it finds. The rows may be run one at a time, with ``--repeats 1``. ``--picture FILE`` draws the best so
far of `optuna`, over ``--trials N``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn
from scipy.stats import loguniform
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier

import xbnet
from xbnet.backends.machine.load import machine as load_machine
from xbnet.backends.machine.load import why_not

from .stacks import machine

NET = {
    "hidden_layer_sizes": (10, 7),
    "activation": "tanh",
    "batch_size": 64,
    "random_state": 0,
    "n_iter_no_change": 1000,
}
GRID = {"learning_rate_init": [0.001, 0.003, 0.01, 0.03], "alpha": [0.0, 1e-4, 1e-2], "beta_1": [0.8, 0.9]}
SPACE = {"learning_rate_init": loguniform(1e-4, 0.1), "alpha": loguniform(1e-6, 1), "beta_1": [0.8, 0.9, 0.95]}
CUBE = {
    "learning_rate_init": [0.001, 0.003, 0.01],
    "alpha": [0.0, 1e-4, 1e-2],
    "beta_1": [0.8, 0.9, 0.95],
    "beta_2": [0.99, 0.999, 0.9999],
}
SWEEP = {"lr": "loguniform:1e-4,0.1", "l2": "loguniform:1e-7,1e-2", "beta1": [0.8, 0.9, 0.95]}
SHAPE = {"hidden": (10, 7), "activation": "tanh", "batch_size": 64, "optimizer": "adam"}
EPOCHS, LONG, FIRST, TRIALS = 81, 243, 3, 200
"""Epochs of the short searches, of the long ones, and at their first rung; trials of Optuna."""

ONLY = ""
"""A part of the names of the contenders that run; empty: all in turn."""

Contender = Callable[[], tuple[float, Any]]
"""Searches; its best score, and what else is wanted of it."""


def rows_of(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The first n training rows of GMM."""
    data = xbnet.load_dataset("gmm").train
    return data.x[:n], data.y[:n]


def take_turns(title: str, contenders: dict[str, Contender], repeats: int, goal: float | None) -> dict[str, Any]:
    """Run all in turn, and print the ratios of the last one's median to the others'; what the last turn gave."""
    contenders = {name: search for name, search in contenders.items() if ONLY in name}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    found: dict[str, tuple[float, Any]] = {}
    print(f"{title}; {repeats} repeat{'s' * (repeats > 1)} in turn")
    for _ in range(repeats):
        for name, search in contenders.items():
            started = time.perf_counter()
            found[name] = search()
            times[name].append(time.perf_counter() - started)
            print(f"    {name}: {times[name][-1]:.2f} s", flush=True)
    for name, (best, _) in found.items():
        print(f"  {name:<48}{statistics.median(times[name]):>8.2f} s   best {best:.5f}", flush=True)
    *others, slowest = times
    asked = "" if goal is None else f"     asked {goal:g}"
    for name in others:
        ratio = statistics.median(times[slowest]) / statistics.median(times[name])
        print(f"  {'times as fast: ' + name:<48}{ratio:>8.1f}{asked}", flush=True)
    return {name: more for name, (_, more) in found.items()}


def fitted(search: Any, n: int) -> Contender:
    """Fit a search of scikit-learn's form on n rows."""
    x, y = rows_of(n)
    return lambda: (search.fit(x, y).best_score_, None)


def grid(repeats: int, picture: str | None) -> None:
    settings = {**NET, "max_iter": 20}
    more = {"cv": StratifiedKFold(5, shuffle=True, random_state=0), "refit": False}
    contenders = {
        "StackedSearchCV": xbnet.StackedSearchCV(xbnet.XBClassifier(**settings), GRID, **more),
        "StackedSearchCV, compiled": xbnet.StackedSearchCV(
            xbnet.XBClassifier(**settings, execution="compiled"), GRID, **more
        ),
        "GridSearchCV(MLPClassifier, n_jobs=2)": GridSearchCV(MLPClassifier(**settings), GRID, n_jobs=2, **more),
    }
    title = "24 configurations x 5 folds, 5,000 rows, 20 epochs"
    take_turns(title, {name: fitted(search, 5000) for name, search in contenders.items()}, repeats, 25)


def sweep(repeats: int, picture: str | None) -> None:
    x, y = rows_of(5000)

    def run(**how: Any) -> Contender:
        def search() -> tuple[float, Any]:
            data = xbnet.Dataset("gmm", xbnet.Part(x, y))
            result = xbnet.sweep(
                SWEEP, data, draws=500, folds=3, epochs=LONG, monitor="val_accuracy", progress=False, **SHAPE, **how
            )
            return result.best["mean"], None

        return search

    contenders = {"xbnet.sweep(halving=3)": run(halving=3, min_epochs=FIRST), "xbnet.sweep": run()}
    take_turns(f"500 configurations x 3 folds, 5,000 rows, {LONG} epochs, rungs from {FIRST}", contenders, repeats, 5)


def halving(repeats: int, picture: str | None) -> None:
    more = {"cv": StratifiedKFold(3, shuffle=True, random_state=0), "refit": False, "random_state": 0}
    net = xbnet.XBClassifier(**NET, max_iter=LONG)
    contenders = {
        "StackedHalvingSearchCV": xbnet.StackedHalvingSearchCV(
            net, SPACE, n_candidates=500, max_resources=LONG, min_resources=FIRST, return_train_score=False, **more
        ),
        "StackedSearchCV": xbnet.StackedSearchCV(net, SPACE, n_iter=500, **more),
    }
    title = f"500 configurations x 3 folds, 5,000 rows, {LONG} epochs, rungs from {FIRST}, in scikit-learn's form"
    take_turns(title, {name: fitted(search, 5000) for name, search in contenders.items()}, repeats, 5)


def in_sklearn(repeats: int, picture: str | None) -> None:
    more = {
        "cv": StratifiedKFold(3, shuffle=True, random_state=0),
        "refit": False,
        "max_resources": LONG,
        "min_resources": LONG // 9,
        "return_train_score": False,
        "resource": "max_iter",
    }
    mlp = MLPClassifier(**NET)
    contenders = {
        "StackedHalvingSearchCV": xbnet.StackedHalvingSearchCV(xbnet.XBClassifier(**NET), CUBE, **more),
        "HalvingGridSearchCV(MLPClassifier, n_jobs=2)": HalvingGridSearchCV(mlp, CUBE, n_jobs=2, **more),
    }
    title = f"81 configurations x 3 folds, 5,000 rows, {LONG} epochs, rungs from {LONG // 9}"
    take_turns(title, {name: fitted(search, 5000) for name, search in contenders.items()}, repeats, 40)


def new_study() -> Any:
    """That of both contenders: TPE as a sweep has it."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=0, multivariate=True, constant_liar=True)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    return optuna.create_study(sampler=sampler, pruner=pruner, direction="maximize")


def parameters(trial: Any) -> dict[str, Any]:
    return {
        "learning_rate_init": trial.suggest_float("lr", 1e-4, 0.1, log=True),
        "alpha": trial.suggest_float("l2", 1e-7, 1e-2, log=True),
        "beta_1": trial.suggest_categorical("beta1", [0.8, 0.9, 0.95]),
    }


def optuna_loop(epochs: int = EPOCHS) -> tuple[float, Any]:
    """Optuna's own loop: epochs by `partial_fit`, the best accuracy so far reported at each rung."""
    import optuna

    x, y = rows_of(5000)
    train, val = np.arange(4000), np.arange(4000, 5000)

    def objective(trial: Any) -> float:
        net = MLPClassifier(**NET, **parameters(trial))
        best = 0.0
        for epoch in range(1, epochs + 1):
            net.partial_fit(x[train], y[train], classes=np.unique(y))
            best = max(best, net.score(x[val], y[val]))
            if epoch in (1, 3, 9, 27):
                trial.report(best, epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned
        return best

    study = new_study()
    study.optimize(objective, n_trials=TRIALS, n_jobs=2)
    return study.best_value, study


def optuna_sweep() -> tuple[float, Any]:
    """The same trials, rungs and validation part in a sweep."""
    x, y = rows_of(5000)
    data = xbnet.Dataset("gmm", xbnet.Part(x[:4000], y[:4000]), xbnet.Part(x[4000:], y[4000:]))
    result = xbnet.sweep(
        SWEEP, data, sampler="tpe", trials=TRIALS, at_once=64, halving=3, epochs=EPOCHS, monitor="val_accuracy",
        progress=False, **SHAPE,
    )  # fmt: skip
    return result.study.best_value, result.study


def with_optuna(repeats: int, picture: str | None) -> None:
    contenders = {
        'xbnet.sweep(sampler="tpe", halving=3)': optuna_sweep,
        "Optuna over MLPClassifier, n_jobs=2": optuna_loop,
    }
    title = f"{TRIALS} trials, 4,000 rows to train and 1,000 to validate on, {EPOCHS} epochs, pruned at rungs"
    studies = take_turns(title, contenders, repeats, 30)
    if picture is not None and len(studies) == 2:
        draw(studies, picture)


def sampler_alone(repeats: int, picture: str | None) -> None:
    def ask() -> tuple[float, Any]:
        study = new_study()
        for _ in range(TRIALS):
            trial = study.ask()
            study.tell(trial, 1 - parameters(trial)["alpha"])
        return study.best_value, None

    take_turns(f"TPE alone, {TRIALS} trials", {"ask and tell": ask}, repeats, None)


def draw(studies: dict[str, Any], path: str) -> None:
    """The best value so far over wall time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for (name, study), color in zip(studies.items(), ("#d62728", "#7f7f7f"), strict=True):
        start = min(trial.datetime_start for trial in study.trials)
        ended = sorted((t.datetime_complete, t.value) for t in study.trials if t.value is not None)
        seconds = [(when - start).total_seconds() for when, _ in ended]
        axis.step(seconds, np.maximum.accumulate([value for _, value in ended]), where="post", label=name, color=color)
    axis.set(xscale="log", xlabel="seconds", ylabel="best validation accuracy so far")
    axis.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    figure.savefig(path, dpi=120)


PARTS = {
    "grid": grid, "sweep": sweep, "halving": halving, "sklearn": in_sklearn, "optuna": with_optuna,
    "sampler": sampler_alone,
}  # fmt: skip


def main() -> None:
    global ONLY, TRIALS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", metavar="NAME", help="the contenders whose names have this in them")
    parser.add_argument("--picture", metavar="FILE")
    parser.add_argument("--trials", type=int, default=TRIALS, help="of optuna and sampler")
    arguments = parser.parse_args()
    ONLY, TRIALS = arguments.only, arguments.trials
    warnings.filterwarnings("ignore")
    compiled = "can be used" if why_not() is None else f"can't be used: {why_not()}"
    print(f"{machine()}; scikit-learn {sklearn.__version__}; OPENBLAS_NUM_THREADS={os.getenv('OPENBLAS_NUM_THREADS')}")
    if why_not() is None:
        load_machine(np.dtype("float32"))
    print(f"the compiled level {compiled}; a fit takes: {level()}")
    for name, part in PARTS.items():
        if arguments.part in (None, name):
            part(arguments.repeats, arguments.picture)


def level() -> str:
    """How the steps of a fit are run here."""
    x, y = rows_of(500)
    network = xbnet.Network(xbnet.mlp((10, 7), 5), x.shape[1], replicas=8)
    return xbnet.fit(network, "cross_entropy", "adam", (x, y), epochs=1, progress=False).execution


if __name__ == "__main__":
    main()
