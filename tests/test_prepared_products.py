"""Products that are prepared for a network's buffers: the same numbers to the bit, and never those of other arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbnet
from xbnet.linalg import REMEMBERED, numpy_linalg, prepared_linalg

PLAIN = numpy_linalg(np)
DTYPE = st.sampled_from([np.float32, np.float64])
SIZE = st.one_of(st.integers(1, 5), st.integers(1, 90))


@settings(max_examples=150, deadline=None)
@given(R=st.integers(1, 3), M=SIZE, K=SIZE, N=SIZE, dtype=DTYPE, seed=st.integers(0))
@pytest.mark.parametrize("name", ["bmm", "bmm_tn", "bmm_nt", "row_sum", "batch_sum"])
def test_each_replica_sees_the_bits_of_the_stacked_product(name, R, M, K, N, dtype, seed):
    """`dot` for one network and `matmul` for a stack must end in the same BLAS routine."""
    rng = np.random.default_rng(seed)
    shapes = {
        "bmm": ((M, K), (K, N), (M, N)),
        "bmm_tn": ((K, M), (K, N), (M, N)),
        "bmm_nt": ((M, K), (N, K), (M, N)),
        "row_sum": ((M, K), (M, 1)),
        "batch_sum": ((M, K), (1, K)),
    }
    *operands, shape = shapes[name]
    rows = [rng.normal(size=(R, np.prod(s) + 3)).astype(dtype) for s in operands]  # strided, as views into theta
    arrays = [row[:, 1 : 1 + np.prod(s)].reshape(R, *s) for row, s in zip(rows, operands, strict=True)]
    expected = getattr(PLAIN, name)(*arrays, np.empty((R, *shape), dtype))
    prepared = getattr(prepared_linalg(np, PLAIN), name)
    for r in range(R):
        solo = [np.ascontiguousarray(a[r : r + 1]) for a in arrays]
        np.testing.assert_array_equal(prepared(*solo, np.empty((1, *shape), dtype)), expected[r : r + 1])
    np.testing.assert_array_equal(prepared(*arrays, np.empty((R, *shape), dtype)), expected)


def test_what_was_prepared_follows_the_arrays_contents():
    bmm = prepared_linalg(np, PLAIN).bmm
    a, b, out = np.ones((1, 2, 3)), np.ones((1, 3, 4)), np.empty((1, 2, 4))
    assert bmm(a, b, out) is out
    a *= 2
    np.testing.assert_array_equal(bmm(a, b, out), np.full((1, 2, 4), 6.0))


def test_arrays_that_come_and_go_never_get_the_products_of_others():
    """Python gives a new view the id of one that is gone; and there are more of them than are remembered."""
    bmm, b = prepared_linalg(np, PLAIN).bmm, np.ones((1, 2, 2))
    rows, outs = np.arange(3.0 * REMEMBERED).repeat(2).reshape(-1, 1, 2), np.empty((3 * REMEMBERED, 1, 2))
    for k in range(len(rows)):
        assert bmm(rows[k : k + 1], b, outs[k : k + 1])[0, 0, 0] == 2 * k


def test_an_out_that_dot_would_refuse():
    out = np.zeros((1, 4, 2))[:, ::2]
    prepared_linalg(np, PLAIN).bmm(np.ones((1, 2, 3)), np.ones((1, 3, 2)), out)
    np.testing.assert_array_equal(out, np.full((1, 2, 2), 3.0))


def test_a_released_network_holds_none_of_its_old_buffers():
    network = xbnet.Network([xbnet.Linear(4, "tanh"), xbnet.Linear(2)], 3, rng=0)
    network.forward(np.ones((1, 8, 3), np.float32), training=True)
    before = network.linalg
    network.release()
    assert network.linalg is not before
    assert all(layer.linalg is network.linalg for layer in network.layers)
