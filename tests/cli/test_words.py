"""The command understands its neighbours' words."""

import sys

import pytest

from xbnet.cli import main
from xbnet.cli.parser import SYNONYMS, name_data


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize(
    ("flag", "meant"),
    [
        ("--learning-rate", "--lr"),
        ("--learning_rate=0.1", "--lr"),
        ("--layers", "--hidden"),
        ("--device", "--backend"),
        ("--gpu", "--backend cupy"),
        ("--early-stopping", "--patience 10"),
        ("--epoch", "--epochs"),
    ],
)
def test_a_flag_of_a_neighbour_is_suggested(capsys, flag, meant):
    code, _, err = run(capsys, "train", flag)
    assert code == 2
    assert err == f"xbnet: train: unknown argument {flag!r}; did you mean {meant}?\n"


def test_every_suggestion_is_a_flag_of_train():
    from xbnet.cli import build_parser

    flags = build_parser("train").child("train").flags()
    assert {meant.split(" ")[0] for meant in SYNONYMS.values()} <= set(flags)
    assert not set(SYNONYMS) & set(flags)


def test_the_data_set_may_stand_behind_the_verb(capsys):
    code, out, _ = run(capsys, "data", "show", "peaks")
    assert code == 0
    assert out.startswith("peaks: classification")
    code, out, _ = run(capsys, "train", "swissroll", "--epochs", "1")
    assert code == 0
    assert "swissroll: 1 epoch" in out
    assert name_data(["train", "--epochs", "1"]) == ["train", "--epochs", "1"]
    assert name_data(["info", "model"]) == ["info", "model"]
    code, _, err = run(capsys, "train", "--epochs", "1", "peaks")
    assert (code, err) == (2, "xbnet: train: unknown argument 'peaks'; did you mean --data peaks?\n")


def test_completions_are_printed(capsys):
    pytest.importorskip("shtab")
    code, out, _ = run(capsys, "--completion", "bash")
    assert code == 0
    assert "--batch-norm" in out
    assert run(capsys, "--completion", "sh")[0] == 2


def test_completions_without_shtab_say_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    code, _, err = run(capsys, "--completion", "bash")
    assert (code, err) == (2, "xbnet: --completion needs shtab; install it with: pip install shtab\n")
