"""Processes that share pieces of work by locks of the system."""

import subprocess
import sys
import time

import pytest

from xbnet.backends.machine import turns
from xbnet.backends.machine.turns import by_turns

pytest.importorskip("fcntl")

OTHER = """
import sys
from pathlib import Path

from xbnet.backends.machine.turns import by_turns

for piece in by_turns([int(sys.argv[2])], Path(sys.argv[1])):
    print(piece, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def at_two(tmp_path):
    """A file, and another process that is at piece 2."""
    file = tmp_path / "turns"
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(file), "2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "2\n"
        yield file, other
        other.kill()


def test_what_another_process_is_at_comes_last_and_when_it_is_done(at_two, monkeypatch):
    file, other = at_two
    naps = []

    def nap(seconds):
        naps.append(seconds)
        other.communicate("\n")  # it ends

    monkeypatch.setattr(time, "sleep", nap)
    found = [(piece, len(naps)) for piece in by_turns([1, 2, 3], file)]
    assert found == [(1, 0), (3, 0), (2, 1)]


def test_who_never_ends_is_waited_for_so_long_and_no_longer(at_two, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    assert list(by_turns([1, 2, 3], at_two[0])) == [1, 3, 2]


def test_without_a_file_or_a_folder_for_it_all_are_done_in_order(tmp_path):
    assert list(by_turns([3, 1], None)) == [3, 1]
    assert list(by_turns([3, 1], tmp_path / "none" / "turns")) == [3, 1]
