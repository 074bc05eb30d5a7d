"""From the raw rows of a table, exported models say what `xbnet predict` says."""

import csv
import json

import numpy as np
import pytest

from tests.support.tables import made_table, raw_inputs, run_onnx, write_csv
from xbnet import load_model
from xbnet.cli import main
from xbnet.datasets import Schema
from xbnet.io.export import to_npz

pytestmark = pytest.mark.usefixtures("undrawn")

HELD_BACK = slice(200, None)
TRAINED = [
    "kind quantile --embed-numbers piecewise_linear",
    "price standard",
    "price robust --one-hot 2",
    "price standard --one-hot 2 --embed-numbers periodic",
]


@pytest.fixture(scope="module", params=TRAINED)
def trained(request, tmp_path_factory):
    """A run's folder, the held-back rows by column, and what is said of them: labels, or None, and values."""
    pytest.importorskip("pyarrow")
    folder, (target, scaling, *more) = tmp_path_factory.mktemp("table"), request.param.split()
    columns = made_table()
    others = [name for name in ("kind", "price") if name != target]
    columns = {name: texts for name, texts in columns.items() if name not in others}
    write_csv(folder / "train.csv", columns, slice(200))
    write_csv(folder / "new.csv", columns, HELD_BACK)
    data = ["--data", str(folder / "train.csv"), "--target", target]
    flags = [*data, "--scaling", scaling, *more, "--epochs", "3", "--quiet"]
    assert main(["train", *flags, "--out", str(folder / "run")]) == 0
    assert predicts(folder, "--target", target) == 0
    rows = list(csv.DictReader((folder / "p.csv").read_text().splitlines()))
    labels = [row.pop("label") for row in rows] if target == "kind" else None
    held_back = {name: texts[HELD_BACK] for name, texts in columns.items() if name != target}
    return folder, held_back, labels, rows


def predicts(folder, *flags):
    return main(
        ["predict", str(folder / "run"), "--data", str(folder / "new.csv"), "--out", str(folder / "p.csv"), *flags]
    )


def values_of(rows):
    return np.array([[float(value) for value in row.values()] for row in rows])


def near(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_columns_bear_names(trained):
    _, _, labels, rows = trained
    assert list(rows[0]) == (["price"] if labels is None else ["p_001", "p_1", "p_zwei"])


def test_onnx(trained):
    pytest.importorskip("onnxruntime")
    folder, columns, labels, rows = trained
    assert main(["export", str(folder / "run"), "--out", str(folder / "m.onnx")]) == 0
    found = run_onnx(folder / "m.onnx", columns)
    near(found["values" if labels is None else "probabilities"], values_of(rows))
    assert labels is None or found["label"].tolist() == labels


def test_torch(trained, capsys):
    torch = pytest.importorskip("torch")
    folder, columns, _, rows = trained
    assert main(["export", str(folder / "run"), "--out", str(folder / "t.safetensors")]) == 0
    text = capsys.readouterr().out
    x = raw_inputs(load_model(folder / "run").schema.to_json(), columns)
    scope = {"x": {name: torch.tensor(v) if v.dtype != object else v.tolist() for name, v in x.items()}}
    exec(text + "\nfound = " + text.rsplit("# then ", 1)[1], scope)
    near(scope["found"].detach().numpy(), values_of(rows))


def test_npz_has_the_schema(trained, tmp_path):
    folder, columns, _, rows = trained
    model = load_model(folder / "run")
    to_npz(model, tmp_path / "m.npz")
    a = np.load(tmp_path / "m.npz")
    schema = Schema.from_json(json.loads(str(a["schema"])))
    assert schema == model.schema
    assert tuple(a["features"]) == schema.input_names
    near(model.outputs(schema.encode(raw_inputs(schema.to_json(), columns))), values_of(rows))


def test_a_model_predicts_what_the_command_does(trained):
    pd = pytest.importorskip("pandas")
    folder, _, _, rows = trained
    model = load_model(folder / "run")
    near(model.predict_proba(folder / "new.csv"), values_of(rows))
    near(model.predict_proba(pd.read_csv(folder / "new.csv", dtype={"code": str})), values_of(rows))
