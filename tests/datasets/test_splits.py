import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbnet.datasets import Dataset, Part, split
from xbnet.datasets.splits import split_indices
from xbnet.errors import ConfigError, DataError


def dataset(n=100, n_classes=4):
    x = np.arange(n, dtype=np.float32)[:, None]
    return Dataset("mine", Part(x, np.arange(n) % n_classes))


@given(
    sizes=st.lists(st.integers(2, 60), min_size=2, max_size=6),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None, max_examples=200)
def test_stratified_properties(sizes, share, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    np.random.default_rng(seed).shuffle(labels)
    n, count = len(labels), max(1, round(share * len(labels)))
    exact = np.array(sizes) * count / n
    lower = np.maximum(np.floor(exact), 1).sum()
    upper = np.minimum(np.ceil(exact), np.array(sizes) - 1).sum()
    if not lower <= count <= upper:  # one sample of each class on both sides would distort the shares
        with pytest.raises(DataError):
            split_indices(n, count, labels, rng=np.random.default_rng(seed))
        return
    rest, taken = split_indices(n, count, labels, rng=np.random.default_rng(seed))
    assert len(taken) == count
    np.testing.assert_array_equal(np.sort(np.r_[rest, taken]), np.arange(n))
    assert (np.diff(taken) > 0).all()
    assert (np.diff(rest) > 0).all()
    for c, size in enumerate(sizes):
        got = int((labels[taken] == c).sum())
        assert 1 <= got < size
        assert abs(got - count * size / n) < 1


def test_draw_depends_on_the_seed_and_on_nothing_else():
    labels = np.arange(60) % 3
    draws = [split_indices(60, 30, labels, rng=np.random.default_rng(seed))[1].tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_every_sample_of_a_class_is_equally_likely():
    labels = np.array([0] * 10 + [1] * 30)
    rng = np.random.default_rng(0)
    taken = np.zeros(40)
    for _ in range(4000):
        taken[split_indices(40, 8, labels, rng=rng)[1]] += 1
    np.testing.assert_allclose(taken / 4000, 0.2, atol=0.03)


def test_split_by_fraction_and_count():
    data = split(dataset(), val=0.2, test=10, rng=3)
    assert (len(data.train), len(data.val), len(data.test)) == (70, 20, 10)
    everything = np.concatenate([part.x[:, 0] for _, part in data.parts()])
    assert sorted(everything) == list(range(100))
    for _, part in data.parts():
        assert (part.x[:, 0] % 4 == part.y).all()
    # The test part does not depend on what is asked for besides it.
    assert split(dataset(), test=10, rng=3).test.x.tolist() == data.test.x.tolist()
    assert split(dataset(), test=10, rng=np.random.default_rng(3)).test.x.tolist() == data.test.x.tolist()


def test_nothing_asked_is_nothing_done():
    data = dataset()
    assert split(data) is data


def test_regression_is_split_without_strata():
    x = np.arange(10.0)[:, None]
    data = split(Dataset("mine", Part(x, x[:, 0])), val=0.3)
    assert (len(data.train), len(data.val)) == (7, 3)
    assert sorted([*data.train.x[:, 0], *data.val.x[:, 0]]) == list(range(10))


def test_a_part_that_is_there_stays():
    brought = Dataset("mine", dataset().train, val=dataset(8).train)
    data = split(brought, test=0.2)
    assert (len(data.train), len(data.val), len(data.test)) == (80, 8, 20)
    assert data.val.x.tolist() == brought.val.x.tolist()


@pytest.mark.parametrize(
    ("sizes", "error", "line"),
    [
        ({"val": 1.0}, ConfigError, "val: expected a fraction in (0, 1), or an integer count, got 1.0"),
        ({"val": 0.0}, ConfigError, "val: expected a fraction in (0, 1), or an integer count, got 0.0"),
        ({"val": -0.5}, ConfigError, "val: expected a fraction in (0, 1), or an integer count, got -0.5"),
        (
            {"test": float("nan")},
            ConfigError,
            "test: expected a fraction in (0, 1), or an integer count, got nan",
        ),
        ({"val": 0}, ConfigError, "val: expected a count of at least 1, or a fraction in (0, 1), got 0"),
        ({"val": -3}, ConfigError, "val: expected a count of at least 1, or a fraction in (0, 1), got -3"),
        ({"val": True}, ConfigError, "val: expected a fraction in (0, 1) or a count, got True"),
        ({"val": "0.2"}, ConfigError, "val: expected a fraction in (0, 1) or a count, got '0.2'"),
        ({"val": 100}, DataError, "expected samples left to train on, got 100 for validation of 100; "
                                  "ask for fewer"),
        ({"val": 0.5, "test": 0.5}, DataError, "expected samples left to train on, got 50 for test and 50 "
                                               "for validation of 100; ask for fewer"),
        ({"val": 3}, DataError, "val: expected 4 to 96 of 100 samples, so that each of the 4 classes is on "
                                "both sides, got 3"),
        ({"val": 98}, DataError, "val: expected 4 to 96 of 100 samples, so that each of the 4 classes is on "
                                 "both sides, got 98"),
    ],
)  # fmt: skip
def test_impossible_sizes(sizes, error, line):
    with pytest.raises(error, match=re.escape("mine: " + line) + r"\Z"):
        split(dataset(), **sizes)


def test_too_few_samples_of_a_class():
    data = Dataset("mine", Part(np.zeros((7, 1)), [0, 0, 0, 0, 0, 0, 1]))
    line = (
        "mine: val: expected at least 2 samples of each class, got 1 of class 1; it can't be on both sides of a split"
    )
    with pytest.raises(DataError, match=re.escape(line) + r"\Z"):
        split(data, val=0.5)


def test_rare_classes_can_make_a_share_impossible():
    labels = [0] * 90 + [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]  # 6 would be one of each
    line = (
        "mine: val: 6 of 100 samples can't give each of the 6 classes its share and at least one on both "
        "sides; ask for a larger part, or drop the rarest classes"
    )
    with pytest.raises(DataError, match=re.escape(line) + r"\Z"):
        split(Dataset("mine", Part(np.zeros((100, 1)), labels)), val=6)


def test_a_part_is_not_split_off_twice():
    line = r"^mine: has a validation part of 8 samples already; leave val out to use it\Z"
    with pytest.raises(ConfigError, match=line):
        split(Dataset("mine", dataset().train, val=dataset(8).train), val=0.2)


def test_split_comes_before_standardizing():
    line = r"^mine: split before scaling; the statistics must come from what is left to train on\Z"
    with pytest.raises(ConfigError, match=line):
        split(dataset().scaled(), val=0.2)
