"""`--out`: no run overwrites another in silence, or is left mixed up with another's files."""

import json
from contextlib import ExitStack

import pytest

from tests.support.errors import refuses
from xbnet.cli import folders, main
from xbnet.cli.folders import ASIDE, kept_in, open_folder
from xbnet.errors import ConfigError
from xbnet.files import only_one

TRAIN = ["train", "--epochs", "1", "--quiet"]
PICTURES = {"curves.png", "regions.png"}


def run(capsys, *argv):
    code = main([str(word) for word in argv])
    out, err = capsys.readouterr()
    return code, out, err


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_run_is_not_overwritten(capsys, tmp_path):
    assert main([*TRAIN, "--data", "peaks", "--out", str(tmp_path)]) == 0
    before = content(tmp_path)
    line = f"xbnet: --out {tmp_path}: holds a run already (config.toml, curves.png, history.jsonl, ...); "
    for argv in (TRAIN, ["sweep", "--space", "lr=0.1", "--quiet"], ["verify", "--quiet"]):
        code, out, err = run(capsys, *argv, "--data", "peaks", "--out", tmp_path)
        assert (code, out) == (2, "")
        assert err == f"{line}choose another folder, or add --overwrite to replace it\n"
    assert content(tmp_path) == before


def test_overwrite_leaves_nothing_of_the_run_before(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert main([*TRAIN, "--data", "peaks", "--out", str(tmp_path)]) == 0
    assert set(content(tmp_path)) >= PICTURES
    assert main([*TRAIN, "--data", "gmm", "--out", str(tmp_path), "--overwrite"]) == 0
    assert "regions.png" not in content(tmp_path)
    assert json.loads((tmp_path / "result.json").read_text())["dataset"] == "gmm"
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / ASIDE).exists()
    assert "overwrite" not in (tmp_path / "config.toml").read_text()


@pytest.mark.parametrize(
    "argv",
    [
        [*TRAIN, "--batch-size", "1000000"],
        [*TRAIN, "--target", "y"],
        ["sweep", "--space", "lr=0.1", "--folds", "1000000", "--quiet"],
        ["verify", "--layer", "linear", "--entries"],
    ],
)
def test_a_run_that_never_begins_replaces_nothing(capsys, tmp_path, argv):
    assert main([*TRAIN, "--data", "peaks", "--out", str(tmp_path)]) == 0
    before = content(tmp_path)
    assert run(capsys, *argv, "--data", "peaks", "--out", tmp_path, "--overwrite")[0] == 2
    assert content(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == set(before)


def test_a_sweep_that_is_refused_leaves_the_folder_free(tmp_path):
    argv = ["sweep", "--data", "peaks", "--space", "lr=0.1", "--quiet", "--out", str(tmp_path)]
    assert main([*argv, "--folds", "1000000"]) == 2
    assert kept_in(tmp_path) == []


def test_a_run_that_can_be_resumed_says_so(tmp_path):
    (tmp_path / "checkpoints" / "epoch-000001").mkdir(parents=True)
    line = f"--out {tmp_path}: holds a run already (checkpoints); go on with it by --resume {tmp_path}, choose another "
    with refuses(ConfigError, f"{line}folder, or add --overwrite to replace it"), open_folder(str(tmp_path)):
        pass


def test_what_a_killed_process_had_put_aside_comes_back(tmp_path):
    (tmp_path / ASIDE).mkdir()
    (tmp_path / ASIDE / "result.json").write_text("{}")
    with open_folder(str(tmp_path), resume=True) as folder:
        assert folder == tmp_path
    assert kept_in(tmp_path) == ["result.json"]


@pytest.mark.parametrize("argv", [TRAIN, ["sweep", "--space", "lr=0.1", "--quiet"], ["verify", "--quiet"]])
def test_a_run_that_is_at_work_is_not_replaced(capsys, tmp_path, argv, monkeypatch):
    (tmp_path / "result.json").write_text("{}")
    monkeypatch.setattr(folders, "_move", None)
    with only_one(tmp_path):
        code, _, err = run(capsys, *argv, "--data", "peaks", "--out", tmp_path, "--overwrite")
    assert code == 2
    assert err.endswith("another run is writing there; wait for its end, or take another\n")


@pytest.mark.parametrize(
    "words", [["train", "--lr", "-1"], ["sweep", "--space", "lr=-1"], ["train", "--data", "no.csv"]]
)
def test_a_refused_command_leaves_no_empty_folder(tmp_path, words):
    new, old = tmp_path / "new", tmp_path / "old"
    old.mkdir()
    for folder in (new, old):
        assert main([*words, "--out", str(folder)]) == 2
    assert not new.exists()
    assert old.exists()  # somebody else's


def test_a_refused_command_leaves_the_folder_to_who_has_begun_in_it(tmp_path):
    out = tmp_path / "new"

    def refused(other):
        with folders.removed_if_empty(str(out)):
            out.mkdir()
            other.enter_context(only_one(out))
            raise ConfigError("another run is writing there")

    with ExitStack() as other, pytest.raises(ConfigError):
        refused(other)
    assert out.exists()


def test_resume_and_overwrite_contradict_each_other(capsys, tmp_path):
    assert run(capsys, *TRAIN, "--data", "peaks", "--out", tmp_path / "r", "--checkpoint-every", "1")[0] == 0
    there = kept_in(tmp_path / "r")
    code, _, err = run(capsys, "train", "--resume", tmp_path / "r", "--overwrite")
    assert (code, kept_in(tmp_path / "r")) == (2, there)
    assert err.endswith("goes on with the run there, and --overwrite replaces it; leave one out\n")
