"""The real CuPy trains what NumPy trains, on a CUDA that is pretended (see `pretend`): no device is needed."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOOLS = ("network", "train", "same")  # of the scenarios
NAMES = [
    node.name
    for node in ast.parse((HERE / "scenarios.py").read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name not in TOOLS
]


@pytest.fixture(scope="module")
def failed():
    """Scenario -> its traceback. All run in one process, for which CuPy must not have been imported before."""
    cupy = pytest.importorskip("cupy")
    if not cupy.__version__.startswith("14."):
        pytest.skip("the tables of functions that are put in are those of CuPy 14")
    if not (shutil.which("g++") or shutil.which("c++")):
        pytest.skip("needs a C++ compiler")
    root = str(HERE.parents[2])
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", HERE / "scenarios.py", *NAMES],
        env=os.environ | {"PYTHONPATH": root}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", NAMES)
def test_scenario(failed, name):
    assert name not in failed, failed[name]
