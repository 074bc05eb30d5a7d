import re
import subprocess
import sys

import numpy as np
import pytest

from xbnet.datasets import load, load_dataset
from xbnet.datasets.formats.mat import write_mat
from xbnet.datasets.synthetic import GENERATORS
from xbnet.errors import ConfigError, DataError


@pytest.mark.parametrize("name", GENERATORS)
def test_shipped_sets_by_name(name):
    data = load_dataset(name)
    assert (data.name, len(data.train), len(data.val), data.test) == (name, 25_000, 6_250, None)
    np.testing.assert_array_equal(data.train.x, GENERATORS[name]().train.x)


def test_generated_where_no_file_is_shipped(monkeypatch, tmp_path):
    monkeypatch.setattr(load, "__file__", str(tmp_path / "xbnet" / "datasets" / "load.py"))
    np.testing.assert_array_equal(load_dataset("peaks").val.x, GENERATORS["peaks"]().val.x)
    # As in a wheel.
    (tmp_path / "xbnet" / "data").mkdir(parents=True)
    write_mat(tmp_path / "xbnet" / "data" / "peaks.mat", GENERATORS["peaks"](n_train=9))
    assert len(load_dataset("peaks").train) == 9


def test_by_path(tmp_path, monkeypatch):
    path = tmp_path / "gmm.mat"
    write_mat(path, GENERATORS["gmm"](n_train=50, n_val=10))
    assert len(load_dataset(path).train) == 50
    assert load_dataset(str(path)).name == str(path)
    monkeypatch.chdir(tmp_path)
    assert len(load_dataset("gmm.mat").train) == 50
    path.rename(tmp_path / "gmm")
    assert len(load_dataset("gmm").train) == 25_000
    assert len(load_dataset("./gmm").train) == 50
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load_dataset("~/gmm").train) == 50


def test_split_and_standardize():
    data = load_dataset("gmm", test=0.2, scaling="standard", rng=1)
    assert (len(data.train), len(data.val), len(data.test)) == (20_000, 6_250, 5_000)
    assert np.bincount(data.test.y).tolist() == [1000] * 5
    np.testing.assert_allclose(data.train.x.mean(axis=0), 0, atol=1e-5)
    raw = load_dataset("gmm", test=0.2, rng=1)
    np.testing.assert_array_equal(data.preparation(raw.test.x), data.test.x)
    assert not np.array_equal(raw.test.x, load_dataset("gmm", test=0.2, rng=2).test.x)


def test_part_that_is_there():
    line = r"^gmm: has a validation part of 6250 samples already; leave val out to use it\Z"
    with pytest.raises(ConfigError, match=line):
        load_dataset("gmm", val=0.2)


def test_unknown_name():
    line = (
        "load_dataset: unknown data set 'swisroll'; did you mean 'swissroll'? known are cifar10, "
        "fashion-mnist, gmm, mnist, peaks, swissroll; nor is there a file of that name"
    )
    with pytest.raises(ConfigError, match=re.escape(line) + r"\Z"):
        load_dataset("swisroll")


@pytest.mark.parametrize("name", ["runs/gmm", "gmm.mat", "./gmm", "~/gmm"])
def test_missing_path(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    line = (
        f"load_dataset: no file {name!r} (looked from {tmp_path}); expected a path, or one of the names "
        "gmm, peaks, swissroll, mnist, fashion-mnist, cifar10"
    )
    with pytest.raises(DataError, match=re.escape(line) + r"\Z"):
        load_dataset(name)


def test_the_import_is_light():
    code = (
        "import sys, xbnet.datasets as d; d.load_dataset('gmm'); "
        "print(*({'scipy', 'matplotlib', 'sklearn', 'pooch', 'pandas', 'polars'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_neither_a_name_nor_a_path_is_one_line():
    with pytest.raises(ConfigError, match=r"^load_dataset: expected a name, a path or a table, got int\Z"):
        load_dataset(3)
