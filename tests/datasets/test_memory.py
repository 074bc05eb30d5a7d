"""Loading a sound file takes at most four times its content, 8 bytes for each target, and 1 MiB to work in.

A file of 8-bit pixels alone becomes four times itself, as float32. The content is what the file holds unpacked; in a
Parquet file, 8 bytes for each value.
"""

import csv
import gzip
import importlib.util
import io
import tracemalloc

import numpy as np
import pytest
import scipy.io

from tests.support import files as samples
from xbnet.datasets import load_dataset

RNG = np.random.default_rng(0)
N = 6000
LABELS = np.arange(N) % 7
BYTES = RNG.integers(0, 256, (N, 16, 16), dtype=np.uint8)
ONE_HOT = np.eye(7)[:, LABELS]


def npz(compressed, **arrays):
    content = samples.npz(False, **arrays)
    return {"a.npz": samples.npz(compressed, **arrays)}, len(content), {}


def npy(array, **options):
    content = samples.npy(array)
    return {"a.npy": content}, len(content), options


def idx(values, zipped, code=0x08):
    values = values.astype({0x08: "u1", 0x0B: ">i2"}[code])
    images = bytearray(samples.idx(values[:0]))
    images[2:4] = code, values.ndim
    images = bytes(images[:4]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()
    files = {"train-images-idx3-ubyte": images, "train-labels-idx1-ubyte": samples.idx(LABELS)}
    content = sum(map(len, files.values()))
    if zipped:
        files = {name + ".gz": gzip.compress(body, 1) for name, body in files.items()}
    return files, content, {}


def mat(y, c, compress):
    sizes = {}
    for packed in (False, compress):
        out = io.BytesIO()
        scipy.io.savemat(out, {"Yt": y, "Ct": c, "note": "hello", "other": np.zeros((50, 50))}, do_compression=packed)
        sizes[packed] = out.getvalue()
    return {"a.mat": sizes[compress]}, len(sizes[False]), {}


def mat_of_doubles_in_bytes():
    """As MATLAB stores doubles that are whole and small."""
    ((name, content),), size, options = mat(BYTES.reshape(N, -1).T, ONE_HOT.astype(np.uint8), False)[0].items(), 0, {}
    content = bytearray(content)
    for variable in (b"Yt", b"Ct"):
        content[content.index(b"\x09\x00\x00\x00", content.index(variable) - 40)] = 6
    return {name: bytes(content)}, len(content) + size, options


def table(x, y, **options):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*(f"c{i}" for i in range(x.shape[1])), "kind"])
    writer.writerows([*row, label] for row, label in zip(x.tolist(), y, strict=True))
    content = out.getvalue().encode()
    return {"a.csv": content}, len(content), {"target": "kind", **options}


def cifar():
    return {"data_batch_1": samples.cifar_batch(2000)}, len(samples.cifar_batch(2000)), {}


def parquet(**columns):
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return {"a.parquet": out.getvalue()}, 8 * sum(map(len, columns.values())), {"target": "kind"}


WORDS = np.array(["red", "green", "blue"])[np.arange(200_000) % 3]
CASES = {
    "npz of bytes": lambda: npz(False, x=BYTES.reshape(N, -1), y=LABELS),
    "npz of images": lambda: npz(True, x=BYTES, y=LABELS.astype(np.uint8)),
    "npz of images, channels last": lambda: npz(False, x=BYTES.reshape(N, 8, 8, 4), y=LABELS),
    "npz of images in Fortran's order": lambda: npz(False, x=np.asfortranarray(BYTES), y=LABELS),
    "npz of doubles": lambda: npz(True, x=RNG.normal(size=(N, 40)), y=LABELS),
    "npz with names": lambda: npz(False, x=np.zeros((200_000, 1), np.uint8), y=WORDS),
    "npz of many labels": lambda: npz(False, x=np.zeros((400_000, 1), np.uint8), y=np.arange(400_000) % 5),
    "npz for a regression": lambda: npz(False, x=BYTES.reshape(N, -1), y=RNG.normal(size=N)),
    "npz with several labels": lambda: npz(False, x=np.zeros((N, 9), np.uint8), y=BYTES.reshape(N, -1) > 127),
    "npy of bytes": lambda: npy(BYTES.reshape(N, -1), target=0),
    "npy of doubles": lambda: npy(RNG.normal(size=(N, 40)), target=3),
    "npy in Fortran's order": lambda: npy(np.asfortranarray(RNG.normal(size=(N, 40)).astype(np.float32)), target=3),
    "idx": lambda: idx(BYTES, False),
    "idx, packed": lambda: idx(BYTES, True),
    "idx of 16 bits": lambda: idx(BYTES, False, 0x0B),
    "CIFAR-10": cifar,
    "mat": lambda: mat(RNG.normal(size=(40, N)), ONE_HOT, False),
    "mat, packed": lambda: mat(RNG.normal(size=(40, N)).astype(np.float32), ONE_HOT.astype(np.float32), True),
    "mat of bytes, packed": lambda: mat(BYTES.reshape(N, -1).T, ONE_HOT.astype(np.uint8), True),
    "mat of doubles in bytes": mat_of_doubles_in_bytes,
    "CSV of digits": lambda: table(RNG.integers(0, 10, (20_000, 50)), np.arange(20_000) % 3),
    "CSV of two digits": lambda: table(RNG.integers(0, 10, (300_000, 1)), np.arange(300_000) % 3),
    "CSV of numbers with words": lambda: table(RNG.normal(size=(30_000, 5)), WORDS[:30_000]),
    "CSV for a regression": lambda: table(RNG.integers(0, 10, (300_000, 1)), np.arange(300_000) % 9, task="regression"),
    "Parquet": lambda: parquet(
        a=RNG.normal(size=200_000), b=RNG.integers(0, 9, 200_000).astype(np.int8), kind=np.arange(200_000) % 3
    ),
    "Parquet with words": lambda: parquet(a=RNG.normal(size=200_000), kind=WORDS),
}


@pytest.mark.parametrize("case", CASES)
def test_peak(tmp_path, case):
    if case.startswith("Parquet") and not importlib.util.find_spec("pyarrow"):
        pytest.skip("needs pyarrow")
    files, content, options = CASES[case]()
    for name, body in files.items():
        (tmp_path / name).write_bytes(body)
    small = tmp_path / "small.csv"
    small.write_text("a,kind\n1,x\n2,y\n")
    load_dataset(small, target="kind", scaling="standard")  # imports what readers need
    tracemalloc.start()
    try:
        data = load_dataset(tmp_path / next(iter(files)), scaling="standard", **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    allowed = 4 * content + 8 * data.train.y.size + (1 << 20)
    print(f"{case}: {content:,} bytes, {peak / content:.2f} times as much, {peak / allowed:.2f} of the allowed")
    assert content > 500_000
    assert peak <= allowed
