"""Sound files in every format, and the harms that are done to them."""

import gzip
import io
import pickle

import numpy as np
import pyarrow
import pyarrow.feather
import pyarrow.parquet

from tests.support import files as samples

EXTREMES = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\1\0\0"]
HOSTILE = [
    b"cos\nsystem\nU\x07echo xs\x85R.",
    b"c__builtin__\neval\nU\x011\x85R.",
    b"\x8c\x08builtins\x8c\x04exec\x93U\x011\x85R.",
    b"cnumpy\ndtype\nU\x01O\x85R",
    b"cnumpy\nload\n",
    b"]" * 5000,
    b"(" * 5000,
    b"B\xff\xff\xff\xff",
    b"r\xff\xff\xff\xff",
    b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f",
]


def arrow(write):
    x, y = samples.table()
    words = np.array(["u", "v", None], object)[np.arange(len(x)) % 3]
    out = io.BytesIO()
    write(pyarrow.table({"a": x[:, 0], "b": x[:, 1], "word": words, "kind": y.astype(str)}), out)
    return out.getvalue()


def stream(table, out):
    with pyarrow.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)


def seeds():
    """For each case: the file's name, its content, how much it holds decompressed, the files next to it, options."""
    x, y = samples.table()
    images, labels = samples.idx(samples.pixels()), samples.idx(samples.LABELS)
    beside = {"train-labels-idx1-ubyte": labels}
    arrays = {"x_train": x, "y_train": y, "x_test": samples.pixels()[:6].reshape(6, -1)[:, :3] / 9, "y_test": y[:6]}
    target = {"target": "kind"}
    python_3 = pickle.dumps({"data": np.zeros((20, 3072), np.uint8), "labels": [*range(10)] * 2}, 4)
    cases = [
        ("a.mat", samples.mat(False), 0, {}, {}),
        ("b.mat", samples.mat(True), len(samples.mat(False)), {}, {}),
        ("train-images-idx3-ubyte", images, 0, beside, {}),
        ("train-images-idx3-ubyte.gz", gzip.compress(images, mtime=0), len(images), beside, {}),
        ("train-labels-idx1-ubyte", labels, 0, {"train-images-idx3-ubyte": images}, {}),
        ("data_batch_1", samples.cifar_batch(), 0, {"batches.meta": samples.cifar_meta()}, {}),
        ("test_batch", python_3, 0, {}, {}),
        ("batches.meta", samples.cifar_meta(), 0, {"data_batch_1": samples.cifar_batch()}, {}),
        ("a.npz", samples.npz(False, **arrays), 0, {}, {}),
        ("b.npz", samples.npz(True, **arrays), len(samples.npz(False, **arrays)), {}, {}),
        ("a.npy", samples.npy(x), 0, {}, {"target": 0}),
        ("a.csv", samples.csv_text().encode(), 0, {}, target),
        ("b.csv", samples.csv_text(y=y / 2, delimiter=";").encode(), 0, {}, {**target, "task": "regression"}),
    ]
    mixed = "a,s,t,kind\n" + "".join(f"{i / 8},w{i % 3},{'true' if i % 2 else ''},{i % 3}\n" for i in range(24))
    return [
        *cases,
        ("c.csv", mixed.encode(), 0, {}, target),
        ("d.csv.gz", gzip.compress(mixed.encode(), mtime=0), len(mixed), {}, target),
        ("a.parquet", arrow(pyarrow.parquet.write_table), 0, {}, target),
        ("a.feather", arrow(lambda t, out: pyarrow.feather.write_feather(t, out, "uncompressed")), 0, {}, target),
        ("b.feather", arrow(lambda t, out: pyarrow.feather.write_feather(t, out, "lz4")), 0, {}, target),
        ("a.arrows", arrow(stream), 0, {}, target),
    ]


def mutate(content, rng, others):
    """One to four small harms."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        # The first and last bytes hold most of what can be wrong.
        ends = [rng.randrange(len(data) + 1), rng.randrange(min(len(data), 300) + 1)]
        place = rng.choice([*ends, len(data) - rng.randrange(min(len(data), 300) + 1)])
        harm = rng.randrange(8)
        if harm == 0:
            del data[place:]
        elif harm <= 2 and data:
            place = min(place, len(data) - 1)
            data[place] ^= 1 << rng.randrange(8)
        elif harm == 3:
            data[place : place + 1] = bytes([rng.randrange(256)])
        elif harm == 4:
            data[place : place + 4] = rng.choice(EXTREMES)
        elif harm == 5:
            del data[place : place + rng.randrange(1, 40)]
        elif harm == 6:
            data[place:place] = data[place : place + rng.randrange(1, 200)]
        else:
            piece = rng.choice(HOSTILE) if rng.random() < 0.5 else rng.choice(others)[:200]
            data[place:place] = piece
    return bytes(data)
