import numpy as np
import pytest

from tests.support.errors import refuses
from xbnet import ConfigError
from xbnet.parsing import is_number, is_whole, number, whole


def test_what_is_a_number_and_what_is_whole():
    for value in (3, np.int32(3), np.uint8(3)):
        assert is_whole(value)
        assert is_number(value)
    for value in (2.0, np.float32(2)):
        assert is_number(value)
        assert not is_whole(value)
    for value in (True, np.True_, "3", None, [3], np.array([3]), 1j):
        assert not is_whole(value)
        assert not is_number(value)


def test_numbers_come_back_as_python_s_own():
    assert (whole("f", "n", np.int64(5)), type(whole("f", "n", np.int64(5)))) == (5, int)
    assert (number("f", "x", np.float32(0.5)), type(number("f", "x", np.float32(0.5)))) == (0.5, float)
    assert whole("f", "n", 0, least=0) == 0


@pytest.mark.parametrize(
    ("bounds", "inside", "outside"),
    [
        ("[0, 1)", (0, 0.5), (1, -0.1, np.nan)),
        ("(0, 1]", (1, 0.5), (0, 1.5)),
        ("[0, inf)", (0, 1e300), (np.inf, -1)),
        ("(0, inf)", (1e-300,), (0, np.inf)),
    ],
)
def test_bounds_are_taken_at_their_word(bounds, inside, outside):
    assert [number("f", "x", value, bounds) for value in inside] == list(inside)
    for value in (*outside, "0.5", True):
        with refuses(ConfigError, f"f: expected x in {bounds}, got {value!r}"):
            number("f", "x", value, bounds)


def test_without_bounds_a_number_is_finite():
    assert number("f", "x", -1e308) == -1e308
    for value in (np.inf, np.nan, "1", True):
        with refuses(ConfigError, f"f: expected x to be a number, got {value!r}"):
            number("f", "x", value)


@pytest.mark.parametrize("value", [0, -1, 2.0, "3", True, None])
def test_what_is_not_whole_is_refused(value):
    with refuses(ConfigError, f"f: expected n to be a whole number >= 1, got {value!r}"):
        whole("f", "n", value)
