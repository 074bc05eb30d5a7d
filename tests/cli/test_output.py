"""Whatever stdout is, and whatever is printed: one line, an exit code that others have, and no control of the terminal."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest

import xbnet
from xbnet.cli import main
from xbnet.cli.output import CLOSED

EVIL = "red\x1b[2J\x07\n\u202e" + "x" * 5000

needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")


@pytest.fixture
def model(tmp_path):
    """Whose classes and inputs have names that mean harm."""
    network = xbnet.Network([xbnet.Linear(2)], 2, rng=0)
    xbnet.save(network, tmp_path / "m.safetensors", classes=[EVIL, "é"], features=["a" + EVIL, "b"])
    return str(tmp_path / "m.safetensors")


@pytest.fixture
def rows(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 2)))
    return str(tmp_path / "x.npy")


@needs_full
@pytest.mark.parametrize("words", [["info"], ["--version"], ["train", "--help"], ["data", "show", "--data", "gmm"]])
def test_a_full_stdout_is_one_line(words, monkeypatch, capsys):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(words) == 1
    assert capsys.readouterr().err == "xbnet: stdout can't be written (No space left on device)\n"


@needs_full
def test_help_that_can_not_be_written_is_one_line_with_pythonunbuffered(monkeypatch, capsys):
    with open("/dev/full", "wb", buffering=0) as full:  # fails at once, where argparse would swallow it
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(full, write_through=True))
        assert main(["--help"]) == 1
    assert capsys.readouterr().err == "xbnet: stdout can't be written (No space left on device)\n"


@needs_full
def test_predictions_to_a_full_stdout_are_one_line(model, rows, monkeypatch, capsys):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["predict", model, "--data", rows]) == 1
    assert capsys.readouterr().err.endswith("xbnet: stdout can't be written (No space left on device)\n")


def test_a_closed_pipe_ends_quietly_as_other_commands_do(monkeypatch, capsys):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["info"]) == CLOSED
    assert capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix")
def test_head_ends_the_command_without_a_word():
    line = f"set -o pipefail; {sys.executable} -m xbnet data show --data gmm | true"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (done.returncode, done.stderr) in ((CLOSED, ""), (0, ""))


def test_names_beyond_the_encoding_are_escaped(model, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert main(["info", model]) == 0
    sys.stdout.flush()
    assert rb"\xe9" in raw.getvalue()


def test_names_control_no_terminal(model, rows, capsys):
    assert main(["info", model]) == 0
    assert main(["predict", model, "--data", "no\x1bsuch\x07.csv"]) == 2
    assert main(["train", "--data", "no\x1bsuch.csv"]) == 2
    out, err = capsys.readouterr()
    for text in (out, err):
        assert text.replace("\n", "").isprintable()
        assert max(map(len, text.splitlines())) < 500


def test_predictions_control_no_terminal_but_are_whole_in_a_pipe(model, rows, monkeypatch, capsysbinary):
    assert main(["predict", model, "--data", rows]) == 0
    assert EVIL.encode() in capsysbinary.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["predict", model, "--data", rows]) == 0
    assert b"\x1b" not in capsysbinary.readouterr().out


def test_columns_that_are_ignored_control_no_terminal(model, tmp_path, capfd):
    (tmp_path / "t.csv").write_text('a,b\x1b[2J,"b"\n1,2,3\n')
    main(["predict", model, "--data", str(tmp_path / "t.csv")])
    assert "\x1b" not in capfd.readouterr().err


def test_too_little_memory_is_one_line(monkeypatch, capsys):
    def hungry(*arguments):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr("xbnet.cli._run", hungry)
    assert main(["info"]) == 1
    assert capsys.readouterr().err.startswith("xbnet: there is too little memory for this (Unable to allocate 9 TiB); ")


def test_what_the_system_refuses_is_one_line(monkeypatch, capsys):
    def refused(*arguments):
        raise PermissionError(13, "Permission denied", "some\x1bfile")

    monkeypatch.setattr("xbnet.cli._run", refused)
    assert main(["info"]) == 1
    assert capsys.readouterr().err == "xbnet: some\\x1bfile: Permission denied\n"
