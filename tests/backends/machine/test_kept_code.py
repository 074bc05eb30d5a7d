"""Code on disk, which several processes write and read, one after the other and at once, and which may be damaged."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from xbnet.backends.machine import load

pytestmark = [
    pytest.mark.skipif(load.why_not() is not None, reason="numba is not installed"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks"),
]

PLAY = """
import json
import os
import sys

import numpy as np

from xbnet.backends.machine import entries
from xbnet.backends.machine.load import machine
from xbnet.backends.machine.lower import lower
from xbnet.backends.machine.record import Operation

x, y = np.array([[4.0, 0.5]]), np.empty((1, 2))


def play(names):
    for name in names:
        program = lower([Operation(name, (x,), (y,))], x.dtype, 1, [], {})
        play = machine(x.dtype)
        program.play(play, program.addresses(1, {}), 1, 0, 1)
        assert np.allclose(y, getattr(np, name)(x)), (name, y)
        yield [name, *(made.cache_hits for made in play._compiled.values())]


def begin(names):
    read, write = os.pipe()
    if not os.fork():
        try:
            with os.fdopen(write, "w") as pipe:
                played = list(play(names))
                loops = sum(machine(x.dtype).play.stats.cache_hits.values())
                pipe.write(json.dumps([loops, *played]))
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    os.close(write)
    return os.fdopen(read)


found = []
for at_once in json.loads(sys.argv[1]):
    found.append([json.loads(pipe.read()) for pipe in [begin(names) for names in at_once]])
    for _ in at_once:
        assert os.wait()[1] == 0
print(json.dumps(found))
"""


def run(folder, *rounds):
    """Let processes play instructions, those of a round at once; each has imported numba, and compiled nothing yet.

    For each process: whether it read the loop from the disk, and for each instruction its name and whether each so far
    was read.
    """
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", PLAY, json.dumps(rounds)],
        env=os.environ | {"NUMBA_CACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The folder of two processes that compiled at once, and of others after them."""
    folder = tmp_path_factory.mktemp("kept")
    one_by_one = [["square"]], [["exp"]], [["tanh", "square", "exp"]], [["exp", "square", "tanh"]]
    at_once, alone, *others = run(folder, [["tanh"], ["tanh"]], *one_by_one)
    assert sorted(played for _, played in at_once) == [["tanh", 0], ["tanh", 1]]  # the other one has waited
    assert alone == [[1, ["square", 0]]]
    assert [found[0][-1][1:] for found in others] == [[0], [1, 1, 1], [1, 1, 1]]
    return folder


def test_each_instruction_is_itself_where_processes_compiled_them_one_by_one_and_at_once(kept):
    """They compare what they get with NumPy's."""
    names = [file.name for file in kept.rglob("*.nb?")]
    assert len(names) == 8  # the loop and three instructions, an index and code of each
    assert all(f"_{load.digest()}-" in name for name in names)  # so versions and processors can't be mixed up


def test_damaged_files_are_compiled_anew_and_replaced(kept, tmp_path):
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    for file in tmp_path.rglob("*.nb?"):
        if not file.name.startswith(("entries.play_", "entries.square_")):
            file.unlink()
    files = sorted(tmp_path.rglob("*.nb?"))
    assert len(files) == 4
    for file in files[1], files[2]:  # the code of the loop, the index of the instruction
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    files[0].write_bytes(bytes(100))
    assert run(tmp_path, [["square"]], [["square"]]) == [[[0, ["square", 0]]], [[1, ["square", 1]]]]
    assert files == sorted(tmp_path.rglob("*.nb?"))
