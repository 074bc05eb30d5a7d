"""What a user's type checker sees of the package."""

import os
import subprocess
import sys

import pytest

from tests.test_floors import PACKAGE

pytest.importorskip("mypy")

SCRIPT = """
import numpy as np
import xbnet

data = xbnet.load_dataset("gmm")
net = xbnet.Network(xbnet.mlp([10], 5), data.n_inputs, rng=0)
history = xbnet.fit(net, "cross_entropy", xbnet.Adam(0.1), data, epochs=2, schedule=xbnet.optim.schedules.Cosine())
reveal_type(history)
reveal_type(net.predict(np.zeros((2, 5))))
reveal_type(xbnet.XBClassifier((5,)))
reveal_type(xbnet.Recipe().check)
xbnet.fit(net, "cross_entropy", "sgd", data, epochs="2")
xbnet.fit(net, "cross_entropy", "sgd", data, epoch=2)
xbnet.Network(5, 2)
xbnet.mlp(["10"], 5)
xbnet.wobble
"""
SEEN = [
    (8, 'Revealed type is "xbnet.history.History"'),
    (9, 'Revealed type is "numpy.ndarray'),
    (10, 'Revealed type is "xbnet.estimators.classifier.XBClassifier"'),
    (11, "xbnet.training.samples.Samples"),
    (12, 'Argument "epochs" to "fit" has incompatible type "str"; expected "int"'),
    (13, 'Unexpected keyword argument "epoch" for "fit"'),
    (14, 'Argument 1 to "Network" has incompatible type "int"'),
    (15, 'List item 0 has incompatible type "str"'),
    (16, 'Module has no attribute "wobble"'),
]


def test_a_user_s_mypy_sees_the_types(tmp_path):
    assert (PACKAGE / "py.typed").exists()
    (tmp_path / "user.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--python-version", "3.11", "--ignore-missing-imports", "user.py"],
        capture_output=True, text=True, cwd=tmp_path, timeout=1000, env={**os.environ, "MYPYPATH": str(PACKAGE.parent)},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    for number, text in SEEN:
        found = [line for line in lines if line.startswith(f"user.py:{number}:")]
        assert any(text in line for line in found), (number, text, found)
    errors = [line for line in lines if ": error:" in line]
    assert all(int(line.split(":")[1]) >= 12 for line in errors), errors
