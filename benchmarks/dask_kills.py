"""A sweep of 1,000 networks on two Dask workers, one of which is killed at a random moment: is the table the same?

python -m benchmarks.dask_kills --times 10
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from typing import Any

import xbnet

SPACE = {"lr": [10 ** (-3 + i / 25) for i in range(100)], "l2": [0.0, 1e-6, 1e-5, 1e-4, 1e-3]}
FIXED: dict[str, Any] = {"seeds": 2, "epochs": 5, "hidden": (10, 7), "batch_size": 64}
WORKER = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard"]


def digest(result: xbnet.SweepResult) -> str:
    """A digest of the table, without times, and of all weights."""
    found = hashlib.sha256()
    for row in result.rows():
        outcome, r = result.place(row["member"])
        found.update(repr({**row, "seconds": 0}).encode() + outcome.theta[r].tobytes() + outcome.state[r].tobytes())
    return found.hexdigest()


def one_sweep(data: Any, after: float | None) -> tuple[str, float, int]:
    """The digest, the seconds, and the number of chunks that were run; a worker is killed after some seconds."""
    import distributed

    with (
        tempfile.TemporaryDirectory() as folder,
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster,
    ):
        address, quiet = cluster.scheduler_address, subprocess.DEVNULL
        workers = [subprocess.Popen([*WORKER, address], stdout=quiet, stderr=quiet, cwd=folder) for _ in range(2)]
        try:
            with distributed.Client(address) as client:
                client.wait_for_workers(2, timeout=120)
            started = time.perf_counter()
            if after is not None:
                timer = threading.Timer(after, workers[0].send_signal, [signal.SIGKILL])
                timer.daemon = True
                timer.start()
            result = xbnet.sweep(SPACE, data, executor=f"dask:{address}", memory="8 MB", progress=False, **FIXED)
            seconds = time.perf_counter() - started
            assert len(result) == 1000
            return digest(result), seconds, len({id(result.place(m)[0]) for m in range(len(result))})
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()


def main() -> None:
    """Compare the tables of all runs with that of threads."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    whole_set = xbnet.load_dataset("gmm")
    parts = [xbnet.Part(part.x[:3000], part.y[:3000]) for part in (whole_set.train, whole_set.val)]
    data = xbnet.Dataset("gmm", *parts)
    expected = digest(xbnet.sweep(SPACE, data, progress=False, **FIXED))
    found, whole, chunks = one_sweep(data, None)
    print(
        f"nobody dies: {chunks} chunks in {whole:.1f} s, the table is {'the same' if found == expected else 'ANOTHER'}"
    )
    draw, same = random.Random(args.seed), found == expected
    for i in range(args.times):
        after = draw.uniform(0, whole)
        found, seconds, _ = one_sweep(data, after)
        table = "the same" if found == expected else "ANOTHER"
        print(f"{i + 1}: killed after {after:.2f} s, ended in {seconds:.1f} s, the table is {table}", flush=True)
        same &= found == expected
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
