"""Operations and bytes of a step on the compiled machine, against what this processor can do on one thread.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.roofline

The ceilings are measured: the best product of two matrices by BLAS, and the copying of arrays that are in each cache.
Operations are counted in the program: two operations per multiplication of a product, one per number elsewhere;
each line reads its operands and writes its result once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from xbnet.backends.machine import threads
from xbnet.backends.machine.table import N0, N1, NAMES, OP, K

from .peers.cases import SINGLE
from .peers.numpy_rivals import XbnetCompiled

SIZES = {"16 kB": 1 << 14, "256 kB": 1 << 18, "4 MB": 1 << 22, "256 MB": 1 << 28}


def seconds(function: Callable[[], Any], rounds: int = 9, total: float = 0.02) -> float:
    """The least time of a call."""
    times = []
    for _ in range(rounds):
        calls, started = 0, time.perf_counter()
        while not calls or time.perf_counter() - started < total:
            function()
            calls += 1
        times.append((time.perf_counter() - started) / calls)
    return min(times)


def needs(lines: np.ndarray, item: int) -> tuple[int, int]:
    """Operations and bytes of a program."""
    flops = moved = 0
    for line in lines:
        n0, n1, k = (max(1, int(line[column])) for column in (N0, N1, K))
        if NAMES[line[OP]].startswith("product"):
            flops, moved = flops + 2 * n0 * n1 * k, moved + item * (n0 * k + k * n1 + n0 * n1)
        else:
            flops, moved = flops + n0 * n1, moved + 3 * item * n0 * n1
    return flops, moved


def main() -> None:
    """Print two tables."""
    threads.count_cores = lambda: 1
    a, b = (np.random.default_rng(s).normal(size=(512, 512)).astype(np.float32) for s in (0, 1))
    out = np.empty_like(a)
    peak = 2 * 512**3 / seconds(lambda: np.dot(a, b, out)) / 1e9
    print(f"| ceiling | |\n|---|---|\n| a product of 512 x 512 | {peak:.0f} Gflop/s |")
    for name, size in SIZES.items():
        source, target = np.ones(size // 8, np.float32), np.ones(size // 8, np.float32)
        rate = size / seconds(lambda x=source, y=target: np.copyto(y, x)) / 1e9
        print(f"| copying within {name} | {rate:.0f} GB/s |")
    head = ("a step", "Mflop", "MB", "flop / byte", "own memory, kB", "us", "Gflop/s", "of the peak", "GB/s")
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for case in SINGLE:
        rival = XbnetCompiled(case)
        rival.run(1)
        program = rival.program.program
        flops, moved = needs(program.lines, program.dtype.itemsize)
        took = seconds(lambda rival=rival: rival.run(1), 5) / case.steps
        row = [
            case.name,
            f"{flops / 1e6:.3g}",
            f"{moved / 1e6:.3g}",
            f"{flops / moved:.2g}",
            f"{program.own / 1e3:.0f}",
        ]
        row += [f"{took * 1e6:.3g}", f"{flops / took / 1e9:.1f}", f"{flops / took / 1e9 / peak:.0%}"]
        print(f"| {' | '.join([*row, f'{moved / took / 1e9:.1f}'])} |", flush=True)


if __name__ == "__main__":
    main()
