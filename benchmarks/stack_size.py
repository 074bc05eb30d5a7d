"""How large a stack may grow: what it takes of memory, and from which size on stacking no longer pays.

python -m benchmarks.stack_size memory      bytes of a stack against theta x (2 + optimizer state) + activations
python -m benchmarks.stack_size crossover   time against stack size for several widths and batches, as a picture
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

import xbnet
from xbnet.sweeps.build import Program, make_trainer, settings_for
from xbnet.sweeps.footprint import WORKING_SET, buffer_bytes, footprint, loss_bytes
from xbnet.sweeps.plan import make_members
from xbnet.sweeps.pool import make_pool
from xbnet.sweeps.space import complete

from .stacks import dataset, learning_rates

B = 64
Run = Callable[[], None]


def memory() -> None:
    """Peaks of whole runs with early stopping; in the second of each pair one network diverges and leaves the stack."""
    print(f"{'networks':>9}{'widths':>12}{'batch':>7}{'optimizer':>11}{'estimate':>13}{'measured':>13}{'bound':>13}")
    for R, hidden, batch, optimizer in (
        (100, (10, 7), 64, "sgd"),
        (1000, (10, 7), 64, "adam"),
        (100, (32, 32), 64, "adam"),
        (32, (128, 128), 64, "adam"),
        (32, (128, 128), 64, "sgd"),
        (8, (512, 512), 64, "adam"),
    ):
        pool = make_pool(dataset(B * 4))
        fixed = {"hidden": hidden, "batch_size": batch, "optimizer": optimizer, "epochs": 3, "patience": 5}
        for leaves in (False, True):
            rates = [1e38 if leaves and r == 0 else lr for r, lr in enumerate(learning_rates(R))]
            rows = [settings_for(complete({"lr": lr}, fixed, None), pool) for lr in rates]
            program, members = Program(pool), make_members(rows, [0], None)
            probe = make_trainer(program, members[:1])
            cost = footprint(probe)
            theta = probe.network.n_parameters * 4 * (2 + len(probe.optimizer.slots))
            # The bound: the least it could take, and a fifth more; what the loss keeps per sample is an activation.
            bound = 1.2 * R * (theta + buffer_bytes(probe.network, batch) + loss_bytes(probe.network, batch))
            tracemalloc.start()
            trainer = make_trainer(program, members)
            while not trainer.done:
                trainer.run_epoch()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            estimate = cost.per_network * R + cost.order
            print(
                f"{R:>9}{'-'.join(map(str, hidden)):>12}{batch:>7}{optimizer:>11}{estimate / 1e6:>10.2f} MB"
                f"{peak / 1e6:>10.2f} MB{bound / 1e6:>10.2f} MB   {peak / bound:.1%} of the bound, "
                f"{peak / estimate:.1%} of the estimate{', one leaves' * leaves}"
            )


# -- crossover ---------------------------------------------------------------------------------------------------------


def one_step(width: int, batch: int, R: int) -> tuple[Run, int]:
    """A step of a stack of width-width-width-10 networks, and the bytes that it touches per network."""
    rng = np.random.default_rng(0)
    layers = [xbnet.Linear(width, "tanh"), xbnet.Linear(width, "tanh"), xbnet.Linear(10)]
    network = xbnet.Network(layers, width, replicas=R, rng=0)
    step = xbnet.Step(network, "cross_entropy", xbnet.SGD(0.01))
    x = rng.normal(size=(1, batch, width)).astype(np.float32)
    y = rng.integers(0, 10, (1, batch))

    def run() -> None:
        step(x, y)

    return run, buffer_bytes(network, batch) // R + 3 * network.n_parameters * 4


def crossover(repeats: int, picture: str | None = None) -> None:
    """Processor time of one step on one core, best of several: what a stack costs, whatever runs next to it."""
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
    parser.add_argument("what", choices=["memory", "crossover"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--picture", help="where `crossover` draws")
    args = parser.parse_args()
    if args.what == "memory":
        memory()
    else:
        crossover(args.repeats, args.picture)


if __name__ == "__main__":
    main()
