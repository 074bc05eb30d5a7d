"""`xbnet data`."""

import re

import pytest

from xbnet.cli import main


def test_shows_a_shipped_set(capsys):
    assert main(["data", "show", "--data", "peaks", "--test", "1000"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "peaks: classification, 2 inputs, 5 outputs"
    rows = [line.split() for line in lines if line.startswith(("train", "val", "test"))]
    assert [(row[0], row[1]) for row in rows] == [("train", "24,000"), ("val", "6,250"), ("test", "1,000")]
    assert [sum(map(int, row[-5:])) for row in rows] == [24_000, 6_250, 1_000]


def test_shows_a_table_with_a_target(capsys, tmp_path):
    (tmp_path / "t.csv").write_text("a,b,kind\n1,2,x\n3,4,y\n5,7,x\n")
    assert main(["data", "show", "--data", str(tmp_path / "t.csv"), "--target", "kind"]) == 0
    out = capsys.readouterr().out
    assert "classification, 2 inputs, 2 outputs" in out
    assert "classes: x, y" in out


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["data", "fetch", "mnits"], r"fetch: unknown data set 'mnits'; did you mean 'mnist'\? known are .*"),
        (["data"], "data: the following arguments are required: ACTION; see `xbnet data --help`"),
    ],
)
def test_a_mistake_is_one_line(capsys, argv, line):
    assert main(argv) == 2
    assert re.fullmatch(f"xbnet: {line}\n", capsys.readouterr().err)
