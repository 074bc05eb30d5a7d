"""Code on disk, which several processes write and read, one after the other and at once, and which may be damaged."""

import os
import shutil
import subprocess
import sys

import pytest

from xbnet.backends.machine import load

pytestmark = pytest.mark.skipif(load.why_not() is not None, reason="numba is not installed")

PLAY = """
import sys

import numpy as np

from xbnet.backends.machine.load import machine
from xbnet.backends.machine.lower import lower
from xbnet.backends.machine.record import Operation

x, y = np.array([[4.0, 0.5]]), np.empty((1, 2))
for name in sys.argv[1:]:
    program = lower([Operation(name, (x,), (y,))], x.dtype, 1, [], {})
    play = machine(x.dtype)
    program.play(play, program.addresses(1, {}), 1, 0, 1)
    assert np.allclose(y, getattr(np, name)(x)), (name, y)
    print(name, *(made.cache_hits for made in play._compiled.values()))
"""


def begin(folder, *names):
    """A process that plays these instructions."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PLAY, *names],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def end(process):
    """Its output: for each instruction its name, and how many of those so far were read from the disk."""
    output, complaint = process.communicate()
    assert process.returncode == 0, complaint.decode()
    return output.decode().split()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The folder of two processes that compiled at once."""
    folder = tmp_path_factory.mktemp("kept")
    both = [begin(folder, "tanh"), begin(folder, "tanh")]
    assert sorted(end(process) for process in both) == [["tanh", "0"], ["tanh", "1"]]  # the other one has waited
    assert end(begin(folder, "square")) == ["square", "0"]
    return folder


def test_each_instruction_is_itself_where_processes_compiled_them_one_by_one_and_at_once(kept):
    for names in (["exp"], ["tanh", "square", "exp"], ["exp", "square", "tanh"]):
        end(begin(kept, *names))
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
    end(begin(tmp_path, "square"))
    repaired = {file: file.stat().st_mtime_ns for file in files}
    end(begin(tmp_path, "square"))
    assert repaired == {file: file.stat().st_mtime_ns for file in sorted(tmp_path.rglob("*.nb?"))}
