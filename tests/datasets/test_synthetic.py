import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from xbnet.datasets.formats.mat import read_mat
from xbnet.datasets.synthetic import GENERATORS, PEAKS_LEVELS, gmm, main, peaks, peaks_height, swissroll
from xbnet.errors import ConfigError

SHIPPED = Path(__file__).parents[2] / "data"
SHAPES = {"swissroll": (2, 2), "peaks": (2, 5), "gmm": (5, 5)}


def inflated(path):
    """A `.mat` file with its compressed elements decompressed: what is left when zlib versions differ."""
    content, position, pieces = path.read_bytes(), 128, [path.read_bytes()[:128]]
    while position < len(content):
        code, size = struct.unpack_from("<II", content, position)
        assert code == 15
        pieces.append(zlib.decompress(content[position + 8 : position + 8 + size]))
        position += 8 + size
    return b"".join(pieces)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    assert main([str(folder)]) == 0
    return folder


@pytest.mark.parametrize("name", GENERATORS)
def test_the_command_regenerates_the_shipped_files_bit_for_bit(name, written):
    shipped, again = SHIPPED / f"{name}.mat", written / f"{name}.mat"
    assert shipped.stat().st_size < 1_200_000
    if shipped.read_bytes() != again.read_bytes():  # another zlib may pack the same bits in other bytes
        assert inflated(shipped) == inflated(again)


@pytest.mark.parametrize("name", GENERATORS)
def test_the_files_hold_what_the_generators_give(name, written):
    import scipy.io

    generated, file = GENERATORS[name](), scipy.io.loadmat(written / f"{name}.mat")
    n_inputs, n_classes = SHAPES[name]
    for letter, part, size in (("t", generated.train, 25_000), ("v", generated.val, 6_250)):
        assert part.x.shape == (size, n_inputs)
        assert part.x.dtype == file["Y" + letter].dtype == file["C" + letter].dtype == np.float32
        np.testing.assert_array_equal(file["Y" + letter], part.x.T)
        np.testing.assert_array_equal(file["C" + letter], np.eye(n_classes)[part.y].T)
        assert np.ptp(np.bincount(part.y)) <= 1
    back = read_mat(written / f"{name}.mat")
    np.testing.assert_array_equal(back.train.x, generated.train.x)
    np.testing.assert_array_equal(back.val.y, generated.val.y)


def test_the_command_says_what_it_wrote(tmp_path, capsys):
    main([str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"wrote {p} ({p.stat().st_size:,} bytes)" for p in map(tmp_path.joinpath, (
        "swissroll.mat", "peaks.mat", "gmm.mat"))]  # fmt: skip
    assert len(list(tmp_path.iterdir())) == 3
    assert main([]) == 2
    assert capsys.readouterr().err == "usage: python -m xbnet.datasets.synthetic FOLDER\n"


@pytest.mark.parametrize("name", GENERATORS)
def test_the_seed_draws_other_samples_of_the_same_distribution(name):
    first, same, other = (GENERATORS[name](n_train=400, n_val=50, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.train.x, same.train.x)
    assert not np.isin(first.train.x, other.train.x).any()
    assert not np.isin(first.train.x, first.val.x).any()


def test_swissroll_lies_on_its_arms():
    data = swissroll(n_train=2000, n_val=2, seed=5)
    x, y = data.train.x.astype(np.float64), data.train.y
    t = np.hypot(*x.T) - 0.2 * y
    assert t.min() >= -1e-6
    assert t.max() < 1
    rotated = (x[:, 0] + 1j * x[:, 1]) * np.exp(-4j * np.pi * t)
    np.testing.assert_allclose(rotated, t + 0.2 * y, atol=2e-6)


def test_peaks_lie_in_their_bands():
    data = peaks(n_train=5000, n_val=5, seed=5)
    assert (np.abs(data.train.x) <= 3).all()
    height = peaks_height(*data.train.x.astype(np.float64).T)
    edges = np.array([-np.inf, *PEAKS_LEVELS, np.inf])
    assert (height > edges[data.train.y] - 1e-4).all()
    assert (height < edges[data.train.y + 1] + 1e-4).all()


def test_the_levels_of_peaks_are_fifths_of_its_range():
    u, v = np.meshgrid(*2 * [np.linspace(-3, 3, 601)])
    height = peaks_height(u, v)
    fifths = height.min() + np.ptp(height) * np.arange(1, 5) / 5
    np.testing.assert_allclose(PEAKS_LEVELS, fifths, atol=3e-3)


def test_peaks_has_the_original_classes(real_file):
    original = read_mat(real_file("mat/PeaksData.mat"))
    for part in (original.train, original.val):
        height = peaks_height(*part.x.astype(np.float64).T)
        assert (np.searchsorted(PEAKS_LEVELS, height) == part.y).all()


def test_swissroll_has_the_original_classes(real_file):
    original = read_mat(real_file("mat/SwissRollData.mat"))
    x = original.val.x.astype(np.float64)
    arm = [np.abs(x @ [1, 1j] - (np.hypot(*x.T)) * np.exp(4j * np.pi * (np.hypot(*x.T) - 0.2 * c)))
           for c in (0, 1)]  # fmt: skip
    assert (np.argmin(arm, axis=0) == original.val.y).all()


def test_gmm_is_as_hard_as_the_original():
    """Softmax regression reaches 0.515 on the original, 0.521 here."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    data = gmm()
    model = linear_model.LogisticRegression(C=1e3, max_iter=300).fit(data.train.x, data.train.y)
    assert 0.50 < model.score(data.val.x, data.val.y) < 0.56


@pytest.mark.parametrize(
    ("name", "arguments", "line"),
    [
        ("swissroll", {"n_train": 1}, "expected n_train and n_val of at least 2, one sample per class, got 1 "
                                      "and 6250"),
        ("gmm", {"n_val": 0}, "expected n_train and n_val of at least 5, one sample per class, got "
                          "25000 and 0"),
        ("peaks", {"seed": -1}, "expected a seed of 0 or more, got -1"),
    ],
)  # fmt: skip
def test_impossible_sizes(name, arguments, line):
    with pytest.raises(ConfigError, match=re.escape(f"{name}: {line}") + r"\Z"):
        GENERATORS[name](**arguments)
