"""DataFrames and columns where arrays are taken: `Dataset`, `fit`, `sweep`; and the words for what can't be taken."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse

import xbnet
from tests.support import files as samples
from xbnet.datasets import Column, Dataset, Part, Schema, Target, load_dataset
from xbnet.datasets.rows import open_rows
from xbnet.errors import ConfigError, DataError

pa = pytest.importorskip("pyarrow")
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {"a": RNG.normal(size=60), "s": ["u", "v", "w"] * 20, "flag": [True, False] * 30, "t": pd.NaT, "n": [1, None] * 30}
)
Y = pd.Series(np.where(FRAME.a > 0, "yes", "no"), name="answer")


def train(data, n_inputs, n_outputs=2):
    network = xbnet.Network([xbnet.Linear(n_outputs)], n_inputs, rng=0)
    return xbnet.fit(network, "cross_entropy" if n_outputs > 1 else "mse", "sgd", data, epochs=1)


def test_fit_takes_tables_and_columns():
    data = Dataset("mine", Part(FRAME, Y))
    assert data.features == ("a", "s=u", "s=v", "s=w", "flag", "n", "n is missing")
    for y in (Y, Y.to_numpy(), Y.tolist(), pa.array(Y), pd.DataFrame(Y)):
        train((FRAME, y), data.n_inputs)
        train((FRAME[["a"]].to_numpy(), y), 1)
    train((FRAME, FRAME.a), data.n_inputs, 1)
    train((pa.Table.from_pandas(FRAME), FRAME[["a"]]), data.n_inputs, 1)
    stream = pa.Table.from_pandas(FRAME.assign(answer=Y)).to_reader(max_chunksize=7)  # which can be read once
    np.testing.assert_array_equal(load_dataset(stream, target="answer").train.x, data.train.x)


def test_several_targets():
    frame = FRAME[["a", "s"]].assign(u=FRAME.a * 2, v=1.5, w=[0, 1] * 30)
    data = load_dataset(frame, target=["u", "v"])
    assert (data.task, data.train.y.shape, data.schema.target.names) == ("regression", (60, 2), ("u", "v"))
    data = load_dataset(frame.assign(z=[1, 0, 1] * 20), target=["w", "z"])
    assert (data.task, data.classes) == ("multilabel", ("w", "z"))
    assert Dataset("mine", Part(frame[["a"]], frame[["u", "v"]])).n_outputs == 2


def test_sweep_takes_tables():
    space = {"lr": [0.1, 0.2], "hidden": [(4,)], "epochs": [1]}
    result = xbnet.sweep(space, (FRAME, Y), folds=2, scaling="standard", progress=False)
    preparation = result.preparation(0)
    assert (preparation.scale[1:5] == 1).all()  # categories and truth values stay 0 and 1
    assert preparation.scale[0] != 1


def test_the_schema_encodes_new_rows():
    data = Dataset("mine", Part(FRAME, Y)).scaled()
    np.testing.assert_array_equal(data.schema.encode(FRAME), data.train.x)
    shuffled = FRAME[["n", "flag", "a", "s"]].assign(more=1)
    np.testing.assert_array_equal(data.schema.encode(shuffled), data.train.x)
    columns = {name: FRAME[name].to_numpy() for name in FRAME}
    np.testing.assert_array_equal(data.schema.encode(columns), data.train.x)
    again = Schema.from_json(json.loads(json.dumps(data.schema.to_json())))
    assert again == data.schema
    with pytest.raises(
        DataError, match=r"^table: expected the columns that the model was trained on, got none named 's'\Z"
    ):
        data.schema.encode(FRAME[["a", "flag", "n"]])
    with pytest.raises(ConfigError, match="scaled already"):
        data.scaled()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"columns": []}, "a schema has a list of columns"),
        ({"columns": "x"}, "a schema has a list of columns"),
        ({"more": 1}, "a schema has columns, a target, and how they are read"),
        ({"reading": {"ids": "a"}}, "a reading's ids are texts"),
        ({"reading": {"header": 1}}, "a reading's header is true or false"),
        ({"reading": {"decimal": ";"}}, "a reading's decimal is . or ,"),
        ({"columns": [{"name": "a", "kind": "shape"}]}, "a column's kind is one of"),
        ({"columns": [{"name": "a", "kind": "number"}]}, "a column of kind number has fill, indicator, kind"),
        ({"target": {"names": ["y"]}}, "a target has classes, mean, names, scale, task"),
    ],
)
def test_a_schema_from_a_file_is_checked(change, what):
    good = Schema((Column("a"),), Target(("y",), "classification", (1, 2))).to_json()
    assert Schema.from_json(good).to_json() == good
    with pytest.raises(ValueError, match=re.escape(what)):
        Schema.from_json({**good, **change})


@pytest.mark.parametrize(
    ("key", "value"),
    [("mean", float("nan")), ("std", 0.0), ("std", -1.0), ("fill", "1"), ("indicator", 1), ("name", 3), ("mean", True)],
)
def test_numbers_of_a_schema_are_checked(key, value):
    column = {**Column("a").to_json(), key: value}
    with pytest.raises(ValueError, match=f"a column's {key}"):
        Schema.from_json({"columns": [column]})


def test_categories_and_targets_of_a_schema_are_checked():
    column = Column("s", "category", values=("u", "v")).to_json()
    for change in ({"values": ["u", "u"]}, {"values": [1]}, {"values": []}, {"rare": 0}):
        with pytest.raises(ValueError, match="value|rare"):
            Schema.from_json({"columns": [{**column, **change}]})
    with pytest.raises(ValueError, match="a name of its own"):
        Schema.from_json({"columns": [column, column]})
    target = Target(("y",), "regression", mean=(1.0,), scale=(2.0,)).to_json()
    for change in ({"scale": [0.0]}, {"scale": None}, {"mean": [1.0, 2.0]}, {"task": "x"}, {"classes": ["a"]}):
        with pytest.raises(ValueError, match="target|task|scale|mean"):
            Target.from_json({**target, **change})


def test_words():
    x = FRAME[["a"]].to_numpy()
    network = xbnet.Network([xbnet.Linear(2)], 1, rng=0)
    with pytest.raises(DataError, match=r"expected x as a dense array, got a sparse one; pass x.toarray\(\)\Z"):
        train((scipy.sparse.csr_array(x), Y), 1)
    np.testing.assert_array_equal(network.predict(scipy.sparse.coo_array(x)), network.predict(x))
    with pytest.raises(DataError, match=r"data.schema.encode\(table\)\Z"):
        network.predict(FRAME[["s"]])
    with pytest.raises(ConfigError, match=r"got 2; labels must be whole numbers: y.astype\(int\)\Z"):
        train((x, np.array([0.0, 1.0] * 30)), 1)
    with pytest.raises(DataError, match="expected validation x as an array, as in training, got a table"):
        Dataset("mine", Part(x, Y), Part(FRAME[["a"]], Y))
    with pytest.raises(DataError, match="expected validation x as a table, as in training, got an array"):
        Dataset("mine", Part(FRAME[["a"]], Y), Part(x, Y))


def test_many_whole_numbers_as_labels_are_named(caplog):
    data = Dataset("mine", Part(np.zeros((90, 1)), np.arange(90)))
    assert data.n_classes == 90
    line = "mine: y holds 90 different whole numbers in 90 rows, taken as classes; make y floats for a regression"
    assert caplog.messages == [line]
    caplog.clear()
    Dataset("mine", Part(np.zeros((90, 1)), np.arange(90) % 3))
    assert not caplog.messages


@pytest.mark.parametrize("kind", ["mat", "idx"])
def test_what_is_predicted_may_lack_classes(tmp_path, kind):
    x, labels = RNG.normal(size=(2, 6)), np.array([2, 2, 2, 2, 2, 2], np.uint8)
    if kind == "mat":
        path = tmp_path / "set.mat"
        scipy.io.savemat(path, {"Yt": x, "Ct": np.eye(3)[:, labels]})
    else:
        path = tmp_path / "train-images-idx3-ubyte"
        path.write_bytes(samples.idx(np.zeros((6, 1, 2), np.uint8)))
        (tmp_path / "train-labels-idx1-ubyte").write_bytes(samples.idx(labels))
    with pytest.raises(DataError, match="never occurs in training|two classes"):
        load_dataset(path)
    (chunk,) = open_rows(path, 2)
    assert (chunk.x.shape, chunk.y.tolist()) == ((6, 2), ["2"] * 6)
