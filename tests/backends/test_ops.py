import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbnet.backends.numpy_ops import NumpyOps
from xbnet.backends.ops import Made, Ops

ALL = {"numpy": NumpyOps(np), "plain": Ops(np)}
SIZE = st.integers(1, 5)


@pytest.fixture(params=ALL)
def ops(request):
    return ALL[request.param]


def out(*shape):
    return np.full(shape, np.nan)


@settings(max_examples=30, deadline=None)
@given(R=SIZE, M=SIZE, K=SIZE, N=SIZE, shared=st.booleans(), seed=st.integers(0, 99))
@pytest.mark.parametrize("name", ALL)
def test_products(name, R, M, K, N, shared, seed):
    rng, ops = np.random.default_rng(seed), ALL[name]
    theta = rng.normal(size=(R, K * N + 3))  # views into rows of theta are strided
    b = theta[:, 1 : 1 + K * N].reshape(R, K, N)
    a = rng.normal(size=(1 if shared else R, M, K))
    full = np.broadcast_to(a, (R, M, K))
    np.testing.assert_allclose(ops.bmm(a, b, out(R, M, N)), np.einsum("rmk,rkn->rmn", full, b))
    at = np.ascontiguousarray(a.swapaxes(1, 2))
    np.testing.assert_allclose(ops.bmm_tn(at, b, out(R, M, N)), np.einsum("rmk,rkn->rmn", full, b))
    bt = np.ascontiguousarray(b.swapaxes(1, 2))
    np.testing.assert_allclose(ops.bmm_nt(a, bt, out(R, M, N)), np.einsum("rmk,rkn->rmn", full, b))
    np.testing.assert_allclose(ops.row_sum(b, out(R, K, 1)), b.sum(axis=2, keepdims=True))
    np.testing.assert_allclose(ops.batch_sum(b, out(R, 1, N)), b.sum(axis=1, keepdims=True))


def test_products_write_into_strided_out(ops):
    a, b = np.arange(12.0).reshape(2, 2, 3), np.arange(24.0).reshape(2, 3, 4)
    grad = out(2, 20)
    view = grad[:, 5:13].reshape(2, 2, 4)
    ops.bmm(a, b, view)
    np.testing.assert_allclose(grad[:, 5:13].reshape(2, 2, 4), a @ b)
    assert np.isnan(grad[:, :5]).all()
    assert np.isnan(grad[:, 13:]).all()


def test_row_max_takes_the_first_of_the_largest(ops):
    x = np.array([[[1.0, 3.0, 3.0], [-1.0, -2.0, -1.0]], [[0.0, 0.0, 0.0], [5.0, -9.0, 7.0]]])
    index, work, largest = np.empty((2, 2), np.intp), np.empty((2, 2), np.intp), out(2, 2, 1)
    assert ops.row_max(x, largest, index, work) is largest
    assert largest[..., 0].tolist() == [[3, -1], [0, 7]]
    assert index.tolist() == [[1, 0], [0, 2]]


def test_gather(ops):
    rows, index = np.arange(8.0).reshape(4, 2), np.array([[3, 0, 0], [1, 2, 3]])
    np.testing.assert_array_equal(ops.gather(rows, index, out(2, 3, 2)), rows[index])
    np.testing.assert_array_equal(ops.gather(rows[:, 0].copy(), index, out(2, 3)), rows[index, 0])


def test_helper_arrays_are_waited_for_before_another_thread_can_see_them():
    seen = []
    made = Made(lambda n: np.ones(n), wait=lambda: seen.append(dict(made)))
    assert made[(3,)].tolist() == [1, 1, 1]
    assert made[(3,)] is made[(3,)]
    assert seen == [{}]


def test_random_numbers_are_each_replicas_own(ops):
    drawn = ops.random([np.random.default_rng(seed) for seed in (3, 4)], np.empty((2, 5, 3), np.float32))
    alone = np.random.default_rng(4).random((5, 3), dtype=np.float32)
    np.testing.assert_array_equal(drawn[1], alone)
    assert not (drawn[0] == drawn[1]).any()


@pytest.mark.parametrize(("R", "leading"), [(1, 1), (3, 1), (3, 3)])
def test_rows_of_a_table_by_codes(ops, R, leading):
    """A code that is none of the table's rows, and NaN, takes zeros and gives nothing."""
    rng = np.random.default_rng(0)
    theta, dy = rng.normal(size=(R, 30)), rng.normal(size=(R, 6, 8))[:, :, 1:3]
    W, codes = theta[:, 4:14].reshape(R, 5, 2), np.array([4.0, 0, np.nan, -1, 4, 5])
    codes = np.stack([np.roll(codes, r) for r in range(leading)])[:, :, None]
    y, grad = out(R, 6, 5), out(R, 30)
    dW = grad[:, 4:14].reshape(R, 5, 2)
    ops.lookup(W, codes, y[:, :, 2:4])
    ops.lookup_gradient(dy, codes, dW)
    for r in range(R):
        code = codes[r % leading, :, 0]
        hot = (code[:, None] == np.arange(5)).astype(float)
        np.testing.assert_array_equal(y[r, :, 2:4], hot @ W[r])
        np.testing.assert_allclose(dW[r], hot.T @ dy[r], rtol=1e-14)
    assert np.isnan(grad[:, :4]).all()
    assert np.isnan(grad[:, 14:]).all()
