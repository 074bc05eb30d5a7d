"""`xbnet train` on a person's own table: what it does unasked, what switches it off, and which columns it takes."""

import csv
import json
import tomllib

import numpy as np
import pytest

from xbnet import load_model
from xbnet.cli import main
from xbnet.cli.tables import split_names

pytest.importorskip("pyarrow")
N = 120


def run(capsys, *argv):
    code = main([str(word) for word in argv])
    out, err = capsys.readouterr()
    return code, out, err


def write(path, columns, header=True, **dialect):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, **dialect)
        writer.writerows([list(columns)] if header else [])
        writer.writerows(zip(*columns.values(), strict=True))
    return path


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    size, colour = rng.normal(size=N).round(3), rng.choice(["red", "green", "blue"], N)
    price = 200_000 + 50_000 * size + 20_000 * (colour == "red") + rng.normal(size=N) * 1000
    return {
        "key": [f"r{i:03}" for i in range(N)],
        "size": size,
        "colour": colour,
        "zip": rng.choice([10115, 20095, 50667], N),
        "price": price.round(1),
        "weight": (3 * size + 70).round(2),
        "kind": np.where(size + (colour == "red") > 0.4, "$10K_to_$20K", "<$10K"),
    }


@pytest.fixture
def table(columns, tmp_path):
    return write(tmp_path / "houses.csv", columns)


PRICE = ["--target", "price", "--drop", "kind,weight", "--id", "key", "--epochs", 40]


def test_a_target_is_enough(capsys, table, tmp_path):
    code, out, _ = run(capsys, "train", "--data", table, *PRICE, "--out", tmp_path / "run")
    assert code == 0
    assert (
        "\ndefaults of tables: inputs scaled (--scaling none), 15% of the rows kept for validation "
        "(--val none), stops early (--patience none), 4 networks that become one (--members 1)\n" in out
    )
    assert "each keeps its best\n" in out
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert (config["scaling"], config["val"], config["patience"], config["drop"]) == (
        "standard", 0.15, 8, ["kind,weight"],
    )  # fmt: skip
    assert (config["hidden"], config["members"], config["schedule"], config["batch-size"]) == ("32", 4, "cosine", 32)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["val_r2"] > 0.8
    assert (result["replicas"], result["status"]) == (1, "stopped")
    assert 5e2 < result["val_mae"] < result["val_rmse"] < 3e4
    assert "val_accuracy" not in result
    model = load_model(tmp_path / "run")
    assert model.schema.target.names == ("price",)
    assert [column.name for column in model.schema.columns] == ["size", "colour", "zip"]
    assert [layer.n_outputs for layer in model.network.layers] == [128, 1]
    predicted = model.predict_proba(str(table))[:, 0]
    assert 1e5 < predicted.mean() < 3e5


def test_all_of_it_is_switched_off(capsys, table, tmp_path):
    off = ["--scaling", "none", "--val", "none", "--patience", "none", "--no-scale-targets", "--epochs", 2]
    off += ["--members", 1, "--categorical", ""]  # of a shell's empty variable
    code, out, err = run(capsys, "train", "--data", table, *PRICE, *off, "--out", tmp_path / "run")
    assert code == 0
    assert "defaults of tables" not in out
    assert "best was" not in out
    assert "did not learn" in err
    model = load_model(tmp_path / "run")
    assert model.schema.target.mean is None
    assert model.schema.scaler is None
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["val_loss"], result["epochs"], result["learned"]) == (None, 2, False)
    again = ["--config", tmp_path / "run", "--out", tmp_path / "again", "--quiet"]
    assert run(capsys, "train", *again)[0] == 0
    first, second = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("run", "again"))
    assert first["train_loss"] == second["train_loss"]


def test_members_are_one_network_that_answers_their_mean(capsys, table, tmp_path):
    few = ["--epochs", 3, "--members", 3, "--val", "none", "--hidden", "5,4", "--dropout", 0.1]
    assert run(capsys, "train", "--data", table, *PRICE[:-2], *few, "--out", tmp_path / "one", "--json")[0] == 0
    few[2:4] = ["--replicas", 3]
    assert run(capsys, "train", "--data", table, *PRICE[:-2], *few, "--out", tmp_path / "stack")[0] == 0
    one, stack = (load_model(tmp_path / name) for name in ("one", "stack"))
    assert (one.network.replicas, stack.network.replicas) == (1, 3)
    np.testing.assert_allclose(one.predict_proba(table), stack.predict_proba(table), rtol=1e-5)
    assert one.history["train_loss"].shape == (3,)
    np.testing.assert_allclose(one.history["train_loss"], stack.history["train_loss"].mean(axis=1))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--replicas", 2], "--members 4 make one network, got --replicas 2 too; give one"),
        (["--batch-norm"], "--members 4: expected hidden layers alone to become one, got --batch-norm"),
        (["--residual", 1], "--members 4: expected hidden layers alone to become one, got --residual"),
    ],
)
def test_members_that_can_not_become_one(capsys, table, flags, words):
    assert run(capsys, "train", "--data", table, *PRICE, "--members", 4, *flags) == (2, "", f"xbnet: {words}\n")
    code, out, _ = run(capsys, "train", "--data", table, *PRICE[:-1], 1, *flags, "--json", "--quiet")
    assert code == 0  # asked for so, there are no members by default
    assert json.loads(out)["replicas"] == (2 if "--replicas" in flags else 1)


@pytest.mark.parametrize("target", ["kind", "price"])
def test_members_that_share_weights(capsys, table, tmp_path, target):
    """Train, predict and export: one network from the start, whose answer is the members' mean."""
    command = ["train", "--data", table, "--target", target, "--drop", "key", "--epochs", 3, "--out", tmp_path / "run"]
    code, _, err = run(capsys, *command, "--sharing", "tabm", "--hidden", "6")
    assert (code, err) == (0, "")
    network = load_model(tmp_path / "run").network
    assert [type(layer).__name__ for layer in network.layers] == ["Members", "SharedLinear", "MemberOutputs"]
    assert run(capsys, "predict", tmp_path / "run", "--data", table, "--out", tmp_path / "p.csv")[0] == 0
    assert run(capsys, *command[:-2], "--sharing", "tabm", "--batch-norm")[2].endswith("alone, got --batch-norm\n")


@pytest.mark.parametrize("flags", [["--target", "price,weight"], ["--target", "price", "--target", "weight"]])
def test_several_targets(capsys, table, flags):
    argv = ["train", "--data", table, *flags, "--drop", "kind,key", "--epochs", 40]
    code, out, _ = run(capsys, *argv, "--json")
    assert code == 0
    result = json.loads(out.splitlines()[-1])
    assert list(result["targets"]) == ["price", "weight"]
    each = [result["targets"][name]["val_r2"] for name in ("price", "weight")]
    assert result["val_r2"] == pytest.approx(np.mean(each))
    assert result["targets"]["price"]["val_rmse"] > 1000 > result["targets"]["weight"]["val_rmse"]
    assert "\n  price " in out


def test_classes_with_dollar_signs_have_a_picture(capsys, table, tmp_path, drawn):
    argv = ["train", "--data", table, "--target", "kind", "--columns", "size,weight", "--epochs", 2, "--quiet"]
    assert run(capsys, *argv, "--out", tmp_path / "run") == (0, "", "")
    assert (tmp_path / "run" / "regions.png").stat().st_size > 5000


def test_which_columns_are_inputs(capsys, table, tmp_path):
    def names(*flags):
        argv = ["train", "--data", table, "--target", "kind", "--epochs", 1, "--quiet", "--overwrite", *flags]
        assert run(capsys, *argv, "--out", tmp_path / "run")[0] == 0
        return list(load_model(tmp_path / "run").features)

    assert names("--columns", "size,zip") == ["size", "zip"]
    assert names("--columns", "size,zip", "--categorical", "zip") == ["size", "zip=10115", "zip=20095", "zip=50667"]
    assert names("--id", "key", "--drop", "price", "--drop", "weight,colour") == ["size", "zip"]


def test_how_a_table_is_written(capsys, columns, tmp_path):
    comma = {name: [str(v).replace(".", ",") for v in columns[name]] for name in ("size", "weight", "price")}
    path = write(tmp_path / "a.csv", comma, header=False, delimiter=";")
    for flags in (["--decimal", ","], ["--delimiter", ";"]):
        argv = ["train", "--data", path, "--no-header", "--target", "2", "--epochs", 1, "--quiet", "--json"]
        code, out, _ = run(capsys, *argv, *flags)
        assert (code, json.loads(out)["task"], json.loads(out)["val_r2"] is None) == (0, "regression", False)


def test_missing_values_are_filled_or_refused(capsys, columns, tmp_path):
    columns["size"] = ["" if i == 3 else v for i, v in enumerate(columns["size"])]
    path = write(tmp_path / "a.csv", columns)
    argv = ["train", "--data", path, *PRICE[:-1], 1, "--quiet"]
    assert run(capsys, *argv)[0] == 0
    code, _, err = run(capsys, *argv, "--missing", "refuse")
    assert code == 2
    assert err.startswith(f"xbnet: {path}: expected no missing values, got one in size at line 5; ")


def test_a_class_of_one_row_only_costs_the_validation_part(capsys, caplog, columns, tmp_path):
    columns["kind"] = ["rare" if i == 7 else v for i, v in enumerate(columns["kind"])]
    path = write(tmp_path / "a.csv", columns)
    argv = ["train", "--data", path, "--target", "kind", "--id", "key", "--epochs", 1, "--quiet"]
    code, out, _ = run(capsys, *argv, "--json")
    assert (code, json.loads(out)["val_loss"]) == (0, None)
    assert "trains without a validation part" in caplog.text
    assert run(capsys, *argv, "--val", 0.2)[0] == 2


def test_flags_of_tables_are_for_tables(capsys):
    for flag, value in (("--drop", "a"), ("--id", "a"), ("--decimal", ","), ("--missing", "refuse")):
        code, _, err = run(capsys, "train", "--data", "gmm", flag, value)
        assert (code, err) == (2, f"xbnet: gmm: expected no {flag}, for only tables have named columns\n")


def test_names_with_commas():
    known = ["a", "b", "income, yearly"]
    assert split_names(["a, b"], known) == ["a", "b"]
    assert split_names(["income, yearly", "a"], known) == ["income, yearly", "a"]
    assert split_names(['"income, yearly",a'], known) == ["income, yearly", "a"]


def test_a_regression_from_arrays_answers_in_its_own_units(capsys, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = 5000 + 300 * x[:, 0]
    np.savez(tmp_path / "a.npz", x=x, y=y)
    argv = ["train", "--data", tmp_path / "a.npz", "--epochs", 30, "--quiet", "--json", "--out", tmp_path / "run"]
    result = json.loads(run(capsys, *argv)[1])
    assert result["train_r2"] > 0.9
    predicted = load_model(tmp_path / "run").predict_proba(x)[:, 0]
    assert np.sqrt(np.mean((predicted - y) ** 2)) == pytest.approx(result["train_rmse"], rel=1e-3)


def test_a_sweep_of_a_table_takes_the_defaults_of_train_and_shows_r2(capsys, table, tmp_path):
    argv = ["sweep", "--data", table, *PRICE[:-2], "--space", "lr=0.01,0.03", "--space", "epochs=3"]
    code, out, _ = run(capsys, *argv, "--out", tmp_path / "sweep", "--json")
    assert code == 0
    assert "val_loss   spread  val_r2  networks  settings\n" in out
    result = json.loads(out.splitlines()[-1])
    assert result["best_val_r2"] < 1
    network = load_model(tmp_path / "sweep").network
    assert [layer.n_outputs for layer in network.layers] == [32, 1]
    rows = [json.loads(line) for line in (tmp_path / "sweep" / "results.jsonl").read_text().splitlines()]
    assert max(row["val_r2"] for row in rows) == pytest.approx(result["best_val_r2"])
    code, out, _ = run(capsys, "sweep", "--data", table, "--target", "kind", *PRICE[4:6], *argv[-4:])
    assert code == 0
    assert "r2" not in out.splitlines()[1]


def test_targets_with_decimal_commas_are_scored_as_they_were_learned(tmp_path, capsys):
    table, run, page = tmp_path / "t.csv", tmp_path / "run", tmp_path / "page.html"
    table.write_text("a;price\n" + "".join(f"{i % 9};{i % 9},5\n" for i in range(40)))
    argv = ["--data", str(table), "--target", "price"]
    assert main(["train", *argv, "--task", "regression", "--epochs", "2", "--quiet", "--out", str(run)]) == 0
    assert main(["predict", str(run), *argv, "--out", str(tmp_path / "p.csv"), "--json"]) == 0
    score = json.loads(capsys.readouterr().out)
    assert main(["report", str(run), "--data", str(table), "--out", str(page), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert figures["R2"] == pytest.approx(score["r2"], abs=1e-5)
