"""Lines cut into shares: what goes through a product's result is cut as the product was, and nothing is left out."""

import numpy as np
import pytest

from xbnet.backends.machine.lower import lower
from xbnet.backends.machine.record import Operation
from xbnet.backends.machine.table import N0, N1, NUMBER, OP, SHARE

pytest.importorskip("numba")

from xbnet.backends.machine.load import machine

ROWS, COLUMNS, BEHIND = 256, 130, 20_000


def lines_of(program, name):
    """(share, N0, N1) of an instruction's lines."""
    return [tuple(map(int, line[[SHARE, N0, N1]])) for line in program.lines if line[OP] == NUMBER[name]]


def test_an_update_is_cut_as_the_products_that_made_the_gradient():
    rng = np.random.default_rng(0)
    P = ROWS * COLUMNS + 5 + ROWS * COLUMNS + BEHIND
    theta, grad, m, work = (rng.normal(size=(1, P)) for _ in range(4))
    x, dy, rate = rng.normal(size=(1, 128, ROWS)), rng.normal(size=(1, 128, COLUMNS)), np.full((1, 1), 0.1)
    grad[:] = 1.0
    starts = 0, ROWS * COLUMNS + 5
    operations = [
        Operation("bmm_tn", (x, dy), (grad[:, s : s + ROWS * COLUMNS].reshape(1, ROWS, COLUMNS),)) for s in starts
    ]
    operations += [
        Operation("multiply", (grad, rate), (work,)),
        Operation("subtract", (theta, work), (theta,)),
        Operation("multiply", (m, 0.5), (m,)),
    ]
    before, m_before = theta.copy(), m.copy()
    program = lower(operations, theta.dtype, 128, [work], {})
    program.play(machine(theta.dtype), program.addresses(1, {}), 1, 0, 1)
    for start in starts:
        np.testing.assert_allclose(grad[0, start : start + ROWS * COLUMNS], (x[0].T @ dy[0]).ravel(), rtol=1e-12)
    np.testing.assert_allclose(theta, before - 0.1 * grad)
    np.testing.assert_array_equal(m, 0.5 * m_before)
    first, second = (width for _, _, width in lines_of(program, "product_blas")[:2])
    assert first + second == COLUMNS
    expected = [(0, ROWS, first), (1, ROWS, second), (0, 1, 5), (0, ROWS, first), (1, ROWS, second)]
    for name in ("subtract_scaled", "multiply"):
        cut = lines_of(program, name)
        assert cut[:5] == expected
        assert sum(width for _, _, width in cut[5:]) == BEHIND


def test_what_follows_a_product_is_cut_by_its_columns():
    rng = np.random.default_rng(1)
    x, W, b = rng.normal(size=(1, 256, 300)), rng.normal(size=(1, 300, 130)), rng.normal(size=(1, 1, 130))
    z, y, out = (np.empty((1, 256, 130)) for _ in range(3))
    operations = [
        Operation("bmm", (x, W), (z,)),
        Operation("add", (z, b), (z,)),
        Operation("maximum", (z, 0.0), (y,)),
        Operation("square", (y,), (out,)),
    ]
    program = lower(operations, x.dtype, 256, [z, y], {})
    program.play(machine(x.dtype), program.addresses(1, {}), 1, 0, 1)
    np.testing.assert_allclose(out, np.maximum(x @ W + b, 0) ** 2, rtol=1e-12)
    cuts = lines_of(program, "product_blas")
    assert len(cuts) == 2
    assert lines_of(program, "bias_relu") == cuts
    assert lines_of(program, "square") == cuts
