import json

import pytest

from xbnet import DivergenceError, SweepResult
from xbnet.cli import main
from xbnet.cli.sweep import parse_space
from xbnet.cli.sweep_table import print_columns

SMALL = ["--data", "peaks", "--space", "epochs=1", "--space", "hidden=[[4]]"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lr=0.1,1", ("lr", [0.1, 1])),
        ("lr=0.1", ("lr", 0.1)),
        ("hidden=[[10,7],[20]]", ("hidden", [[10, 7], [20]])),
        ("hidden=10,7", ("hidden", [[10, 7]])),
        ("hidden=10", ("hidden", 10)),
        ("hidden=10|7", ("hidden", [[10], [7]])),
        ("hidden=10,7|20|none", ("hidden", [[10, 7], [20], []])),
        ("lr=loguniform:1e-4,1", ("lr", "loguniform:1e-4,1")),
        ("activation=tanh, relu", ("activation", ["tanh", "relu"])),
        ("batch_norm=true,false", ("batch_norm", [True, False])),
        ("schedule.gamma=0.5", ("schedule.gamma", 0.5)),
        ('lr="loguniform:1e-4,1"', ("lr", "loguniform:1e-4,1")),
        ("patience=none", ("patience", "none")),
        ("lr=.1", ("lr", 0.1)),
        ("lr=.1, 1.,+.5,-.5,1.e-3", ("lr", [0.1, 1.0, 0.5, -0.5, 0.001])),
        ("lr=[.1, 2]", ("lr", [0.1, 2])),
        ("optimizer=adam:beta2=.9", ("optimizer", "adam:beta2=.9")),
        ("version=1.5.2", ("version", "1.5.2")),
    ],
)
def test_a_space_is_read_from_words(text, found):
    assert parse_space(text) == found


def test_json_is_the_last_line_and_complete(capsys):
    assert main(["sweep", *SMALL, "--space", "lr=0.1,1", "--seeds", "3,4", "--json"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    summary = json.loads(lines[-1])
    assert summary["networks"] == 4
    assert summary["configurations"] == 2
    assert summary["best"] in ({"lr": 0.1}, {"lr": 1})
    assert summary["best_member"] in range(4)
    assert "val_loss" in lines[1]


def test_a_sweep_from_a_file_is_kept_and_goes_on(tmp_path, capsys):
    config, out = tmp_path / "sweep.toml", tmp_path / "out"
    config.write_text(
        'data = "peaks"\nseeds = [1, 5]\n[space]\nlr = [0.1, 1.0]\nl2 = [0, 0.1]\nhidden = [[4]]\n'
        'epochs = 1\nschedule = "step"\n"schedule.gamma" = 0.5\npatience = "none"\n'
    )
    assert main(["sweep", "--config", str(config), "--out", str(out), "--quiet"]) == 0
    found = {path.name for path in out.iterdir()}
    assert found >= {"results.jsonl", "best.safetensors", "curves.png", "keys.png", "heat_map.png", "result.json"}
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert len(rows) == 8
    assert {row["weight_seed"] for row in rows} == {1, 5}
    assert all(row["schema"] == "xbnet.sweep/4" for row in rows)
    (out / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:3]))
    assert main(["sweep", "--resume", str(out), "--quiet"]) == 0
    again = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert again[:3] == rows[:3]
    by_member = [sorted(table, key=lambda row: row["member"]) for table in (rows, again)]
    for one, two in zip(*by_member, strict=True):
        assert {**one, "seconds": 0, "arrays": 0} == {**two, "seconds": 0, "arrays": 0}
    assert capsys.readouterr().out == ""


def test_the_space_of_the_command_line_wins_over_that_of_the_file(tmp_path, capsys):
    config = tmp_path / "sweep.toml"
    config.write_text('data = "peaks"\n[space]\nlr = [0.1, 1.0]\nhidden = [[4]]\nepochs = 1\n')
    assert main(["sweep", "--config", str(config), "--space", "lr=.5", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["networks"] == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "sweep: expected a space, e.g. --space lr=0.01,0.1, or [space] in the --config file"),
        (["--space", "lr"], "--space: expected KEY=VALUES like lr=0.01,0.1, got 'lr'"),
        (["--space", "lr=a,b"], "sweep: expected lr to be a number, got 'a'"),
        (
            ["--space", "lr=1", "--seeds", "0"],
            "sweep: argument --seeds: expected a count >= 1 or seeds like 0,1,5, got '0'; see `xbnet sweep --help`",
        ),
        (["--space", "lr=1", "--memory", "9"], None),
        (
            ["--space", "hidden=10-7,20"],
            "--space hidden=10-7,20: expected widths of one network like 10,7, several as 10,7|20|none",
        ),
        (
            ["--space", "lr=1", "--memory", "1QB"],
            "sweep: memory: expected bytes, a number or text like '500 MB' or '2 GiB' (B, kB, MB, GB, TB; KiB, MiB, "
            "GiB, TiB), got '1QB'",
        ),
        (
            ["--space", "lr=1", "--space", "lr=2"],
            "--space: lr is given twice; give all its values at once, like lr=1,2",
        ),
        (
            ["--space", "lr=1", "--folds", "1"],
            "sweep: expected folds from 2 to 25000, the number of training samples, got 1",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, line, capsys):
    assert main(["sweep", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    if line is not None:
        assert captured.err == f"xbnet: {line}\n"


def test_a_sweep_of_which_nothing_is_left_fails(capsys):
    words = ["lr=1e30", "optimizer=momentum", "loss=mse", "activation=relu", "epochs=1"]
    assert main(["sweep", *(word for pair in words for word in ("--space", pair)), "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1])["diverged"] == 1
    line = "xbnet: sweep: all networks diverged; try smaller learning rates, or clip_norm"
    assert captured.err.splitlines()[-1] == line


def test_networks_that_did_not_learn_are_named_in_one_line(capsys):
    space = ["--space", "hidden=4", "--space", "epochs=4", "--space", "batch_size=50"]
    assert main(["sweep", "--data", "gmm", *space, "--space", "lr=0.1,1e3,1e4", "--seeds", "2", "--quiet"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("xbnet: gmm: 4 of 6 networks did not learn: a val_loss of ")
    assert line.endswith(
        ", while guessing by the classes' shares gives 1.609, with lr=1000; lr=1e+04; leave such values out"
    )
    assert main(["sweep", "--data", "gmm", *space, "--space", "lr=1e3", "--quiet"]) == 0
    assert capsys.readouterr().err.endswith("gives 1.609; try smaller learning rates, or more epochs\n")
    assert main(["sweep", "--data", "gmm", *space, "--space", "lr=0.1,1", "--quiet"]) == 0
    assert not capsys.readouterr().err


def test_lists_of_widths_say_what_was_taken(caplog):
    assert parse_space("hidden=[10,7]") == ("hidden", [10, 7])
    assert caplog.messages == ["--space hidden=[10,7]: takes 2 networks with a layer each; one network is 10,7"]


def test_the_winner_is_refitted_and_the_ensemble_kept(tmp_path, capsys, drawn):
    out = tmp_path / "out"
    words = ["--folds", "2", "--space", "lr=0.03,0.1,0.3", "--space", "l2=0,1e-4", "--space", "momentum=0.5,0.9"]
    given = [*SMALL, *words, "--space", "optimizer=momentum", "--scaling", "standard", "--ensemble", "3"]
    assert main(["sweep", *given, "--class-weight", "balanced", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "the best configuration was trained again on all 25,000 rows, 1 epoch: train_loss" in text
    assert "last test, on rows that nothing was chosen by: val_loss" in text
    assert "ensemble of 3: val_accuracy" in text
    head = text.splitlines()[1].split()
    assert head == ["val_loss", "spread", "val_accuracy", "networks", "settings"]
    assert (out / "parallel.png").stat().st_size > 5000
    kept = json.loads((out / "result.json").read_text())
    assert (
        main(["predict", str(out), "--data", "peaks", "--part", "val", "--out", str(tmp_path / "p.csv"), "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["accuracy"] == pytest.approx(kept["refit"]["val_accuracy"])
    path = str(out / "ensemble.safetensors")
    assert main(["predict", path, "--data", "peaks", "--part", "val", "--out", str(tmp_path / "p.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == pytest.approx(kept["ensemble"]["val_accuracy"])
    assert main(["info", str(out)]) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[1:-1] == text.splitlines()[1:-2]  # without the folder and the next command
    assert main(["info", path]) == 0
    assert "an ensemble of 3 networks" in capsys.readouterr().out
    lines = (out / "results.jsonl").read_text().splitlines(keepends=True)
    (out / "results.jsonl").write_text("".join(lines[:5]))
    assert main(["info", str(out)]) == 0
    assert f"5 of 24 networks have ended; go on with: xbnet sweep --resume {out}" in capsys.readouterr().out
    (out / "config.toml").unlink()  # as if it had been begun in Python
    assert main(["info", str(out)]) == 0
    assert "have ended; go on with: the same call of xbnet.sweep, with out='" in capsys.readouterr().out
    assert main(["info", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["networks"] == 5


def test_an_ensemble_of_too_many_and_a_refit_that_diverges_lose_nothing(tmp_path, caplog, monkeypatch):
    def diverge(self):
        raise DivergenceError("fit: the loss became infinite")

    monkeypatch.setattr(SweepResult, "refit", diverge)
    out = tmp_path / "out"
    assert main(["sweep", *SMALL, "--folds", "2", "--space", "lr=0.1", "--ensemble", "9", "--out", str(out)]) == 0
    assert caplog.messages == [
        "the best configuration diverged when it was trained again on all rows; the best network is one of a fold",
        "--ensemble 9: takes the 2 networks that there are",
    ]
    assert {"best.safetensors", "ensemble.safetensors", "result.json", "curves.png"} <= {p.name for p in out.iterdir()}


def test_columns_never_run_together(capsys):
    print_columns(["val_loss", "spread", "settings"], [["1.234e+12", "12345678.12345", "lr=1"], ["1", "2", "l2=0"]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "1.234e+12  12345678.12345  lr=1"
    assert lines[2] == "        1               2  l2=0"
