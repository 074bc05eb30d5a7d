"""Throughput of `predict` and `predict_proba` compared with the bare forward pass, for rows in memory.

``OPENBLAS_NUM_THREADS=1 python -m benchmarks.predict`` prints a row per network: million rows per second of processor
time, medians of interleaved runs. "bare" is the pass written out in NumPy calls on buffers that stay; "forward" is
`Network.forward` on the same array, with nothing recorded.

With ``--rivals`` it prints `predict_proba` of 5-10-7-5 instead, on many rows and on one at a time, beside onnxruntime
on the exported model: microseconds by the clock, medians of interleaved runs. Their results are compared first.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
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


def rivals(rows: int, runs: int) -> None:
    """One network of 5-10-7-5 by each of our levels, and by onnxruntime on one thread and on two."""
    import onnxruntime

    from xbnet import Model
    from xbnet.io.export import to_onnx

    def make(compiled: bool) -> Network:
        network = Network([Linear(10, "tanh"), Linear(7, "tanh"), Linear(5)], 5, rng=0)
        network.compiled = compiled
        return network

    def session(threads: int) -> Callable[[np.ndarray], Any]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # it would take time from the others
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            to_onnx(Model(make(False), None, None, None, ""), file.name)
            one = onnxruntime.InferenceSession(file.name, options)
        name = one.get_inputs()[0].name
        return lambda x: one.run(["probabilities"], {name: x})[0]

    ways: dict[str, Callable[[np.ndarray], Any]] = {
        "replay": make(False).predict_proba,
        "compiled": make(True).predict_proba,
        "onnxruntime, 1 thread": session(1),
        "onnxruntime, 2 threads": session(2),
    }
    x = np.random.default_rng(0).normal(size=(rows, 5)).astype(np.float32)
    for way in ways.values():
        np.testing.assert_allclose(way(x), ways["replay"](x), atol=1e-6)
    singles = [x[k : k + 1] for k in range(1000)]
    tasks = {f"{rows:,} rows": lambda way: way(x), "a row": lambda way: [way(one) for one in singles]}
    print(f"| predict_proba, µs | {' | '.join(ways)} |\n|---|{'---|' * len(ways)}")
    for task, run in tasks.items():
        times: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(runs + 2):
            for name, way in ways.items():
                started = time.perf_counter()
                run(way)
                if turn > 1:
                    times[name].append((time.perf_counter() - started) * 1e6 / (1000 if task == "a row" else 1))
        print(
            f"| {task} | {' | '.join(f'{statistics.median(seconds):.4g}' for seconds in times.values())} |", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--rivals", action="store_true", help="one network beside onnxruntime")
    args = parser.parse_args()
    if args.rivals:
        rivals(args.rows, args.runs)
        return
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
