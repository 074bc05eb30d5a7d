"""`xbnet predict` and `xbnet info MODEL`."""

import csv
import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from tests.support.errors import refuses
from xbnet import BatchNorm, DataError, Linear, Network, fit, load_model, save
from xbnet.cli import main
from xbnet.datasets import Scaler
from xbnet.datasets import rows as readers
from xbnet.io.predictions import Score

RNG = np.random.default_rng(0)
X = RNG.normal(5, 3, size=(500, 4)).astype(np.float32)
LABELS = (X[:, :3] / [1, 2, 1]).argmax(axis=1)
NAMES = np.array(["ant", "bee", "cat"])
HEADER = ["a", "b", "c", "d"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A trained model's file, and what it says about X."""
    network, preparation = Network([Linear(6, "tanh"), BatchNorm(), Linear(3)], 4, rng=0), Scaler.fit(X)
    history = fit(network, "cross_entropy", "adam:lr=0.02", (preparation(X), LABELS), epochs=5, batch_size=50)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save(network, path, classes=NAMES.tolist(), preparation=preparation, history=history)
    return str(path), network.predict_proba(preparation(X))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(readers, "_rows", lambda row_bytes: 64)


def write(path, with_target):
    """X as a file of the kind that the name says, with or without what is right."""
    if path.suffix in (".csv", ".tsv"):
        with open(path, "w", newline="") as file:
            writer = csv.writer(file, delimiter="," if path.suffix == ".csv" else "\t")
            writer.writerow([*HEADER[:2], *(["kind"] if with_target else []), *HEADER[2:]])
            for x, name in zip(X.tolist(), NAMES[LABELS], strict=True):
                writer.writerow([*x[:2], *([name] if with_target else []), *x[2:]])
        return "kind"
    if path.suffix == ".npy":
        np.save(path, np.column_stack([X, LABELS]).astype(np.float32) if with_target else X)
        return "-1"
    if path.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet

        columns = {name: X[:, i] for i, name in enumerate(HEADER)}
        pyarrow.parquet.write_table(pa.table(columns | ({"kind": NAMES[LABELS]} if with_target else {})), path)
        return "kind"
    np.savez(path, x=X, y=LABELS)
    return None


def read(path):
    """Labels and values of a file of predictions."""
    if path.suffix == ".npz":
        arrays = np.load(path)
        return arrays["labels"], arrays["values"]
    if path.suffix == ".parquet":
        import pyarrow.parquet

        rows = pyarrow.parquet.read_table(path).to_pylist()
    elif path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert list(rows[0]) == ["label", "p_ant", "p_bee", "p_cat"]
    values = [[float(row[f"p_{name}"]) for name in NAMES] for row in rows]
    return np.array([row["label"] for row in rows]), np.array(values)


@pytest.mark.parametrize("with_target", [False, True])
@pytest.mark.parametrize("source", ["x.csv", "x.tsv", "x.npy", "x.parquet", "x.npz"])
def test_every_input(source, with_target, model, tmp_path, capsys):
    path, expected = model
    target = write(tmp_path / source, with_target)
    argv = ["predict", path, "--data", str(tmp_path / source), "--out", str(tmp_path / "p.npz"), "--json"]
    if with_target and target:
        argv += ["--target", target]
    assert main(argv) == 0
    labels, values = read(tmp_path / "p.npz")
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(labels, NAMES[expected.argmax(axis=1)])
    result = json.loads(capsys.readouterr().out)
    assert result["rows"] == 500
    if with_target or source == "x.npz":
        assert result["accuracy"] == np.mean(expected.argmax(axis=1) == LABELS)
        matrix = np.zeros((3, 3), int)
        np.add.at(matrix, (LABELS, expected.argmax(axis=1)), 1)
        assert result["confusion"] == matrix.tolist()
    else:
        assert "accuracy" not in result


@pytest.mark.parametrize("out", ["p.csv", "p.jsonl", "p.npz", "p.parquet"])
def test_every_output(out, model, tmp_path, capsys):
    if out == "p.parquet":
        pytest.importorskip("pyarrow")
    path, expected = model
    write(tmp_path / "x.npy", False)
    assert main(["predict", path, "--data", str(tmp_path / "x.npy"), "--out", str(tmp_path / out)]) == 0
    labels, values = read(tmp_path / out)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(labels, NAMES[expected.argmax(axis=1)])
    assert capsys.readouterr().out.startswith("500 rows in ")
    assert {p.name for p in tmp_path.iterdir()} == {"x.npy", out}


def test_pipes(model, tmp_path):
    path, expected = model
    write(tmp_path / "x.csv", True)
    command = [sys.executable, "-m", "xbnet", "predict", path, "--data", "-", "--target", "kind"]
    found = subprocess.run(command, input=(tmp_path / "x.csv").read_text(), capture_output=True, text=True, check=True)
    rows = list(csv.DictReader(io.StringIO(found.stdout)))
    assert [row["label"] for row in rows] == NAMES[expected.argmax(axis=1)].tolist()
    assert found.stderr.splitlines()[0].endswith(f"accuracy {np.mean(expected.argmax(axis=1) == LABELS):.6g}")
    assert found.stderr.splitlines()[1] == "rows: right, columns: predicted"


def test_stdin_may_begin_with_a_mark_or_be_closed(model, tmp_path):
    command = [sys.executable, "-m", "xbnet", "predict", model[0], "--data", "-"]
    table = "\ufeffa,b,c,d\n1,2,3,4\n".encode()
    found = subprocess.run(command, input=table, capture_output=True, check=True)
    assert found.stdout.count(b"\n") == 2
    closed = subprocess.run(["sh", "-c", '"$@" <&-', "sh", *command], capture_output=True, text=True)
    assert (closed.returncode, closed.stderr) == (2, "xbnet: -: expected a CSV table on stdin, but stdin is closed\n")


@pytest.mark.parametrize("out", ["p.csv", "p.jsonl"])
def test_text_has_as_many_digits_as_tell_values_apart(out, model, tmp_path):
    path = model[0]
    write(tmp_path / "x.npy", False)
    assert main(["predict", path, "--data", str(tmp_path / "x.npy"), "--out", str(tmp_path / out)]) == 0
    _, values = read(tmp_path / out)
    digits = re.findall(r"\d\.\d+", (tmp_path / out).read_text())
    assert max(len(number.replace(".", "").lstrip("0")) for number in digits) <= 9
    model = load_model(path)
    chunks = [model.network.predict_proba(model.preparation(X[i : i + 64])) for i in range(0, len(X), 64)]
    np.testing.assert_array_equal(np.float32(values), np.concatenate(chunks))


@pytest.mark.parametrize("kept", [["ant", "bee"], ["bee"], None])
def test_rows_need_not_show_all_classes_nor_any(kept, model, tmp_path, capsys):
    path, expected = model
    rows = slice(None) if kept is None else np.flatnonzero(np.isin(NAMES[LABELS], kept))
    for labels in (LABELS, NAMES[LABELS]):
        np.savez(tmp_path / "x.npz", x=X[rows], **({} if kept is None else {"y": labels[rows]}))
        argv = ["predict", path, "--data", str(tmp_path / "x.npz"), "--out", str(tmp_path / "p.npz"), "--json"]
        assert main(argv) == 0
        np.testing.assert_allclose(np.load(tmp_path / "p.npz")["values"], expected[rows], rtol=1e-5, atol=1e-6)
        right = None if kept is None else np.mean(expected[rows].argmax(axis=1) == LABELS[rows])
        assert json.loads(capsys.readouterr().out).get("accuracy") == right


def test_arrays_that_are_no_rows_are_one_line(model, tmp_path, capsys):
    for arrays, got in (({"x": X, "y": LABELS[:9]}, "x (500, 4) and y (9,)"), ({"x": X[:, 0]}, "x (500,)")):
        np.savez(tmp_path / "x.npz", **arrays)
        assert main(["predict", model[0], "--data", str(tmp_path / "x.npz")]) == 2
        line = f"xbnet: {tmp_path}/x.npz: expected x (N, I=4), and y with as many rows if there is one, got {got}\n"
        assert capsys.readouterr().err == line


def test_wrong_labels_that_are_numbers_are_not_taken_for_positions():
    score = Score(["1", "2", "3"])
    with refuses(DataError, "f: expected a class of the model (1, 2, 3), got '0'"):
        score.add_labels("f", np.array(["0"]), np.array([0]))


def test_regression_multilabel_and_stacks(tmp_path, capsys):
    y = X[:, :2] / 3
    network = Network([Linear(2)], 4, replicas=2, rng=0)
    fit(network, "mse", "sgd:lr=0.001", (X, y), epochs=2, batch_size=100)
    save(network, tmp_path / "m.safetensors")
    np.savez(tmp_path / "x.npz", x=X, y=y)
    argv = ["predict", str(tmp_path / "m.safetensors"), "--data", str(tmp_path / "x.npz")]
    for more, expected in (
        ([], network.predict_proba(X).mean(axis=0)),
        (["--replica", "1"], network.predict_proba(X)[1]),
    ):
        assert main([*argv, *more, "--out", str(tmp_path / "p.csv"), "--json"]) == 0
        rows = list(csv.DictReader(io.StringIO((tmp_path / "p.csv").read_text())))
        np.testing.assert_allclose([[float(r["y0"]), float(r["y1"])] for r in rows], expected, rtol=1e-5)
        result = json.loads(capsys.readouterr().out)
        assert result["r2"] == pytest.approx(r2_score(y, expected), rel=1e-6)
        assert result["rmse"] == pytest.approx(root_mean_squared_error(y, expected), rel=1e-6)
        assert result["mae"] == pytest.approx(mean_absolute_error(y, expected), rel=1e-6)
    assert main([*argv, "--replica", "2"]) == 2
    assert capsys.readouterr().err == "xbnet: --replica 2: the model has 2, counted from 0\n"

    decided = (y > 1.5).astype(int)
    network = Network([Linear(2)], 4, rng=0)
    fit(network, "binary_cross_entropy", "adam:lr=0.05", (X, decided), epochs=5, batch_size=100)
    save(network, tmp_path / "m.safetensors", classes=["p", "q"])
    np.savez(tmp_path / "x.npz", x=X, y=decided)
    assert main([*argv, "--out", str(tmp_path / "p.npz"), "--json"]) == 0
    answers = network.predict(X)
    labels, _ = read(tmp_path / "p.npz")
    assert labels.tolist() == ["|".join(np.array(["p", "q"])[row == 1]) for row in answers]
    assert json.loads(capsys.readouterr().out)["accuracy"] == pytest.approx((answers == decided).mean())


@pytest.mark.parametrize(
    ("name", "content", "flags", "line"),
    [
        ("x.csv", "a,b\n1,2\n", [], "{}: expected 4 input columns, as the model has, got 2"),
        (
            "x.csv",
            "a,b,c,d,e\n1,2,3,4,5\n",
            [],
            "{}: expected 4 input columns, as the model has, got 5; name the column that is not an input with --target",
        ),
        ("x.csv", "a,b,c,d\n1,2,3,4\n1,2,x,4\n", [], "{}: column 'c': expected a number, got 'x' at line 3"),
        ("x.csv", "a,b,c,d\n", [], "{}: expected at least one row, got none"),
        ("x.csv", "a,b,c,d\n1,2,3,4\n1,2,3\n", [], "{}: line 3: expected 4 values as in the header, got 3"),
        ("x.csv", "a,b,c,d\n1,2,inf,4\n", [], "{}: column 'c': expected finite values, got inf at line 2"),
        ("x.csv", "1,2,3,4\n", [], "{}: expected a header with the names of the columns in the first line"),
        ("x.csv", "a,b,c,d,e\n", ["--target", "z"], "{}: expected target to be one of a, b, c, d, e, got 'z'"),
        (
            "x.csv",
            "a,b,c,d,e\n1,2,3,4,dog\n",
            ["--target", "e"],
            "{}: expected a class of the model (ant, bee, cat), got 'dog'",
        ),
        ("x.csv", "a,b,c,d\n", ["--part", "val"], "{}: expected no part, for it is one table"),
        ("x.npy", "junk", [], "{}: expected a NumPy .npy file, got what looks like a text file"),
        ("x.parquet", "junk", [], "{}: expected a Parquet table, got what looks like a text file"),
        ("none.csv", None, [], "{}: no such file; expected a CSV table; check the path"),
        ("x.csv", "a,b,c,d\n", ["--json"], "--json prints to stdout, as the predictions do; give --out FILE"),
        (
            "x.csv",
            "a,b,c,d\n",
            ["--format", "npz"],
            "--out -: expected csv or jsonl, for npz needs a file, got --format npz",
        ),
        (
            "x.csv",
            "a,b,c,d\n",
            ["--out", "/nowhere/p.csv"],
            "/nowhere/p.csv: can't be written (No such file or directory)",
        ),
    ],
)
def test_mistakes_are_one_line(name, content, flags, line, model, tmp_path, capsys):
    if name == "x.parquet":
        pytest.importorskip("pyarrow")
    source = tmp_path / name
    if content is not None:
        source.write_text(content)
    assert main(["predict", model[0], "--data", str(source), *flags]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("xbnet: " + line.format(source))
    assert complaint.count("\n") == 1


def test_failed_prediction_leaves_no_file(model, tmp_path, capsys):
    (tmp_path / "x.csv").write_text("a,b,c,d\n" + "1,2,3,4\n" * 200 + "1,2,3,x\n")
    (tmp_path / "p.csv").write_text("before")
    assert main(["predict", model[0], "--data", str(tmp_path / "x.csv"), "--out", str(tmp_path / "p.csv")]) == 2
    assert (tmp_path / "p.csv").read_text() == "before"
    assert {p.name for p in tmp_path.iterdir()} == {"x.csv", "p.csv"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")
def test_memory_does_not_grow_with_the_file(tmp_path):
    save(Network([Linear(3)], 64, rng=0), tmp_path / "m.safetensors")
    rows = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=(2**20, 64))  # 256 MiB
    rows.flush()
    del rows
    script = "import sys; from xbnet.cli import main; code = main(sys.argv[1:]); "
    script += "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]); sys.exit(code)"
    flags = ["predict", "m.safetensors", "--data", "x.npy", "--out", "p.npz"]
    command = [sys.executable, "-c", script, *flags]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert int(found.stdout.splitlines()[-1]) < 120 * 1024  # KiB


def test_info_shows_the_model(model, capsys):
    path, _ = model
    assert main(["info", path]) == 0
    text = capsys.readouterr().out
    assert "Linear(n_outputs=6, activation='tanh')" in text
    assert "link: softmax; classes: ant, bee, cat" in text
    assert "inputs: 4, scaled first" in text
    assert "history: epochs 5, " in text
    assert main(["info", path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == load_model(path).network.n_parameters
    assert [layer["parameters"] for layer in found["layers"]] == [30, 12, 21]
    assert found["history"]["epochs"] == 5
    assert main(["info", path + "x"]) == 2
    assert capsys.readouterr().err == f"xbnet: {path}x: there is no such file; expected one that xbnet saved\n"
