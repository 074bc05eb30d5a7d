"""The soak itself, for a round: ``python -m tests.soak --minutes 60`` is the whole of it, before a release."""

import os
import sys

import numpy as np
import pytest

from tests import soak

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what is used")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forks beside threads, which is what is tested
def test_a_round(tmp_path):
    assert soak.soak(0, tmp_path, least=1)[0] == 1


def test_what_changes_or_grows_is_found(tmp_path, monkeypatch):
    work, opened = soak.Soak(tmp_path), []
    work.same("x", np.zeros(3))
    with pytest.raises(AssertionError, match="x"):
        work.same("x", np.ones(3))
    monkeypatch.setattr(soak, "WORK", ("leak",))
    monkeypatch.setattr(soak.Soak, "leak", lambda self: opened.append(os.dup(0)), raising=False)
    with pytest.raises(AssertionError, match="^descriptors grew from "):
        soak.soak(0, tmp_path, least=6)
    for handle in opened:
        os.close(handle)
