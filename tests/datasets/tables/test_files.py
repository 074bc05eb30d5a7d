import re
import sys

import numpy as np
import pytest

from tests.support import files as samples
from xbnet.datasets import load_dataset, target_reader
from xbnet.errors import ConfigError, DataError

X, Y = samples.table()


@pytest.fixture
def save(tmp_path):
    def save(content, name="set.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return save


def refused(path, line, error=DataError, target="kind", **options):
    with pytest.raises(error, match=re.escape(f"{path}: {line}") + r"\Z"):
        load_dataset(path, target=target, **options)


@pytest.mark.parametrize(("delimiter", "name"), [(",", "a.csv"), (";", "a.CSV"), ("\t", "a.tsv")])
def test_text_labels_become_classes(save, delimiter, name):
    data = load_dataset(save(samples.csv_text(delimiter=delimiter), name), target="kind")
    assert (data.task, data.classes) == ("classification", ("blue", "green", "red"))
    assert data.train.y[:4].tolist() == [2, 1, 0, 2]
    np.testing.assert_array_equal(data.train.x, X)
    assert data.train.x.dtype == np.float64


def test_a_header_may_begin_like_octaves_text(save):
    data = load_dataset(save("# name: a,b,kind\n" + "1,2,p\n3,4,q\n" * 4), target="kind")
    assert data.classes == ("p", "q")


def test_number_labels_become_classes_in_their_order(save):
    data = load_dataset(save(samples.csv_text(y=Y * 5 + 5)), target="kind")
    assert (data.classes, data.train.y[:4].tolist()) == (("5", "10", "15"), [0, 1, 2, 0])
    assert load_dataset(save(samples.csv_text(y=Y * 5)), target="kind", task="regression").task == "regression"


def test_other_numbers_are_a_regression(save):
    data = load_dataset(save(samples.csv_text(y=Y / 2)), target="kind")
    assert (data.task, data.train.y.dtype) == ("regression", np.float64)
    np.testing.assert_array_equal(data.train.y[:, 0], Y / 2)
    assert load_dataset(save(samples.csv_text(y=Y * 1.0)), target="kind").classes == ("0.0", "1.0", "2.0")
    assert load_dataset(save(samples.csv_text(y=Y * 1.0)), target="kind", task="regression").task == "regression"


def test_late_text_makes_classes_of_numbers(save):
    labels = ["1", "2", "x"] * 8
    data = load_dataset(save(samples.csv_text(y=labels)), target="kind")
    assert data.classes == ("1", "2", "x")


def test_the_target_may_stand_anywhere(save):
    data = load_dataset(save(samples.csv_text(y=Y)), target="b")
    np.testing.assert_array_equal(data.train.x, np.column_stack([X[:, 0], X[:, 2], Y]))
    np.testing.assert_array_equal(data.train.y, X[:, 1:2])


def test_spaces_quotes_blank_lines_and_a_byte_order_mark(save):
    text = '\ufeff a , "b",kind\r\n 1, "2",x\r\n\r\n3,4," y"\r\n5,6,x\r\n7,8,y\r\n'
    data = load_dataset(save(text), target="kind")
    assert data.train.x.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert data.classes == ("x", "y")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a,b,kind\n1,2,x\n3,,y\n", "expected no missing values, got one in b at line 3; fill or remove such rows"),
        ("a,b,kind\n1,2,x\n3,NaN,y\n", "expected no missing values, got one in b at line 3; "
                                       "fill or remove such rows"),
        ("a,b,kind\n1,2,\n", "expected no missing values in the target, got one in kind at line 2; fill or remove such rows"),
        ("a,b,kind\n1,inf,x\n", "column 'b': expected finite values, got inf at line 2"),
        ("a,b,kind\n1,2,x\n1,2\n", "line 3: expected 3 values as in the header, got 2"),
        ("a,b,kind\n1,2,x,\n", "line 2: expected 3 values as in the header, got 4"),
        ("a,b,kind\n", "expected rows below the header, got none"),
        ("1,2,3\n4,5,6\n", "expected target to be one of 1, 2, 3, got 'kind'; is there a header (if not, --no-header, and columns are numbered from 0)?"),
        ("a,,,kind\n4,5,6,7\n", "expected a header with a name for each column, got '' twice"),
        ("\n\n", "expected a header with the names of the columns in the first line, got none"),
        ("a,a,kind\n4,5,6\n", "expected a different name for each column, got 'a' twice"),
        ('a,kind\n1,"x\n', "expected a CSV table, got one in which the quotes of the last value never end; it begins with 'x\\\\n'"),
        ("kind\nx\ny\n", "expected columns besides the target 'kind' to learn from, got none"),
        ("a,kind\n1,x\n2,x\n", "expected at least two classes, got 'x' alone; there is nothing to tell apart"),
        ("", "the file is empty; expected a CSV table; copy or download it again"),
        (b"a,kind\n" + b"1,x\n" * 200 + b"\xff,y\n", "expected text in UTF-8, got 0xff at line 202; save it as UTF-8 (from Latin-1: iconv -f latin1 -t utf-8)"),
        (b"\x89PNG\r\n\x1a\n", "expected a CSV table in UTF-8, got what looks like a PNG image"),
    ],
)  # fmt: skip
def test_wrong_tables(save, text, line):
    path = save(text)
    refused(path, line, missing="refuse")


def test_a_regression_wants_numbers(save):
    refused(save(samples.csv_text()), "column 'kind': expected a number, got 'red' at line 2", task="regression")
    assert load_dataset(save(samples.csv_text(y=Y / 2)), target="kind", task="classification").classes == (
        "0.0",
        "0.5",
        "1.0",
    )


def test_too_many_classes(save, monkeypatch):
    monkeypatch.setattr(target_reader, "MOST_CLASSES", 2)
    line = "column 'kind': expected at most 2 classes, got more; is it the right target, or a regression (--task regression)?"
    refused(save(samples.csv_text()), line)
    refused(save(samples.csv_text(y=Y)), line)


def test_the_target(save):
    path = save(samples.csv_text())
    refused(path, "expected a target, the column to learn; columns are a, b, c, kind", ConfigError, target=None)
    refused(path, "expected target to be one of a, b, c, kind, got 'king'; did you mean 'kind'?", target="king")
    many = save(",".join(f"c{i}" for i in range(12)) + "\n")
    refused(
        many,
        f"expected a target, the column to learn; columns are {', '.join(f'c{i}' for i in range(10))} and 2 more",
        ConfigError,
        target=None,
    )


class TestParquet:
    """The same through pyarrow."""

    @pytest.fixture
    def parquet(self, tmp_path):
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")

        def write(**columns):
            path = tmp_path / "set.parquet"
            pq.write_table(pa.table(columns), path)
            return path

        return write

    def test_types_of_columns(self, parquet):
        columns = {"a": X[:, 0], "b": (X[:, 1] * 10).astype(np.int64), "c": X[:, 2] > 0}
        data = load_dataset(parquet(kind=["red", "green", "blue"] * 8, **columns), target="kind")
        assert (data.classes, data.train.y[:3].tolist()) == (("blue", "green", "red"), [2, 1, 0])
        np.testing.assert_array_equal(data.train.x, np.column_stack(list(columns.values())))
        assert load_dataset(parquet(kind=Y * 5, **columns), target="kind").classes == ("0", "5", "10")
        assert load_dataset(parquet(kind=Y * 1.0, **columns), target="kind").classes == ("0.0", "1.0", "2.0")
        assert load_dataset(parquet(kind=Y, **columns), target="kind", task="regression").task == "regression"
        assert load_dataset(parquet(kind=Y > 0, **columns), target="kind").classes == ("False", "True")

    @pytest.mark.parametrize(
        ("columns", "line"),
        [
            ({"a": [1, None, 3]}, "expected no missing values, got one in a at row 1; fill or remove such rows"),
            ({"a": [1, 2, float("nan")]}, "expected no missing values, got one in a at row 2; "
                                          "fill or remove such rows"),
            ({"a": [1, 2, float("inf")]}, "column 'a': expected finite values, got inf at row 2"),
            ({"a": [[1], [2], [3]]}, "column 'a': expected numbers, text or dates, got list<element: int64>; "
                                     "convert it, or train without it (drop)"),
            ({}, "expected columns besides the target 'kind' to learn from, got none"),
        ],
    )  # fmt: skip
    def test_wrong_columns(self, parquet, columns, line):
        refused(parquet(kind=["x", "y", "x"], **columns), line, missing="refuse")

    def test_words_may_be_coded_and_bytes_are_no_words(self, parquet):
        import pyarrow as pa

        words = ["red", "green", "blue"] * 8
        coded = parquet(kind=pa.array(words).dictionary_encode(), a=X[:, 0])
        assert load_dataset(coded, target="kind").classes == ("blue", "green", "red")
        path = parquet(kind=[word.encode() for word in words], a=X[:, 0])
        refused(path, "column 'kind': expected numbers or text, got binary; convert it")
        refused(parquet(kind=pa.array([], pa.string()), a=pa.array([], pa.float64())),
                "expected a table with rows, got none")  # fmt: skip

    def test_too_many_words(self, parquet, monkeypatch):
        monkeypatch.setattr(target_reader, "MOST_CLASSES", 2)
        line = "column 'kind': expected at most 2 classes, got more; is it the right target, or a regression (--task regression)?"
        refused(parquet(kind=["red", "green", "blue"], a=[1, 2, 3]), line)
        refused(parquet(kind=[1, 2, 3] * 2, a=[1, 2, 3] * 2), line)

    def test_a_regression_wants_numbers(self, parquet):
        line = "column 'kind': expected a number, got 'x' at row 0"
        refused(parquet(kind=["x", "y"], a=[1, 2]), line, task="regression")

    def test_damaged(self, parquet, save):
        good = parquet(a=[1, 2], kind=["x", "y"]).read_bytes()
        path = save(good[:-20], "cut.parquet")
        with pytest.raises(DataError, match=r"expected a Parquet table, got a damaged one \(.*\); write it again\Z"):
            load_dataset(path, target="kind")
        refused(save(b"a,b\n", "text.parquet"), "expected a Parquet table, got what looks like a text file")

    def test_a_few_bytes_that_claim_many_rows(self, parquet):
        path = parquet(a=np.zeros(3_000_000), kind=np.zeros(3_000_000))
        size = path.stat().st_size
        refused(path, f"expected a Parquet table, got one that claims 3000000 rows in {size} bytes; write it again")

    def test_without_pyarrow(self, save, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
        refused(save(b"PAR1", "a.parquet"), "reading tables needs pyarrow; pip install pyarrow")
