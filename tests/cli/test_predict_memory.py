"""The rows of a file of any length go through in chunks: the peak of memory does not grow with the file."""

import tracemalloc

import numpy as np
import pytest

from xbnet.cli import main
from xbnet.datasets.tables import arrow, text

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")


def rows_of(n):
    rng = np.random.default_rng(0)
    words = rng.choice(["x", "y", "z"], n)
    return pd.DataFrame({"a": rng.normal(size=n).round(4), "b": rng.normal(size=n).round(4), "word": words})


def write(path, n):
    frame = rows_of(n)
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False, row_group_size=2000)
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    rows_of(200).assign(kind=["p", "q"] * 100).to_csv(folder / "train.csv", index=False)
    argv = ["train", "--data", str(folder / "train.csv"), "--target", "kind", "--epochs", "1", "--hidden", "3"]
    assert main([*argv, "--quiet", "--out", str(folder / "run")]) == 0
    return folder / "run"


def peak(run, path, out):
    """Bytes of Python, NumPy and Arrow at most at once, while a file is predicted."""
    before, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        assert main(["predict", str(run), "--data", str(path), "--out", str(out)]) == 0
        return tracemalloc.get_traced_memory()[1] + pool.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)


@pytest.mark.parametrize(
    ("kind", "out", "rows"),
    [
        (".parquet", "p.csv", (8_000, 32_000)),
        (".parquet", "p.npz", (8_000, 32_000)),
        (".csv", "p.npz", (40_000, 120_000)),  # pyarrow reads 32 blocks ahead: a short file would be read as a whole
        (".csv.gz", "p.npz", (40_000, 120_000)),
    ],
)
def test_memory_does_not_grow_with_the_file(run, kind, out, rows, tmp_path, monkeypatch):
    for name, size in {"BATCH_BYTES": 1 << 16, "BLOCK_BYTES": 1 << 14, "AT_LEAST": 1 << 14, "WIDE_BATCH": 1}.items():
        monkeypatch.setattr(text, name, size)  # as a short file is to these, long ones are to what is so by default
    monkeypatch.setattr(arrow, "BATCH_BYTES", 1 << 16)
    peak(run, write(tmp_path / f"first{kind}", 100), tmp_path / out)  # imports what it needs
    short, long = (peak(run, write(tmp_path / f"{n}{kind}", n), tmp_path / out) for n in rows)
    print(f"{kind}: {short:,} and {long:,} bytes")
    assert short > 200_000
    assert long < 1.5 * short
