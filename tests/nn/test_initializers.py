import numpy as np
import pytest

from tests.support import cases
from tests.support.errors import refuses
from xbnet import ConfigError, Linear, Network
from xbnet.nn.initializers import get_initializer

SHAPE = (300, 200)


@pytest.mark.parametrize("row", cases.INITIALIZERS)
def test_mean_and_standard_deviation(row):
    mean, std = cases.INITIALIZERS[row](*SHAPE)
    drawn = get_initializer(row)(np.random.default_rng(0), SHAPE)
    assert drawn.shape == SHAPE
    assert drawn.mean() == pytest.approx(mean, abs=5 * std / 245)
    assert drawn.std() == pytest.approx(std, rel=0.02)


def test_bounds_of_the_uniform_ones():
    rng = np.random.default_rng(0)
    assert 0.99 * (6 / 500) ** 0.5 < np.abs(get_initializer("glorot")(rng, SHAPE)).max() <= (6 / 500) ** 0.5
    assert 0.99 * 0.3 < np.abs(get_initializer("uniform:0.3")(rng, SHAPE)).max() <= 0.3


def test_a_function_of_your_own():
    net = Network([Linear(2, initializer=lambda rng, shape: np.full(shape, 0.25))], 3)
    assert np.all(net.parameters["0.W"] == 0.25)
    assert np.all(net.parameters["0.b"] == 0)


KNOWN = "known are glorot, he, lecun, normal, ones, uniform, zeros"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("gloro", f"initializer: unknown initializer 'gloro'; did you mean 'glorot'? {KNOWN}"),
        ("he:2", f"initializer: unknown initializer 'he:2'; did you mean 'he'? {KNOWN}"),
        ("normal", "initializer: expected normal:NUMBER with a number >= 0, got 'normal'"),
        ("normal:-1", "initializer: expected normal:NUMBER with a number >= 0, got 'normal:-1'"),
        ("uniform:inf", "initializer: expected uniform:NUMBER with a number >= 0, got 'uniform:inf'"),
        ("uniform:x", "initializer: expected uniform:NUMBER with a number >= 0, got 'uniform:x'"),
    ],
)
def test_bad_input(name, line):
    with refuses(ConfigError, line):
        Linear(3, initializer=name)


def test_a_wrong_shape_is_told_from_the_right_one():
    with refuses(ConfigError, "initializer of 0.W: expected values of shape (4, 3), got (3, 4)"):
        Network([Linear(3, initializer=lambda rng, shape: np.zeros(shape[::-1]))], 4)
