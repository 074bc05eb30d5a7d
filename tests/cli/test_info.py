"""`xbnet info` on what it cannot show."""

import re
from dataclasses import replace

import numpy as np
import pytest

import xbnet
from xbnet.cli import main
from xbnet.cli.info import describe_schema


@pytest.fixture
def run(tmp_path):
    """The folder of a run, with a network, and a table beside it."""
    network = xbnet.Network([xbnet.Linear(2)], 2, rng=0)
    (tmp_path / "run").mkdir()
    xbnet.save(network, tmp_path / "run" / "model.safetensors")
    (tmp_path / "empty").mkdir()
    (tmp_path / "data.csv").write_text("a,b,kind\n1,2,x\n3,4,y\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("empty", "is a folder; expected model.safetensors or best.safetensors in it, or a file that xbnet saved"),
        ("nothing", "there is no such file; expected one that xbnet saved"),
    ],
)
def test_says_what_to_do(run, capsys, name, line):
    for verb, flags in (("info", []), ("predict", ["--data", "gmm"]), ("export", ["--out", str(run / "m.npz")])):
        assert main([verb, str(run / name), *flags]) == 2
        assert capsys.readouterr().err == f"xbnet: {run / name}: {line}\n"


@pytest.mark.parametrize("name", ["model", "best"])
def test_a_folder_stands_for_the_model_in_it(run, name, capsys):
    (run / "run" / "model.safetensors").rename(run / "run" / f"{name}.safetensors")
    assert main(["info", str(run / "run")]) == 0
    assert "Linear(n_outputs=2)" in capsys.readouterr().out
    assert main(["export", str(run / "run"), "--out", str(run / "m.npz")]) == 0
    np.save(run / "x.npy", np.ones((3, 2)))
    assert main(["predict", str(run / "run"), "--data", str(run / "x.npy"), "--out", str(run / "p.npz")]) == 0
    assert xbnet.load(run / "run").n_inputs == 2


def test_what_is_read_is_not_written_over(run, capsys):
    model, table = run / "run" / "model.safetensors", run / "data.csv"
    before = model.read_bytes(), table.read_bytes()
    for flags in (["predict", model, "--data", table], ["predict", model.parent, "--data", "gmm"], ["export", model]):
        for out in (model, table) if table in flags else (model,):
            assert main([*map(str, flags), "--out", str(out)]) == 2
            assert capsys.readouterr().err == f"xbnet: --out {out}: is the file that is read; choose another place\n"
    assert before == (model.read_bytes(), table.read_bytes())


def test_a_file_of_data(run, capsys):
    path = run / "data.csv"
    assert main(["info", str(path)]) == 2
    line = rf"xbnet: {path}: is not a safetensors file, or is damaged \(.*\); if it holds data, show it with: (.*)\n"
    command = re.fullmatch(line, capsys.readouterr().err)[1].split()
    assert command == ["xbnet", "data", "show", "--data", str(path)]
    assert main([*command[1:], "--target", "kind"]) == 0


def test_help_shows_only_defaults_that_there_are(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    out = capsys.readouterr().out
    assert "(default: gmm)" in out
    assert "default: None" not in out
    assert "default: False" not in out


def test_dates_are_shown_as_days(tmp_path):
    path = tmp_path / "days.csv"
    path.write_text("day,y\n" + "".join(f"2024-01-{day:02},{day}.5\n" for day in range(1, 31)))
    schema = xbnet.load_dataset(path, target="y", scaling="standard").schema
    assert describe_schema(schema).startswith("  day  date      mean 2024-01-15, deviation 8.65544 days\n")
    (column,) = schema.columns
    assert "mean 1e+300" in describe_schema(replace(schema, columns=(replace(column, mean=1e300),)))
