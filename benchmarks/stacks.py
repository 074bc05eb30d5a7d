"""Stacks against what one would otherwise do: loops and vmap in PyTorch and JAX, scikit-learn's grid search.

    python -m benchmarks.stacks steps       time per network and step, 5-10-7-5, batch 64
    python -m benchmarks.stacks search      StackedSearchCV against GridSearchCV(MLPClassifier, n_jobs=2) on GMM
    python -m benchmarks.stacks memory      bytes of a stack against theta x (2 + optimizer state) + activations
    python -m benchmarks.stacks crossover   time against stack size for several widths and batches, as a picture

With other work on the machine, pin the process to one core and count its processor time instead of wall time:

    taskset -c 0 python -m benchmarks.stacks steps --cpu

Medians of interleaved repeats in one process: whatever else the machine does meets all contenders alike. xbnet runs its
whole epoch loop (orders, gathering, figures, threads), the others bare steps on batches that are cut beforehand.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_limits

import xbnet
from xbnet.sweep.build import Program, make_trainer, settings_for
from xbnet.sweep.executors import cores
from xbnet.sweep.footprint import WORKING_SET, footprint, loss_bytes
from xbnet.sweep.plan import make_members, make_plan
from xbnet.sweep.pool import make_pool
from xbnet.sweep.space import complete

WIDTHS, B, STEPS = (5, 10, 7, 5), 64, 40
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
            started = clock()
            run()
            if repeat:
                seconds[name].append(clock() - started)
    return seconds


def steps(repeats: int, clock: Callable[[], float] = time.perf_counter) -> None:
    import torch

    torch.set_num_threads(cores())
    print(f"{'networks':>9}  {'':<28}{'us per network and step':>25}{'xbnet is':>12}")
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
            found = interleaved(contenders, repeats if R < 1000 else max(3, repeats // 3), clock)
            medians = {}
            for name, seconds in found.items():
                networks = loop if "one after" in name else R
                medians[name] = statistics.median(seconds) / STEPS / networks * 1e6
            for name, value in medians.items():
                ratio = "" if name == "xbnet" else f"{value / medians['xbnet']:.1f} x"
                print(f"{R:>9}  {name:<28}{value:>25.2f}{ratio:>12}", flush=True)


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
    repeats = max(1, repeats // 3)
    times: dict[str, list[float]] = {"StackedSearchCV": [], "GridSearchCV(MLPClassifier, n_jobs=2)": []}
    for _ in range(repeats):
        for name, make in (
            (
                "StackedSearchCV",
                lambda: xbnet.StackedSearchCV(xbnet.XBClassifier(**settings), grid, cv=cv, refit=False),
            ),
            (
                "GridSearchCV(MLPClassifier, n_jobs=2)",
                lambda: GridSearchCV(MLPClassifier(**settings), grid, cv=cv, n_jobs=2, refit=False),
            ),
        ):
            started = time.perf_counter()
            found = make().fit(x, y)
            times[name].append(time.perf_counter() - started)
            print(f"{name:<40}{times[name][-1]:>8.2f} s   best score {found.best_score_:.5f}   {found.best_params_}")
    ours, theirs = (statistics.median(seconds) for seconds in times.values())
    print(f"ratio of medians: {theirs / ours:.1f}")


# -- memory ------------------------------------------------------------------------------------------------------------


def memory(repeats: int) -> None:
    del repeats
    columns = f"{'networks':>9}{'widths':>12}{'batch':>7}{'optimizer':>11}"
    print(f"{columns}{'estimate':>12}{'measured':>12}{'bound':>12}{'of it':>8}")
    for R, hidden, batch, optimizer in (
        (100, (10, 7), 64, "sgd"),
        (1000, (10, 7), 64, "adam"),
        (100, (32, 32), 64, "adam"),
        (32, (128, 128), 64, "adam"),
        (32, (128, 128), 64, "sgd"),
        (8, (512, 512), 64, "adam"),
    ):
        pool = make_pool(dataset(B * 4))
        fixed = {"hidden": hidden, "batch_size": batch, "optimizer": optimizer, "epochs": 2, "patience": 5}
        rows = [settings_for(complete({"lr": lr}, fixed, None), pool) for lr in learning_rates(R)]
        program, members = Program(pool), make_members(rows, [0], None)
        probe = make_trainer(program, members[:1])
        cost = footprint(probe)
        theta = probe.network.n_parameters * 4 * (2 + len(probe.optimizer.slots))
        # The bound: the least it could take, and a fifth more; what the loss keeps per sample counts as activations.
        bound = 1.2 * R * (theta + probe.network.buffer_bytes(batch) + loss_bytes(probe.network, batch))
        tracemalloc.start()
        trainer = make_trainer(program, members)
        while not trainer.done:
            trainer.run_epoch()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        estimate = cost.per_network * R + cost.order
        widths = "-".join(map(str, hidden))
        print(
            f"{R:>9}{widths:>12}{batch:>7}{optimizer:>11}{estimate / 1e6:>9.2f} MB{peak / 1e6:>9.2f} MB"
            f"{bound / 1e6:>9.2f} MB{peak / bound:>8.0%}"
        )


# -- crossover ---------------------------------------------------------------------------------------------------------


def one_step(width: int, batch: int, R: int) -> tuple[Run, int]:
    """A step of a stack of width-width-width-10 networks, and the bytes that it touches per network."""
    rng = np.random.default_rng(0)
    layers = [xbnet.Linear(width, "tanh"), xbnet.Linear(width, "tanh"), xbnet.Linear(10)]
    network = xbnet.Network(layers, width, replicas=R, rng=0)
    loss, optimizer = xbnet.SoftmaxCrossEntropy().bind(network), xbnet.SGD(0.01).bind(network)
    x = rng.normal(size=(1, batch, width)).astype(np.float32)
    y = rng.integers(0, 10, (1, batch))

    def run() -> None:
        loss(network.forward(x, training=True), y, network.output_gradient)
        network.backward()
        optimizer.step()

    return run, network.buffer_bytes(batch) // R + 3 * network.n_parameters * 4


def crossover(repeats: int, picture: str | None = None) -> None:
    """Processor time of one step on one core, best of several: what a stack costs, whatever runs beside it."""
    sizes = [2**k for k in range(10)]
    curves = {}
    with threadpool_limits(limits=1, user_api="blas"):
        for width in (8, 32, 128, 512):
            for batch in (16, 64, 256):
                times = []
                for R in sizes:
                    run, touched = one_step(width, batch, R)
                    if R * touched > 2e8:
                        break
                    run()
                    best, until = float("inf"), time.perf_counter() + 0.05 * repeats
                    while time.perf_counter() < until:
                        started = time.process_time()
                        run()
                        best = min(best, time.process_time() - started)
                    times.append(best / R * 1e6)
                chosen = max(1, WORKING_SET // touched)
                curves[width, batch] = times, chosen
                best = int(np.argmin(times))
                line = " ".join(f"{t:.1f}" for t in times)
                print(f"width {width:>3} batch {batch:>3} ({touched / 1e3:>6.0f} kB): {line}", end="")
                print(
                    f" | best at R={sizes[best]}, {times[0] / times[best]:.1f} x; the sweep takes {chosen}", flush=True
                )
    if picture:
        draw(curves, sizes, picture)


def draw(curves: dict, sizes: list[int], path: str) -> None:
    from xbnet.plots import new_figure, save_figure

    figure, axes = new_figure(3, width=4.0, height=3.6)
    for axis, batch in zip(axes[0], (16, 64, 256), strict=True):
        for width, color in ((8, "C0"), (32, "C1"), (128, "C2"), (512, "C3")):
            times, chosen = curves[width, batch]
            R = np.array(sizes[: len(times)])
            relative = np.array(times) / times[0]
            axis.plot(R, relative, ".-", color=color, label=f"width {width}")
            axis.plot(
                min(chosen, R[-1]),
                np.interp(np.log(min(chosen, R[-1])), np.log(R), relative),
                "o",
                ms=9,
                mfc="none",
                color=color,
            )
        axis.axhline(1, color="k", lw=0.8, ls=":")
        axis.set(xscale="log", yscale="log", ylim=(0.05, 2), xlabel="networks in the stack", title=f"batch {batch}")
        axis.grid(alpha=0.3, which="both")
    axes[0, 0].set_ylabel("time per network and step, alone = 1")
    axes[0, 0].legend(frameon=False, fontsize=8)
    save_figure(figure, path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["steps", "search", "memory", "crossover"])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--cpu", action="store_true", help="`steps`: processor time of all threads, not wall time")
    parser.add_argument("--picture", help="where `crossover` draws")
    args = parser.parse_args()
    if args.what == "steps":
        steps(args.repeats, time.process_time if args.cpu else time.perf_counter)
    elif args.what == "crossover":
        crossover(args.repeats, args.picture)
    else:
        {"search": search, "memory": memory}[args.what](args.repeats)


if __name__ == "__main__":
    main()
