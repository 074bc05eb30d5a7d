import numpy as np
import pytest
from scipy.special import expit, log_expit, log_softmax

from xbnet.nn.outputs import LINKS, LOGARITHMS


@pytest.mark.parametrize("link", sorted(LINKS.keys() - {"exp"}))  # whose values have no end
def test_far_out_all_is_finite(link):
    value, decide, _ = LINKS[link]
    z = np.array([[1e4, -1e4, 0.0], [-1e4, 3.0, 3.0]])
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(value(z)).all()
        assert np.isfinite(decide(value(z))).all()


def test_values():
    z = np.log([[[1.0, 2.0, 5.0]]])
    np.testing.assert_allclose(LINKS["softmax"][0](z), [[[0.125, 0.25, 0.625]]])
    np.testing.assert_allclose(LINKS["multilabel"][0](z), [[[1 / 2, 2 / 3, 5 / 6]]])
    np.testing.assert_allclose(LINKS["sigmoid"][0](z), [[[1 / 4, 1 / 3, 5 / 12]]])
    assert LINKS["identity"][0](z) is z


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_probabilities_keep_their_digits(dtype):
    """scipy's own functions are the reference."""
    z = np.array([[-80, -40, -20, -18, -1, 0, 1, 18, 40]], dtype)
    close = {"rtol": 8 * np.finfo(dtype).eps}
    np.testing.assert_allclose(LINKS["multilabel"][0](z), expit(z.astype(float)), **close)
    np.testing.assert_allclose(LOGARITHMS["multilabel"](z), log_expit(z.astype(float)), **close)
    np.testing.assert_allclose(LOGARITHMS["softmax"](z), log_softmax(z.astype(float), axis=-1), atol=1e-16, **close)
    np.testing.assert_allclose(np.exp(LOGARITHMS["sigmoid"](z)), LINKS["sigmoid"][0](z), rtol=100 * close["rtol"])
    assert {function(z).dtype for function in LOGARITHMS.values()} == {z.dtype} == {LINKS["multilabel"][0](z).dtype}


def test_one_of_several_unlikely_classes_is_found():
    np.testing.assert_allclose(LINKS["sigmoid"][0](np.float32([[-200, -201, -300]])), [[0.731, 0.269, 0]], atol=1e-3)


def test_decisions():
    p = np.array([[0.5, 0.49, 0.9], [0.2, 0.1, 0.2]])
    assert LINKS["softmax"][1](p).tolist() == [2, 0]
    assert LINKS["sigmoid"][1](p).tolist() == LINKS["scores"][1](p).tolist() == [2, 0]
    assert LINKS["multilabel"][1](p).tolist() == [[1, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("link", LINKS)
def test_outputs_decide_as_their_values_do(link):
    value, decide, decide_outputs = LINKS[link]
    z = np.random.default_rng(0).normal(size=(2, 50, 3))
    np.testing.assert_array_equal(decide_outputs(z), decide(value(z)))
