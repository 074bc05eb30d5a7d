"""A command that is killed with SIGKILL wherever it touches a file, once for each such point.

One process of its own, which `Killer` starts, imports Python's libraries once, and forks another one for each kill.
"""

import importlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import pytest

from tests.support.chance import SEED
from tests.support.pictures import put_down
from xbnet.files import TEMPORARY


@dataclass
class Plan:
    """Words of commands; ``{out}`` in them stands for the folder of one kill.

    Attributes
    ----------
    command
        The command to kill.
    recover
        The commands to run afterwards, one after the other until one ends with 0.
    before
        A folder whose files are in each ``{out}`` at the start, or nothing.
    every, first
        Where there are more than four points, only each `every`-th, from the `first`, is one of a kill: a run of the
        suite has few, and other ones each time, and before a release there are all.
    """

    command: list[str]
    recover: list[list[str]]
    before: str = ""
    every: int = 1 if "XBNET_FUZZ" in os.environ else 3
    first: int = SEED % 3


class Killer:
    """A process that kills others; as a context it is there once for several plans."""

    def __enter__(self):
        alone = dict.fromkeys(
            ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"
        )  # forks have no others
        with pytest.MonkeyPatch.context() as patched:
            for name, value in alone.items():
                patched.setenv(name, value)
            self.process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=prepare)
            self.process.submit(os.getpid).result(timeout=500)
        return self

    def __exit__(self, *error):
        self.process.shutdown()

    def run(self, folder, plan):
        """Kill a command everywhere, and run what recovers from that.

        The folders ``whole`` and 0, 1, ... in `folder` are what it left in the end, ``0-killed``, ... what a kill left.
        The answer has for each point its name, whether it was killed there, and the exit codes of the recovery. Where
        two kills that follow each other left the same files, but for what was being written, only the second one's is
        recovered from.
        """
        return self.process.submit(kill_everywhere, folder, plan).result(timeout=500)


def prepare():
    """Import what commands need, for all forks; and let pictures neither be put together nor drawn."""
    from matplotlib.figure import Figure

    from xbnet import plots
    from xbnet.cli import build_parser

    build_parser("*")  # imports what the verbs need
    libraries = "onnx", "tensorboardX.event_file_writer", "scipy.stats", "narwhals", "sklearn.metrics"
    sys.modules["pandas"] = None  # as if it were not installed: scikit-learn would import it, and it brings a thread
    for name in ("xbnet.training.fit", "xbnet.sweeps.plots", *libraries):
        with suppress(ImportError):
            importlib.import_module(name)
    del sys.modules["pandas"]
    plots.learning_curves = plots.decision_regions = lambda *arguments, **settings: Figure()
    Figure.savefig = put_down
    assert len(os.listdir("/proc/self/task")) == 1, "a thread would be missing in the forks"


def watch(folder, kill_at=None):
    """Count, from now on, each point at which a file in `folder` has been half written, or its last line (where it is
    one that grows), or is about to be renamed or removed; die at one of them.
    """
    seen, folder = [], str(folder) + os.sep

    def point(what, path, half=None):
        removed = what == "os.remove" and TEMPORARY.fullmatch(os.path.basename(path))  # when it has got its name
        if not path.startswith(folder) or removed:
            return
        seen.append(f"{what} {path[len(folder) :]}")
        if len(seen) - 1 == kill_at:
            if half is not None:
                size = os.fstat(half).st_size
                os.ftruncate(half, size // 2 if TEMPORARY.fullmatch(os.path.basename(path)) else size - 20)
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event, arguments):
        if event in ("os.rename", "os.remove"):
            point(event, os.fsdecode(arguments[0]))

    real = os.fsync

    def fsync(handle):
        point("os.fsync", os.readlink(f"/proc/self/fd/{handle}"), half=handle)
        return real(handle)

    os.fsync = fsync
    sys.addaudithook(hook)
    return seen


def state(folder):
    """The files that a reader finds: names and contents, without temporary ones."""
    found = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {
        str(path.relative_to(folder)): content for path, content in found.items() if not TEMPORARY.fullmatch(path.name)
    }


def forked(task):
    """How a task ended in a process of its own: its exit code, or minus the signal; and the text that it returned."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        code = 70
        try:
            null = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            code, text = task()
            with os.fdopen(write, "w") as pipe:
                pipe.write(text)
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text


def kill_everywhere(folder, plan):
    """See `Killer.run`; in the process that forks the others."""
    from xbnet.cli import main

    folder = folder.resolve()

    def out(name):
        path = folder / name
        if plan.before:
            shutil.copytree(plan.before, path)
        else:
            path.mkdir(parents=True)
        return path

    def run(argv, path, kill_at=None):
        seen = watch(path, kill_at)
        return main([word.replace("{out}", str(path)) for word in argv]), json.dumps(seen)

    path = out("whole")
    code, text = forked(lambda: run(plan.command, path))
    assert code == 0, f"{plan.command} ended with {code} where nobody killed it"
    found = [{"point": point, "killed": False, "codes": []} for point in json.loads(text)]
    chosen = range(len(found)) if len(found) <= 4 else range(plan.first % plan.every, len(found), plan.every)
    for i in chosen:
        path = out(f"{i}-killed")
        code, _ = forked(lambda path=path, i=i: run(plan.command, path, kill_at=i))
        assert code == -signal.SIGKILL, f"killed at {found[i]['point']!r}, it ended with {code}"
        found[i]["killed"] = True
    for i, following in zip(chosen, [*chosen[1:], None], strict=True):
        end, killed = found[i], folder / f"{i}-killed"
        if following is not None and state(killed) == state(folder / f"{following}-killed"):
            continue
        path = folder / str(i)
        shutil.copytree(killed, path)
        for argv in plan.recover:
            end["codes"].append(forked(lambda argv=argv, path=path: run(argv, path))[0])
            if end["codes"][-1] == 0:
                break
    return found
