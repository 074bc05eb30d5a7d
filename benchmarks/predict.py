"""Throughput of `predict` and `predict_proba` against the bare forward pass of all rows at once.

``OPENBLAS_NUM_THREADS=1 python -m benchmarks.predict`` prints a line per network: seconds of processor time, best of
some runs, for rows in memory.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from xbnet import Linear, Network

SHAPES = [(2, (8,), 2), (5, (10, 7), 5), (20, (32, 32), 10), (64, (100,), 10), (784, (256, 128), 10)]


def best(function: Callable[[], Any], runs: int) -> float:
    """Seconds of processor time."""
    times = []
    for _ in range(runs + 1):
        started = time.process_time()
        function()
        times.append(time.process_time() - started)
    return min(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=7)
    args = parser.parse_args()
    for n_inputs, hidden, n_outputs in SHAPES:
        network = Network([*(Linear(width, "relu") for width in hidden), Linear(n_outputs)], n_inputs, rng=0)
        x = np.random.default_rng(0).normal(size=(min(args.rows, 10**7 // n_inputs), n_inputs)).astype(np.float32)
        forward = best(lambda net=network, rows=x[None]: net.forward(rows), args.runs)
        network.release()
        labels = best(lambda net=network, rows=x: net.predict(rows), args.runs)
        values = best(lambda net=network, rows=x: net.predict_proba(rows), args.runs)
        widths = "-".join(map(str, (n_inputs, *hidden, n_outputs)))
        speed = f"{len(x) / forward / 1e6:6.2f} million rows/s"
        print(
            f"{widths:<16} forward {speed}; predict {forward / labels:.2f} of it, predict_proba {forward / values:.2f}"
        )


if __name__ == "__main__":
    main()
