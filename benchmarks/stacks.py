"""Stacks against what one would otherwise do: loops and vmap in PyTorch and JAX, scikit-learn's grid search.

    python -m benchmarks.stacks             both of these, in less than ten minutes:
    python -m benchmarks.stacks steps       time per network and step, 5-10-7-5, batch 64
    python -m benchmarks.stacks search      StackedSearchCV against GridSearchCV(MLPClassifier, n_jobs=2) on GMM

With other work on the machine, pin the process to one core and count its processor time instead of wall time:

    taskset -c 0 python -m benchmarks.stacks steps --cpu

Medians of interleaved repeats in one process: whatever else the machine does meets all contenders alike. Each has as
many threads as there are cores. Between two turns there is a pause, in which the threads of the one before go to sleep.
xbnet runs its whole epoch loop (orders, gathering, figures, threads), the others bare steps on batches that are cut
beforehand.
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_limits

import xbnet
from xbnet.sweeps.build import Program, make_trainer, settings_for
from xbnet.sweeps.executors import cores
from xbnet.sweeps.footprint import footprint
from xbnet.sweeps.plan import make_members, make_plan
from xbnet.sweeps.pool import make_pool
from xbnet.sweeps.space import complete

WIDTHS, B, STEPS = (5, 10, 7, 5), 64, 40
PAUSE = 0.05  # seconds between two turns
GOALS = {  # how many times faster than each xbnet is to be, of so many networks
    (9, "PyTorch, one after the other"): 10,
    (100, "PyTorch, one after the other"): 30,
    **{(100, name): 1.5 for name in ("PyTorch, bmm", "torch.func.vmap", "jax.vmap under jit")},
}
SEARCH_GOAL = 8
Run = Callable[[], None]


def dataset(n: int = B * STEPS) -> xbnet.Dataset:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, WIDTHS[0])).astype(np.float32)
    return xbnet.Dataset("noise", xbnet.Part(x, np.arange(n) % WIDTHS[-1]))


def learning_rates(R: int) -> np.ndarray:
    return np.linspace(0.01, 0.1, R)


# -- contenders: each runs STEPS steps of R networks ------------------------------------------------------------------


def with_xbnet(R: int) -> Run:
    pool = make_pool(dataset())
    rows = [settings_for(complete({"lr": lr, "epochs": 10**6}, {}, None), pool) for lr in learning_rates(R)]
    program, members = Program(pool), make_members(rows, [0], None)
    cost = footprint(make_trainer(program, members[:1]))
    plan = make_plan(members, pool, workers=cores(), budget=10**10, footprint=lambda _: cost)
    trainers = [make_trainer(program, chunk.members) for chunk in plan.chunks]
    executor = ThreadPoolExecutor(cores())

    def run() -> None:
        list(executor.map(lambda trainer: trainer.run_epoch(), trainers))

    return run


def with_torch_loop(R: int) -> Run:
    import torch

    batches = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in cut()]
    networks = []
    for lr in learning_rates(R):
        layers = [
            torch.nn.Linear(5, 10),
            torch.nn.Tanh(),
            torch.nn.Linear(10, 7),
            torch.nn.Tanh(),
            torch.nn.Linear(7, 5),
        ]
        network = torch.nn.Sequential(*layers)
        networks.append((network, torch.optim.SGD(network.parameters(), lr=float(lr))))
    loss = torch.nn.CrossEntropyLoss()

    def run() -> None:
        for network, optimizer in networks:
            for x, y in batches:
                optimizer.zero_grad()
                loss(network(x), y).backward()
                optimizer.step()

    return run


def with_torch_bmm(R: int) -> Run:
    import torch

    batches = [(torch.from_numpy(x)[None].expand(R, -1, -1), torch.from_numpy(y)[None].expand(R, -1)) for x, y in cut()]
    parameters = stacked_torch(R)
    lr = torch.tensor(learning_rates(R), dtype=torch.float32)[:, None, None]

    def run() -> None:
        for x, y in batches:
            h = torch.tanh(torch.baddbmm(parameters[1], x, parameters[0]))
            h = torch.tanh(torch.baddbmm(parameters[3], h, parameters[2]))
            logits = torch.baddbmm(parameters[5], h, parameters[4])
            loss = torch.nn.functional.cross_entropy(logits.reshape(R * B, -1), y.reshape(-1), reduction="sum") / B
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.sub_(lr * gradient)

    return run


def with_torch_vmap(R: int) -> Run:
    import torch

    batches = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in cut()]
    state = [stacked_torch(R)]
    lr = torch.tensor(learning_rates(R), dtype=torch.float32)[:, None, None]

    def loss(parameters, x, y):
        h = torch.tanh(x @ parameters[0] + parameters[1])
        h = torch.tanh(h @ parameters[2] + parameters[3])
        return torch.nn.functional.cross_entropy(h @ parameters[4] + parameters[5], y)

    gradient = torch.func.vmap(torch.func.grad(loss), in_dims=(0, None, None))

    def run() -> None:
        with torch.no_grad():
            for x, y in batches:
                found = gradient(tuple(state[0]), x, y)
                for parameter, one in zip(state[0], found, strict=True):
                    parameter.sub_(lr * one)

    return run


def stacked_torch(R: int) -> list:
    import torch

    shapes = [(R, i, o) for i, o in pairwise(WIDTHS)]
    pairs = [(0.3 * torch.randn(shape), torch.zeros(R, 1, shape[2])) for shape in shapes]
    return [tensor.requires_grad_() for pair in pairs for tensor in pair]


def with_jax_vmap(R: int) -> Run:
    import jax
    import jax.numpy as jnp

    batches = [(jnp.asarray(x), jnp.asarray(y)) for x, y in cut()]
    rng = np.random.default_rng(0)
    shapes = list(pairwise(WIDTHS))
    state = [
        [
            (jnp.asarray(0.3 * rng.normal(size=(R, i, o)), jnp.float32), jnp.zeros((R, o), jnp.float32))
            for i, o in shapes
        ]
    ]
    lr = jnp.asarray(learning_rates(R), jnp.float32)

    def loss(parameters, x, y):
        for W, b in parameters[:-1]:
            x = jnp.tanh(x @ W + b)
        logits = x @ parameters[-1][0] + parameters[-1][1]
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1).mean()

    def one(parameters, lr, x, y):
        return jax.tree.map(lambda p, g: p - lr * g, parameters, jax.grad(loss)(parameters, x, y))

    step = jax.jit(jax.vmap(one, in_axes=(0, 0, None, None)), donate_argnums=0)

    def run() -> None:
        for x, y in batches:
            state[0] = step(state[0], lr, x, y)
        jax.block_until_ready(state[0])

    return run


def cut() -> list[tuple[np.ndarray, np.ndarray]]:
    """The batches that the others get ready-made."""
    data = dataset().train
    return [(data.x[s : s + B], data.y[s : s + B]) for s in range(0, len(data), B)]


def interleaved(contenders: dict[str, Run], repeats: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of every repeat; the first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for repeat in range(repeats + 1):
        for name, run in contenders.items():
            time.sleep(PAUSE)
            started = clock()
            run()
            if repeat:
                seconds[name].append(clock() - started)
    return seconds


def steps(repeats: int, clock: Callable[[], float] = time.perf_counter) -> None:
    import torch

    torch.set_num_threads(cores())
    what = "wall time" if clock is time.perf_counter else "processor time"
    print(f"{what} of a step per network, 5-10-7-5, batch {B}, float32, medians of {repeats} interleaved repeats\n")
    print(f"{'networks':>9}  {'':<28}{'us':>9}{'quartiles':>18}{'xbnet is':>10}{'asked':>8}")
    with threadpool_limits(limits=1, user_api="blas"):
        for R in (9, 100, 1000):
            loop = min(R, 10)
            contenders = {
                "xbnet": with_xbnet(R),
                "PyTorch, one after the other": with_torch_loop(loop),
                "PyTorch, bmm": with_torch_bmm(R),
                "torch.func.vmap": with_torch_vmap(R),
                "jax.vmap under jit": with_jax_vmap(R),
            }
            found = interleaved(contenders, repeats, clock)
            medians = {}
            for name, seconds in found.items():
                scale = 1e6 / STEPS / (loop if "one after" in name else R)
                medians[name] = statistics.median(seconds) * scale
                low, _, high = (quartile * scale for quartile in statistics.quantiles(seconds, n=4))
                ratio = "" if name == "xbnet" else f"{medians[name] / medians['xbnet']:.1f} x"
                goal = f"{GOALS[R, name]:g} x" if (R, name) in GOALS else ""
                quartiles = f"{low:.2f} - {high:.2f}"
                print(f"{R:>9}  {name:<28}{medians[name]:>9.2f}{quartiles:>18}{ratio:>10}{goal:>8}", flush=True)


# -- grid search -------------------------------------------------------------------------------------------------------


def search(repeats: int) -> None:
    import warnings

    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.neural_network import MLPClassifier

    warnings.filterwarnings("ignore")
    data = xbnet.load_dataset("gmm").train
    x, y = data.x[:5000], data.y[:5000]
    grid = {
        "learning_rate_init": [0.001, 0.003, 0.01, 0.03],
        "alpha": [0.0, 1e-4, 1e-2],
        "beta_1": [0.8, 0.9],
    }
    settings = {
        "hidden_layer_sizes": (10, 7),
        "activation": "tanh",
        "batch_size": 64,
        "max_iter": 20,
        "random_state": 0,
    }
    cv = StratifiedKFold(5, shuffle=True, random_state=0)
    ours = xbnet.StackedSearchCV(xbnet.XBClassifier(**settings), grid, cv=cv, refit=False)
    theirs = GridSearchCV(MLPClassifier(**settings), grid, cv=cv, n_jobs=2, refit=False)
    contenders = {"StackedSearchCV": ours, "GridSearchCV(MLPClassifier, n_jobs=2)": theirs}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    print(f"24 configurations x 5 folds of {len(x):,} rows of GMM, 20 epochs, medians of {repeats} repeats in turn\n")
    for _ in range(repeats):
        for name, search in contenders.items():
            time.sleep(PAUSE)
            started = time.perf_counter()
            search.fit(x, y)
            times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    for name, search in contenders.items():
        seconds = ", ".join(f"{one:.2f}" for one in times[name])
        print(f"{name:<40}{medians[name]:>8.2f} s ({seconds})  best {search.best_score_:.5f} at {search.best_params_}")
    ratio = medians["GridSearchCV(MLPClassifier, n_jobs=2)"] / medians["StackedSearchCV"]
    print(f"{'ratio':<40}{ratio:>8.1f}   asked {SEARCH_GOAL}")


def machine() -> str:
    """The processor, and what runs on it."""
    from importlib.metadata import PackageNotFoundError, version
    from pathlib import Path

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor()
    versions = []
    for name in ("xbnet", "numpy", "torch", "jax", "scikit-learn"):
        with contextlib.suppress(PackageNotFoundError):
            versions.append(f"{name} {version(name)}")
    return f"{cpu}, {cores()} cores; Python {platform.python_version()}, {', '.join(versions)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["all", "steps", "search"], nargs="?", default="all")
    parser.add_argument("--repeats", type=int, default=9, help="of `steps`; a third of it of `search`")
    parser.add_argument("--cpu", action="store_true", help="`steps`: processor time of all threads, not wall time")
    args = parser.parse_args()
    print(f"{machine()}\n")
    if args.what != "search":
        steps(args.repeats, time.process_time if args.cpu else time.perf_counter)
        print()
    if args.what != "steps":
        search(max(1, args.repeats // 3))


if __name__ == "__main__":
    main()
