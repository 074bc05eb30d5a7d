import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbnet.datasets import Dataset, Part, Scaler
from xbnet.errors import ConfigError, DataError

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.array([0, 1, 2, 0, 1, 2])


def refused(line, *args, **kwargs):
    with pytest.raises(DataError, match=re.escape(line) + r"\Z"):
        Dataset(*args, **kwargs)


def test_classification_numbers_its_classes():
    data = Dataset("mine", Part(X, Y), val=Part(X[:1], Y[:1]))
    assert (data.task, data.n_inputs, data.n_outputs, data.n_classes) == ("classification", 2, 3, 3)
    assert data.classes == ("0", "1", "2")
    assert data.train.y.dtype == np.int64
    assert data.train.x is X
    assert [(field, len(part)) for field, part in data.parts()] == [("train", 6), ("val", 1)]


def test_string_labels_become_classes_in_alphabetical_order():
    data = Dataset("mine", Part(X, ["cat", "bird", "dog"] * 2), test=Part(X[:2], ["dog", "bird"]))
    assert data.classes == ("bird", "cat", "dog")
    assert data.train.y.tolist() == [1, 0, 2, 1, 0, 2]
    assert data.test.y.tolist() == [2, 0]


def test_given_classes_keep_their_order():
    data = Dataset("mine", Part(X, ["cat", "bird", "dog"] * 2), classes=("dog", "cat", "bird"))
    assert data.train.y.tolist() == [1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_targets_are_a_regression(dtype):
    y = np.linspace(0, 1, 6).astype(dtype)
    data = Dataset("mine", Part(X, y))
    assert (data.task, data.n_outputs, data.n_classes, data.classes) == ("regression", 1, None, None)
    assert data.train.y.shape == (6, 1)
    assert data.train.y.dtype == dtype
    assert Dataset("mine", Part(X, np.zeros((6, 4)))).n_outputs == 4


def test_multilabel_by_integers_or_by_classes():
    y = np.array([[1, 0, 1], [0, 1, 0]] * 3)
    for data in (Dataset("a", Part(X, y)), Dataset("b", Part(X, y.astype(float)), classes=("u", "v", "w"))):
        assert (data.task, data.n_outputs, data.n_classes) == ("multilabel", 3, 3)
        assert data.train.y.dtype.kind == "f"
    assert Dataset("a", Part(X, y)).classes == ("0", "1", "2")


def test_integer_inputs_become_float32_and_floats_stay():
    assert Dataset("a", Part(X.astype(np.uint8), Y)).train.x.dtype == np.float32
    assert Dataset("a", Part(X.astype(">f8"), Y)).train.x.dtype == np.float64
    assert Dataset("a", Part(X.astype(np.float16), Y)).train.x.dtype == np.float16


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(bad):
    x = X.copy()
    x[4, 1] = bad
    refused(
        f"mine: training x expected finite values, got {bad} at row 4, column 1 (counted from 0); "
        "remove or fill such samples",
        "mine",
        Part(x, Y),
    )
    refused(
        f"mine: validation y expected finite values, got {bad} at row 1, column 0 (counted from 0); "
        "remove or fill such samples",
        "mine",
        Part(X, Y.astype(float)),
        Part(X[:2], [0.0, bad]),
    )


def test_not_finite_is_found_behind_the_first_block():
    x = np.zeros((1_100_000, 2), np.float32)
    x[1_050_000, 1] = np.nan
    refused(
        "mine: training x expected finite values, got nan at row 1050000, column 1 (counted from 0); "
        "remove or fill such samples",
        "mine",
        Part(x, np.arange(len(x)) % 2),
    )


@pytest.mark.parametrize(
    ("x", "y", "line"),
    [
        (X[:0], Y[:0], "training x expected at least one sample, got (0, 2)"),
        (X[:, :0], Y, "training x expected at least one input, got (6, 0)"),
        (X[0], Y[:2], "training x expected (N, I), got (2,); make each sample one row"),
        (X.astype(str), Y, "training x expected numbers, got dtype <U32; encode text as numbers first"),
        (
            X,
            Y[:5],
            "training y expected (N=6,) or (N=6, O) to match x, got (5,); x and y must hold the same samples",
        ),
        (
            X,
            [{}, *Y[1:]],
            "training y expected labels or numbers, got dtype object; make it an array of integers, strings or floats",
        ),
        (X, Y * 0, "expected at least two classes, got '0' alone; there is nothing to tell apart"),
        (X, np.zeros((6, 0)), "y expected at least one column, got (6, 0)"),
        (X, np.full((6, 2), "a"), "y expected one string label per sample, got shape (6, 2)"),
        (
            X,
            [[0, 1]] * 5 + [[0, 2]],
            "training y expected 0 or 1 per class, got 2 at row 5, column 1 (counted from 0); "
            "integer y (N, C) is multi-label, a regression needs floats",
        ),
        (X, [[0, 1]] * 6, "class '0' of 2 never occurs in training; add samples of it, or drop the class"),
    ],
)
def test_bad_training_part(x, y, line):
    refused("mine: " + line, "mine", Part(x, y))


@pytest.mark.parametrize(
    ("part", "line"),
    [
        (
            Part(X[:, :1], Y),
            "test x expected (N, I=2) as in training, got (6, 1); was a feature column dropped or added?",
        ),
        (Part(X[:0], Y[:0]), "test x expected at least one sample, got (0, 2)"),
        (
            Part(X, [0, 1, 2, 3, 3, 3]),
            "test y holds the class '3', which never occurs in training; move samples of it to training, or drop them",
        ),
        (Part(X, np.zeros((6, 1))), "test y expected rows () of int64 as in training, got (1,) float64"),
        (
            Part(X, Y + 0.5),
            "test y holds the class '0.5', which never occurs in training; move samples of it to training, or drop them",
        ),
    ],
)
def test_bad_test_part(part, line):
    refused("mine: " + line, "mine", Part(X, Y), test=part)


def test_bad_classes():
    refused(
        "mine: class 'd' of 4 never occurs in training; add samples of it, or drop the class",
        "mine",
        Part(X, Y),
        classes=("a", "b", "c", "d"),
    )
    refused(
        "mine: validation y holds the class 'eel', which never occurs in training; "
        "move samples of it to training, or drop them",
        "mine",
        Part(X, ["cat", "dog"] * 3),
        Part(X[:2], ["cat", "eel"]),
    )
    refused(
        "mine: y expected a column for each of 3 classes, got 2",
        "mine",
        Part(X, [[0, 1]] * 6),
        classes=("a", "b", "c"),
    )


def test_parts_are_parts():
    refused("mine: expected val to be a Part(x, y), got tuple", "mine", Part(X, Y), val=(X, Y))


def test_image_shape_must_match_the_inputs():
    assert Dataset("mine", Part(X, Y), image_shape=(1, 1, 2)).image_shape == (1, 1, 2)
    refused("mine: image_shape (3, 1, 1) expected C * H * W = I = 2", "mine", Part(X, Y), image_shape=(3, 1, 1))


@given(
    n=st.integers(1, 40),
    n_inputs=st.integers(1, 6),
    offset=st.sampled_from([0.0, 0.1, 1e4]),
    seed=st.integers(0, 99),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(deadline=None, max_examples=50)
def test_standardizer_is_the_textbook_formula(n, n_inputs, offset, seed, dtype):
    x = (offset + np.random.default_rng(seed).normal(size=(n, n_inputs))).astype(dtype)
    x[:, 0] = 0.1
    z = Scaler.fit(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(z.mean, exact.mean(axis=0), rtol=1e-12)
    assert z.scale[0] == 1.0
    if n > 1:
        np.testing.assert_allclose(z.scale[1:], exact.std(axis=0)[1:], rtol=1e-9)
    out = z(x)
    assert out.dtype == dtype
    assert out.shape == x.shape
    np.testing.assert_allclose(out, (exact - z.mean) / z.scale, rtol=1e-6, atol=1e-6)


def test_standardizer_works_block_by_block():
    x = np.random.default_rng(0).normal(3.0, 2.0, (1_100_000, 2)).astype(np.float32)
    z = Scaler.fit(x)
    np.testing.assert_allclose(z.mean, x.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(z.scale, x.std(axis=0, dtype=np.float64), rtol=1e-9)
    np.testing.assert_allclose(z(x).std(axis=0, dtype=np.float64), 1.0, rtol=1e-6)


def test_standardized_uses_training_statistics_for_every_part():
    raw = Dataset("mine", Part(X, Y), Part(X + 5, Y), Part(X - 5, Y), image_shape=(2, 1, 1))
    data = raw.scaled()
    assert raw.preparation is None
    assert (data.image_shape, data.classes, data.name) == (raw.image_shape, raw.classes, "mine")
    for field, part in raw.parts():
        prepared = getattr(data, field)
        np.testing.assert_allclose(prepared.x, (part.x - X.mean(axis=0)) / X.std(axis=0), rtol=1e-6)
        assert prepared.y.tolist() == part.y.tolist()
    np.testing.assert_array_equal(data.preparation(X), data.train.x)
    with pytest.raises(ConfigError, match=r"^mine: is scaled already; scale it once\Z"):
        data.scaled()


def test_standardizer_refuses_what_it_cannot_scale():
    with pytest.raises(DataError, match=r"^Scaler: expected x \(N, I=2\), got \(6, 1\)\Z"):
        Scaler.fit(X)(X[:, :1])
    with pytest.raises(
        DataError,
        match=r"^Scaler.fit: expected columns with a finite variance, got values as large as 1e\+300 "
        r"in column 1; rescale that column\Z",
    ):
        Scaler.fit(np.array([[0.0, 1e300], [1.0, -1e300]]))
