"""Numerical gradients, comparisons and full Jacobians against closed forms."""

import numpy as np
import pytest

import xbnet
from xbnet import Linear, Residual
from xbnet.verify.numerical import entry_name


def batch():
    rng = np.random.default_rng(4)
    return rng.standard_normal((6, 4)), rng.integers(0, 3, 6)


def test_numerical_gradient_of_softmax_regression():
    """x^T (p - onehot) / B."""
    x, y = batch()
    network = xbnet.Network([Linear(3)], 4, replicas=2, dtype="float64", rng=0)
    numeric = xbnet.numerical_gradient(network, "cross_entropy", x, y, l2=0.1)
    W = network.parameters["0.W"]
    z = x @ W
    p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    error = (p - np.eye(3)[y]) / 6
    np.testing.assert_allclose(numeric["0.W"], np.einsum("bi,rbo->rio", x, error) + 0.2 * W, atol=1e-9)
    np.testing.assert_allclose(numeric["0.b"], error.sum(axis=1, keepdims=True), atol=1e-9)
    np.testing.assert_allclose(numeric["x"], np.einsum("rbo,rio->rbi", error, W), atol=1e-9)


def test_comparison_has_the_reports_figures():
    x, y = batch()
    network = xbnet.Network([Linear(5, "tanh"), Linear(3)], 4, replicas=2, rng=0)
    result = xbnet.compare_gradients(network, "cross_entropy", x, y)
    result.raise_if_failed()
    assert [b.block for b in result.blocks] == ["0.W", "0.b", "1.W", "1.b", "x"]
    for block in result.blocks:
        assert 0 <= block.difference.mean <= block.difference.max < 1e-8
        assert block.gradient.min < block.gradient.mean < block.gradient.max
        assert block.relative.max < 1e-4
    assert result.blocks[0].entries == 2 * 4 * 5
    text = str(result)
    assert all(word in text for word in ("mean", "std", "max", "grad min", "worst: 1.W[r=", "PASSED"))


def test_comparison_names_the_worst_entry():
    class Broken(Linear):
        def backward(self, dy, dx):
            super().backward(dy, dx)
            self.dW[1, 3, 0] += 0.5

    x, y = batch()
    network = xbnet.Network([Linear(5, "tanh"), Linear(4, "tanh"), Broken(3)], 4, replicas=2, rng=0)
    result = xbnet.compare_gradients(network, "cross_entropy", x, y)
    assert not result.passed
    with pytest.raises(xbnet.GradientError, match=r": 2\.W\[r=1, i=3, o=0\]: backward \S+, numeric \S+, rel \S+$"):
        result.raise_if_failed()
    assert [b.block for b in result.blocks if not b.passed] == ["2.W"]


def test_nan_and_infinity_in_a_gradient_are_wrong():
    class Nan(Linear):
        def backward(self, dy, dx):
            super().backward(dy, dx)
            self.db[0, 0, 1] = np.nan

    x, y = batch()
    network = xbnet.Network([Nan(3)], 4, rng=0)
    assert not xbnet.compare_gradients(network, "mse", x, y).passed
    result = xbnet.gradient_test(network, "mse", x, y)
    assert result.failures()[0].startswith("0.b[r=0, o=1]: backward nan, numeric ")


def test_large_blocks_are_sampled():
    x, y = batch()
    network = xbnet.Network([Linear(50, "tanh"), Linear(3)], 4, rng=0)
    result = xbnet.compare_gradients(network, "mse", x, y, max_entries=30)
    assert [b.entries for b in result.blocks] == [30, 30, 30, 3, 24]


def test_jacobian_of_a_linear_layer():
    """dy/dW[i, o] = x_i in output o of the same row, dy/dx = W^T; replicas keep their own."""
    x, _ = batch()
    network = xbnet.Network([Linear(3)], 4, replicas=2, dtype="float64", rng=0)
    J = xbnet.jacobian(network, x)
    assert {name: array.shape for name, array in J.items()} == {
        "0.W": (2, 6, 3, 4, 3),
        "0.b": (2, 6, 3, 1, 3),
        "x": (2, 6, 3, 6, 4),
    }
    expected = np.einsum("bi,op->boip", x, np.eye(3))
    np.testing.assert_array_equal(J["0.W"], np.broadcast_to(expected, J["0.W"].shape))
    W = network.parameters["0.W"]
    np.testing.assert_allclose(J["x"], np.einsum("rio,bc->rboci", W, np.eye(6)), atol=1e-15)


def test_jacobian_agrees_with_differences():
    x, _ = batch()
    network = xbnet.Network([Residual("gelu", begin="tanh"), Linear(2, "softplus")], 4, dtype="float64", rng=0)
    J = xbnet.jacobian(network, x)
    h = 1e-6
    for name, views in network.parameters.items():
        flat = views.reshape(-1)
        for k in range(flat.size):
            column = [], []
            for sign, out in zip((1, -1), column, strict=True):
                before = views.copy()
                views.reshape(-1)[k] += sign * h
                out.append(network.forward(x[None], training=True).copy())
                views[...] = before
            numeric = (column[0][0] - column[1][0]) / (2 * h)
            np.testing.assert_allclose(J[name].reshape(1, 6, 2, -1)[..., k], numeric, atol=1e-8)


def test_jacobian_test_contains_the_adjoint_identity():
    x, _ = batch()
    result = xbnet.jacobian_test(Linear(3, "tanh"), x)
    names = [check.name for check in result.checks]
    assert all(f"<u, J v> = <J^T u, v> by {block}" in names for block in ("0.W", "0.b", "theta", "x"))


def test_adjoint_identity_catches_a_wrong_transpose():
    class Wrong(Linear):
        def backward(self, dy, dx):
            super().backward(dy, None)
            if dx is not None:
                self.ops.bmm(dy, self.W, dx)

    x, _ = batch()
    failures = xbnet.jacobian_test(Wrong(4), x).failures()
    assert any(line.startswith("<u, J v> = <J^T u, v> by x: ") for line in failures)
    assert not any(" by 0.W: " in line for line in failures)


def test_entry_names():
    assert entry_name("2.W", (4, 3), 1, 9) == "2.W[r=1, i=3, o=0]"
    assert entry_name("2.b", (1, 3), 0, 2) == "2.b[r=0, o=2]"
    assert entry_name("x", (5, 4), 1, 7) == "x[r=1, b=1, i=3]"
    assert entry_name("0.kernel", (2, 2, 2), 0, 5) == "0.kernel[r=0, i=1, j=0, k=1]"
    assert entry_name("0.s", (3,), 0, 1) == "0.s[r=0, i=1]"
