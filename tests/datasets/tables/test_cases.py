"""Tables of people's reports, each in every place that takes one: files, DataFrames, fit, estimators, sweeps, predict, ONNX.

What a single place does with them in detail is in the other files of this folder; here they go all the way.
"""

import json

import numpy as np
import pandas as pd
import pytest

import xbnet
from xbnet.cli import main

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("undrawn"),
]
ROUNDS = 8
"""So often each row is there, for a split needs some of each class."""
LABELS = {
    "underscores": (["10_20", "20_30", "10_20", "30_40"], ("10_20", "20_30", "30_40")),
    "exponents": (["1e5", "2d3", "2d3", "1e5"], ("1e5", "2d3")),
    "zeros": (["001", "1", "002", "02"], ("001", "1", "002", "02")),
    "signs": (["+1", "-1", "-1", "+1"], ("-1", "+1")),
    "truth": (["True", "False", "True", "False"], ("False", "True")),
    "gaps": (["1", "3", "7", "3"], ("1", "3", "7")),
    "minus one": (["-1", "1", "1", "-1"], ("-1", "1")),
    "money": (["$10K_to_$20K", "<$10K", "<$10K", "$10K_to_$20K"], ("$10K_to_$20K", "<$10K")),
}
NAMES = [" a", "nan", "1e5", "0", "größe\u00a0(cm)", "a;b;c;d", "b, c"]
"""Of columns that are inputs."""


def frame_of(words, name="a"):
    rng = np.random.default_rng(0)
    return pd.DataFrame({name: rng.normal(size=ROUNDS * len(words)).round(3), "y": words * ROUNDS})


def train(folder, path, *flags):
    few = ["--epochs", "2", "--hidden", "3", "--quiet", "--out", str(folder / "run")]
    assert main(["train", "--data", str(path), "--target", "y", *few, *flags]) == 0
    return folder / "run"


def by_file(kind):
    def classes(frame, folder):
        return xbnet.load_dataset(write(folder, frame, kind), target="y").classes

    return classes


def write(folder, frame, kind):
    path = folder / f"set{kind}"
    if kind == ".parquet":
        frame.to_parquet(path, index=False)
    elif kind == ".feather":
        frame.to_feather(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in kind else ",")
    return path


def by_fit(frame, folder):
    network = xbnet.Network([xbnet.Linear(frame["y"].nunique())], 1, rng=0)
    data = xbnet.datasets.Dataset("d", xbnet.datasets.Part(frame[["a"]], frame["y"]))
    xbnet.fit(network, "cross_entropy", "sgd", (frame[["a"]], frame["y"]), epochs=1)
    return data.classes


def by_estimator(frame, folder):
    model = xbnet.XBClassifier((3,), max_iter=1, schema=True).fit(frame[["a"]], frame["y"])
    assert model.predict(frame[["a"]][:3]).dtype == model.classes_.dtype
    model.save(folder / "m.safetensors")
    return tuple(map(str, xbnet.load_model(folder / "m.safetensors").classes))


def by_sweep(frame, folder):
    data = xbnet.load_dataset(frame, target="y")
    result = xbnet.sweep({"lr": [0.1, 0.2]}, data, epochs=1)
    assert len(result) == 2
    return result.program.pool.data.classes


def by_predict(frame, folder):
    path = write(folder, frame, ".csv")
    run = train(folder, path)
    out = folder / "p.csv"
    argv = ["predict", str(run), "--data", str(path), "--target", "y", "--out", str(out), "--json"]
    assert main(argv) == 0
    columns = list(pd.read_csv(out))
    assert columns[0] == "label"
    return tuple(name.removeprefix("p_") for name in columns[1:])


def by_onnx(frame, folder):
    runtime = pytest.importorskip("onnxruntime")
    run = train(folder, write(folder, frame, ".csv"))
    assert main(["export", str(run), "--out", str(folder / "m.onnx")]) == 0
    session = runtime.InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: frame[["a"]].to_numpy()}
    names = [output.name for output in session.get_outputs()]
    probabilities, labels = (session.run([name], feed)[0] for name in (names[0], "label"))
    classes = tuple(map(str, json.loads(session.get_modelmeta().custom_metadata_map["classes"])))
    assert [str(label) for label in labels] == [classes[i] for i in probabilities.argmax(axis=1)]
    return classes


PLACES = {
    **{kind: by_file(kind) for kind in (".csv", ".tsv", ".csv.gz", ".parquet", ".feather")},
    "DataFrame": lambda frame, folder: xbnet.load_dataset(frame, target="y").classes,
    **{"fit": by_fit, "estimator": by_estimator, "sweep": by_sweep, "predict": by_predict, "onnx": by_onnx},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("case", LABELS)
def test_labels_are_what_is_written_in_every_place(case, place, tmp_path, capsys):
    words, classes = LABELS[case]
    frame = frame_of(words)
    found = PLACES[place](frame, tmp_path)
    assert found == (tuple(sorted(classes)) if place == "estimator" else classes)  # that one sorts as scikit-learn does
    capsys.readouterr()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_names_of_columns_are_names_in_every_place(name, kind, tmp_path, capsys):
    frame = frame_of(["p", "q"], name)
    path = write(tmp_path, frame, kind)
    data = xbnet.load_dataset(path, target="y")
    assert [feature.strip() for feature in data.features] == [name.strip()]
    run = train(tmp_path, path)
    assert main(["predict", str(run), "--data", str(path), "--target", "y", "--out", str(tmp_path / "p.csv")]) == 0
    expected = pd.read_csv(tmp_path / "p.csv")[["p_p", "p_q"]].to_numpy()
    np.testing.assert_allclose(xbnet.load_model(run).predict_proba(frame[[name]]), expected, atol=1e-6)
    model = xbnet.XBClassifier((3,), max_iter=1, schema=True).fit(frame[[name]], frame["y"])
    model.save(tmp_path / "m.safetensors")
    argv = ["predict", str(tmp_path / "m.safetensors"), "--data", str(path), "--out", str(tmp_path / "q.csv")]
    assert main(argv) == 0
    found = pd.read_csv(tmp_path / "q.csv")[["p_p", "p_q"]].to_numpy()
    np.testing.assert_allclose(model.predict_proba(frame[[name]]), found, atol=1e-6)
    capsys.readouterr()


@pytest.mark.parametrize("place", ["train", "sweep", "estimator"])
@pytest.mark.parametrize("kind", [".csv", ".parquet", "DataFrame"])
def test_the_index_of_pandas_is_no_input(kind, place, tmp_path, capsys):
    frame = frame_of(["p", "q"] * 8)
    frame = frame[frame.a > 0]
    if kind == ".csv":
        frame.to_csv(tmp_path / "set.csv")  # with the index, in a column without a name
    else:
        frame.to_parquet(tmp_path / "set.parquet")  # with __index_level_0__
    source = tmp_path / ("set.csv" if kind == ".csv" else "set.parquet")
    assert xbnet.load_dataset(frame if kind == "DataFrame" else source, target="y").features == ("a",)
    if place == "train":
        run = train(tmp_path, source)
    elif place == "sweep":
        run = tmp_path / "run"
        argv = ["sweep", "--data", str(source), "--target", "y", "--space", "epochs=2", "--space", "hidden=3"]
        assert main([*argv, "--out", str(run), "--quiet"]) == 0
    else:
        rows = frame if kind == "DataFrame" else pd.read_csv(source) if kind == ".csv" else pd.read_parquet(source)
        model = xbnet.XBClassifier((3,), max_iter=2, schema=True).fit(rows.drop(columns="y"), rows["y"])
        model.save(run := tmp_path / "run.safetensors")
    assert list(xbnet.load_model(run).features) == ["a"]
    agree(run, source, frame[["a"]], tmp_path)
    capsys.readouterr()


def agree(run, path, frame, folder):
    """Hold `predict` on a file, the model on a frame, and onnxruntime on its columns, against each other."""
    assert main(["predict", str(run), "--data", str(path), "--out", str(folder / "p.csv")]) == 0
    found = pd.read_csv(folder / "p.csv")[["p_p", "p_q"]].to_numpy()
    np.testing.assert_allclose(xbnet.load_model(run).predict_proba(frame), found, atol=1e-6)
    runtime = pytest.importorskip("onnxruntime")
    assert main(["export", str(run), "--out", str(folder / "m.onnx")]) == 0
    session = runtime.InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"])
    entries = json.loads(session.get_modelmeta().custom_metadata_map["inputs"])
    feed = {entry: frame[[name]].to_numpy() for entry, name in zip(entries, frame, strict=True)}
    np.testing.assert_allclose(session.run(["probabilities"], feed)[0], found, atol=1e-6)


@pytest.mark.parametrize("encoding", ["latin1", "utf-16"])
def test_a_table_of_another_encoding_goes_by_pandas_through_estimators(encoding, tmp_path, capsys):
    frame = frame_of(["p", "q"], "größe")
    frame.to_csv(tmp_path / "set.csv", index=False, encoding=encoding)
    rows = pd.read_csv(tmp_path / "set.csv", encoding=encoding)
    model = xbnet.XBClassifier((3,), max_iter=1, schema=True).fit(rows[["größe"]], rows["y"])
    model.save(tmp_path / "m.safetensors")
    rows.to_csv(tmp_path / "utf8.csv", index=False)
    agree(tmp_path / "m.safetensors", tmp_path / "utf8.csv", rows[["größe"]], tmp_path)
    with pytest.raises(xbnet.errors.DataError, match="UTF-8"):
        xbnet.load_model(tmp_path / "m.safetensors").predict_proba(tmp_path / "set.csv")
    with pytest.raises(xbnet.errors.DataError, match="UTF-8"):
        xbnet.sweep({"lr": [0.1]}, str(tmp_path / "set.csv"), target="y", epochs=1)
    capsys.readouterr()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("größe,y\n1,p\n2,q\n".encode("latin1"), "expected text in UTF-8, got 0xf6 at line 1; save it as UTF-8"),
        ("a,y\n1,süß\n".encode("latin1"), "expected text in UTF-8, got 0xfc at line 2; save it as UTF-8"),
        ("a,y\n1,p\n".encode("utf-16"), "expected a CSV table in UTF-8, got what looks like text in UTF-16"),
        ("a,y\n1,p\n".encode("utf-16-be"), "expected a CSV table in UTF-8, got what looks like text in UTF-16"),
    ],
)
@pytest.mark.parametrize("verb", ["train", "predict", "sweep", "data", "report"])
def test_other_encodings_are_named_in_every_place(content, words, verb, tmp_path, capsys):
    path = tmp_path / "set.csv"
    path.write_bytes(content)
    argv = ["--data", str(path), "--target", "y"]
    if verb in ("predict", "report"):
        argv = [str(train(tmp_path, write(tmp_path, frame_of(["p", "q"]), ".tsv"))), "--data", str(path)]
    elif verb == "sweep":
        argv += ["--space", "lr=0.1"]
    elif verb == "data":
        argv = ["show", *argv]
    capsys.readouterr()
    assert main([verb, *argv]) == 2
    line = capsys.readouterr().err
    assert f"{path}: {words}" in line
    assert line.count("\n") == 1


def test_decimal_commas_and_no_header_are_remembered(tmp_path, capsys):
    frame = frame_of(["p", "q"])
    frame["key"] = [f"k{i}" for i in range(len(frame))]
    frame.to_csv(tmp_path / "set.csv", index=False, header=False, sep=";", decimal=",")
    few = ["--epochs", "2", "--hidden", "3", "--quiet", "--out", str(tmp_path / "run")]
    argv = ["train", "--data", str(tmp_path / "set.csv"), "--target", "1", "--id", "2", "--no-header", "--decimal", ","]
    assert main([*argv, *few]) == 0
    for name in ("p.csv", "p.npz"):
        argv = ["predict", str(tmp_path / "run"), "--data", str(tmp_path / "set.csv"), "--out", str(tmp_path / name)]
        assert main(argv) == 0
    found = pd.read_csv(tmp_path / "p.csv")
    assert list(found) == ["2", "label", "p_p", "p_q"]
    assert found["2"].tolist() == frame["key"].tolist() == np.load(tmp_path / "p.npz")["2"].tolist()
    model = xbnet.load_model(tmp_path / "run")
    np.testing.assert_allclose(model.predict_proba(tmp_path / "set.csv"), found[["p_p", "p_q"]], atol=1e-6)
    # What is said in predict wins, and rows without the names are predicted as well.
    frame.drop(columns=["y", "key"]).rename(columns={"a": "0"}).to_csv(tmp_path / "new.csv", index=False)
    argv = ["predict", str(tmp_path / "run"), "--data", str(tmp_path / "new.csv"), "--header", "--decimal", "."]
    assert main([*argv, "--out", str(tmp_path / "q.csv")]) == 0
    np.testing.assert_array_equal(pd.read_csv(tmp_path / "q.csv")["p_p"], found["p_p"])
    capsys.readouterr()


@pytest.mark.parametrize("place", [".csv", ".parquet", "DataFrame", "sweep", "train", "npz", "npy", "fit"])
def test_few_rows_of_which_hardly_two_are_the_same_are_a_regression(place, tmp_path, caplog, capsys):
    y = 7 * np.arange(20)
    frame = pd.DataFrame({"a": np.linspace(0, 1, 20), "y": y})
    path = write(tmp_path, frame, place if place.startswith(".") else ".csv")
    if place == "sweep":
        assert main(["sweep", "--data", str(path), "--target", "y", "--space", "lr=0.1", "--space", "epochs=1"]) == 0
    elif place == "train":
        run = train(tmp_path, path)
        assert main(["predict", str(run), "--data", str(path), "--out", str(tmp_path / "p.csv")]) == 0
        assert list(pd.read_csv(tmp_path / "p.csv")) == ["y"]
    elif place == "fit":  # the type of an array says what it is, and what is odd is said
        xbnet.fit(xbnet.Network([xbnet.Linear(20)], 1, rng=0), "cross_entropy", "sgd", (frame[["a"]], y), epochs=1)
    elif place in ("npz", "npy"):
        path = tmp_path / f"set.{place}"
        if place == "npz":
            np.savez(path, x_train=frame[["a"]], y_train=y, x_val=frame[["a"]][:2], y_val=y[:2])
        else:
            np.save(path, frame.to_numpy().astype(np.int64))
        target = None if place == "npz" else 1
        assert xbnet.load_dataset(path, target=target, task="classification").n_classes == 20
        caplog.clear()
        assert xbnet.load_dataset(path, target=target).task == "regression"
    else:
        assert xbnet.load_dataset(frame if place == "DataFrame" else path, target="y").task == "regression"
    said = caplog.text + capsys.readouterr().err
    line = "holds 20 different whole numbers in 20 rows, taken as "
    assert line + ("classes; make y floats" if place == "fit" else "a regression; --task classification") in said
    assert said.count(line) == 1


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("place", ["fit", "npz", "estimator"])
def test_floats_that_look_like_classes_are_named(task, place, tmp_path, caplog):
    x = np.random.default_rng(0).normal(size=(40, 2))
    y = np.arange(40) % 3 + (0.5 if task == "regression" else 0.0)
    if place == "fit":
        xbnet.fit(xbnet.Network([xbnet.Linear(1)], 2, rng=0), "mse", "sgd", (x, y), epochs=1)
    elif place == "npz":
        np.savez(tmp_path / "set.npz", x=x, y=y)
        xbnet.load_dataset(tmp_path / "set.npz")
        assert len(caplog.messages) == (task == "classification")
        xbnet.load_dataset(tmp_path / "set.npz", task="regression")  # nothing to say: it was asked for
    else:
        xbnet.XBRegressor((2,), max_iter=1).fit(x, y)  # it says what it is
    named = [
        line
        for line in caplog.messages
        if "y holds 3 different numbers, all of them whole, taken as a regression; " in line
    ]
    assert len(named) == (task == "classification" and place != "estimator")


@pytest.mark.parametrize("place", ["mat", "npz", "npy"])
def test_useless_inputs_of_arrays_are_named(place, tmp_path, caplog):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(30, 1)), np.arange(5.0, 35.0)[:, None], np.full((30, 7), 2.0)], axis=1)
    y, path = np.arange(30) % 2, tmp_path / f"set.{place}"
    if place == "mat":
        scipy_io = pytest.importorskip("scipy.io")
        scipy_io.savemat(path, {"Yt": x.T, "Ct": np.eye(2)[:, y]})
    elif place == "npz":
        np.savez(path, x=x, y=y)
    else:
        np.save(path, np.concatenate([x, y[:, None]], axis=1))
    xbnet.load_dataset(path, **({"target": -1, "task": "classification"} if place == "npy" else {}))
    word = "row" if place == "mat" else "column"
    first, second = (line.rpartition(f": {word}")[2] for line in caplog.messages)
    assert first == "s 2, 3, 4, 5, 6 and 2 more (counted from 0) are constant; leave them out if they always are"
    assert second == " 1 (counted from 0) counts the rows, which predicts nothing; leave it out"


@pytest.mark.parametrize("place", ["fit", "estimator", "sweep"])
def test_times_that_collapse_in_float32_are_named(place, caplog):
    x = np.stack([np.linspace(0, 1, 64), 1_700_000_000.0 + np.arange(64)], axis=1)
    y = np.arange(64) % 2

    def run(x, dtype="float32"):
        if place == "fit":
            network = xbnet.Network([xbnet.Linear(2)], 2, dtype=dtype, rng=0)
            xbnet.fit(network, "cross_entropy", "sgd", (x, y), epochs=1)
        elif place == "sweep":
            xbnet.sweep({"lr": [0.1]}, (x, y), epochs=1, dtype=dtype)
        else:
            xbnet.XBClassifier((2,), max_iter=1, dtype=dtype).fit(x, y)
        found = [line for line in caplog.messages if "column 1 of x" in line]
        caplog.clear()
        return found

    (line,) = run(x)
    assert "holds 64 different numbers up to 1.7e+09, of which float32 tells 1 apart; s" in line
    assert run(x.astype(np.int64)) == [line]
    assert not run(x, "float64")
    assert not run((x - x.mean(axis=0)) / x.std(axis=0))
