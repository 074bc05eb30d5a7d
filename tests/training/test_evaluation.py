import numpy as np
import pytest

import xbnet
from tests.support import cases
from tests.support.errors import refuses
from tests.support.runs import TARGETS, X, Y, train
from xbnet import ConfigError, DataError, ShapeError, evaluate


def test_evaluate_by_hand():
    """Dropout is off and batch normalization uses its running statistics, as in predictions."""
    net = cases.network("deep", replicas=2)
    proba, w = net.predict_proba(X), np.linspace(0, 2, 20)
    found = evaluate(net, "cross_entropy", X, Y, w)
    losses, hits = -np.log(proba[:, np.arange(20), Y]), proba.argmax(axis=2) == Y
    np.testing.assert_allclose(found["loss"], (losses * w).sum(axis=1) / w.sum())
    np.testing.assert_allclose(found["accuracy"], (hits * w).sum(axis=1) / w.sum())
    assert found["loss"].dtype == np.float64


def test_evaluate_does_not_ask_for_every_class():
    net = cases.network()
    for rows in (slice(0, 1), Y != 1, Y == 2):
        found = evaluate(net, "cross_entropy", X[rows], Y[rows])
        assert found["accuracy"][0] == np.mean(net.predict(X[rows]) == Y[rows])


def test_a_loss_of_samples_that_weigh_nothing_is_nan():
    loss, some = xbnet.SoftmaxCrossEntropy(class_weight=[0, 1, 1]), Y == 0
    found = evaluate(cases.network(), loss, X[some], Y[some])
    assert np.isnan(found["loss"]).all()


@pytest.mark.parametrize("memory", [None, 1000])
def test_values_beyond_the_networks_type_are_one_line(memory):
    line = "expected data that float32 can hold, got larger values; rescale them, or take a network with"
    line, net = f"{line} dtype='float64'", cases.network(dtype="float32")
    with refuses(DataError, f"evaluate: {line}"):
        evaluate(net, "cross_entropy", X * 1e300, Y, device_memory=memory)
    with refuses(DataError, f"fit: {line}"):
        train(net, "mse", data=(X, TARGETS[1] * 1e300), device_memory=memory)


def test_evaluate_in_pieces_is_the_same(monkeypatch):
    expected = evaluate(cases.network(), "cross_entropy", X, Y)["loss"]
    monkeypatch.setattr(xbnet.nn.predictor, "chunk_rows", lambda bytes_per_row: 7)
    np.testing.assert_allclose(evaluate(cases.network(), "cross_entropy", X, Y)["loss"], expected)


def test_evaluate_multilabel_and_regression():
    net, targets = cases.network(), cases.samples("multilabel", 20)[1]
    for y in (targets, targets.astype(float)):
        right = (net.forward(X[None])[0] >= 0) == y
        assert evaluate(net, "binary_cross_entropy", X, y)["accuracy"][0] == pytest.approx(right.mean())
    narrow = cases.network(n_outputs=1)
    error = narrow.forward(X[None])[0, :, 0] - TARGETS[1][:, 0]
    assert evaluate(narrow, "mse", X, TARGETS[1][:, 0])["loss"][0] == pytest.approx((error**2).mean())


@pytest.mark.parametrize("weighted", [False, True])
def test_figures_of_a_regression_are_those_of_scikit_learn(weighted, monkeypatch):
    metrics = pytest.importorskip("sklearn.metrics")
    monkeypatch.setattr(xbnet.nn.predictor, "chunk_rows", lambda bytes_per_row: 7)
    (x, y), net = TARGETS, cases.network(replicas=2, dtype="float64")
    w = np.linspace(0, 2, len(y)) if weighted else None
    found, each = evaluate(net, "mse", x, y, w), evaluate(net, "mse", x, y, w, per_target=True)
    assert set(found) == {"loss", "r2", "rmse", "mae"}
    functions = {"r2": metrics.r2_score, "rmse": metrics.root_mean_squared_error, "mae": metrics.mean_absolute_error}
    for r, values in enumerate(net.forward(x[None])):
        for name, function in functions.items():
            expected = function(y, values, sample_weight=w, multioutput="raw_values")
            np.testing.assert_allclose(each[name][r], expected)
            np.testing.assert_allclose(found[name][r], expected.mean())


def test_r2_of_targets_that_are_all_the_same():
    net = cases.network(n_outputs=1, dtype="float64")
    net.theta[...] = 0.0
    assert evaluate(net, "mse", X, np.zeros(20))["r2"] == 1
    assert evaluate(net, "mse", X, np.ones(20))["r2"] == 0


@pytest.mark.parametrize(
    ("kind", "arguments", "line"),
    [
        (ShapeError, (X[:, :2], Y), "evaluate: expected x (N, I=4), got (20, 2)"),
        (ShapeError, (X, Y[:5]), "evaluate: expected y (N=20), got (5,)"),
        (ShapeError, (X, Y, np.ones(3)), "evaluate: expected sample_weight (N=20), got (3,)"),
        (ConfigError, (X, Y, np.zeros(20)), "evaluate: expected sample_weight >= 0 with at least one > 0"),
        (DataError, (X[:0], Y[:0]), "evaluate: expected at least one sample, got none"),
        (DataError, (X, Y + 5), "evaluate: expected labels in [0, 3), got 5 to 7"),
        (DataError, (X, Y - 1), "evaluate: expected labels in [0, 3), got -1 to 1"),
        (DataError, (X * np.nan, Y), "evaluate: expected x to hold finite numbers"),
        (DataError, (X, ["a"] * 20), "evaluate: expected y to hold finite numbers"),
        (DataError, (X, Y, "a"), "evaluate: expected sample_weight to hold numbers, got 'a'"),
        (
            ConfigError,
            TARGETS,
            "cross_entropy: can't be used for regression; it serves classification; targets of floats are a regression: take mse, or y.astype(int) where they are labels",
        ),
    ],
)
def test_bad_input_of_evaluate(kind, arguments, line):
    with refuses(kind, line):
        evaluate(cases.network(), "cross_entropy", *arguments)


def test_sparse_samples_are_named():
    sparse = pytest.importorskip("scipy.sparse").csr_array(X)
    with refuses(DataError, "evaluate: expected x as a dense array, got a sparse one; pass x.toarray()"):
        evaluate(cases.network(), "cross_entropy", sparse, Y)


def test_only_a_network_is_evaluated():
    with refuses(ConfigError, "evaluate: expected a Network, got int"):
        evaluate(3, "cross_entropy", X, Y)
