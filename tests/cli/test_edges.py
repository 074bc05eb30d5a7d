"""The command where the system, a folder or a file of flags is not what it should be: one line, and nothing lost."""

import json
import os
import sys

import numpy as np
import pytest

import xbnet
from tests.support.errors import refuses
from xbnet import ConfigError
from xbnet.cli import main
from xbnet.files import make_folder, only_one

SHORT = ["--data", "swissroll", "--epochs", "1", "--quiet", "--hidden", "2"]


def last_line(capsys):
    err = capsys.readouterr().err
    assert err.count("\n") == 1, err
    assert len(err) <= 310
    return err.strip()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epochs = " + "9" * 5000, "is not a TOML file (Exceeds the limit"),
        ("hidden = " + "[" * 20_000, "is not a TOML file ("),
        ("a\x1b[2J = 1", "is not a TOML file ("),
        ('"a\\u001b[2J' + "x" * 3000 + '" = 1', "unknown key "),
        ("#" * 2_000_000, "is not a file of flags: it has more than 1,000,000 bytes"),
    ],
)
def test_files_of_flags_that_mean_harm(tmp_path, capsys, text, said):
    (tmp_path / "f.toml").write_text(text)
    assert main(["train", "--config", str(tmp_path / "f.toml")]) == 2
    line = last_line(capsys)
    assert said in line
    assert line.isprintable()


def test_a_run_that_has_moved_is_resumed_where_it_is_now(tmp_path):
    before, now = tmp_path / "before", tmp_path / "now"
    assert main(["train", *SHORT, "--checkpoint-every", "1", "--out", str(before)]) == 0
    before.rename(now)
    with open(now / "config.toml", "a") as config:
        config.write(f"out = {json.dumps(str(before))}\n")
    assert main(["train", "--resume", str(now), "--epochs", "2", "--quiet"]) == 0
    assert not before.exists()
    assert json.loads((now / "result.json").read_text())["epochs"] == 2


def test_two_runs_into_one_folder_at_once_are_refused(tmp_path, capsys):
    assert main(["train", *SHORT, "--checkpoint-every", "1", "--out", str(tmp_path)]) == 0
    with only_one(tmp_path):
        assert main(["train", "--resume", str(tmp_path), "--epochs", "2", "--quiet"]) == 2
    assert last_line(capsys).endswith("another run is writing there; wait for its end, or take another")


def test_what_stands_in_the_way_is_one_line(tmp_path, capsys):
    for name in ("tensorboard", "checkpoints"):
        (tmp_path / name).write_text("in the way")
        with pytest.raises(ConfigError, match=r"can't be written \(File exists\)"):
            make_folder(tmp_path / name, "checkpoint")
    assert main(["train", *SHORT, "--checkpoint-every", "1", "--out", str(tmp_path)]) == 2
    assert "holds a run already" in last_line(capsys)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")
def test_a_full_disk_under_tensorboard_is_one_line(tmp_path, monkeypatch):
    pytest.importorskip("tensorboardX")
    import numpy as np
    from tensorboardX.event_file_writer import EventsWriter

    from xbnet.history import PER_REPLICA
    from xbnet.training.tensorboard import event_writer

    def full(self):
        monkeypatch.undo()
        with open("/dev/full", "wb", buffering=0) as disk:
            disk.write(b"events")

    monkeypatch.setattr(EventsWriter, "flush", full)
    record = {"epoch": 1} | dict.fromkeys(PER_REPLICA, np.ones(1))
    line = f"--tensorboard {tmp_path}: can't be written (No space left on device); leave it out"
    with refuses(ConfigError, line), event_writer(tmp_path) as write:
        write(record)


def test_a_working_directory_that_is_gone_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["train", *SHORT, "--out", "run"]) == 2
    assert "can't be written" in last_line(capsys)
    assert main(["train", "--data", "no.csv"]) == 2
    assert "no file 'no.csv' (looked from a folder that is gone); " in last_line(capsys)
    assert main(["train", "--data", "no.mat"]) == 2
    assert "(looked from a folder that is gone)" in last_line(capsys)


@pytest.mark.parametrize("place", ["~nosuchuser/x.csv", "x" * 300 + ".csv", "x" * 300, "a\x1bb.csv", "\udcff.csv"])
def test_places_that_can_not_be(place, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (["train", "--data", place], ["predict", "m.safetensors", "--data", place], ["info", place]):
        assert main(words) == 2
        assert last_line(capsys).isprintable()
    assert main(["train", *SHORT, "--out", place + "/x" if len(place) > 200 else str(tmp_path) + "/\0"]) in (1, 2)
    assert last_line(capsys).isprintable()


def test_a_tilde_is_home_where_files_are_written_as_where_they_are_read(tmp_path, capsys, monkeypatch):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert main(["train", *SHORT, "--checkpoint-every", "1", "--out", "~/run"]) == 0
    assert main(["train", "--resume", "~/run", "--epochs", "2"]) == 0
    np.save(tmp_path / "x.npy", np.zeros((2, 2)))
    for words in (
        ["predict", "~/run", "--data", "~/x.npy", "--out", "~/p.csv"],
        ["export", "~/run", "--out", "~/m.npz"],
        ["compare", "~/run", "~/run"],
    ):
        assert main(words) == 0
    assert main(["predict", "~/run", "--data", "~/x.npy", "--out", "~/x.npy"]) == 2
    assert "is the file that is read" in last_line(capsys)
    data = xbnet.load_dataset("swissroll")
    network = xbnet.load("~/run/model.safetensors")
    settings = {"epochs": 1, "checkpoint": "~/kept", "checkpoint_every": 1}
    xbnet.fit(network, "cross_entropy", "sgd", data, **settings)
    xbnet.fit(network, "cross_entropy", "sgd", data, **settings, resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cwd", "kept", "m.npz", "p.csv", "run", "x.npy"]
    assert not list((tmp_path / "cwd").iterdir())
    for words in (["train", *SHORT], ["predict", "~/run", "--data", "~/x.npy"], ["export", "~/run"]):
        assert main([*words, "--out", "~nosuchuser/x.npz"]) == 2
        assert "~nosuchuser/x.npz: can't be written (Could not determine home directory" in last_line(capsys)


def test_stdout_that_is_closed(monkeypatch, tmp_path, capsys):
    assert main(["train", *SHORT, "--out", str(tmp_path / "run")]) == 0
    np.save(tmp_path / "x.npy", np.zeros((2, 2)))
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["predict", str(tmp_path / "run"), "--data", str(tmp_path / "x.npy")]) == 2
    line = "xbnet: --out -: expected a stdout to write to, but it is closed; name a file with --out"
    assert capsys.readouterr().err.splitlines()[-1] == line


def test_stdin_that_is_closed(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["train", *SHORT, "--out", str(tmp_path / "run")]) == 0
    assert main(["predict", str(tmp_path / "run" / "model.safetensors"), "--data", "-"]) == 2
    assert "-" in last_line(capsys)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path, capsys):
    run, other = tmp_path / "run", str(tmp_path / "other")
    for folder in (str(run), other):
        assert main(["train", *SHORT, "--out", folder]) == 0
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    for words in (["info", pipe], ["predict", pipe, "--data", "gmm"], ["report", pipe]):
        assert main(words) == 2
        assert last_line(capsys) == f"xbnet: {pipe}: there is no such file; expected one that xbnet saved"
    for name, verbs in (("history.jsonl", ()), ("config.toml", ("train --resume", "train --config", "report"))):
        (run / name).unlink()
        os.mkfifo(run / name)
        for words in (["compare", str(run), other], *([*verb.split(), str(run)] for verb in verbs)):
            assert main(words) == 2
            assert name in last_line(capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sweep --space lr=0.1 --dtype float42", "sweep: expected dtype 'float32' or 'float64', got 'float42'"),
        ("train --dtype x,", "Network: expected dtype 'float32' or 'float64', got 'x,'"),
        ("train --class-weight=--", "train: argument --class-weight: expected a value, got '--'; see `xbnet"),
        ("predict x --data=--", "predict: argument --data: expected a value, got '--'; see `xbnet"),
        (f"sweep --space lr=0.1,0.2 --draws {'9' * 400}", "sweep: expected memory for 9"),
    ],
)
def test_values_that_no_flag_has(capsys, words, said):
    assert main(words.split()) == 2
    assert last_line(capsys).startswith(f"xbnet: {said}")
