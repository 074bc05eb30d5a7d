"""`xbnet train` with checkpoints: killed, interrupted and resumed."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.support.undrawn import COMMAND
from xbnet import load_model
from xbnet.cli import main
from xbnet.errors import DataError

FLAGS = ["--hidden", "6", "--dropout", "0.1", "--batch-norm", "--optimizer", "adam", "--patience", "200"]
FLAGS += ["--schedule", "plateau:patience=2", "--seed", "3"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1600, 4))
    y = (x @ rng.normal(size=(4, 3))).argmax(axis=1)
    path = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(path, x_train=x[:1500], y_train=y[:1500], x_val=x[1500:], y_val=y[1500:])
    return str(path)


def start(*argv):
    """`xbnet train` in a process of its own, to be used in a `with`: nothing of it is left when a test fails."""
    command = [*COMMAND, "train", *argv]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def assert_same_run(a, b):
    one, two = load_model(a / "model.safetensors"), load_model(b / "model.safetensors")
    np.testing.assert_array_equal(one.network.theta, two.network.theta)
    np.testing.assert_array_equal(one.network.state, two.network.state)
    for name in one.history.records[0]:
        if name not in ("seconds", "samples_per_second"):
            np.testing.assert_array_equal(one.history[name], two.history[name])
    assert one.history.status == two.history.status
    np.testing.assert_array_equal(one.history.best_epoch, two.history.best_epoch)


def wait_for_checkpoint(process, folder, but=()):
    """Until there is one that is none of `but`, or the run has ended, as on a busy machine it may have."""
    while process.poll() is None and not set((folder / "checkpoints").glob("epoch-*")) - set(but):
        time.sleep(0.005)


DIES_WHILE_WRITING = """
import os, signal, sys
from xbnet.cli import main
real, calls = os.fsync, [0]
def fsync(fd):  # the file is written, but not yet renamed: cut it in half, and die
    calls[0] += 1
    if calls[0] == int(sys.argv[1]):
        os.ftruncate(fd, os.fstat(fd).st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)
    return real(fd)
os.fsync = fsync
sys.exit(main(sys.argv[2:]))
"""


def die_while_writing(fsync, *argv):
    """`xbnet train` in a process that kills itself in its n-th call of fsync, with half a file written."""
    command = [sys.executable, "-c", DIES_WHILE_WRITING, str(fsync), "train", *argv]
    assert subprocess.run(command, timeout=300).returncode == -signal.SIGKILL


def test_killed_run_ends_in_the_same_bits(data, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    begin = ["--data", data, "--epochs", "24", "--quiet", *FLAGS]
    assert main(["train", *begin, "--out", str(whole)]) == 0
    argv = [*begin, "--checkpoint-every", "1", "--out", str(killed)]
    for fsync in (4, 7):  # some 10 epochs in all
        die_while_writing(fsync, *argv)
        assert list((killed / "checkpoints").glob(".epoch-*"))  # half a file
        argv = ["--resume", str(killed), "--quiet"]
    assert not (killed / "model.safetensors").exists()
    with start(*argv) as process:  # and at any time
        wait_for_checkpoint(process, killed, but=list((killed / "checkpoints").glob("epoch-*")))
        process.kill()
    assert main(["train", *argv]) == 0
    assert_same_run(whole, killed)
    assert len(list((killed / "checkpoints").iterdir())) == 2  # no half-written file stays behind


def test_layerwise_run_killed_within_its_stages_ends_in_the_same_bits(data, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    begin = ["--data", data, "--quiet", "--hidden", "6,5", "--strategy", "layerwise:epochs=6", "--epochs", "5"]
    assert main(["train", *begin, "--out", str(whole)]) == 0
    argv = [*begin, "--checkpoint-every", "1", "--out", str(killed)]
    for fsync in (5, 6, 7):  # of the configuration, and one each epoch: in stage 1, in stage 2, and behind them
        die_while_writing(fsync, *argv)
        argv = ["--resume", str(killed), "--quiet"]
    assert {path.name for path in (killed / "checkpoints").iterdir()} >= {"stage-1", "stage-2"}
    assert main(["train", *argv]) == 0
    assert_same_run(whole, killed)
    stages = [load_model(folder / "model.safetensors").history.stages for folder in (whole, killed)]
    for mine, other in zip(*stages, strict=True):
        np.testing.assert_array_equal(mine["train_loss"], other["train_loss"])


def test_interrupt_keeps_a_checkpoint_and_says_how_to_go_on(data, tmp_path):
    folder = tmp_path / "run"
    argv = ["--data", data, "--epochs", "1000000", "--quiet", *FLAGS, "--checkpoint-every", "2", "--out", str(folder)]
    with start(*argv) as process:
        wait_for_checkpoint(process, folder)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=300)
    assert process.returncode == 130
    assert complaint.startswith("xbnet: interrupted after epoch ")
    assert complaint.endswith(f"; go on with: xbnet train --resume {folder}\n")
    assert complaint.count("\n") == 1
    assert not (folder / "model.safetensors").exists()


def test_a_new_run_does_not_touch_another_ones_folder(data, tmp_path, capsys):
    folder = tmp_path / "run"
    argv = ["train", "--data", data, "--epochs", "2", "--quiet", "--checkpoint-every", "1", "--out", str(folder)]
    assert main(argv) == 0
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert main([*argv, "--lr", "0.5"]) == 2
    line = capsys.readouterr().err  # a long one, where the folder is long: its middle may be left out
    assert line.startswith(
        f"xbnet: --out {folder}: holds a run already (checkpoints, config.toml, curves.png, ...); go on"
    )
    assert line.endswith("choose another folder, or add --overwrite to replace it\n")
    assert main(["train", "--resume", str(folder), "--lr", "0.5"]) == 2
    assert capsys.readouterr().err == (
        f"xbnet: resume: {folder}/checkpoints/epoch-00000002.safetensors was made with optimizer = SGD(lr=0.1), "
        "got SGD(lr=0.5); resume with the same settings\n"
    )
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_more_epochs_equal_one_long_run(data, tmp_path):
    long, short = tmp_path / "long", tmp_path / "short"
    base = ["train", "--data", data, "--quiet", "--checkpoint-every", "2"]
    assert main([*base, "--epochs", "7", "--out", str(long)]) == 0
    assert main([*base, "--epochs", "3", "--out", str(short)]) == 0
    assert main(["train", "--resume", str(short), "--epochs", "7", "--quiet"]) == 0
    assert_same_run(long, short)


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--checkpoint-every", "2"], "--checkpoint-every needs --out DIR, the folder to write to"),
        (["--tensorboard"], "--tensorboard needs --out DIR, the folder to write to"),
        (["--resume", "/nowhere"], "--resume /nowhere: config.toml: can't be read (No such file or directory)"),
        (
            ["--resume", "x", "--out", "y"],
            "--resume DIR takes the flags and the folder of the run; leave out --config and --out",
        ),
    ],
)
def test_wrong_usage_is_one_line(argv, line, capsys):
    assert main(["train", *argv]) == 2
    assert capsys.readouterr().err == f"xbnet: {line}\n"


def test_tensorboard_files_hold_the_history(data, tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.event_file_writer import EventFileWriter  # noqa: F401 - its protobuf reads the file below
    from tensorboardX.proto.event_pb2 import Event

    folder = tmp_path / "run"
    argv = ["train", "--data", data, "--epochs", "3", "--quiet", "--out", str(folder), "--tensorboard"]
    assert main(argv) == 0
    (path,) = (folder / "tensorboard").iterdir()
    raw, found = path.read_bytes(), []
    while raw:  # a record: length (8 bytes), its checksum (4), the event, its checksum (4)
        size = int.from_bytes(raw[:8], "little")
        event = Event.FromString(raw[12 : 12 + size])
        found += [(value.tag, value.simple_value) for value in event.summary.value]
        raw = raw[size + 16 :]
    losses = [value for tag, value in found if tag == "train_loss"]
    lines = [json.loads(line)["train_loss"] for line in (folder / "history.jsonl").read_text().splitlines()]
    np.testing.assert_allclose(losses, lines, rtol=1e-6)


def test_model_file_is_refused_as_a_checkpoint(data, tmp_path):
    from xbnet.io.tensorfile import read_tensors

    assert main(["train", "--data", data, "--epochs", "1", "--quiet", "--out", str(tmp_path / "run")]) == 0
    path = tmp_path / "run" / "model.safetensors"
    with pytest.raises(DataError) as caught:
        read_tensors(path, "training state")
    assert str(caught.value) == f"{path}: holds a 'network', expected a 'training state'"


@pytest.mark.parametrize("verb", [["info"], ["predict", "--data", "gmm"], ["export", "--out", "m.npz"]])
def test_a_state_is_no_model_and_the_line_says_what_to_do(verb, data, tmp_path, capsys):
    folder = tmp_path / "run"
    flags = ["--epochs", "1", "--checkpoint-every", "1", "--out", str(folder), "--quiet"]
    assert main(["train", "--data", str(data), *flags]) == 0
    state = next((folder / "checkpoints").glob("epoch-*"))
    capsys.readouterr()
    assert main([verb[0], str(state), *verb[1:]]) == 2
    assert capsys.readouterr().err == (
        f"xbnet: {state}: holds a 'training state', expected a 'network'; "
        "go on with the run by `xbnet train --resume DIR`, whose end writes DIR/model.safetensors\n"
    )
    assert main(["train", "--resume", str(folder), "--quiet"]) == 0
    assert main(["info", str(folder / "model.safetensors")]) == 0
