"""Models keep the schema of a table: it comes back as it was, or the file is refused in one line."""

import copy

import numpy as np
import pytest

from tests.support.errors import refuses
from xbnet import ConfigError, DataError, Linear, Network, load_model, save
from xbnet.cli import main
from xbnet.datasets import Column, Scaler, Schema, Target
from xbnet.io.tensorfile import read_tensors, write_tensors

COLUMNS = (
    Column("age", mean=40.0, std=12.0, fill=38.0, indicator=True),
    Column("city", "category", values=("Köln", "Ulm"), rare=True, missing=True),
    Column("member", "boolean", fill=1.0),
    Column("joined", "date", mean=1.7e9, std=1e6, fill=1.7e9),
)
CLASSES = Target(("kind",), "classification", ("001", "1", "zwei"))
VALUES = Target(("price", "rent"), "regression", None, (2.5e5, 900.0), (2e4, 150.0))
TABLE = {"joined": [1.7e9, 1.71e9], "city": ["Ulm", None], "age": [np.nan, 60.0], "member": [1, 0], "more": [0, 0]}


def model(path, target, dtype="float32", replicas=1):
    """A model with this target in the file."""
    network = Network(
        [Linear(5, "tanh"), Linear(len(target.classes or target.names))], 8, replicas=replicas, dtype=dtype, rng=0
    )
    network.link = "softmax" if target.classes else "identity"
    save(network, path, schema=Schema(COLUMNS, target))
    return network


@pytest.mark.parametrize("target", [CLASSES, VALUES])
@pytest.mark.parametrize("replicas", [1, 3])
def test_comes_back_and_predicts(target, replicas, tmp_path):
    network, schema = model(tmp_path / "m.safetensors", target, replicas=replicas), Schema(COLUMNS, target)
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.schema == schema
    assert loaded.features == schema.input_names
    assert loaded.classes == target.classes
    assert loaded.scales
    values = network.predict_proba(schema.encode(TABLE)).reshape(replicas, 2, -1).mean(axis=0)
    if target is VALUES:
        values = values * [2e4, 150.0] + [2.5e5, 900.0]
    np.testing.assert_allclose(loaded.predict_proba(TABLE), values, rtol=1e-12)


def test_a_preparation_beside_it_makes_no_sense(tmp_path):
    network = Network([Linear(3)], 8, rng=0)
    with refuses(ConfigError, "save: expected a schema or a preparation, got both; a schema scales by itself"):
        save(network, tmp_path / "m", schema=Schema(COLUMNS), preparation=Scaler(np.zeros(8), np.ones(8)))
    with refuses(ConfigError, "save: expected a schema with as many inputs, I=3, got 8 in it"):
        save(Network([Linear(3)], 3, rng=0), tmp_path / "m", schema=Schema(COLUMNS))


WRONG = {
    "no columns": lambda s: s.update(columns=[]),
    "another key": lambda s: s.update(more=1),
    "an unknown kind": lambda s: s["columns"][0].update(kind="text"),
    "a mean that is no number": lambda s: s["columns"][0].update(mean="40"),
    "a deviation of 0": lambda s: s["columns"][0].update(std=0),
    "a number that is not finite": lambda s: s["columns"][0].update(fill=float("nan")),
    "a value twice": lambda s: s["columns"][1].update(values=["Ulm", "Ulm"]),
    "a value too many": lambda s: s["columns"][1]["values"].append("Bonn"),
    "a name twice": lambda s: s["columns"][3].update(name="age"),
    "an unknown task": lambda s: s["target"].update(task="ranking"),
    "a class too few": lambda s: s["target"]["classes"].pop(),
    "a scale without a mean": lambda s: s["target"].update(scale=[1.0]),
    "no object": lambda s: s.update(target=[1]),
    "a column that is no object": lambda s: s["columns"].append(3),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_refused(wrong, tmp_path, capsys):
    path = tmp_path / "m.safetensors"
    model(path, CLASSES)
    kept = read_tensors(path, "network")
    description = copy.deepcopy(kept.description)
    WRONG[wrong](description["schema"])
    write_tensors(path, "network", {name: np.array(array) for name, array in kept.arrays.items()}, description)
    with pytest.raises(DataError) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: expected that its schema")
    assert "\n" not in str(caught.value)
    assert main(["info", str(path)]) == 2


def test_info_shows_it(tmp_path, capsys):
    model(tmp_path / "m.safetensors", VALUES)
    assert main(["info", str(tmp_path / "m.safetensors")]) == 0
    assert capsys.readouterr().out.splitlines()[-5:] == [
        "  age     number    mean 40, deviation 12; 38 where missing",
        "  city    category  Köln, Ulm, (rare), (missing)",
        "  member  boolean",
        "  joined  date      mean 2023-11-14, deviation 11.5741 days",
        "target: price, rent (regression)",
    ]


def test_predict_writes_ids_beside_and_takes_texts_as_they_are(tmp_path, capsys, caplog):
    pytest.importorskip("pyarrow")
    model(tmp_path / "m.safetensors", CLASSES)
    table = tmp_path / "x.csv"
    table.write_text(
        "id;city ;age;joined;member;kind;note\n007; Ulm;;2024-01-02;True;1;a\n008;NA;41,5;2023-11-30;0;001;b\n"
    )
    argv = ["predict", str(tmp_path / "m.safetensors"), "--data", str(table), "--target", "kind", "--id", "id,city"]
    for name in ("p.csv", "p.jsonl", "p.parquet"):
        assert main([*argv, "--out", str(tmp_path / name)]) == 0
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0] == "id,city,label,p_001,p_1,p_zwei"
    assert [line.split(",")[:2] for line in lines[1:]] == [["007", " Ulm"], ["008", "NA"]]
    assert '{"id": "007", "city": " Ulm", "label": ' in (tmp_path / "p.jsonl").read_text()
    assert caplog.messages[0] == f"{table}: ignored columns that the model does not know: 'note'"
    assert main([*argv, "--out", str(tmp_path / "p.npz")]) == 0
    arrays = np.load(tmp_path / "p.npz")
    assert arrays["id"].tolist() == ["007", "008"]
    assert arrays["city"].tolist() == [" Ulm", "NA"]
    assert arrays["labels"].shape == (2,)
    assert arrays["values"].shape == (2, 3)


def test_arrays_stand_for_tables_of_numbers_alone(tmp_path, capsys):
    network = Network([Linear(1)], 2, rng=0)
    network.link = "identity"
    schema = Schema((Column("a", mean=1.7e9, std=10.0), Column("b")), Target(("y",), "regression"))
    save(network, tmp_path / "m.safetensors", schema=schema)
    x = np.array([[1_700_000_001, 2], [1_700_000_002, 3]])
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    for name in ("x.npy", "x.npz"):
        argv = ["predict", str(tmp_path / "m.safetensors"), "--data", str(tmp_path / name)]
        assert main([*argv, "--out", str(tmp_path / "p.npz")]) == 0
        values = np.load(tmp_path / "p.npz")["values"]
        np.testing.assert_allclose(values, network.predict_proba([[0.1, 2], [0.2, 3]]), rtol=1e-6)
    model(tmp_path / "m.safetensors", CLASSES)
    assert main(argv) == 2
    line = (
        "expected a table with the columns that the model was trained on, got an array of numbers; 'city' is a category"
    )
    assert capsys.readouterr().err.endswith(f"{line}\n")
