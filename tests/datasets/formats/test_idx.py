import gzip
import re
import struct

import numpy as np
import pytest

from tests.support import files as samples
from xbnet.datasets import load_dataset
from xbnet.errors import DataError


def refused(path, line, load=None):
    with pytest.raises(DataError, match=re.escape(f"{path}: {line}") + r"\Z"):
        load_dataset(load or path)


@pytest.mark.parametrize("zipped", [True, False])
def test_folder_of_four_files(tmp_path, zipped):
    samples.mnist(tmp_path, zipped)
    data = load_dataset(tmp_path)
    assert (len(data.train), data.val, len(data.test)) == (samples.N, None, 6)
    assert data.image_shape == (1, 4, 4)
    assert data.train.x.dtype == np.float32
    np.testing.assert_array_equal(data.train.x, samples.pixels().reshape(-1, 16) / np.float32(255))
    np.testing.assert_array_equal(data.test.y, samples.LABELS[:6])


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"])
def test_one_file_finds_its_partner(tmp_path, name):
    samples.mnist(tmp_path)
    data = load_dataset(tmp_path / name, val=0.5)
    assert (len(data.train), len(data.val), data.image_shape) == (12, 12, (1, 4, 4))


def test_images_and_labels_may_be_zipped_differently_and_dotted(tmp_path):
    (tmp_path / "train-images.idx3-ubyte").write_bytes(samples.idx(samples.pixels()))
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(samples.idx(samples.LABELS)))
    assert len(load_dataset(path).train) == samples.N


@pytest.mark.parametrize("shape", [(samples.N, 5), (samples.N, 3, 2, 2)])
def test_vectors_and_colours(tmp_path, shape):
    values = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    (tmp_path / "a-images-idx3-ubyte").write_bytes(samples.idx(values))
    (tmp_path / "a-labels-idx1-ubyte").write_bytes(samples.idx(samples.LABELS))
    data = load_dataset(tmp_path / "a-images-idx3-ubyte")
    assert data.image_shape == (None if len(shape) == 2 else (3, 2, 2))
    np.testing.assert_array_equal(data.train.x, values.reshape(samples.N, -1) / np.float32(255))


def test_wider_types_are_not_scaled(tmp_path):
    values = np.linspace(-2, 2, samples.N * 4, dtype=">f4")
    head = struct.pack(">HBBII", 0, 0x0D, 2, samples.N, 4)
    (tmp_path / "a-images-idx3-ubyte").write_bytes(head + values.tobytes())
    (tmp_path / "a-labels-idx1-ubyte").write_bytes(samples.idx(samples.LABELS))
    np.testing.assert_array_equal(load_dataset(tmp_path / "a-images-idx3-ubyte").train.x.ravel(), values)


def test_the_real_mnist(real_file):
    data = load_dataset(real_file("mnist"))
    assert (len(data.train), len(data.test), data.image_shape) == (60_000, 10_000, (1, 28, 28))
    assert np.bincount(data.train.y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.train.x.mean() == pytest.approx(0.1306604762738429)  # 33.318421 / 255, as it is known


@pytest.fixture
def pair(tmp_path):
    """Write a pair of files with the contents given, and return their paths."""

    def pair(images=None, labels=None):
        paths = tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"
        paths[0].write_bytes(samples.idx(samples.pixels()) if images is None else images)
        paths[1].write_bytes(samples.idx(samples.LABELS) if labels is None else labels)
        return paths

    return pair


def test_header_is_checked_against_the_content(pair):
    images = samples.idx(samples.pixels())
    line = "expected 384 bytes after its header, for axes (24, 4, 4) of uint8, got"
    path, _ = pair(images[:-9])
    refused(path, f"{line} 375; copy or download it again")
    path, _ = pair(images + b"\0")
    refused(path, f"{line} more; copy or download it again")
    path, _ = pair(gzip.compress(images[:-9]))
    refused(path, f"{line} 375; copy or download it again")
    path, _ = pair(gzip.compress(images + bytes(100_000)))
    refused(path, f"{line} more; copy or download it again")
    path, _ = pair(images[:10])
    refused(path, "expected the sizes of 3 axes, got 6 bytes; copy or download it again")
    path, _ = pair(struct.pack(">HBBIII", 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1))
    refused(
        path,
        f"expected {(2**32 - 1) ** 3} bytes after its header, for axes {(2**32 - 1,) * 3} of uint8, got 0; "
        "copy or download it again",
    )


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (b"\0\0\x07\x03" + bytes(20), "24 zero bytes"),
        (b"\0\0\x08\x09" + bytes(20), "an idx file of bytes"),
        (gzip.compress(b"hello", mtime=0), "gzip-compressed other content"),
    ],
)
def test_foreign(pair, content, what):
    if what == "24 zero bytes":
        what = "unknown bytes (00 00 07 03 ...)"
    path, _ = pair(content)
    refused(path, f"expected an idx file of 1 to 4 axes, got what looks like {what}")


def test_damaged_gzip(pair):
    zipped = bytearray(gzip.compress(samples.idx(samples.pixels())))
    path, _ = pair(bytes(zipped[:-20]))
    refused(
        path,
        "can't be decompressed (Compressed file ended before the end-of-stream marker was reached); "
        "copy or download it again",
    )
    zipped[-6] ^= 1
    path, _ = pair(bytes(zipped))
    with pytest.raises(
        DataError, match=r": can't be decompressed \(CRC check failed .*\); copy or download it again\Z"
    ):
        load_dataset(path)


def test_labels(pair):
    _, path = pair(labels=samples.idx(samples.LABELS[:-1]))
    refused(
        path,
        "expected 24 labels, one per image of train-images-idx3-ubyte, got 23; the files do not belong together",
    )
    _, path = pair(labels=samples.idx(samples.pixels()))
    refused(path, "expected one integer label per image, got axes (24, 4, 4) of uint8")
    path, _ = pair(images=samples.idx(samples.LABELS))
    refused(path, "expected images (N, H, W), got axes (24,)")
    path, _ = pair(samples.idx(samples.pixels(0)), samples.idx(samples.LABELS[:0]))
    refused(path, "training x expected at least one sample, got (0, 16)")
    path, _ = pair(labels=samples.idx(samples.LABELS * 2))
    assert load_dataset(path).classes == ("0", "2", "4")


def test_missing_files(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(samples.idx(samples.pixels()))
    refused(
        path,
        "expected two idx files in one folder, named PREFIX-images-idx3-ubyte and "
        "PREFIX-labels-idx1-ubyte (or with .gz), got no partner to this one",
    )
    refused(
        tmp_path,
        "expected four idx files, got no train-labels-idx1-ubyte (or with .gz); download the data set again",
    )
    path.rename(tmp_path / "mine-ubyte")
    refused(
        tmp_path / "mine-ubyte",
        "expected two idx files in one folder, named PREFIX-images-idx3-ubyte and "
        "PREFIX-labels-idx1-ubyte (or with .gz), got no partner to this one",
    )
    refused(
        tmp_path,
        "expected a folder with MNIST's four idx files or CIFAR-10's batches, got neither; name a file in it",
    )


def test_test_images_of_another_shape(tmp_path):
    samples.mnist(tmp_path, zipped=False)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(samples.idx(samples.pixels(6).reshape(6, 2, 8)))
    refused(tmp_path, "expected test images of shape (1, 4, 4) as in training, got (1, 2, 8)")
