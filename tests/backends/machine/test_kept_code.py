"""Code on disk, to which several processes have added one instruction each."""

import os
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
"""


def test_each_instruction_is_itself_where_processes_compiled_them_one_by_one(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    for names in (["tanh"], ["square"], ["exp"], ["tanh", "square", "exp"], ["exp", "square", "tanh"]):
        done = subprocess.run([sys.executable, "-c", PLAY, *names], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.rglob("*.nbi"))) >= 4  # the loop and three instructions
