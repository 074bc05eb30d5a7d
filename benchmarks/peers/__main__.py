"""The same training step in xbnet and in its rivals: checked to be the same, then timed in turn.

    python -m benchmarks.peers                  # single networks and stacks
    python -m benchmarks.peers --job            # the whole job: GMM, up to 250 epochs a turn
    python -m benchmarks.peers --only 784       # the cases whose name contains 784

Every rival has a process of its own; in each round all of them take their turn, one after the other, with a pause
in which the thread pool of the one before goes to sleep. All train from the same weights on the same batches; before
anything is timed, their weights after an epoch are compared with xbnet's. Rivals that are not installed are left out.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cases import Case
    from .workers import Weights, Worker

RIVALS = {
    "xbnet": ("numpy_rivals", "Xbnet"),
    "xbnet compiled": ("numpy_rivals", "XbnetCompiled"),
    "bare products": ("numpy_rivals", "BareProducts"),
    "PyTorch eager": ("torch_rivals", "Eager"),
    "PyTorch compiled": ("torch_rivals", "Compiled"),
    "PyTorch vmap": ("torch_rivals", "Vmap"),
    "JAX jit": ("jax_rivals", "Jit"),
    "JAX scan": ("jax_rivals", "Scan"),
    "scikit-learn": ("sklearn_rivals", "ScikitLearn"),
}
STACKED = {"PyTorch eager": "PyTorch loop", "JAX jit": "jax.vmap", "JAX scan": "jax.vmap + scan"}
PAUSE, TURN, JOB_TURN = 0.1, 0.3, 1.0  # seconds between two turns, of a turn, and of one of the whole job


def main() -> None:
    """Parse, pin the threads, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each rival (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=11, help="turns of each rival (default: %(default)s)")
    clock = "wall, or cpu: the processor time of each rival, for a machine that is busy with other work"
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help=clock)
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases whose name contains this")
    parser.add_argument("--rivals", default=",".join(RIVALS), metavar="NAME,..", help="default: %(default)s")
    parser.add_argument("--job", action="store_true", help="the whole job instead of steps")
    parser.add_argument("--epochs", type=int, default=250, help="of the whole job, at most (default: %(default)s)")
    args = parser.parse_args()
    pin(args.threads)
    if args.job:
        run_job(args.threads, args.rounds, args.epochs)
        return
    names = args.rivals.split(",")
    if unknown := [name for name in names if name not in RIVALS]:
        parser.error(f"unknown rival {unknown[0]!r}; expected some of {', '.join(RIVALS)}")
    run_steps(["xbnet", *(name for name in names if name != "xbnet")], args.threads, args.rounds, args.only, args.clock)


def pin(threads: int) -> None:
    """Before any of the libraries is imported: as many threads and as many cores for each."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    if hasattr(os, "sched_setaffinity"):  # XLA makes as many threads as it sees cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def run_steps(names: list[str], threads: int, rounds: int, only: str, clock: str) -> None:
    """All cases, a table for single networks and one for stacks."""
    from . import report
    from .cases import SINGLE, STACKS
    from .rival import Unable
    from .workers import Worker

    workers: dict[str, Worker] = {}
    for name in names:
        try:
            workers[name] = Worker(*RIVALS[name])
        except Unable as error:
            print(f"{name}: {error}", file=sys.stderr)
    versions = sorted({worker.version for worker in workers.values() if worker.version})
    print(f"{report.machine(threads)}.  {', '.join(versions)}.")
    note = "" if clock == "wall" else ", in processor time"
    print(f"Medians of {rounds} rounds ± how far the middle half of them reaches{note}.\n")
    for cases, what, labels in ((SINGLE, "a step", {}), (STACKS, "a step, per network", STACKED)):
        rows = [(c.name, measure(c, workers, rounds, clock)) for c in cases if only in c.name]
        rows = [(name, {labels.get(rival, rival): times for rival, times in row.items()}) for name, row in rows]
        columns = [labels.get(name, name) for name in workers]
        columns = [name for name in columns if any(name in times for _, times in rows)]
        if rows:
            print(report.times_table(columns, rows, what), "\n")
            print(report.ratio_table(columns[1:], rows), "\n")
    for worker in workers.values():
        worker.close()


def measure(case: Case, workers: dict[str, Worker], rounds: int, clock: str) -> dict[str, list[float]]:
    """Seconds per step and network, of those that can do the case."""
    from .rival import Unable

    started = time.perf_counter()
    weights: dict[str, Weights | None] = {}
    for name, worker in workers.items():
        try:
            weights[name] = worker.prepare(case)
        except Unable:
            continue
    for name, found in weights.items():
        compare(case, name, found, weights["xbnet"])
    times: dict[str, list[float]] = {name: [] for name in weights}
    for _ in range(rounds):
        for name in weights:
            time.sleep(PAUSE)
            times[name].append(workers[name].seconds(TURN, clock))
    print(f"{case.name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return times


def compare(case: Case, name: str, found: Weights | None, ours: Weights | None) -> None:
    """Stop unless the weights agree to 1e-5, and to a hundredth of what the epoch has changed."""
    import numpy as np

    if found is None or ours is None:
        return
    for k, (layer, start) in enumerate(zip(ours, case.start(), strict=True)):
        for key, mine in layer.items():
            theirs = found[k][key]
            tolerance = min(1e-5, 0.01 * float(np.abs(mine - start[key]).max()))
            error = float(np.abs(theirs - mine[: len(theirs)]).max())
            if not error <= tolerance:
                sys.exit(f"{case.name}: {name} does other work: {k}.{key} is off by {error:.2g} > {tolerance:.2g}")


def run_job(threads: int, rounds: int, epochs: int) -> None:
    """Train from the beginning, in turn, with all that `fit` does, for as many epochs as fill a turn."""
    import statistics

    import xbnet
    from xbnet.errors import ConfigError

    from . import report
    from .jobs import JOBS

    data = xbnet.load_dataset("gmm")
    turns: dict[str, int] = {}
    for name, job in JOBS.items():
        try:
            job(data, 1)  # imports, and first uses
        except (ImportError, ConfigError) as error:  # of the machine, where numba is missing
            print(f"{name}: left out: {error}", file=sys.stderr)
            continue
        started = time.perf_counter()
        job(data, 3)
        turns[name] = max(1, min(epochs, round(3 * JOB_TURN / (time.perf_counter() - started))))
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, n in turns.items():
            time.sleep(PAUSE)
            started = time.perf_counter()
            JOBS[name](data, n)
            seconds[name].append((time.perf_counter() - started) / n)
    ours = statistics.median(seconds["xbnet"])
    print(f"{report.machine(threads)}\n")
    print("| GMM | epochs a turn | ms an epoch | time / xbnet's time |\n|---|---|---|---|")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"| {name} | {turns[name]} | {median * 1e3:.3g} | {median / ours:.3g} |")


if __name__ == "__main__":
    main()
