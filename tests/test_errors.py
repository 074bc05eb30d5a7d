import re
from pathlib import Path

import numpy as np
import pytest

import xbnet
from tests.support.errors import refuses
from xbnet.errors import ConfigError, ShapeError, expect_shape, unknown_name

KINDS = {"ShapeError": ValueError, "DataError": ValueError, "ConfigError": ValueError, "BackendError": RuntimeError}


@pytest.mark.parametrize("name", KINDS)
def test_kinds(name):
    kind = getattr(xbnet, name)
    assert issubclass(kind, xbnet.XbnetError)
    assert issubclass(kind, KINDS[name])
    assert kind.exit_code == 2


def test_a_failure_while_running_has_an_exit_code_of_its_own():
    assert issubclass(xbnet.DivergenceError, ArithmeticError)
    assert xbnet.DivergenceError.exit_code == 1
    assert xbnet.DivergenceError("x").history is None


def test_expect_shape():
    expect_shape("f", "x", np.zeros((4, 7, 8)), R=(1, 4), B=None, I=8)
    with refuses(ShapeError, "f: expected x (R=1 or 4, B, I=8), got (2, 7, 8)"):
        expect_shape("f", "x", np.zeros((2, 7, 8)), R=(1, 4), B=None, I=8)
    with refuses(ShapeError, "f: expected x (R=1 or 4, B, I=8), got (4, 8); what now?"):
        expect_shape("f", "x", np.zeros((4, 8)), "what now?", R=(1, 4), B=None, I=8)


def test_unknown_name():
    assert isinstance(unknown_name("f", "thing", "x", []), ConfigError)
    assert str(unknown_name("f", "thing", "bat", ["cat", "dog"])) == (
        "f: unknown thing 'bat'; did you mean 'cat'? known are cat, dog"
    )
    assert str(unknown_name("f", "thing", "zebra", ["dog", "cat"])) == "f: unknown thing 'zebra'; known are cat, dog"
    assert "; a class is to be called: SGD(); known are cat" in str(unknown_name("f", "rule", xbnet.SGD, ["cat"]))


def test_nobody_is_sent_to_the_other_project_of_this_name():
    root = Path(__file__).parents[1]
    texts = [*root.glob("xbnet/**/*.py"), *root.glob("docs/*.md"), root / "README.md", root / "pyproject.toml"]
    assert not [path for path in texts if re.search(r"install ['\"]?xbnet\b(?!-)|\"xbnet\[", path.read_text())]
