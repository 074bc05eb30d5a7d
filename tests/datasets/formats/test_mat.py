import re
import struct
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from xbnet.datasets import Dataset, Part
from xbnet.datasets.formats.mat import read_mat, write_mat
from xbnet.errors import DataError

EXPECTED = "a MATLAB 5 .mat file with Yt, Ct, Yv, Cv"


def arrays(n=12, n_inputs=3, n_classes=4, dtype=np.float32):
    y = np.arange(n * n_inputs, dtype=dtype).reshape(n_inputs, n)
    c = np.eye(n_classes, dtype=dtype)[:, np.arange(n) % n_classes]
    return {"Yt": y, "Ct": c, "Yv": y[:, :5] + 1, "Cv": c[:, :5]}


@pytest.fixture
def save(tmp_path):
    def save(compress=True, **changes):
        path = tmp_path / "set.mat"
        content = {**arrays(), **changes}
        content = {k: v for k, v in content.items() if v is not None}
        scipy.io.savemat(path, content, do_compression=compress)
        return path

    return save


def refused(path, line):
    with pytest.raises(DataError, match=re.escape(f"{path}: {line}") + r"\Z"):
        read_mat(path)


@given(
    n=st.integers(4, 30),
    n_inputs=st.integers(1, 5),
    n_classes=st.integers(2, 4),
    dtype=st.sampled_from(["f4", "f8", "u1", "i2", ">f8"]),
    compress=st.booleans(),
)
@settings(deadline=None, max_examples=30)
def test_reads_what_scipy_writes(tmp_path_factory, n, n_inputs, n_classes, dtype, compress):
    path = tmp_path_factory.mktemp("mat") / "set.mat"
    content = arrays(n, n_inputs, n_classes, dtype)
    scipy.io.savemat(path, {**content, "extra": "text", "z": 1j, "cell": {"a": 1}}, do_compression=compress)
    data = read_mat(path)
    for part, letter in ((data.train, "t"), (data.val, "v")):
        np.testing.assert_array_equal(part.x, content["Y" + letter].T)
        np.testing.assert_array_equal(part.y, content["C" + letter].argmax(axis=0))
    assert data.train.x.dtype == (np.float64 if "f8" in dtype else np.float32)
    assert data.name == str(path)
    assert data.classes == tuple("0123")[:n_classes]


def test_reads_doubles_that_matlab_stored_in_a_smaller_type(save):
    path = save(compress=False, Ct=arrays(dtype=np.float64)["Ct"].astype(np.uint8))
    content = bytearray(path.read_bytes())
    flags = content.index(b"\x09\x00\x00\x00", content.index(b"Ct") - 40)
    content[flags] = 6  # class double, numbers as bytes
    path.write_bytes(content)
    assert read_mat(path).train.y.tolist() == [0, 1, 2, 3] * 3


def _element(code, content):
    return struct.pack("<II", code, len(content)) + content + bytes(-len(content) % 8)


def _packed(content):
    packed = zlib.compress(content)
    return struct.pack("<II", 15, len(packed)) + packed  # not padded


def _opaque(name):
    """A string of MATLAB: an object without dimensions. (A name of at most 4 letters is stored within its tag.)"""
    tag = struct.pack("<HH", 1, len(name)) + name.ljust(4, b"\0")
    words = b"".join(struct.pack("<HH", 1, 4) + word for word in (b"MCOS", b"stri"))
    return _element(14, _element(6, struct.pack("<II", 17, 0)) + tag + words + _element(6, bytes(24)))


def _matrix_header(code, name, kind=1):
    flags, shape = _element(6, struct.pack("<II", code, 2)), _element(5, struct.pack("<ii", 1, 2))
    return flags + shape + _element(kind, name)


SPARSE = _matrix_header(0x205, b"mask") + _element(5, struct.pack("<ii", 0, 1)) + _element(9, bytes(8))
STRANGERS = {
    "a string of MATLAB": _opaque(b"s"),
    "Octave's sparse logical": _packed(struct.pack("<II", 14, len(SPARSE) - 6) + SPARSE),
    "a name in UTF-8": _element(14, _matrix_header(6, "größe".encode(), 16) + _element(9, bytes(16))),
    "a function": _element(14, _matrix_header(16, b"f") + b"whatever"),
    "damaged": _element(14, b"nonsense" * 5),
}


@pytest.mark.parametrize("what", STRANGERS)
def test_what_nobody_asks_for_is_skipped_by_its_length(save, what):
    path = save()
    content = path.read_bytes()
    element = STRANGERS[what]
    for changed in (content[:128] + element + content[128:], content + element):
        path.write_bytes(changed)
        data = read_mat(path)
        assert (len(data.train), len(data.val)) == (12, 5)
    path = save(Ct=None)
    path.write_bytes(path.read_bytes() + element)
    with pytest.raises(DataError, match="the variable at byte" if what == "damaged" else "expected a variable 'Ct'"):
        read_mat(path)


def test_sparse_classes_are_named(save):
    line = "Ct: expected a dense matrix of real numbers, got a sparse matrix; "
    with pytest.raises(DataError, match=line):
        read_mat(save(Ct=scipy.sparse.csc_array(arrays()["Ct"])))
    path = save(Ct=None)
    sparse = SPARSE.replace(_element(1, b"mask"), _element(1, b"Ct"))
    path.write_bytes(path.read_bytes() + _element(14, sparse))
    with pytest.raises(DataError, match=line):
        read_mat(path)


def test_other_formats_are_named(tmp_path):
    path = tmp_path / "set.mat"
    scipy.io.savemat(path, arrays(dtype=np.float64), format="4")
    refused(path, f"expected {EXPECTED}, got a MATLAB 4 file; save it again with save(..., '-v7')")
    way = "save it again with save -v7 FILE Yt Ct Yv Cv"
    for head in ("# Created by Octave 8.4.0, Sat Nov 28 2026 <a@b>\n", ""):
        path.write_text(f"{head}# name: Yt\n# type: matrix\n# rows: 1\n")
        refused(path, f"expected {EXPECTED}, got Octave's text; {way}")
    path.write_bytes(b"Octave-1-L\0\2\0\0\0Yt")
    refused(path, f"expected {EXPECTED}, got Octave's binary file; {way}")


def test_validation_may_be_absent(save):
    assert read_mat(save(Yv=None, Cv=None)).val is None


@pytest.mark.parametrize("name", ["GMMData", "PeaksData", "SwissRollData"])
def test_reads_the_originals_as_scipy_does(real_file, name):
    path = real_file(f"mat/{name}.mat")
    data, file = read_mat(path), scipy.io.loadmat(path)
    assert (len(data.train), len(data.val)) == (25_000, 6_250)
    assert data.train.x.dtype == np.float32
    np.testing.assert_array_equal(data.train.x, file["Yt"].T)
    np.testing.assert_array_equal(data.val.x, file["Yv"].T)
    np.testing.assert_array_equal(data.train.y, file["Ct"].argmax(axis=0))
    np.testing.assert_array_equal(data.val.y, file["Cv"].argmax(axis=0))


def test_writing_is_atomic_and_repeatable(tmp_path):
    data = Dataset("mine", Part(np.ones((4, 2)), [0, 1, 0, 1]))
    write_mat(tmp_path / "a.mat", data)
    write_mat(tmp_path / "b.mat", data)
    assert (tmp_path / "a.mat").read_bytes() == (tmp_path / "b.mat").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mat", "b.mat"]
    assert read_mat(tmp_path / "a.mat").train.y.tolist() == [0, 1, 0, 1]
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"folder: can't be written \(Is a directory\); choose another folder\Z"):
        write_mat(tmp_path / "folder", data)
    with pytest.raises(DataError, match=r"a.mat: can't be written \(No such file or directory\); choose another"):
        write_mat(tmp_path / "nowhere" / "a.mat", data)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mat", "b.mat", "folder"]
    line = r"^write_mat: expected a classification, got a regression; the layout is one-hot\Z"
    with pytest.raises(DataError, match=line):
        write_mat(tmp_path / "c.mat", Dataset("mine", Part(np.ones((4, 2)), np.ones(4))))


def test_missing(tmp_path):
    refused(tmp_path / "no.mat", f"no such file; expected {EXPECTED}; check the path")


def test_folder(tmp_path):
    refused(tmp_path, f"is a folder; expected {EXPECTED}; name a file in it")


def test_empty(tmp_path):
    path = tmp_path / "empty.mat"
    path.touch()
    refused(path, f"the file is empty; expected {EXPECTED}; copy or download it again")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "a PNG image"),
        (b"PK\x03\x04....", "a zip archive (.npz, .docx and .xlsx are)"),
        (b"\x93NUMPY\x01\x00", "a NumPy .npy array"),
        (b"\n<!DOCTYPE html><html>", "a web page (HTML)"),
        (b"x,y,class\n1,2,a\n", "a text file"),
        ("é".encode() * 256 + b"\xc3", "a text file"),
        (b"\0" * 600, "512 zero bytes"),
        (b"\x01\x02\x03\x04\x05", "unknown bytes (01 02 03 04 ...)"),
        (b"\x80\x04\x95\x00", "a Python pickle"),
        (b"a" * 257 + b"ustar" + bytes(300), "a tar archive"),
    ],
)
def test_foreign(tmp_path, content, what):
    path = tmp_path / "foreign.mat"
    path.write_bytes(content)
    refused(path, f"expected {EXPECTED}, got what looks like {what}")


@pytest.mark.parametrize("head", [b"\x89HDF\r\n\x1a\n", b"MATLAB 7.3 MAT-file, Platform: GLNXA64"])
def test_version_7_3(tmp_path, head):
    path = tmp_path / "new.mat"
    path.write_bytes(head.ljust(600, b" "))
    refused(
        path,
        f"expected {EXPECTED}, got a MATLAB 7.3 file (HDF5); save it again in MATLAB with save(..., '-v7')",
    )


@pytest.mark.parametrize(
    ("size", "line"),
    [
        (100, "expected a header of 128 bytes, got 100; it was cut off"),
        (132, "the variable at byte 128 is cut off: expected 8 bytes, got 4"),
        (300, "the variable at byte 128 is cut off: expected 192 bytes, got 164"),
    ],
)
def test_truncated(save, size, line):
    path = save(compress=False)
    path.write_bytes(path.read_bytes()[:size])
    refused(path, line + (": " if size == 100 else "; ") + "copy or download it again")


def test_damaged(save):
    path = save()
    content = bytearray(path.read_bytes())
    content[160] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r": the variable at byte 128 is damaged: it can't be decompressed \(.*\); "):
        read_mat(path)
    content = bytearray(save(compress=True).read_bytes())
    (size,) = struct.unpack_from("<I", content, 132)
    content[135 + size] ^= 1  # the checksum of the first variable, which holds the last of its bytes
    path.write_bytes(content)
    refused(
        path,
        "the variable at byte 128 is damaged: it can't be decompressed (Error -3 while decompressing data: "
        "incorrect data check); copy or download it again",
    )
    content[132:136] = struct.pack("<I", size - 4)
    path.write_bytes(content[: 132 + size])
    with pytest.raises(DataError, match=r": the variable at byte 128 is damaged: expected \d+ bytes within, got \d+; "):
        read_mat(path)
    content = bytearray(save(compress=False).read_bytes())
    content[156:160] = struct.pack("<I", 2**31)  # the size of the dimensions
    path.write_bytes(content)
    refused(
        path,
        f"the variable at byte 128 is damaged: expected {2**31} bytes for its dimensions, got 168; "
        "copy or download it again",
    )
    content[126:128] = b"??"
    path.write_bytes(content)
    refused(path, "expected the byte order mark IM or MI, got b'??'; copy or download it again")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"Ct": None}, "expected a variable 'Ct', got only Cv, Yt, Yv"),
        ({"Cv": None}, "expected a variable 'Cv', got only Ct, Yt, Yv"),
        ({"Yt": None, "yt": np.eye(3)}, "expected a variable 'Yt', got only Ct, Cv, Yv, yt; "
                                        "did you mean 'yt'? Rename it"),
        ({"Ct": None, "C_t": np.eye(3)}, "expected a variable 'Ct', got only C_t, Cv, Yt, Yv; "
                                         "did you mean 'C_t'? Rename it"),
        ({"Ct": np.eye(4)[:, :3]}, "Ct: expected (C, N=12) to match Yt (3, 12), got (4, 3); "
                                   "both need a column per sample"),
        ({"Yt": arrays()["Yt"].T, "Ct": arrays()["Ct"].T},
         "Ct: expected (C, N=3) to match Yt (12, 3), got (12, 4); store both transposed, Yt' and Ct'"),
        ({"Yt": np.zeros((12, 3)), "Ct": np.eye(3)[np.arange(12) % 3], "Yv": None, "Cv": None},
         "Ct: expected one-hot columns, got (1, 0, 0, 1, 0, 0, 1, 0, 0, 1, ...) in column 0 (counted from 0); its rows "
         "are one-hot: store Ct transposed, and Yt too where its rows are samples"),
        ({"Yt": None, "Ct": None, "Yv": None, "Cv": None, "X": np.eye(3), "y": np.ones((3, 1))},
         "expected the variables Yt (I, N) and Ct (C, N), got only X, y; samples and labels as X and y go by .npz: "
         "m = scipy.io.loadmat(FILE); numpy.savez('data.npz', x=m['X'], y=m['y'].ravel())"),
        ({"Yt": None, "Ct": None, "Yv": None, "Cv": None, "y": np.eye(3)},
         "expected a variable 'Yt', got only y"),
        ({"Ct": arrays()["Ct"].T}, "Ct: expected (C, N=12) to match Yt (3, 12), got (12, 4); "
                                   "store Ct transposed"),
        ({"Yt": np.zeros((3, 12, 2))}, "Yt: expected a matrix with a column per sample, got (3, 12, 2)"),
        ({"Yt": np.zeros((3, 0)), "Ct": np.zeros((4, 0))}, "Yt: expected at least one sample (I, N), "
                                                           "got (3, 0)"),
        ({"Yv": np.zeros((2, 5))}, "validation x expected (N, I=3) as in training, got (5, 2); "
                                   "was a feature column dropped or added?"),
        ({"Cv": np.eye(5)}, "Cv: expected (C=4, N) as in Ct, got 5 rows; both must have a row per class"),
        ({"Yt": "text"}, "Yt: expected a dense matrix of real numbers, got text; "
                         "store numbers: a row per input, a column per sample"),
        ({"Yt": {"a": 1}}, "Yt: expected a dense matrix of real numbers, got a struct; "
                           "store its fields as variables of their own: save(FILE, '-struct', NAME)"),
        ({"Yt": np.ones((3, 12)) * 1j}, "Yt: expected a dense matrix of real numbers, got complex numbers; "
                                        "store their parts as inputs of their own: [real(...); imag(...)]"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("compress", [True, False])
def test_wrong_variables(save, compress, changes, line):
    refused(save(compress, **changes), line)


@pytest.mark.parametrize(
    ("column", "got"),
    [([0, 0, 0, 0], "0, 0, 0, 0"), ([1, 0, 1, 0], "1, 0, 1, 0"), ([0.5, 0.5, 0, 0], "0.5, 0.5, 0, 0"),
     ([1, 0, 0, np.nan], "1, 0, 0, nan"), ([0, 2, 0, 0], "0, 2, 0, 0"), ([1, 0.5, 0, 0], "1, 0.5, 0, 0")],
)  # fmt: skip
def test_not_one_hot(save, column, got):
    c = arrays()["Ct"]
    c[:, 7] = column
    refused(
        save(Ct=c),
        f"Ct: expected one-hot columns, got ({got}) in column 7 (counted from 0); "
        "each sample needs a single 1 and zeros",
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["Yt", "Yv"])
def test_not_finite(save, name, bad):
    y = arrays()[name]
    y[2, 4] = bad
    refused(
        save(**{name: y}),
        f"{name}: expected finite values, got {bad} at row 2, column 4 (counted from 0); remove or fill such samples",
    )


def test_class_that_never_occurs_in_training(save):
    c = arrays()["Ct"]
    c[:, c[3] == 1] = np.eye(4)[:, :1]
    refused(
        save(Ct=c),
        "class '3' occurs 1 times in validation but never in training; move samples of it to training, or drop them",
    )
    refused(
        save(Ct=c, Yv=None, Cv=None),
        "class '3' of 4 never occurs in training; add samples of it, or drop the class",
    )
