"""Columns of tables are found by the names that the model was trained with."""

import json

import numpy as np
import pytest

from tests.support.errors import refuses
from xbnet import ConfigError, DataError, Linear, Network, XBClassifier, XBRegressor, load_model, save
from xbnet.cli import main
from xbnet.datasets import Dataset, Part, Scaler, load_dataset
from xbnet.io.tensorfile import read_tensors, write_tensors

RNG = np.random.default_rng(0)
X = RNG.normal(5, 3, size=(120, 3))
Y = np.array(["no", "yes"])[(X[:, 0] > X[:, 2]).astype(int)]


def write(path, columns):
    """A table of these columns, as the name of the file says."""
    if path.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet

        pyarrow.parquet.write_table(pa.table(columns), path)
        return path
    rows = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module", params=[".csv", ".parquet"])
def trained(request, tmp_path_factory):
    """A model of a table with columns a, b, c and kind; and its folder."""
    folder, kind = tmp_path_factory.mktemp("table"), request.param
    table = write(folder / f"train{kind}", {"a": X[:, 0], "b": X[:, 1], "kind": Y, "c": X[:, 2]})
    flags = ["--hidden", "6", "--epochs", "3", "--scaling", "standard", "--seed", "0", "--quiet"]
    assert main(["train", "--data", str(table), "--target", "kind", *flags, "--out", str(folder / "run")]) == 0
    return str(folder / "run" / "model.safetensors"), kind


def predicted(model, table, out, *flags):
    assert main(["predict", model, "--data", str(table), "--out", str(out), *flags]) == 0
    return np.load(out)["values"]


def test_columns_are_matched_by_name(trained, tmp_path, capsys, caplog):
    model, kind = trained
    assert load_model(model).features == ("a", "b", "c")
    columns = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]}
    expected = predicted(model, write(tmp_path / f"x{kind}", columns), tmp_path / "p.npz")
    assert not caplog.messages
    np.testing.assert_allclose(expected, load_model(model).predict_proba(columns), rtol=1e-5)
    turned = {"c": X[:, 2], "kind": Y, "a": X[:, 0], "note": ["x"] * 120, "b": X[:, 1]}
    table = write(tmp_path / f"turned{kind}", turned)
    np.testing.assert_array_equal(predicted(model, table, tmp_path / "p.npz", "--target", "kind"), expected)
    assert caplog.messages == [f"{table}: ignored columns that the model does not know: 'note'"]
    accuracy = np.mean(np.array(["no", "yes"])[expected.argmax(axis=1)] == Y)
    assert f"accuracy {accuracy:.6g}" in capsys.readouterr().out


def test_a_missing_column_is_one_line(trained, tmp_path, capsys):
    model, kind = trained
    table = write(tmp_path / f"x{kind}", {"a": X[:, 0], "B": X[:, 1], "d": X[:, 2]})
    assert main(["predict", model, "--data", str(table)]) == 2
    line = f"xbnet: {table}: expected the columns that the model was trained on, got none named 'b', 'c'\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(("odd", "said"), [([1.0], "list<"), ({"z": 1}, "struct<"), (b"\xff", "binary")])
@pytest.mark.parametrize("name", ["a", "kind"])
def test_a_column_of_another_type_is_one_line(trained, tmp_path, capsys, odd, said, name):
    """It was refused in training alone: pyarrow's own errors came."""
    columns = {"a": [1.0], "b": [1.0], "c": [1.0], "kind": ["no"]}
    table = write(tmp_path / "t.parquet", columns | {name: [odd]})
    assert (
        main(["predict", trained[0], "--data", str(table), "--target", "kind", "--out", str(tmp_path / "p.csv")]) == 2
    )
    line = f"xbnet: {table}: column '{name}': expected numbers, text or dates, got {said}"
    assert capsys.readouterr().err.startswith(line)


def test_a_table_without_names_goes_by_position(trained, tmp_path):
    np.save(tmp_path / "x.npy", X)
    columns = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]}
    by_name = predicted(trained[0], write(tmp_path / f"x{trained[1]}", columns), tmp_path / "p.npz")
    np.testing.assert_array_equal(predicted(trained[0], tmp_path / "x.npy", tmp_path / "p.npz"), by_name)


def test_info_shows_them(trained, capsys):
    assert main(["info", trained[0]]) == 0
    assert "inputs: 3, scaled first: a, b, c\n" in capsys.readouterr().out
    assert main(["info", trained[0], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["features"] == ["a", "b", "c"]


def test_names_survive_splits_and_standardizing(tmp_path):
    table = write(tmp_path / "x.csv", {"a": X[:, 0], "kind": Y, "b": X[:, 1]})
    assert load_dataset(table, target="kind", val=0.2, scaling="standard").features == ("a", "b")
    with refuses(DataError, "t: expected a name per input, I = 3, got 2"):
        Dataset("t", Part(X, Y), features=("a", "b"))


@pytest.mark.parametrize("targets", ["binary", "multiclass", "flags", "values"])
@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_go_to_files_with_their_names(targets, members, tmp_path):
    pd = pytest.importorskip("pandas")
    y = {
        "binary": Y,
        "multiclass": np.array([3, 5, 9])[X.argmax(axis=1)],
        "flags": (X > 5).astype(int),
        "values": X[:, 0],
    }[targets]
    frame = pd.DataFrame((X - X.mean(axis=0)) / X.std(axis=0), columns=["a", "b", "c"])
    kind = XBRegressor if targets == "values" else XBClassifier
    model = kind((6,), max_iter=3, n_members=members, batch_norm=True, random_state=0).fit(frame, y)
    model.save(tmp_path / "m.safetensors", preparation=Scaler(X.mean(axis=0), X.std(axis=0)))
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.features == ("a", "b", "c")
    assert len(loaded.history) == 3
    table = write(tmp_path / "x.csv", {"c": X[:, 2], "a": X[:, 0], "b": X[:, 1]})
    values = predicted(str(tmp_path / "m.safetensors"), table, tmp_path / "p.npz")
    if targets == "values":
        np.testing.assert_allclose(values[:, 0], model.predict(frame), rtol=1e-5, atol=1e-6)
        return
    np.testing.assert_allclose(values, model.predict_proba(frame), rtol=1e-5, atol=1e-6)
    assert list(loaded.classes) == model.classes_.tolist()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_blanks_around_names_are_not_told_apart_from_none(tmp_path, caplog):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=[" a", "b ", "c"])
    model = XBClassifier((6,), max_iter=3, random_state=0).fit(frame, Y)
    model.save(tmp_path / "m.safetensors")
    for name in ("x.csv", "x.parquet"):
        frame.to_csv(tmp_path / name, index=False) if name == "x.csv" else frame.to_parquet(tmp_path / name)
        values = predicted(str(tmp_path / "m.safetensors"), tmp_path / name, tmp_path / "p.npz")
        np.testing.assert_allclose(values, model.predict_proba(frame), rtol=1e-5, atol=1e-6)
    assert not caplog.messages


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("members", [1, 2])
def test_one_of_several_yes_or_no_questions_has_one_answer(members, tmp_path):
    y = X.argmax(axis=1)
    model = XBClassifier((6,), loss="binary_cross_entropy", max_iter=3, n_members=members, random_state=0).fit(X, y)
    model.save(tmp_path / "m.safetensors")
    np.save(tmp_path / "x.npy", X)
    values = predicted(str(tmp_path / "m.safetensors"), tmp_path / "x.npy", tmp_path / "p.npz")
    np.testing.assert_allclose(values, model.predict_proba(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(values.sum(axis=1), 1, rtol=1e-6)


def test_wrong_names_are_one_line(tmp_path):
    network, path = Network([Linear(2)], 3, rng=0), tmp_path / "m.safetensors"
    with refuses(ConfigError, "save: expected a name per input, I=3, got 2 features"):
        save(network, path, features=["a", "b"])
    save(network, path, features=["a", "b", "c"])
    kept = read_tensors(path, "network")
    arrays = {name: np.array(array) for name, array in kept.arrays.items()}
    for wrong in (["a", "b"], ["a", "b", 3], "abc", {"a": 1}):
        write_tensors(path, "network", arrays, {**kept.description, "features": wrong})
        with pytest.raises(DataError, match=r"there is a name per input, I=3"):
            load_model(path)
