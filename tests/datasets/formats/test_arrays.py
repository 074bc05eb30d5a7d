import re
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import files as samples
from xbnet.datasets import load_dataset
from xbnet.datasets.formats.arrays import _read_array
from xbnet.datasets.odd import say_if_labels
from xbnet.errors import ConfigError, DataError

X, Y = samples.table()


@pytest.fixture
def save(tmp_path):
    def save(content, name="set.npz"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return save


def refused(path, line, error=DataError, **options):
    with pytest.raises(error, match=re.escape(f"{path}: {line}") + r"\Z"):
        load_dataset(path, **options)


@pytest.mark.parametrize("compressed", [True, False])
def test_parts_by_name(save, compressed):
    path = save(samples.npz(compressed, X_train=X, Y_train=Y, x_val=X[:3], y_val=Y[:3], x_test=X[3:9], y_test=Y[3:9]))
    data = load_dataset(path)
    assert (len(data.train), len(data.val), len(data.test)) == (24, 3, 6)
    np.testing.assert_array_equal(data.train.x, X)
    assert data.task == "classification"


def test_targets_and_tasks(save):
    assert load_dataset(save(samples.npz(x=X, y=Y / 2))).task == "regression"
    assert load_dataset(save(samples.npz(x=X, y=Y)), task="regression").task == "regression"
    assert load_dataset(save(samples.npz(x=X, y=Y * 1.0)), task="classification").classes == ("0", "1", "2")
    assert load_dataset(save(samples.npz(x=X, y=Y[:, None]))).task == "classification"
    assert load_dataset(save(samples.npz(x=X, y=np.eye(3, dtype=bool)[Y]))).task == "multilabel"
    named = load_dataset(save(samples.npz(x=X, y=np.array(["b", "c", "a"])[Y])))
    assert named.classes == ("a", "b", "c")
    assert named.train.y[:3].tolist() == [1, 2, 0]
    refused(
        save(samples.npz(x=X, y=Y / 2)),
        "y: expected whole numbers as labels for a classification, got others in the target",
        task="classification",
    )
    refused(
        save(samples.npz(x=X, y=Y)),
        "expected task classification or regression, got 'sorting'",
        ConfigError,
        task="sorting",
    )
    refused(
        save(samples.npz(x=X, y=Y)),
        "expected no target, for only tables have one, got 'y'",
        ConfigError,
        target="y",
    )


@pytest.mark.parametrize(
    ("shape", "image_shape"),
    [((4, 5), (1, 4, 5)), ((3, 4, 5), (3, 4, 5)), ((6, 5, 3), (3, 6, 5)), ((1, 4, 5), (1, 4, 5))],
)
def test_images_keep_their_shape(save, shape, image_shape):
    images = np.random.default_rng(0).integers(0, 256, (24, *shape), dtype=np.uint8)
    data = load_dataset(save(samples.npz(x=images, y=Y)))
    assert data.image_shape == image_shape
    wanted = images.transpose(0, 3, 1, 2) if shape[-1] == 3 else images
    np.testing.assert_array_equal(data.train.x, wanted.reshape(24, -1) / np.float32(255))


def test_images_of_floats_and_rows_of_bytes_are_not_scaled(save):
    assert load_dataset(save(samples.npz(x=np.full((24, 2, 2), 9.0), y=Y))).train.x.max() == 9
    assert load_dataset(save(samples.npz(x=np.full((24, 4), 9, np.uint8), y=Y))).train.x.max() == 9


@given(
    kind=st.sampled_from(["?", "i1", "<u2", ">i4", "<i8", "<f2", ">f4", "<f8", "<U3", ">U2"]),
    shape=st.lists(st.integers(1, 4), max_size=4),
    order=st.sampled_from("CF"),
)
@settings(deadline=None, max_examples=60)
def test_arrays_are_read_as_numpy_reads_them(tmp_path_factory, kind, shape, order):
    array = np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(kind), order=order)
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    np.save(path, array)
    with open(path, "rb") as stream:
        back = _read_array("here", stream, path.stat().st_size)
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype


def test_npy_is_a_table(save):
    table = np.column_stack([X, Y])
    path = save(samples.npy(table), "set.npy")
    data = load_dataset(path, target=-1, task="classification")
    np.testing.assert_array_equal(data.train.x, X)
    assert data.train.y.tolist() == Y.tolist()
    with open(path, "wb") as file:
        np.lib.format.write_array(file, table, version=(3, 0))
    np.testing.assert_array_equal(load_dataset(path, target=-1, task="classification").train.x, X)
    assert load_dataset(path, target="0").train.y.tolist() == X[:, :1].tolist()
    assert load_dataset(save(samples.npy(np.stack([Y, Y], 1)), "i.npy"), target=1).n_classes == 3
    for target, got in ((None, "none"), (4, "4"), ("kind", "'kind'"), (-5, "-5")):
        refused(path, f"expected the number of a column as target, 0..3, got {got}", ConfigError, target=target)
    refused(
        save(samples.npy(X[:, 0]), "row.npy"),
        "expected a table (N, columns) of numbers, one of them the target, got (24,) of float64; several arrays go "
        "into an .npz file",
        target=0,
    )


def test_objects_and_records_are_refused(save):
    records = np.zeros(3, [("a", "f8"), ("b", "i4")])
    wanted = (
        "expected an array of numbers or text, got records with named fields; write them as a table: "
        "pandas.DataFrame(array).to_csv(FILE, index=False)"
    )
    refused(save(samples.npy(records), "r.npy"), wanted, target=0)
    with pytest.warns(UserWarning, match="format 3.0"):  # names of fields in UTF-8
        refused(save(samples.npy(np.zeros(3, [("größe", "f8"), ("名", "i4")])), "r3.npy"), wanted, target=0)
    wanted = "expected an array of numbers or text, got (2,) of object"
    refused(save(samples.npy(np.array([{}, None])), "o.npy"), wanted, target=0)
    refused(save(samples.npz(x=np.array([{}, None]), y=Y)), f"x.npy: {wanted}")


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        ({"x": X}, "expected both x and y, got only x"),
        ({"a": X, "b": Y}, "expected arrays x and y, or x_train and y_train, got only a, b"),
        ({"x_test": X, "y_test": Y}, "expected arrays x and y, or x_train and y_train, got only x_test, y_test"),
        ({"x": X, "y": Y, "x_train": X, "y_train": Y}, "expected one pair of arrays to train, got x and x_train"),
        ({"x": X, "y": Y[1:]}, "training y expected (N=24,) or (N=24, O) to match x, got (23,); "
                               "x and y must hold the same samples"),
        ({"x": X[:0], "y": Y[:0]}, "x.npy: expected an array of 1 to 5 axes with values, got (0, 3)"),
        ({"x": np.zeros((24, 2, 2, 2, 2)), "y": Y}, "x: expected (N, I) or images (N, H, W) or (N, C, H, W), "
                                                    "got (24, 2, 2, 2, 2)"),
        ({"x": X[:, 0], "y": Y}, "training x expected (N, I), got (24,); make each sample one row"),
        ({"x": np.full((24, 2), "a"), "y": Y}, "training x expected numbers, got dtype <U1; "
                                               "encode text as numbers first"),
        ({"x": X * np.nan, "y": Y}, "training x expected finite values, got nan at row 0, column 0 "
                                    "(counted from 0); remove or fill such samples"),
        ({"x": np.zeros((24, 1, 3)), "y": Y, "x_test": np.zeros((24, 3, 1)), "y_test": Y},
         "expected images of one shape in all parts, got ['(1, 1, 3)', '(1, 3, 1)']"),
    ],
)  # fmt: skip
def test_wrong_arrays(save, arrays, line):
    refused(save(samples.npz(**arrays)), line)


def test_damaged(save):
    again = "write it again with numpy.save or numpy.savez"
    good = samples.npy(X)
    path = save(good[:-5], "a.npy")
    refused(path, f"expected 576 bytes for (24, 3) of float64, got 571; {again}", target=0)
    refused(
        save(good + b"more", "a.npy"),
        f"expected 576 bytes for (24, 3) of float64, got 580; {again}",
        target=0,
    )
    path = save(good.replace(b"(24, 3)", b"(99999999, 3)".ljust(7)), "a.npy")
    with pytest.raises(DataError, match=r"expected 2399999976 bytes for \(99999999, 3\) of float64, got 5\d\d; write"):
        load_dataset(path, target=0)
    path = save(good.replace(b"'descr'", b"'drcse'"), "a.npy")
    with pytest.raises(DataError, match=r"expected an array in NumPy's format, got a damaged header \(.*\)\Z"):
        load_dataset(path, target=0)
    refused(
        save(good[:6] + b"\x04\x00" + good[8:], "a.npy"),
        "expected an array in NumPy's format, got a damaged header (version (4, 0))",
        target=0,
    )
    refused(save(b"a,b\n", "a.npy"), "expected a NumPy .npy file, got what looks like a text file", target=0)
    tracemalloc.start()
    refused(
        save(good[:6] + b"\x03\x00\x00\x00\x00\x20" + good[12:], "a.npy"),
        "expected an array in NumPy's format, got a damaged header (of 536,870,912 bytes)",
        target=0,
    )
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
    refused(save(b"\x93NUMPY"), "expected a NumPy .npz file, got what looks like a NumPy .npy array")
    refused(save(samples.npz(x=X, y=Y)[:-60]), f"can't be unpacked (File is not a zip file); {again}")
    refused(
        save(samples.zip_with("x.npy", good, zipfile.ZIP_BZIP2)),
        "expected both x and y, got only x",
    )
    flipped = bytearray(samples.npz(False, x=X, y=Y))
    flipped[400] ^= 1
    refused(save(bytes(flipped)), f"can't be unpacked (Bad CRC-32 for file 'x.npy'); {again}")


def test_other_packings_are_refused(save, tmp_path):
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", samples.npy(X))
        archive.writestr("y.npy", samples.npy(Y))
    refused(
        path,
        "expected x.npy stored or deflated, got another packing; write it again with numpy.save or numpy.savez",
    )


def test_characters_that_do_not_exist(save):
    names = np.array(["b", "c", "a"])[Y]
    names.view(np.uint32)[3] = 0x110000
    refused(
        save(samples.npz(x=X, y=names)),
        "y.npy: expected text, got characters that do not exist; write it again with numpy.save or numpy.savez",
    )


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
def test_records_are_named(tmp_path):
    for name, version in (("a", 1), ("größe", 1), ("\u540d", 3)):
        path = tmp_path / "set.npy"
        np.save(path, np.zeros(3, [(name, float), ("b", int)]))
        assert path.read_bytes()[6] == version
        with pytest.raises(DataError, match="got records with named fields; write them as a table: pandas.DataFrame"):
            load_dataset(path, target=0)


@pytest.mark.parametrize("column", [0, 1])
def test_a_nan_that_signals_is_refused_without_a_warning(tmp_path, column):
    table = np.arange(120.0).reshape(40, 3)
    table.view(np.int64)[5, column] = 0x7FF0000000000001
    np.save(tmp_path / "a.npy", table)
    with pytest.raises(DataError):
        load_dataset(tmp_path / "a.npy", target=0)
    signals = table[:, column]
    say_if_labels("y", signals, "")
