"""What becomes an input, and how: numbers, categories, truth values, dates, missing values; nothing in silence."""

import decimal
import gzip
import re

import numpy as np
import pandas as pd
import pytest

from xbnet.cli import main
from xbnet.datasets import Dataset, Part, Schema, load_dataset
from xbnet.datasets.frame import read_frame
from xbnet.datasets.tables import open_table, text
from xbnet.errors import DataError

pa = pytest.importorskip("pyarrow")

pytestmark = pytest.mark.usefixtures("undrawn")
Y = ["p", "q"] * 12


@pytest.fixture
def save(tmp_path):
    def save(text, name="set.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return save


def table(save, values, header="a", name="set.csv"):
    """A column beside the target."""
    return save(f"{header},y\n" + "".join(f"{v},{y}\n" for v, y in zip(values, Y, strict=False)), name)


def inputs(source, target="y", **options):
    data = load_dataset(source, target=target, **options)
    return data.schema.input_names, data.train.x


def test_underscores_make_no_number(save):
    path = table(save, ["1_0", "2_3"] * 12, "id")
    names, x = inputs(path)
    assert names == ("id=1_0", "id=2_3")
    assert x[:2].tolist() == [[1, 0], [0, 1]]
    assert load_dataset(path, target="y").schema.encode(path).tolist() == x.tolist()


def test_truth_values(save):
    for words in (["True", "False"], ["true", "false"], ["TRUE", "FALSE"]):
        names, x = inputs(table(save, words * 12, "flag"))
        assert (names, x[:2, 0].tolist()) == (("flag",), [1, 0])


@pytest.mark.parametrize("name", ["0", "nan", "1e5", "größe\u00a0(cm)", "-1", "größe", "a b"])
def test_names_of_columns(save, tmp_path, name):
    text = table(save, [0.5, 0.25] * 12, name)
    frame = pd.DataFrame({name: [0.5, 0.25] * 12, "y": Y})
    frame.to_parquet(tmp_path / "set.parquet")
    for source in (text, tmp_path / "set.parquet", frame):
        names, x = inputs(source)
        assert (names, x[:2, 0].tolist()) == ((name,), [0.5, 0.25])
    assert inputs(save("0,1,y\n" + "0.1,0.2,p\n0.3,0.4,q\n" * 2))[0] == ("0", "1")


def test_delimiters_within_quotes(save):
    assert inputs(save('"a;b;c;d",y\n1,p\n2,q\n'))[0] == ("a;b;c;d",)
    assert inputs(save('"a,b";y\n"1";p\n"2";q\n'))[0] == ("a,b",)
    path = save("a|b|y\n1|2|p\n2|3|q\n", "set.data")
    assert inputs(path)[0] == ("a", "b")
    assert inputs(path, delimiter="|")[0] == ("a", "b")


def test_a_table_without_a_header(save):
    path = save("1,2,p\n3,4,q\n5,6,p\n")
    names, x = inputs(path, "2", header=False)
    assert (names, x.tolist()) == (("0", "1"), [[1, 2], [3, 4], [5, 6]])


def test_packed_text(save):
    text = "a,y\n" + "".join(f"{i},{y}\n" for i, y in enumerate(Y))
    path = save(gzip.compress(text.encode()), "set.csv.gz")
    assert inputs(path)[1][:, 0].tolist() == list(range(24))
    with pytest.raises(DataError, match=r"set.csv.gz: can't be unpacked \(.*\); copy or download it again\Z"):
        load_dataset(save(gzip.compress(text.encode())[:40], "set.csv.gz"), target="y")
    bomb = save(gzip.compress(b"a,y\n" + b"1,p\n" * 10_000_000), "set.csv.gz")
    with pytest.raises(DataError, match="expected a compressed file that unpacks to at most 33,554,432 bytes"):
        load_dataset(bomb, target="y")


def test_an_index_is_no_input(tmp_path, caplog):
    frame = pd.DataFrame({"b": np.arange(24.0) % 7, "y": Y})
    frame[frame.b > 0].to_parquet(tmp_path / "set.parquet")
    assert inputs(tmp_path / "set.parquet")[0] == ("b",)
    assert inputs(frame[frame.b > 0])[0] == ("b",)
    frame.to_csv(tmp_path / "set.csv")
    caplog.clear()
    assert inputs(tmp_path / "set.csv")[0] == ("b",)
    assert caplog.messages == [
        f"{tmp_path / 'set.csv'}: column '' has no name and numbers the rows, as the index that pandas writes: left out"
    ]
    named = frame.set_index(pd.Index(range(24), name="id"))
    named.to_parquet(tmp_path / "named.parquet")
    assert inputs(tmp_path / "named.parquet")[0] == ("b",)


def test_missing_values(tmp_path, save):
    path = save("a,s,t,y\n1,u,true,p\n,,,q\n3,u,true,p\n8,v,false,q\n", "m.csv")
    names, x = inputs(path)
    assert names == ("a", "a is missing", "s=u", "s=v", "s=(missing)", "t", "t is missing")
    assert x[1].tolist() == [3, 1, 0, 0, 1, 1, 1]  # the median, and the more frequent truth value
    assert x[3].tolist() == [8, 0, 0, 1, 0, 0, 0]
    with pytest.raises(DataError, match="expected no missing values, got one in a at line 3; fill or remove such rows"):
        load_dataset(path, target="y", missing="refuse")
    frame = pd.read_csv(path)
    nullable = frame.astype({"a": "Int64", "t": "boolean"})
    for source in (frame, nullable):
        np.testing.assert_array_equal(inputs(source)[1], x)


def test_categories_are_learned_from_the_training_part_alone(save):
    rows = [("u", "p"), ("u", "q")] * 100 + [("rare", "p")] + [("v", "q"), ("v", "p")] * 30
    path = save("s,y\n" + "".join(f"{s},{y}\n" for s, y in rows))
    schema = Schema.learn(path, rows=range(200), target="y")
    assert schema.input_names == ("s=u",)
    schema = Schema.learn(path, target="y")
    assert schema.input_names == ("s=u", "s=v", "s=(rare)")
    found = schema.encode({"s": ["v", "rare", "never seen", None]})
    assert found.tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]]


def test_dates_are_seconds(save, tmp_path):
    days = [f"2024-02-{d:02}" for d in range(1, 25)]
    frame = pd.DataFrame({"day": pd.to_datetime(days), "y": Y})
    frame.to_parquet(tmp_path / "set.parquet")
    expected = (np.array(days, "M8[s]") - np.datetime64(0, "s")).astype(float)
    for source in (table(save, days, "day"), frame, tmp_path / "set.parquet"):
        data = load_dataset(source, target="y")
        assert data.schema.columns[0].kind == "date"
        np.testing.assert_array_equal(data.train.x[:, 0], expected)
    times = ["2024-02-01 12:30", "2024-02-01T12:30:00.5", "2024-02-01T12:30:00Z", "2024-02-01 13:30:00+01:00"] * 6
    x = inputs(table(save, times, "t"))[1][:, 0]
    assert (x[:4] - x[0]).tolist() == [0, 0.5, 0, 0]


SECONDS = 1_700_000_000 + np.arange(64)


def test_large_whole_numbers_keep_their_differences(tmp_path):
    labels = np.arange(64) % 2
    frame = pd.DataFrame({"t": SECONDS, "y": labels})
    frame.to_csv(tmp_path / "set.csv", index=False)
    frame.to_parquet(tmp_path / "set.parquet")
    np.savez(tmp_path / "set.npz", x=SECONDS[:, None], y=labels)
    np.save(tmp_path / "set.npy", frame.to_numpy())
    sources = {"set.csv": "y", "set.parquet": "y", "set.npz": None, "set.npy": 1}
    found = [load_dataset(tmp_path / name, target=target, scaling="standard") for name, target in sources.items()]
    found.append(load_dataset(frame, target="y", scaling="standard"))
    found.append(Dataset("mine", Part(SECONDS[:, None], labels)).scaled())
    found.append(Dataset("mine", Part(frame[["t"]], frame["y"])).scaled())
    for data in found:
        x = data.train.x.astype(np.float32)
        assert len(np.unique(x)) == 64
        assert abs(x.mean()) < 1e-6
        assert x.std() == pytest.approx(1)


def test_columns_that_say_nothing_are_named(save, caplog):
    n = 40
    columns = {
        "id": [f"row-{i}" for i in range(n)],
        "number": range(100, 100 + n),
        "same": ["x"] * n,
        "five": [5] * n,
        "empty": [""] * n,
        "almost": [1] + [""] * (n - 1),
        "good": [i % 7 for i in range(n)],
        "y": Y[:2] * (n // 2),
    }
    path = save(pd.DataFrame(columns).to_csv(index=False))
    data = load_dataset(path, target="y")
    assert [line.removeprefix(f"{path}: ") for line in caplog.messages] == [
        "column 'id' has 40 values in 40 rows, no two of them the same: it names the rows, left out (categorical keeps it)",
        "column 'number' counts the rows (100, 101, ...), which predicts nothing; drop it",
        "column 'same' is constant (x); drop it if it always is",
        "column 'five' is constant (5); drop it if it always is",
        "column 'empty' has no value in the training part, left out",
        "column 'almost' is missing in 39 of 40 rows; drop it if it is of no use",
    ]
    assert data.schema.input_names == ("number", "same=x", "five", "almost", "almost is missing", "good")
    caplog.clear()
    data = load_dataset(path, target="y", drop=["id", "number", "same", "five", "empty", "almost"])
    assert (data.schema.input_names, caplog.messages) == (("good",), [])
    assert load_dataset(path, target="y", columns=["good", "five"]).schema.input_names == ("good", "five")
    assert load_dataset(path, target="y", columns=["good"], categorical="good").schema.input_names[0] == "good=0"
    assert load_dataset(path, target="y", columns="id", categorical="id").schema.n_inputs > 0


def test_numbers_by_force(save):
    path = table(save, ["1", "2", "x", "3"] * 6)
    assert inputs(path)[0] == ("a=1", "a=2", "a=3", "a=x")
    line = f"{path}: column 'a': expected a number, got 'x' at line 4"
    with pytest.raises(DataError, match=re.escape(line)):
        load_dataset(path, target="y", numeric="a")


def test_codes_keep_their_zeros(save):
    assert inputs(table(save, ["01", "02", "10"] * 8))[0] == ("a=01", "a=02", "a=10")
    assert inputs(table(save, ["1", "02", "10"] * 8))[0] == ("a",)


def test_types_of_parquet_and_duckdb(tmp_path):
    columns = {
        "decimal": pa.array([decimal.Decimal("1.5"), None] * 12),
        "wide": pa.array([decimal.Decimal(10) ** 30] * 12 + [decimal.Decimal(1)] * 12, pa.decimal256(40, 2)),
        "half": pa.array(np.arange(24) / 4, pa.float16()),
        "coded": pa.array(["u", "v"] * 12).dictionary_encode(),
        "view": pa.array(["u", "v"] * 12, pa.string_view()),
        "span": pa.array([1, 2] * 12, pa.duration("ms")),
        "none": pa.nulls(24),
    }
    found = load_dataset(pa.table({**columns, "y": Y}), target="y")
    kinds = {column.name: column.kind for column in found.schema.columns}
    assert kinds == {"decimal": "number", "wide": "number", "half": "number", "coded": "category", "view": "category",
                     "span": "number"}  # fmt: skip
    assert found.train.x[0, 0] == 1.5
    duckdb = pytest.importorskip("duckdb")
    relation = duckdb.sql("select 1.5 + i as a, i % 2 = 0 as y, (i * 3)::hugeint as h from range(24) t(i)")
    path = str(tmp_path / "duck.parquet")
    relation.write_parquet(path)
    for source in (relation, path):
        data = load_dataset(source, target="y")
        assert data.train.x[:2].tolist() == [[1.5, 0], [2.5, 3]]
        assert data.classes == ("False", "True")


def test_polars(tmp_path):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1, 2, None, 4] * 6, "s": ["u", "v"] * 12, "y": Y})
    expected = inputs(frame.to_pandas())
    found = inputs(frame)
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[1], expected[1])
    data = Dataset("mine", Part(frame.select("a", "s"), frame["y"]), Part(frame.select("s", "a"), frame["y"]))
    np.testing.assert_array_equal(data.val.x, data.train.x)
    frame.write_ipc(tmp_path / "set.arrow")
    np.testing.assert_array_equal(inputs(tmp_path / "set.arrow")[1], expected[1])


def test_large_integers_of_polars_are_named(tmp_path):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1, 2] * 12, "y": Y}, schema={"a": polars.Int128, "y": polars.String})
    frame.write_parquet(tmp_path / "set.parquet")
    for source in (frame, tmp_path / "set.parquet"):
        with pytest.raises(DataError, match="_pli128|more than 64 bits") as caught:
            load_dataset(source, target="y")
        assert "cast" in str(caught.value)


def test_predict_finds_the_columns_of_a_table(tmp_path, capsys, caplog):
    frame = pd.DataFrame({" a": np.arange(24) / 8, "b ": np.arange(24) % 5, "y": Y})
    frame.to_csv(tmp_path / "a.csv", index=False)
    schema = load_dataset(frame, target="y").schema
    np.testing.assert_array_equal(schema.encode(str(tmp_path / "a.csv")), schema.encode(frame))
    flags = ["--epochs", "1", "--quiet", "--out", str(tmp_path / "run")]
    assert main(["train", "--data", str(tmp_path / "a.csv"), "--target", "y", *flags]) == 0
    model = str(tmp_path / "run" / "model.safetensors")
    assert main(["predict", model, "--data", str(tmp_path / "a.csv"), "--out", str(tmp_path / "p.csv")]) == 0


def test_decimal_commas_in_quotes_are_named(tmp_path, caplog):
    rows = "".join(f'"{i},5","{i * i},25"\n' for i in range(1, 40))
    path = tmp_path / "a.csv"
    path.write_text("a,price\n" + rows)
    with pytest.raises(DataError):
        load_dataset(path, target="price")
    assert "column 'price': holds numbers with decimal commas, taken as classes; --decimal , reads them" in caplog.text
    data = load_dataset(path, target="price", decimal=",")
    assert (data.task, data.train.x[0, 0], data.train.y[1, 0]) == ("regression", 1.5, 4.25)


def test_a_wide_table_takes_fewer_calls_than_columns(save, monkeypatch):
    """Each call costs more than the few numbers of a column; and alone or together, the numbers are the same bits."""
    import pyarrow.compute as pc

    rng, real, calls = np.random.default_rng(0), pc.cast, []
    rows = [[*map(repr, row), y] for row, y in zip(rng.normal(size=(24, 320)).tolist(), Y, strict=True)]
    rows[3][40] = "NA"
    rows[5][80:82] = "-0.0", "5e-324"
    path = save("\n".join(",".join(row) for row in [[*(f"c{i}" for i in range(320)), "y"], *rows]))
    schema = Schema.learn(path, target="y")
    monkeypatch.setattr(pc, "cast", lambda *args, **more: calls.append(1) or real(*args, **more))
    together = schema.encode(path)
    assert len(calls) < 100
    monkeypatch.setattr("xbnet.datasets.frame.NEIGHBOURS", 1)
    assert schema.encode(path).tobytes() == together.tobytes()
    assert len(calls) > 320
    monkeypatch.undo()
    for wrong, expected in (("1e999", "expected finite values, got inf"), ("x", "expected a number, got 'x'")):
        rows[7][100] = wrong
        path.write_text("\n".join(",".join(row) for row in [[*(f"c{i}" for i in range(320)), "y"], *rows]))
        with pytest.raises(DataError) as caught:
            schema.encode(path)
        assert str(caught.value) == f"{path}: column 'c100': {expected} at line 9"


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["007", "042", "", "NA"], "category"),  # digits of one length, some with a zero in front: codes
        ([" 007", '"042"', "100", ""], "category"),
        (["007", "42", "100", ""], "number"),
        (["100", "200", "300", "0"], "number"),
        (["007", "-42", "100", ""], "number"),
        (["0.7", "042", "100", ""], "number"),
        (["+07", "042", "100", ""], "number"),
        (["00", "01", "0", ""], "number"),
        (["", "", "", ""], "number"),
    ],
)
@pytest.mark.parametrize("rows", [4, 60_000])
def test_codes_are_told_from_numbers(monkeypatch, save, cells, kind, rows):
    """In a table that is one batch, and in one of several, whose last rows decide."""
    monkeypatch.setattr(text, "AT_LEAST", 1)
    plain = [["100", "200"][i % 2] for i in range(rows - 4)] if any(cells) else [""] * (rows - 4)
    table = open_table(save("a,y\n" + "".join(f"{cell},{i % 2}\n" for i, cell in enumerate([*plain, *cells]))))
    assert (sum(1 for _ in table.batches([0])) > 1) == (rows > 4 and any(cells))
    assert [column.kind for column in read_frame(table, ["y"]).columns] == [kind]
