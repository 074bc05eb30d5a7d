"""A soak: fits, predictions, threads, forks and interrupts for as long as one likes; memory and descriptors stay level.

``python -m tests.soak --minutes 60`` before a release. It prints a line per minute, and fails where a result is another
one than at the start, where a child hangs, or where memory, threads, descriptors or children grow.
"""

import argparse
import faulthandler
import gc
import io
import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import numpy as np

import xbnet
from tests.support.files import csv_text
from xbnet.cli import main as command

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(300, 4)).astype("float32"), np.arange(300) % 3
SLACK = 24 * 2**20
"""Bytes by which the process may be larger than after the first tenth of the time: what allocators keep varies."""
HANGS, LOOK = 120, 0.01
"""Seconds after which a child hangs."""


class Soak:
    """What is done over and over, each by a method of its own; see `WORK`."""

    def __init__(self, folder):
        self.folder, self.expected = Path(folder), {}
        (self.folder / "x.csv").write_text(csv_text())
        self.shared = self._network()

    def same(self, name, *arrays):
        """A task's results never change."""
        for array, before in zip(arrays, self.expected.setdefault(name, arrays), strict=True):
            np.testing.assert_array_equal(array, before, err_msg=name)

    def _network(self, replicas=1):
        layers = [xbnet.Linear(8, "tanh"), xbnet.BatchNorm(), xbnet.Dropout(0.1), xbnet.Linear(3)]
        return xbnet.Network(layers, 4, replicas=replicas, rng=0)

    def _fit(self, replicas=1, **settings):
        network = self._network(replicas)
        xbnet.fit(network, "cross_entropy", "adam", (X, Y), epochs=3, batch_size=50, **settings)
        return network

    def fit(self):
        """Fits of one network and of a stack whose members leave."""
        self.same("fit", self._fit().theta)
        self.same("stack", self._fit(4, patience=1, l2=[0, 0.1, 1, 10]).theta)

    def predict(self):
        """Predictions of many sizes by one network."""
        for n in (1, 7, 300):
            self.same(f"predict {n}", self.shared.predict_proba(X[:n]))

    def estimate(self):
        """An estimator."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.same("estimator", xbnet.XBClassifier((6,), max_iter=3, random_state=0).fit(X, Y).predict_proba(X))

    def sweep(self):
        """A sweep in threads."""
        result = xbnet.sweep({"lr": [0.01, 0.1], "hidden": [(3,), (4,)]}, (X, Y), epochs=2, workers=2)
        self.same("sweep", *(result.place(member)[0].theta[result.place(member)[1]] for member in range(len(result))))

    def files(self):
        """The command: train, resume, predict; a model, and a damaged one."""
        run = str(self.folder / "run")
        data = ["--data", str(self.folder / "x.csv"), "--target", "kind"]
        flags = [*data, "--hidden", "3", "--quiet", "--checkpoint-every", "1", "--out", run, "--overwrite"]
        model, bad = Path(run) / "model.safetensors", self.folder / "bad.safetensors"
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            assert command(["train", *flags, "--epochs", "1"]) == 0
            assert command(["train", "--resume", run, "--epochs", "2", "--quiet"]) == 0
            assert command(["predict", run, *data, "--out", str(self.folder / "p.csv")]) == 0
            bad.write_bytes(model.read_bytes()[:-9])
            assert command(["info", str(bad)]) == 2
        self.same("model", np.frombuffer(model.read_bytes(), np.uint8))

    def threads(self):
        """Threads that predict by one network, and others that train their own."""
        wrong = []

        def run(task):
            try:
                task()
            except BaseException as error:
                wrong.append(error)

        tasks = [self.predict, self.predict, lambda: self.same("fit", self._fit().theta), self.predict]
        threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if wrong:
            raise wrong[0]

    def forks(self):
        """Children that are forked while a thread predicts; each predicts and fits, and ends."""
        stop = threading.Event()

        def predict():
            while not stop.is_set():
                self.predict()

        thread = threading.Thread(target=predict)
        thread.start()
        try:
            children = [self._child() for _ in range(4)]
        finally:
            stop.set()
            thread.join()
        looks = 0  # counted, not timed: a machine that stood still is no child that hangs
        while children:
            ended, status = os.waitpid(children[0], os.WNOHANG)
            if ended:
                assert os.waitstatus_to_exitcode(status) == 0, "a child failed"
                children.pop(0)
            elif looks * LOOK > HANGS:
                for child in children:
                    os.kill(child, signal.SIGUSR1)  # says where it stands
                    time.sleep(1)
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                raise AssertionError(f"{len(children)} children hang")
            else:
                looks += 1
                time.sleep(LOOK)

    def _child(self):
        child = os.fork()
        if child:
            return child
        code = 1
        try:
            self.predict()
            self.same("fit", self._fit().theta)
            code = 0
        finally:
            os._exit(code)

    def interrupts(self):
        """Ctrl-C in the midst of a run that keeps checkpoints; resumed, it ends as one that nobody interrupted."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            timer = threading.Timer(float(RNG.uniform(0, 0.05)), signal.raise_signal, [signal.SIGINT])

            def interrupt(record):
                if record["epoch"] == 1:
                    timer.start()

            network = self._network()
            settings = {"epochs": 12, "batch_size": 50, "checkpoint": folder}
            with suppress(KeyboardInterrupt):
                xbnet.fit(network, "cross_entropy", "adam", (X, Y), on_epoch=interrupt, **settings)
                timer.join()
            with suppress(KeyboardInterrupt):  # it may come late
                timer.join()
            network = self._network()
            xbnet.fit(network, "cross_entropy", "adam", (X, Y), resume=True, **settings)
            self.same("resumed", network.theta)


WORK = ("fit", "predict", "estimate", "sweep", "files", "threads", "forks", "interrupts")


def used():
    """Bytes of this process, its open descriptors, threads and children."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return (
        pages * os.sysconf("SC_PAGE_SIZE"),
        len(os.listdir("/proc/self/fd")),
        len(os.listdir("/proc/self/task")),
        len(children),
    )


def soak(minutes, folder, told=print, least=3):
    """Work for so many minutes, and at least so many rounds; returns how many, and what was used early and at the end.

    Raises
    ------
    AssertionError
        Something has changed, hangs or grows.
    """
    work, started, rounds, level, last = Soak(folder), time.monotonic(), 0, None, 0.0
    while (passed := (time.monotonic() - started) / 60) < minutes or rounds < least:
        for name in WORK:
            getattr(work, name)()
        rounds += 1
        now = used()
        if level is None and passed >= minutes / 10 and rounds >= 2:
            level = now
        if level is not None:
            assert now[0] <= level[0] + SLACK, f"memory grew from {level[0]:,} to {now[0]:,} bytes in {rounds} rounds"
            for what, before, after in zip(("descriptors", "threads", "children"), level[1:], now[1:], strict=True):
                assert after <= before + 2, f"{what} grew from {before} to {after} in {rounds} rounds"
        if passed - last >= 1:
            last = passed
            told(f"{passed:.0f} min, {rounds} rounds: {now[0] / 2**20:.0f} MiB, {now[1]} descriptors, {now[2]} threads")
    return rounds, level, now


def main():
    faulthandler.register(signal.SIGUSR1)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as folder:
        rounds, level, now = soak(minutes, folder, told=lambda line: print(line, flush=True))
    print(f"level: {rounds} rounds of {', '.join(WORK)}; from {level[0] / 2**20:.0f} to {now[0] / 2**20:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
