"""`xbnet train` and the parser: what is printed, kept, and said when the user errs."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from xbnet import load_model
from xbnet.cli import main

FIELDS = {
    *("backend", "device", "dtype", "dataset", "replicas", "parameters", "epochs", "steps", "batch_size"),
    *("seconds", "samples_per_second", "train_loss", "train_accuracy", "val_loss", "val_accuracy"),
    *("best_epoch", "best_val_accuracy", "execution"),
}


def run(capsys, *argv):
    """Exit code, stdout, stderr."""
    code = main([str(word) for word in argv])
    out, err = capsys.readouterr()
    return code, out, err


def test_trains_the_default_data(capsys):
    code, out, err = run(capsys, "train", "--epochs", 8, "--json")
    assert (code, err) == (0, "")
    result = json.loads(out.splitlines()[-1])
    assert set(result) >= FIELDS
    assert (result["dataset"], result["steps"], result["parameters"]) == ("gmm", 8 * 391, 177)
    assert result["execution"] == "replay"
    assert result["val_accuracy"] > 0.95
    assert result["best_val_accuracy"] >= result["val_accuracy"] - 1e-9 or result["best_epoch"] < 8
    assert "Linear(n_outputs=10, activation='tanh')" in out


def test_test_part_and_stack(capsys):
    code, out, _ = run(
        capsys, "train", "--data", "swissroll", "--test", 0.2, "--replicas", 3, "--epochs", 1, "--quiet", "--json"
    )
    assert code == 0
    result = json.loads(out)
    assert len(result["test_accuracy"]) == len(result["val_loss"]) == result["replicas"] == 3
    assert len(set(result["val_loss"])) == 3


def test_out_keeps_everything_and_its_config_repeats_the_run(capsys, tmp_path, drawn):
    first, second = tmp_path / "a", tmp_path / "b"
    flags = ["--data", "peaks", "--hidden", "8,6", "--epochs", 2, "--dropout", 0.1, "--l2", 1e-4, "--seed", 3]
    code, _, _ = run(capsys, "train", *flags, "--out", first, "--quiet")
    assert code == 0
    names = {path.name for path in first.iterdir()}
    assert names == {
        "config.toml",
        "history.jsonl",
        "model.safetensors",
        "result.json",
        "curves.png",
        "regions.png",
    }
    for name in ("curves.png", "regions.png"):
        assert (first / name).read_bytes().startswith(b"\x89PNG")
        assert (first / name).stat().st_size > 5000
    records = [json.loads(line) for line in (first / "history.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2]
    assert records[0]["train_cost"] > records[0]["train_loss"]
    code, _, _ = run(capsys, "train", "--config", first / "config.toml", "--out", second, "--quiet")
    assert code == 0
    again, once = (json.loads((folder / "result.json").read_text()) for folder in (second, first))
    assert again["val_loss"] == once["val_loss"]
    assert (second / "model.safetensors").read_bytes() == (first / "model.safetensors").read_bytes()


@pytest.mark.parametrize("named", ["", "model.safetensors"])
def test_a_run_stands_for_its_config(named, capsys, tmp_path):
    flags = ["--data", "swissroll", "--epochs", 1, "--quiet", "--out", tmp_path / "a", "--checkpoint-every", 1]
    assert run(capsys, "train", *flags)[0] == 0
    code, out, _ = run(
        capsys, "train", "--config", tmp_path / "a" / named, "--out", tmp_path / "b", "--quiet", "--json"
    )
    assert code == 0
    assert json.loads(out)["dataset"] == "swissroll"
    assert run(capsys, "train", "--resume", tmp_path / "a" / named, "--epochs", 2, "--quiet")[0] == 0


def test_flags_win_over_the_config(capsys, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text('\ufeffepochs = 3\nhidden = [4, 3]\nbatch_size = "full"\nscaling = "standard"\n')
    code, out, _ = run(capsys, "train", "--config", config, "--epochs", 1, "--quiet", "--json")
    result = json.loads(out)
    assert (code, result["epochs"], result["batch_size"]) == (0, 1, 25_000)
    assert result["parameters"] == 5 * 4 + 4 + 4 * 3 + 3 + 3 * 5 + 5


@pytest.mark.parametrize("flags", [["--residual", 2, "--activation", "relu"], ["--batch-norm", "--dropout", 0.2]])
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "mse"])
def test_architectures_and_losses(capsys, flags, loss):
    code, out, _ = run(
        capsys, "train", *flags, "--loss", loss, "--optimizer", "adam:beta2=0.99", "--lr", 0.01,
        "--schedule", "warmup:epochs=1,then=cosine", "--epochs", 4, "--quiet", "--json",
    )  # fmt: skip
    assert code == 0
    assert json.loads(out)["val_accuracy"] > (0.6 if "--dropout" in flags else 0.8)


def test_data_that_do_not_fit_are_streamed_to_the_same_result(capsys):
    found = []
    for memory in ([], ["--device-memory", "20kB"]):
        code, out, _ = run(capsys, "train", "--epochs", 1, "--quiet", "--json", *memory)
        assert code == 0
        result = json.loads(out)
        found.append([result[key] for key in ("train_loss", "val_loss", "val_accuracy")])
    assert found[0] == found[1]


ERRORS = {
    "execution": (
        ["train", "--execution", "persistent", "--epochs", "1"],
        r"fit: execution 'persistent' is not possible: backend 'numpy' runs no kernels; use 'auto'",
    ),
    "memory": (
        ["train", "--device-memory", "2 giga"],
        "train: argument --device-memory: expected bytes like 500MB or 2GB, got '2 giga'; see `xbnet train --help`",
    ),
    "memory for no batch": (
        ["train", "--device-memory", "1kB", "--epochs", "1"],
        r"device_memory: two batches of 64 rows for 1 order take 3.58 kB, and 500 B are there for this part of the "
        "data; take smaller batches or more memory",
    ),
    "unknown verb": (["tran"], r"xbnet: unknown verb 'tran'; did you mean 'train'\? known are .*"),
    "unknown flag": (["train", "--epoch", "3"], r"train: unknown argument '--epoch'; did you mean --epochs\?"),
    "bad number": (
        ["train", "--epochs", "0"],
        "train: argument --epochs: expected a whole number >= 1, got '0'; see `xbnet train --help`",
    ),
    "bad widths": (
        ["train", "--hidden", "10,x"],
        "train: argument --hidden: expected whole numbers >= 1 like 10,7, or none, got '10,x'; "
        "see `xbnet train --help`",
    ),
    "several rates": (
        ["train", "--lr", "0.1,0.2"],
        "train: argument --lr: expected a number, got '0.1,0.2'; several at once are for xbnet sweep; "
        "see `xbnet train --help`",
    ),
    "activation": (
        ["train", "--activation", "tahn"],
        r"activation: unknown activation 'tahn'; did you mean 'tanh'\? known are .*",
    ),
    "loss": (
        ["train", "--loss", "cross-entropy"],
        r"loss: unknown loss 'cross-entropy'; did you mean '(binary_)?cross_entropy'\? known are "
        "binary_cross_entropy, cross_entropy, mse",
    ),
    "optimizer": (
        ["train", "--optimizer", "adm"],
        r"optimizer: unknown optimizer 'adm'; did you mean 'adam'\? known are "
        "adam, adamw, momentum, nesterov, rmsprop, sgd",
    ),
    "optimizer key": (
        ["train", "--optimizer", "sgd:momentum=0.9"],
        "optimizer 'sgd': unknown parameter 'momentum'; known are lr",
    ),
    "schedule": (
        ["train", "--schedule", "cosin"],
        r"schedule: unknown schedule 'cosin'; did you mean 'cosine'\? known are .*",
    ),
    "schedule value": (
        ["train", "--schedule", "step:every=often"],
        "schedule 'step': expected every=NUMBER, got every=often",
    ),
    "backend": (
        ["train", "--backend", "numpi"],
        r"get_backend: unknown backend 'numpi'; did you mean 'numpy'\? known are auto, cupy, dpnp, numpy",
    ),
    "data": (["train", "--data", "gmn"], ".*unknown data set 'gmn'.*did you mean 'gmm'.*"),
    "missing file": (
        ["train", "--data", "nowhere/x.mat"],
        r"load_dataset: no file 'nowhere/x\.mat' \(looked from .*\); expected a path, or one of the names .*",
    ),
    "big batch": (
        ["train", "--batch-size", "30000"],
        "fit: expected batch_size <= 25000, the number of training samples, got 30000; None takes them all",
    ),
    "smoothing": (
        ["train", "--loss", "mse", "--label-smoothing", "0.1"],
        "--label-smoothing works with --loss cross_entropy, got --loss mse",
    ),
    "dropout": (["train", "--dropout", "1"], r"Dropout: expected a rate in \[0, 1\), or one per replica, got 1.0"),
    "no hidden": (
        ["train", "--hidden", "none", "--dropout", "0.5"],
        "--dropout and --batch-norm need hidden layers; give --hidden or --residual",
    ),
    "class weight": (
        ["train", "--class-weight", "1,2"],
        "--class-weight: expected 5 weights, one per class, got 2",
    ),
    "monitor": (
        ["train", "--monitor", "val_los"],
        "fit: expected monitor to be one of train_loss, .*, val_accuracy, got 'val_los'",
    ),
    "out": (
        ["train", "--out", "/proc/xbnet"],
        r"--out /proc/xbnet: can't be written \(.*\); choose another folder",
    ),
    "dtype": (["train", "--dtype", "int8"], "Network: expected dtype 'float32' or 'float64', got 'int8'"),
    "config missing": (["train", "--config", "no.toml"], r"--config no\.toml: can't be read \(No such file.*\)"),
}  # fmt: skip


def test_flags_turn_off_what_a_config_has_on(capsys, tmp_path):
    (tmp_path / "c.toml").write_text('scaling = "standard"\nbatch-norm = true\nepochs = 1\n')
    config = ["train", "--config", tmp_path / "c.toml", "--quiet", "--json"]
    sizes = [json.loads(run(capsys, *config, *more)[1])["parameters"] for more in ([], ["--no-batch-norm"])]
    assert sizes == [211, 177]
    for flags in (["--scaling", "none"], ["--no-tensorboard"]):
        assert run(capsys, *config, *flags)[0] == 0
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "--no-" not in capsys.readouterr().out.replace("--no-header", "")


@pytest.mark.parametrize("case", ERRORS)
def test_a_mistake_is_one_line(capsys, case):
    argv, expected = ERRORS[case]
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert re.fullmatch(f"xbnet: {expected}\n", err), err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epoch = 3", r"unknown key 'epoch'; did you mean 'epochs'\? known are .*"),
        ("epochs = true", "expected epochs to have a value, got true"),
        ("json = 1", "expected json to be true or false, got 1"),
        ("[a]\nb = 1", "unknown key 'a'; known are .*"),
        ("epochs = ", r"is not a TOML file \(.*\)"),
    ],
)
def test_a_bad_config_is_one_line(capsys, tmp_path, text, expected):
    path = tmp_path / "run.toml"
    path.write_text(text)
    code, _, err = run(capsys, "train", "--config", path)
    assert code == 2
    assert re.fullmatch(f"xbnet: (--config )?{re.escape(str(path))}: {expected}\n", err), err


def test_divergence_ends_with_1_and_says_where(capsys):
    code, out, err = run(capsys, "train", "--data", "peaks", "--loss", "mse", "--lr", "1e30", "--epochs", 3)
    assert (code, out) == (1, "")
    assert re.fullmatch(
        r"xbnet: fit: the loss became (nan|infinite) in epoch 1, step \d+ of 391 \(learning rate 1e\+30\); try a "
        r"smaller learning rate, clip_norm, or standardized inputs; the last good weights are kept\n",
        err,
    ), err


@pytest.mark.parametrize("schedule", ["constant", "warmup:epochs=10"])
def test_divergence_keeps_the_last_good_weights_in_the_folder(capsys, tmp_path, schedule):
    flags = ["--data", "peaks", "--loss", "mse", "--activation", "relu", "--optimizer", "nesterov", "--epochs", 30]
    code, out, err = run(capsys, "train", *flags, "--lr", 20, "--schedule", schedule, "--out", tmp_path)
    assert (code, out, err.count("\n")) == (1, "", 1)
    model = load_model(tmp_path / "model.safetensors")
    assert np.isfinite(model.network.theta).all()
    assert json.loads((tmp_path / "result.json").read_text())["status"] == "diverged"
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == len(model.history)
    assert (len(model.history) > 1) == (schedule != "constant")
    assert {"config.toml", "curves.png"} <= {path.name for path in tmp_path.iterdir()}


def test_results_on_stdout_progress_on_stderr_from_a_process(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "xbnet.train", "--epochs", "1", "--json", "--quiet"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert np.isfinite(json.loads(done.stdout)["val_loss"])


def test_info_names_every_backend(capsys):
    code, out, _ = run(capsys, "info")
    assert code == 0
    _, table, compiled = out.split("\n\n")
    assert [line.split()[0] for line in table.splitlines()] == ["backend", "numpy", "cupy", "dpnp"]
    assert compiled.startswith("execution 'compiled': ")
    code, out, _ = run(capsys, "info", "--json")
    rows = json.loads(out)["backends"]
    assert all(row["device"] or "pip install" in row["hint"] or "device" in row["hint"] for row in rows)


def test_help_and_version(capsys):
    assert run(capsys)[0] == 2
    code, out, _ = run(capsys, "--version")
    assert code == 0
    assert re.fullmatch(r"xbnet \S+\n", out)
