import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbnet
from xbnet.sweeps.pool import kfold, make_pool

from .conftest import make_data


@settings(deadline=None, max_examples=30)
@given(st.integers(12, 90), st.integers(2, 4), st.integers(2, 4), st.integers(0, 5))
def test_folds_part_the_samples_evenly_and_by_class(n, k, classes, seed):
    data = make_data(n, n_classes=classes)
    if np.bincount(data.train.y).min() < k:
        return
    folds = kfold(data, k, np.random.default_rng(seed))
    assert sorted(np.concatenate([val for _, val in folds])) == list(range(n))
    sizes = [len(val) for _, val in folds]
    assert max(sizes) - min(sizes) <= 1
    for train, val in folds:
        assert len(np.intersect1d(train, val)) == 0
        assert len(train) + len(val) == n
        counts = np.bincount(data.train.y[val], minlength=classes)
        assert np.all(np.abs(counts - np.bincount(data.train.y) / k) < 1)


def test_each_fold_is_standardized_by_its_own_training_part():
    data = make_data(60)
    pool = make_pool(data, 3, scaling="standard")
    for fold in range(3):
        one = pool.of_fold(fold)
        np.testing.assert_allclose(one.train.x.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(one.train.x.std(axis=0), 1, atol=1e-6)
        train, val = pool.folds[fold]
        np.testing.assert_array_equal(one.val.x, pool.preparation(fold)(data.train.x[val - fold * 60]))
        np.testing.assert_array_equal(one.train.y, data.train.y[train - fold * 60])


def test_without_standardization_folds_share_one_copy():
    pool = make_pool(make_data(60), 3)
    assert len(pool.data.train) == 60


def test_folds_of_the_user(data):
    rows = [(np.arange(60), np.arange(60, 120)), (np.arange(60, 120), [0, 1, 2])]
    pool = make_pool(data, rows)
    assert [pool.sizes(fold) for fold in range(2)] == [(60, 60), (60, 3)]


@pytest.mark.parametrize(
    ("folds", "line"),
    [
        (1, "sweep: expected folds from 2 to 120, the number of training samples, got 1"),
        (50, "sweep: class '0' of small has 40 samples, too few for 50 folds: some fold would be without it; "
             "use fewer folds"),
        ([], "sweep: expected folds, a number >= 2 or pairs (train, validation), got none"),
        ([([0, 3, 6], [1])], "sweep: fold 0 of small has no sample of class '1' to train on; use fewer folds, "
                             "or stratified ones"),
        ([([0, 1, 2], [])], "sweep: fold 0: expected validation rows, whole numbers from 0 to 119"),
        ([([0, 1, 200], [3])], "sweep: fold 0: expected training rows, whole numbers from 0 to 119"),
        ([7], "sweep: expected folds as pairs (train, validation) of row numbers, got 7"),
    ],
)  # fmt: skip
def test_bad_folds_are_one_line(data, folds, line):
    with pytest.raises(xbnet.XbnetError) as caught:
        xbnet.sweep({"lr": [0.1]}, data, folds=folds)
    assert str(caught.value) == line


def test_data_that_are_standardized_already(data):
    with pytest.raises(xbnet.ConfigError, match=r"^small: is scaled already; load it without, so that each fold"):
        xbnet.sweep({"lr": [0.1]}, data.scaled(), folds=2, scaling="standard")


def test_sample_weights_count_in_training_only():
    data = make_data(60)
    weights = np.where(np.arange(60) % 2, 1.0, 3.0)
    settings = {"folds": 2, "epochs": 2, "batch_size": 10}
    plain = xbnet.sweep({"lr": [0.1, 0.2]}, data, **settings)
    weighted = xbnet.sweep({"lr": [0.1, 0.2]}, data, sample_weight=weights, **settings)
    xbnet.assert_replica_equal(weighted)
    assert not np.array_equal(plain.column("val_loss"), weighted.column("val_loss"))
    ones = xbnet.sweep({"lr": [0.1, 0.2]}, data, sample_weight=np.ones(60), **settings)
    np.testing.assert_allclose(plain.column("val_loss"), ones.column("val_loss"), rtol=1e-5)
