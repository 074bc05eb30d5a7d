"""Small files in every format, for the tests of the loaders."""

import csv
import gzip
import io
import struct
import zipfile

import numpy as np
import scipy.io

N, SIDE = 24, 4  # samples, and pixels along an image's edge
LABELS = np.arange(N) % 3


def idx(array):
    """An array of bytes in MNIST's format."""
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def pixels(n=N):
    return (np.arange(n * SIDE * SIDE) * 7 % 256).astype(np.uint8).reshape(n, SIDE, SIDE)


def mnist(folder, zipped=True):
    """Write the four files of a small look-alike."""
    for prefix, n in (("train", N), ("t10k", 6)):
        for name, content in (
            (f"{prefix}-images-idx3-ubyte", idx(pixels(n))),
            (f"{prefix}-labels-idx1-ubyte", idx(LABELS[:n])),
        ):
            path = folder / (name + ".gz" * zipped)
            path.write_bytes(gzip.compress(content, mtime=0) if zipped else content)


def cifar_batch(n=20, labels=None, python=2, width=3072):
    """A batch as Python 2 pickled it, opcode by opcode, with NumPy's names before (2) or after (3) NumPy 2."""
    module = b"numpy.core" if python == 2 else b"numpy._core"
    data = (np.arange(n * width) % 256).astype(np.uint8).tobytes()
    labels = [i % 10 for i in range(n)] if labels is None else labels
    dtype = b"cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return b"".join(
        [
            b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x05batchU\x04dataq\x03",
            b"c" + module + b".multiarray\n_reconstruct\nq\x04cnumpy\nndarray\nq\x05K\x00\x85U\x01b\x87R",
            b"(K\x01M" + struct.pack("<H", n) + b"M" + struct.pack("<H", width) + b"\x86",
            dtype,
            b"\x89T" + struct.pack("<i", len(data)) + data + b"tb",
            b"U\x06labelsq\x08]q\x09(" + b"".join(b"K" + bytes([i]) for i in labels) + b"eu.",
        ]
    )


def cifar_meta(names=tuple("abcdefghij")):
    items = b"".join(b"U" + bytes([len(name)]) + name.encode() for name in names)
    return b"\x80\x02}q\x01U\x0blabel_namesq\x02]q\x03(" + items + b"es."


def cifar(folder):
    """Write the folder of a small CIFAR-10."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(cifar_batch())
    (folder / "batches.meta").write_bytes(cifar_meta())


def table():
    """Inputs (N, 3) that two decimals hold exactly enough, and labels."""
    return np.round(np.random.default_rng(0).normal(size=(N, 3)), 2), LABELS


def csv_text(x=None, y=None, header=("a", "b", "c", "kind"), delimiter=","):
    inputs, _ = table()
    x, y = inputs if x is None else x, ["red", "green", "blue"] * (N // 3) if y is None else y
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(header)
    writer.writerows([*row, label] for row, label in zip(x, y, strict=True))
    return out.getvalue()


def npz(compressed=True, **arrays):
    out = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(out, **arrays)
    return out.getvalue()


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def mat(compress=True):
    x, y = table()
    one_hot = np.eye(3, dtype=np.float32)[:, y]
    out = io.BytesIO()
    arrays = {"Yt": x.T.astype(np.float32), "Ct": one_hot, "Yv": x[:6].T, "Cv": one_hot[:, :6]}
    scipy.io.savemat(out, arrays, do_compression=compress)
    return out.getvalue()


def zip_with(name, content, packing=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as archive:
        archive.writestr(name, content)
    return out.getvalue()
