import os
import pickle
import pickletools
import re
import struct
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import files as samples
from tests.support.chance import examples
from xbnet.datasets import load_dataset
from xbnet.datasets.formats.unpickle import Refused, unpickle
from xbnet.errors import DataError

WANTED = "expected a batch of CIFAR-10, a pickle of arrays and plain containers; "


@pytest.fixture
def batch(tmp_path):
    """Write a batch, and return its path."""

    def batch(content):
        path = tmp_path / "data_batch_1"
        path.write_bytes(content)
        return path

    return batch


def refused(path, line):
    with pytest.raises(DataError, match=re.escape(f"{path}: {line}") + r"\Z"):
        load_dataset(path)


def expected_pixels(n=20):
    return ((np.arange(n * 3072) % 256) / np.float32(255)).astype(np.float32).reshape(n, 3072)


@pytest.mark.parametrize("python", [2, 3])
def test_batch_of_python_2(batch, python):
    content = samples.cifar_batch(python=python)
    assert pickle.loads(content, encoding="bytes")[b"labels"] == [i % 10 for i in range(20)]
    data = load_dataset(batch(content))
    np.testing.assert_array_equal(data.train.x, expected_pixels())
    assert data.train.y.tolist() == [i % 10 for i in range(20)]
    assert data.image_shape == (3, 32, 32)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("order", ["C", "F"])
def test_batch_of_python_3(batch, protocol, order):
    x = np.asarray((np.arange(20 * 3072) % 256).astype(np.uint8).reshape(20, 3072), order=order)
    content = pickle.dumps({"data": x, "labels": [i % 10 for i in range(20)], "extra": (1.5, None, True)}, protocol)
    np.testing.assert_array_equal(load_dataset(batch(content)).train.x, expected_pixels())


def test_folder(tmp_path):
    samples.cifar(tmp_path / "cifar-10-batches-py")
    for path in (tmp_path, tmp_path / "cifar-10-batches-py"):
        data = load_dataset(path)
        assert (len(data.train), data.val, len(data.test)) == (100, None, 20)
        assert data.classes == tuple("abcdefghij")
        np.testing.assert_array_equal(data.train.x[40:60], expected_pixels())


def test_classes_are_numbered_without_their_names(tmp_path):
    samples.cifar(tmp_path)
    (tmp_path / "batches.meta").unlink()
    assert load_dataset(tmp_path).classes == tuple("0123456789")


def test_a_batch_is_absent(tmp_path):
    samples.cifar(tmp_path)
    (tmp_path / "data_batch_4").unlink()
    refused(tmp_path, "expected data_batch_1 to data_batch_5 and test_batch, got no data_batch_4; unpack it again")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (samples.cifar_batch(labels=[3] * 19), "expected 20 labels, one per row of 'data', got 19"),
        (samples.cifar_batch(labels=[*range(10)] * 2 + [11]), "expected 20 labels, one per row of 'data', got 21"),
        (samples.cifar_batch(labels=[11] * 20), "expected labels 0..9, got 11"),
        (samples.cifar_batch(width=3071), "expected 'data' (N, 3072) of uint8, got (20, 3071) of uint8"),
        (b"\x80\x02}.", "expected 'data' (N, 3072) of uint8, got nothing"),
        (b"\x80\x02].", "expected a batch of CIFAR-10, a pickle of a dictionary, got a list of 0"),
        (b"\x80\x02K\x05.", "expected a batch of CIFAR-10, a pickle of a dictionary, got int"),
        (b"PK\x03\x04", "expected a batch of CIFAR-10, got what looks like a zip archive (.npz, .docx and .xlsx are)"),
        (b"", "the file is empty; expected a batch of CIFAR-10; copy or download it again"),
    ],
)  # fmt: skip
def test_wrong_content(batch, content, line):
    refused(batch(content), line)


def test_labels_that_are_no_integers(batch):
    content = samples.cifar_batch().replace(b"]q\x09(K\x00", b"]q\x09(N")
    refused(batch(content), "expected 'labels', a list of 20 integers, got a list of 20")


@pytest.mark.parametrize("cut", [1, 50, 300, 30_000])
def test_cut_off(batch, cut):
    path = batch(samples.cifar_batch()[:-cut])
    with pytest.raises(DataError, match=re.escape(f"{path}: {WANTED}it is ") + r".*; nothing in it was run\Z"):
        load_dataset(path)


def test_names_of_classes(tmp_path, batch):
    path = batch(samples.cifar_batch())
    meta = tmp_path / "batches.meta"
    for content, got in ((samples.cifar_meta("abc"), "a list of 3"), (b"\x80\x02}.", "nothing")):
        meta.write_bytes(content)
        with pytest.raises(
            DataError, match=re.escape(f"{meta}: expected 'label_names', a list of 10 names, got {got}")
        ):
            load_dataset(path)
    meta.write_bytes(b"\x80\x02}U\x0blabel_names](" + b"K\x01" * 10 + b"es.")
    refused_line = "expected 'label_names', a list of 10 names; it is damaged: expected text, got int"
    with pytest.raises(DataError, match=re.escape(f"{meta}: {refused_line}") + r"\Z"):
        load_dataset(path)


class Runs:
    """What a hostile pickle holds: an object whose loading calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, subprocess.getoutput, eval, exec, open, os.mkdir, np.load, np.save])
def test_hostile_pickles_run_nothing(tmp_path, batch, function, protocol):
    victim = tmp_path / "victim"
    argument = {eval: f"open({str(victim)!r}, 'w')", exec: f"open({str(victim)!r}, 'w')"}.get(function)
    if function in (os.system, subprocess.getoutput):
        argument = f"touch {victim}"
    arguments = (str(victim), "w") if function is open else (argument or str(victim),)
    hostile = pickle.dumps({"data": Runs(function, *arguments), "labels": []}, protocol)
    path = batch(hostile)
    with pytest.raises(DataError) as caught:
        load_dataset(path)
    assert not victim.exists()
    line = str(caught.value)
    assert "\n" not in line
    if protocol >= 2:
        name = re.search(re.escape(f"{path}: {WANTED}it names ") + r"(\S+); nothing in it was run\Z", line)[1]
        assert name.rsplit(".", 1)[1] == function.__name__


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"cos\nsystem\n.", "it names os.system"),
        (b"\x8c\x02os\x8c\x06system\x93.", "it names os.system"),
        (b"cnumpy\nload\n.", "it names numpy.load"),
        (b"cnumpy.core.multiarray\nfromfile\n.", "it names numpy.core.multiarray.fromfile"),
        (b"(cos\nsystem\nU\x02idios\n", "it names os.system"),
        (b"(U\x02idios\nsystem\n.", "it holds the opcode b'i'"),
        (b"cnumpy\ndtype\n)\x81.", "it holds the opcode b'\\x81'"),
        (b"\x82\x01.", "it holds the opcode b'\\x82'"),
        (b"U\x01aQ.", "it holds the opcode b'Q'"),
        (b"cnumpy\ndtype\nU\x01O\x85R.", "it holds an array of type 'O'"),
        (b"cnumpy\ndtype\nU\x15(2147483647,214748)i1\x85R.", "it holds an array of type '(2147483647,214748)i'"),
        (b"cnumpy\ndtype\ncnumpy\ndtype\n\x85R.", "it is damaged: expected text, got _Name"),
        (b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.", "it encodes text as 'zip'"),
        (b"U\x01aU\x01b\x85R.", "it calls something that is not a function of NumPy"),
        (b"cnumpy\ndtype\n}U\x08__code__K\x01sb.", "it changes an object that is not an array"),
        (b"}K\x01K\x02\x86b.", "it changes an object that is not an array"),
        (b"K\x01K\x02a.", "it appends to an object that is not a list"),
        (b"K\x01K\x02K\x03s.", "it sets items of an object that is not a dictionary"),
        (b"B\xff\xff\xff\xffab.", "it is cut off: 4294967295 bytes wanted, 3 are there"),
        (b"\x96\xff\xff\xff\xff\xff\xff\xff\x7fab.", f"it is cut off: {2**63 - 1} bytes wanted, 3 are there"),
        (b"T\xff\xff\xff\xffab.", "it is cut off: -1 bytes wanted, 3 are there"),
        (b"c" + b"x" * 200, "it holds a name of more than 100 letters"),
        (b"h\x05.", "it is damaged or cut off"),
        (b".", "it is damaged or cut off"),
        (b"\x85.", "it is damaged: an empty stack"),
        (b"]" * 100_000, "it holds more objects than a batch of images does"),
        (b"]q\x00" + b"h\x00a" * 400 + b".", None),  # a list in itself is a list
    ],
)  # fmt: skip
def test_refused_opcodes(body, reason):
    if reason is None:
        assert isinstance(unpickle(b"\x80\x02" + body), list)
        return
    with pytest.raises(Refused, match=re.escape(reason) + r"\Z"):
        unpickle(b"\x80\x02" + body)


def test_an_array_of_the_wrong_size():
    good = samples.cifar_batch(n=2)
    place = good.index(b"M\x02\x00M")
    for n in (0, 3, 65_535):
        content = good[:place] + b"M" + struct.pack("<H", n) + good[place + 3 :]
        with pytest.raises(Refused, match=re.escape(f"it holds an array of shape ({n}, 3072) in 6144 bytes") + r"\Z"):
            unpickle(content)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_an_array_that_occurs_twice(protocol):
    array = np.arange(6)
    for back in unpickle(pickle.dumps([array, array], protocol)):
        np.testing.assert_array_equal(back, array)


def test_no_byte_of_an_array_is_copied():
    content = samples.cifar_batch()
    array = unpickle(content)["data"]
    assert np.shares_memory(array, np.frombuffer(content, np.uint8))


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**900), 2**900) | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)
arrays = st.builds(
    lambda kind, shape: np.arange(np.prod(shape, dtype=int)).astype(kind).reshape(shape),
    st.sampled_from(["u1", "<i4", ">i4", "<f4", ">f8", "?", "i8"]),
    st.lists(st.integers(0, 4), max_size=3),
)


@given(value=plain, array=arrays, protocol=st.integers(2, 5))
@settings(deadline=None, max_examples=examples(60))
def test_plain_objects_come_back(value, array, protocol):
    back = unpickle(pickletools.optimize(pickle.dumps([value, array, value], protocol)))
    assert back[0] == back[2] == value
    np.testing.assert_array_equal(back[1], array)
    assert back[1].dtype == array.dtype


def test_the_real_layout():
    folder = os.environ.get("XBNET_CIFAR_DIR")
    if not folder:
        pytest.skip("set XBNET_CIFAR_DIR to a folder with CIFAR-10's Python layout")
    data = load_dataset(folder)
    assert (len(data.train), len(data.test)) == (50_000, 10_000)
    assert np.bincount(data.train.y).tolist() == [5000] * 10
    assert data.classes[3] == "cat"
