"""A command that is killed with SIGKILL wherever it touches a file, once for each such point.

``python -m tests.support.kills FOLDER`` takes what to do as JSON from stdin (`Plan`) and answers with what was found. It
forks a process for each kill, so that Python and its libraries are imported once.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir")


@dataclass
class Plan:
    """Words of commands; ``{out}`` in them stands for the folder of one kill.

    Attributes
    ----------
    command
        What is killed.
    recover
        What is run afterwards, one after the other until one ends with 0.
    before
        A folder whose files lie in each ``{out}`` at the start, or nothing.
    """

    command: list[str]
    recover: list[list[str]]
    before: str = ""
    environment: dict[str, str] = field(default_factory=dict)


def run(folder, plan):
    """Kill a command everywhere. The folders ``whole`` and 0, 1, ... in `folder` hold what was left of it, and
    ``0-before``, ... what was there before it was recovered; the answer says how each recovery ended.
    """
    command = [sys.executable, "-m", "tests.support.kills", str(folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | plan.environment
    done = subprocess.run(
        command, input=json.dumps(asdict(plan)), capture_output=True, text=True, timeout=500, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def watch(folder, kill_at=None):
    """Count, from now on, each point at which a file in `folder` is about to be changed; die at one of them.

    Points are before a file is opened for writing, renamed or removed, before a folder is made, and where a file is
    flushed to the disk: there half of it is written.
    """
    seen, folder = [], str(folder) + os.sep

    def point(what, path, half=None):
        if not str(path).startswith(folder) or (os.path.isdir(path) and what == "open"):
            return
        seen.append(f"{what} {str(path)[len(folder) :]}")
        if len(seen) - 1 == kill_at:
            if half is not None:
                os.ftruncate(half, os.fstat(half).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event, arguments):
        if event == "open" and isinstance(arguments[0], (str, bytes)) and arguments[2] & WRITES:
            point("open", os.fsdecode(arguments[0]))
        elif event in CHANGES:
            point(event, os.fsdecode(arguments[0]))

    real = os.fsync

    def fsync(handle):
        number = handle if isinstance(handle, int) else handle.fileno()
        point("flush", os.readlink(f"/proc/self/fd/{number}"), half=number)
        return real(handle)

    os.fsync = fsync
    sys.addaudithook(hook)
    return seen


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


def main():
    from xbnet.cli import build_parser, main

    build_parser("*")  # imports what the verbs need
    import xbnet.plots
    import xbnet.training.fit  # noqa: F401

    folder, plan = Path(sys.argv[1]).resolve(), Plan(**json.load(sys.stdin))

    def out(name):
        path = folder / name
        if plan.before:
            shutil.copytree(plan.before, path)
        else:
            path.mkdir(parents=True)
        return path

    def words(argv, path):
        return [word.replace("{out}", str(path)) for word in argv]

    def whole():
        path = out("whole")
        seen = watch(path)
        return main(words(plan.command, path)), json.dumps(seen)

    code, text = forked(whole)
    assert code == 0, f"{plan.command} ended with {code} where nobody killed it"
    points, found = json.loads(text), []
    for i, point in enumerate(points):
        path = out(str(i))

        def killed(path=path, i=i):
            watch(path, kill_at=i)
            return main(words(plan.command, path)), ""

        code, _ = forked(killed)
        assert code == -signal.SIGKILL, f"killed at {point!r}, it ended with {code}"
        shutil.copytree(path, folder / f"{i}-before")
        codes = []
        for argv in plan.recover:
            codes.append(forked(lambda argv=argv, path=path: (main(words(argv, path)), ""))[0])
            if codes[-1] == 0:
                break
        found.append({"point": point, "codes": codes})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
