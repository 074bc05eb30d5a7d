"""A sweep that goes on notices what has changed since."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import xbnet
from xbnet.sweeps import fingerprint as module
from xbnet.sweeps.build import Program
from xbnet.sweeps.fingerprint import difference, fingerprint
from xbnet.sweeps.pool import make_pool

from .conftest import make_data

SOURCE = """
import xbnet, functools
WIDTH = 8
HELD = {"names": frozenset({"tanh", "relu"}), "array": np.arange(3.0)}

class Twice(xbnet.Linear):
    def forward(self, x, training):
        return super().forward(x, training)

def helper(n):
    return n + 1

def outer(inner):
    def layers(neck, depth=2, *, act="tanh"):
        found = [Twice(helper(WIDTH), act) for _ in range(depth)]
        return [*found, xbnet.Linear(neck), xbnet.Linear(inner)] if act in HELD["names"] else []
    return layers

class Maker:
    def __init__(self, n):
        self.n = n
    def __call__(self, neck):
        return [xbnet.Linear(neck), xbnet.Linear(self.n)]
    def make(self, neck):
        return self(neck)

layers = outer(3)
"""


def digests(source, layers="layers"):
    space = {"np": np, "__name__": "somewhere"}
    exec(compile(source, "somewhere.py", "exec"), space)
    return fingerprint(Program(make_pool(make_data()), eval(layers, space)), [])


def test_the_same_code_is_the_same():
    assert difference(digests(SOURCE), digests(SOURCE)) is None
    moved = "\n\n# a remark\n" + SOURCE.replace("return n + 1", "return n + 1  # one more")
    assert difference(digests(SOURCE), digests(moved)) is None


CHANGES = [
    ("WIDTH = 8", "WIDTH = 9"),
    ("return n + 1", "return n + 2"),
    ("depth=2", "depth=3"),
    ('act="tanh"', 'act="relu"'),
    ("xbnet.Linear(neck), xbnet.Linear(inner)", "xbnet.Linear(inner), xbnet.Linear(neck)"),
    ("outer(3)", "outer(4)"),
    ("super().forward(x, training)", "2 * super().forward(x, training)"),
    ("np.arange(3.0)", "np.arange(4.0)"),
    ('"relu"}', '"gelu"}'),
    ("for _ in range(depth)", "for _ in range(depth + 1)"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES, ids=[new for _, new in CHANGES])
def test_other_code_is_noticed(old, new):
    assert SOURCE.count(old) == 1
    assert difference(digests(SOURCE), digests(SOURCE.replace(old, new))) == "its function of layers differs"


@pytest.mark.parametrize("layers", ["Maker(2)", "Maker(2).make", "functools.partial(layers, 4)"])
def test_what_can_be_called_need_not_be_a_function(layers):
    same, other = digests(SOURCE, layers), digests(SOURCE, layers.replace("2)", "3)").replace("4)", "5)"))
    assert difference(same, digests(SOURCE, layers)) is None
    assert difference(same, other) == "its function of layers differs"


def test_a_digest_is_the_same_in_every_process():
    code = "from tests.sweeps.test_fingerprint import SOURCE, digests; import json; print(json.dumps(digests(SOURCE)))"
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == json.loads(json.dumps(digests(SOURCE)))


def test_data_and_weights_are_noticed():
    program = Program(make_pool(make_data(n=2000)))
    other = make_data(n=2000)
    other.train.x[1234, 1] = np.nextafter(other.train.x[1234, 1], np.float32(9))
    changed = dataclasses.replace(program, pool=make_pool(other))
    assert difference(fingerprint(program, []), fingerprint(changed, [])) == "its data differ"
    weights = np.ones(2000)
    first = dataclasses.replace(program, class_weight=weights.copy())
    weights[1000] = 2  # in the middle, which the repr of an array leaves out
    second = dataclasses.replace(program, class_weight=weights)
    assert difference(fingerprint(first, []), fingerprint(second, [])) == "its space or settings differ"


def test_versions_are_said(monkeypatch):
    program = Program(make_pool(make_data()))
    before = fingerprint(program, [])
    monkeypatch.setattr(module, "__version__", "99.1")
    line = f"it was made by xbnet {before['xbnet']}, and this is 99.1"
    assert difference(before, fingerprint(program, [])) == line
    assert difference("0123", before) == "it was written by an older xbnet"


def test_a_sweep_with_other_layers_does_not_go_on(data, tmp_path):
    def run(width, resume=False):
        def layers(neck):
            return [xbnet.Linear(width), xbnet.Linear(neck), xbnet.Linear(3)]

        return xbnet.sweep({"neck": [1, 2]}, data, layers=layers, epochs=1, out=tmp_path / "run", resume=resume)

    run(4)
    run(4, resume=True)
    with pytest.raises(xbnet.ConfigError) as caught:
        run(5, resume=True)
    assert str(caught.value) == (
        f"{tmp_path / 'run'}: holds another sweep (its function of layers differs); choose another folder"
    )


def test_a_custom_activation_does_not_prevent_going_on(data, tmp_path):
    """Its functions' addresses differ from process to process."""

    def run(resume=False):
        own = xbnet.Activation(
            "own", lambda xp, z, out, work: xp.tanh(z, out=out), lambda xp, dy, z, y, work: xp.multiply(dy, y, out=dy)
        )
        return xbnet.sweep({"activation": [own]}, data, epochs=1, out=tmp_path / "run", resume=resume)

    run()
    run(resume=True)
