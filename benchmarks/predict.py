"""Throughput of `predict` and `predict_proba` compared with the bare forward pass, for rows in memory.

``OPENBLAS_NUM_THREADS=1 python -m benchmarks.predict`` prints a row per network: million rows per second of processor
time, medians of interleaved runs. "bare" is the pass written out in NumPy calls on buffers that stay; "forward" is
`Network.forward` on the same array, with nothing recorded.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from xbnet import Linear, Network

SHAPES = [(2, (8,), 2), (5, (10, 7), 5), (20, (32, 32), 10), (64, (100,), 10), (784, (256, 128), 10)]


def bare(network: Network, x: np.ndarray) -> Callable[[], Any]:
    """The forward pass in NumPy calls."""
    weights = [(layer.W[0], layer.b[0], bool(layer.activation)) for layer in network.layers]
    buffers = [np.empty((len(x), W.shape[1]), x.dtype) for W, _, _ in weights]

    def run() -> None:
        h = x
        for (W, b, hidden), z in zip(weights, buffers, strict=True):
            np.matmul(h, W, out=z)
            np.add(z, b, out=z)
            h = np.maximum(z, 0, out=z) if hidden else z

    return run


def speeds(ways: dict[str, Callable[[], Any]], rows: int, runs: int) -> dict[str, float]:
    """Million rows per second."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(runs + 2):  # the first two warm up
        for name, way in ways.items():
            started = time.process_time()
            way()
            if run > 1:
                times[name].append(time.process_time() - started)
    return {name: rows / statistics.median(seconds) / 1e6 for name, seconds in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=15)
    args = parser.parse_args()
    print("| million rows/s | bare | forward | predict | predict_proba | predict / bare | predict_proba / bare |")
    print("|---|---|---|---|---|---|---|")
    for n_inputs, hidden, n_outputs in SHAPES:
        make = lambda i=n_inputs, h=hidden, o=n_outputs: Network(  # noqa: E731
            [*(Linear(width, "relu") for width in h), Linear(o)], i, rng=0
        )
        x = np.random.default_rng(0).normal(size=(min(args.rows, 10**7 // n_inputs), n_inputs)).astype(np.float32)
        network, other = make(), make()
        ways = {
            "bare": bare(network, x),
            "forward": lambda net=other, rows=x[None]: net.forward(rows),
            "predict": lambda net=network, rows=x: net.predict(rows),
            "predict_proba": lambda net=network, rows=x: net.predict_proba(rows),
        }
        speed = speeds(ways, len(x), args.runs)
        ratios = [f"{speed[name] / speed['bare']:.2f}" for name in ("predict", "predict_proba")]
        widths = "-".join(map(str, (n_inputs, *hidden, n_outputs)))
        print(f"| {' | '.join([widths, *(f'{v:.3g}' for v in speed.values()), *ratios])} |", flush=True)


if __name__ == "__main__":
    main()
