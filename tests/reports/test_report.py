"""The page about a model, and runs beside each other."""

import json
import re

import numpy as np
import pytest

import xbnet
from tests.support.errors import refuses
from xbnet.cli import main
from xbnet.errors import ConfigError, DataError

pytest.importorskip("sklearn")
pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs on peaks, from the command."""
    folder = tmp_path_factory.mktemp("runs")
    flags = ["train", "--data", "swissroll", "--epochs", "2", "--quiet", "--out"]
    assert main([*flags, str(folder / "a")]) == 0
    assert main([*flags, str(folder / "b"), "--lr", "0.3", "--hidden", "6"]) == 0
    return folder


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_run_that_kept_no_checkpoints_leaves_no_folder_for_them(runs):
    assert not (runs / "a" / "checkpoints").exists()


def test_the_page_is_self_contained_and_says_it_all(capsys, runs, drawn):
    code, out, _ = run(capsys, "report", runs / "a")
    assert code == 0
    assert re.search(r"accuracy +0\.\d+", out)
    page = (runs / "a" / "report.html").read_text()
    for heading in ("Training", "Confusion matrix", "Calibration", "Which columns matter", "Settings", "Network"):
        assert f"<h2>{heading}</h2>" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert all(len(picture) > 5000 for picture in re.findall(r"src=\"data:([^\"]*)", page))
    assert "<script" not in page


def test_figures_as_json_are_those_of_the_run(capsys, runs):
    code, out, _ = run(capsys, "report", runs / "a", "--json", "--repeats", "0", "--out", runs / "page.html")
    found = json.loads(out)
    result = json.loads((runs / "a" / "result.json").read_text())
    assert code == 0
    assert found["figures"]["accuracy"] == pytest.approx(result["val_accuracy"])
    assert found["figures"]["log loss"] == pytest.approx(result["val_loss"], abs=1e-5)
    assert found["importance"] == {}
    assert (runs / "page.html").exists()


def test_the_winner_and_the_ensemble_of_a_sweep_are_judged(capsys, tmp_path):
    """Each member scales its inputs by its own fold; the winner was trained anew on all rows."""
    sweep = ["sweep", "--data", "swissroll", "--space", "epochs=1", "--space", "lr=0.1,1", "--folds", "2"]
    assert main([*sweep, "--scaling", "standard", "--ensemble", "2", "--quiet", "--out", str(tmp_path / "sw")]) == 0
    data = xbnet.load_dataset("swissroll").val
    for model in (tmp_path / "sw", tmp_path / "sw" / "ensemble.safetensors"):
        code, out, _ = run(capsys, "report", model, "--json", "--repeats", "0", "--out", tmp_path / "page.html")
        assert code == 0
        kept = xbnet.io.ensembles.load_any(model)
        figure = (kept.predict_proba(data.x).argmax(axis=1) == data.y).mean()
        assert json.loads(out)["figures"]["accuracy"] == pytest.approx(figure)
    assert "2 networks, whose answers are averaged" in (tmp_path / "page.html").read_text()


def test_another_part_may_be_judged(capsys, runs):
    code, out, _ = run(capsys, "report", runs / "a", "--part", "train", "--json", "--out", runs / "t.html")
    assert json.loads(out)["rows"] == len(xbnet.load_dataset("swissroll").train)
    assert code == 0
    code, _, err = run(capsys, "report", runs / "a", "--part", "test", "--out", runs / "t.html")
    assert (code, err) == (2, "xbnet: report: expected part to be one of train, val, got 'test'\n")


def test_texts_are_escaped():
    x = np.array([[0.0, 1], [1, 0], [2, 2], [3, 1]])
    data = xbnet.Dataset("<d>", xbnet.Part(x, np.array([0, 1, 0, 1])), classes=("<b>", "c"), features=("<x>", "z"))
    network = xbnet.Network([xbnet.Linear(2)], n_inputs=2, rng=0)
    found = xbnet.report(xbnet.Model(network, data.classes, None, None, "", data.features), data)
    assert "<b>," not in found.html
    assert "&lt;b&gt;" in found.html
    assert "&lt;x&gt;" in found.html


def test_a_model_for_other_inputs_is_refused(runs):
    with refuses(DataError, "report: expected 2 inputs as the model has, got 5"):
        xbnet.report(runs / "a", xbnet.load_dataset("gmm"))


def test_runs_are_compared(capsys, runs):
    code, out, _ = run(capsys, "compare", runs / "a", runs / "b", "--out", runs / "c.html")
    assert code == 0
    assert re.search(r"hidden +10,7 +6", out) or re.search(r"hidden +\(default\) +6", out)
    assert "val_accuracy" in out
    assert "<img" in (runs / "c.html").read_text()
    code, out, _ = run(capsys, "compare", runs / "a", runs / "b", "--json")
    assert json.loads(out)["settings"]["lr"][1] == 0.3


def test_compare_wants_runs(runs, tmp_path):
    with refuses(ConfigError, "compare: expected two runs or more, got 1"):
        xbnet.compare([runs / "a"])
    line = (
        f"{tmp_path}: expected the folder of a run, with config.toml in it (No such file or directory); "
        "see `xbnet train --out`"
    )
    with refuses(DataError, line):
        xbnet.compare([runs / "a", tmp_path])
