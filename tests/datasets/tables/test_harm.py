"""Tables that mean harm, or are damaged in ways that a fuzzer found."""

import numpy as np
import pytest

from xbnet.datasets import load_dataset
from xbnet.datasets.rows import open_rows
from xbnet.errors import DataError

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.mark.parametrize("by_dictionary", [True, False])
def test_one_long_text_in_many_rows_takes_no_memory(tmp_path, by_dictionary):
    path, n = tmp_path / "bomb.parquet", 300
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, "int32")), pa.array(["x" * 1_000_000]))
    columns = {
        "a": np.arange(n) * 1.0,
        "t": text if by_dictionary else text.cast(pa.string()),
        "y": ["no", "yes"] * 150,
    }
    parquet.write_table(pa.table(columns), path, compression="zstd")
    assert path.stat().st_size < 50_000
    line = "bomb.parquet: expected texts of at most 65,536 bytes in t, got one of 1,000,000; leave that column out"
    before = pa.total_allocated_bytes()
    for read in (
        lambda: load_dataset(path, target="y"),
        lambda: load_dataset(path, target="t"),
        lambda: list(open_rows(path, 1, "y", features=["t"])),
    ):
        with pytest.raises(DataError, match=line):
            read()
    assert pa.total_allocated_bytes() - before < 50_000_000
    assert len(load_dataset(path, target="y", drop=["t"]).train) > 0


def test_long_texts_come_in_parts_of_few_rows(tmp_path):
    from xbnet.datasets.tables import open_table
    from xbnet.datasets.tables.arrow import MOST_BYTES

    path, n = tmp_path / "long.parquet", 5000
    words = pa.DictionaryArray.from_arrays(pa.array(np.arange(n) % 2), pa.array(["a" * 60_000, "b" * 60_000]))
    parquet.write_table(pa.table({"t": words, "i": np.arange(n)}), path)
    rows = [len(part[0]) for part in open_table(path).batches([0, 1])]
    assert sum(rows) == n
    assert max(rows) * 60_000 <= MOST_BYTES


def test_a_lone_carriage_return_ends_the_header_s_line(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b,c,kind\r\0\1\0\0" + b"3,-0.13,0.64,red\r\n" * 4)
    with pytest.raises(DataError, match=r"^.*t\.csv: "):
        load_dataset(tmp_path / "t.csv", target="kind")


def test_a_column_with_two_marks_of_decimals_is_named(tmp_path):
    (tmp_path / "t.tsv").write_text("a\tb\n" + "0.5\t1\n" * 3 + "1,96\t0\n" + "0.5\t1\n" * 3)
    with pytest.raises(DataError, match=r"column 'a': expected a number, got '1,96' at line 5"):
        list(open_rows(tmp_path / "t.tsv", 1, "b"))
