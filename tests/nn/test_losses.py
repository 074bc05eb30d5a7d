import numpy as np
import pytest

import xbnet
from tests.support import cases
from tests.support.errors import refuses
from xbnet import BinaryCrossEntropy, ConfigError, MeanSquaredError, ShapeError, SoftmaxCrossEntropy
from xbnet.nn.class_weights import balanced_weights
from xbnet.nn.losses import get_loss

R, B, C = 2, 6, 3


def bound(loss, task="classification", dtype="float64", replicas=R):
    return loss.bind(cases.network(replicas=replicas, dtype=dtype), task)


def logits_and(task, dtype="float64", scale=2.0):
    logits = (np.random.default_rng(0).normal(size=(R, B, C)) * scale).astype(dtype)
    y = np.stack([cases.samples(task, B, seed)[1] for seed in range(R)])
    return logits, y.astype(np.intp if task == "classification" else dtype)


def by_the_book(loss, task, z, y):
    """The value of one example, from its formula."""
    targets = np.eye(C)[y] if task == "classification" else y
    if loss.name == "cross_entropy":
        e = loss.label_smoothing
        targets = (1 - e) * targets + e / C
        return -sum(t * np.log(p) for t, p in zip(targets, np.exp(z) / np.exp(z).sum(), strict=True))
    if loss.name == "binary_cross_entropy":
        p = 1 / (1 + np.exp(-z))
        return np.mean(-targets * np.log(p) - (1 - targets) * np.log(1 - p))
    return np.mean((z - targets) ** 2)


def hit_by_the_book(loss, task, z, y):
    if task == "classification":
        return float(z.argmax() == y)
    return np.nan if task == "regression" else np.mean((z >= 0) == (y == 1))


def weight_by_the_book(loss, task, y):
    return 1.0 if loss.class_weight is None else loss.class_weight[y]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("row", cases.LOSSES)
def test_values_gradient_and_sums_are_the_formula(row, weighted):
    loss, task = cases.LOSSES[row]()
    call = bound(loss, task)
    logits, y = logits_and(task)
    sample_weight = np.linspace(0, 3, B)[None] if weighted else None
    dlogits, before = np.full((R, B, C), np.nan), logits.copy()
    values = call(logits, y, dlogits, sample_weight)
    np.testing.assert_array_equal(logits, before, err_msg="logits are only read")
    expected = [[by_the_book(loss, task, logits[r, b], y[r, b]) for b in range(B)] for r in range(R)]
    np.testing.assert_allclose(values, expected)
    w = np.array([[weight_by_the_book(loss, task, y[r, b]) for b in range(B)] for r in range(R)])
    w = w * (1 if sample_weight is None else sample_weight)
    h = 1e-6
    for r, b, c in np.ndindex(R, B, C):
        up, down = logits[r, b].copy(), logits[r, b].copy()
        up[c] += h
        down[c] -= h
        slope = (by_the_book(loss, task, up, y[r, b]) - by_the_book(loss, task, down, y[r, b])) / (2 * h)
        assert dlogits[r, b, c] == pytest.approx(slope * w[r, b] / w[r].sum(), rel=1e-6, abs=1e-9)
    hits = np.array([[hit_by_the_book(loss, task, logits[r, b], y[r, b]) for b in range(B)] for r in range(R)])
    sums = call.sums(np.full((R, 3, 1), np.nan))[..., 0]
    np.testing.assert_allclose(sums, np.stack([(w * expected).sum(1), (w * hits).sum(1), w.sum(1)], axis=1))


@pytest.mark.parametrize("row", cases.LOSSES)
def test_shared_labels_are_the_same_labels_for_everyone(row):
    loss, task = cases.LOSSES[row]()
    logits, y = logits_and(task)
    shared, dshared, down = y[:1], np.empty_like(logits), np.empty_like(logits)
    one = bound(loss, task)(logits, shared, dshared)
    everyone = bound(loss, task)(logits, np.repeat(shared, R, axis=0), down)
    np.testing.assert_array_equal(one, everyone)
    np.testing.assert_array_equal(dshared, down)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", cases.LOSSES)
def test_extreme_logits_give_finite_values_and_gradients(row, dtype):
    loss, task = cases.LOSSES[row]()
    signs, y = logits_and(task, dtype)
    logits, dlogits = np.sign(signs) * np.array(1e4, dtype), np.empty((R, B, C), dtype)
    values = bound(loss, task, dtype)(logits, y, dlogits)  # a warning would be an error here
    assert np.isfinite(values).all()
    assert np.isfinite(dlogits).all()
    assert values.dtype == dlogits.dtype == dtype


def test_extreme_logits_have_the_right_loss():
    logits, y = np.array([[[1e4, -1e4, 0.0]]]), np.array([[1]])
    net = cases.network()
    assert SoftmaxCrossEntropy().bind(net)(logits, y).item() == 2e4
    assert BinaryCrossEntropy().bind(net)(logits, y).item() == pytest.approx((1e4 + 1e4 + np.log(2)) / 3)


def test_logits_at_the_rim_of_float32_cost_nothing_where_they_are_right():
    net, dlogits = cases.network(), np.empty((1, 1, 3), np.float32)
    logits = np.array([[[3e38, -3e38, 0.0]]], np.float32)
    net32 = xbnet.Network([xbnet.Linear(3)], net.n_inputs, rng=0)
    with np.errstate(over="ignore"):  # as in training
        assert SoftmaxCrossEntropy().bind(net32)(logits, np.array([[0]]), dlogits).item() == 0
        assert not dlogits.any()
        assert SoftmaxCrossEntropy().bind(net32)(logits, np.array([[1]]), dlogits).item() > 3e38
    np.testing.assert_array_equal(dlogits[0, 0], [1, -1, 0])


def test_the_gradient_is_not_divided_by_r():
    logits, y = logits_and("classification")
    together, alone = np.empty((R, B, C)), np.empty((1, B, C))
    bound(SoftmaxCrossEntropy())(logits, y, together)
    bound(SoftmaxCrossEntropy(), replicas=1)(logits[:1], y[:1], alone)
    np.testing.assert_array_equal(together[:1], alone)


def test_label_smoothing_of_each_replica():
    logits, y = logits_and("classification")
    mixed = bound(SoftmaxCrossEntropy(label_smoothing=[0.0, 0.3]))(logits, y).copy()
    for r, e in enumerate([0.0, 0.3]):
        np.testing.assert_array_equal(mixed[r], bound(SoftmaxCrossEntropy(label_smoothing=e))(logits, y)[r])


def test_a_batch_without_weight_has_the_gradient_zero():
    logits, y = logits_and("classification")
    dlogits = np.full((R, B, C), np.nan)
    call = bound(SoftmaxCrossEntropy())
    call(logits, y, dlogits, np.zeros((1, B)))
    assert np.all(dlogits == 0)
    assert call.sums(np.empty((R, 3, 1)))[:, 2].tolist() == [[0], [0]]


def test_batches_of_changing_size():
    call = bound(SoftmaxCrossEntropy(class_weight=[1, 2, 3]))
    logits, y = logits_and("classification")
    for n in (6, 2, 1, 6, 3):
        cut, labels, dlogits = logits[:, :n].copy(), y[:, :n].copy(), np.empty((R, n, C))
        fresh = bound(SoftmaxCrossEntropy(class_weight=[1, 2, 3]))
        expected, dexpected = fresh(cut, labels, np.empty((R, n, C))), np.empty((R, n, C))
        fresh(cut, labels, dexpected)
        np.testing.assert_array_equal(call(cut, labels, dlogits), expected)
        np.testing.assert_array_equal(dlogits, dexpected)
        np.testing.assert_array_equal(call.sums(np.empty((R, 3, 1))), fresh.sums(np.empty((R, 3, 1))))


def test_multilabel_accuracy_is_the_share_of_right_decisions():
    call = bound(BinaryCrossEntropy(), "multilabel", replicas=1)
    call(np.array([[[3.0, -2.0, 0.0], [-1.0, 1.0, 1.0]]]), np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]]))
    sums = call.sums(np.empty((1, 3, 1)))[0, :, 0]
    assert sums[1] == pytest.approx(2 / 3 + 1)
    assert sums[2] == 2


def test_binding_leaves_the_loss_as_it_was():
    loss = SoftmaxCrossEntropy(label_smoothing=[0.1, 0.2])
    before = dict(vars(loss))
    loss.bind(cases.network(replicas=2))
    assert vars(loss) == before
    assert loss.select(np.array([1])).label_smoothing.tolist() == [0.2]


def test_config_makes_the_loss_anew():
    for row in cases.LOSSES.values():
        loss, _ = row()
        again = type(loss)(**loss.config())
        assert repr(again) == repr(loss)
    assert repr(SoftmaxCrossEntropy(label_smoothing=0.1)) == "SoftmaxCrossEntropy(label_smoothing=0.1)"
    assert repr(MeanSquaredError(class_weight=[1, 2])) == "MeanSquaredError(class_weight=[1.0, 2.0])"


def test_balanced_class_weights_are_those_of_the_labels_that_are_trained_on():
    compute = pytest.importorskip("sklearn.utils.class_weight").compute_class_weight
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 3)), np.repeat([0, 1, 2], [60, 20, 10])
    weights = balanced_weights(y, 3)
    np.testing.assert_allclose(weights, compute("balanced", classes=np.arange(3), y=y))
    loss, found = SoftmaxCrossEntropy(class_weight="balanced"), []
    for one in (loss, SoftmaxCrossEntropy(class_weight=weights)):
        network = xbnet.Network([xbnet.Linear(3)], 3, rng=0)
        xbnet.fit(network, one, "sgd:lr=0.1", (x, y), epochs=2)
        found.append((network.theta.tolist(), xbnet.evaluate(network, one, x, y)["loss"][0]))
    assert found[0] == found[1]
    assert repr(loss) == "SoftmaxCrossEntropy(class_weight='balanced')"
    with pytest.raises(ConfigError, match="balanced' needs the labels: call loss.balanced_by first"):
        loss.bind(network)


def test_get_loss():
    assert isinstance(get_loss("mse"), MeanSquaredError)
    loss = BinaryCrossEntropy()
    assert get_loss(loss) is loss


WEIGHTS = "cross_entropy: expected class_weight (C,) with values >= 0 and one > 0, or 'balanced', got "


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda: get_loss("cross_entrpy"),
            "loss: unknown loss 'cross_entrpy'; did you mean 'cross_entropy'? known are binary_cross_entropy, "
            "cross_entropy, mse",
        ),
        (lambda: get_loss(5), "loss: unknown loss 5; known are binary_cross_entropy, cross_entropy, mse"),
        *[
            (lambda w=w: SoftmaxCrossEntropy(class_weight=w), f"{WEIGHTS}{w!r}")
            for w in (-1, [1, -1], "balance", [1, float("nan")], [1, float("inf")], [0, 0], [[1, 2]])
        ],
        (
            lambda: SoftmaxCrossEntropy(label_smoothing=1),
            "cross_entropy: expected label_smoothing in [0, 1), got 1",
        ),
        (
            lambda: SoftmaxCrossEntropy(label_smoothing="a"),
            "cross_entropy.label_smoothing: expected a number or one per replica, got 'a'",
        ),
        (
            lambda: bound(SoftmaxCrossEntropy(label_smoothing=[0.1] * 3)),
            "cross_entropy.label_smoothing: expected a number or one per replica (R=2), got shape (3,)",
        ),
        (
            lambda: bound(SoftmaxCrossEntropy(), "regression"),
            "cross_entropy: can't be used for regression; it serves classification; targets of floats are a regression: take mse, or y.astype(int) where they are labels",
        ),
        (
            lambda: bound(MeanSquaredError(class_weight=[1, 2, 3]), "regression"),
            "mse: class_weight needs integer labels, got regression targets; use sample_weight",
        ),
        (
            lambda: SoftmaxCrossEntropy()(np.zeros((R, B, C)), np.zeros((R, B), int)),
            "cross_entropy: expected a loss that is bound to a network; call loss.bind(network) first",
        ),
    ],
)
def test_bad_settings(make, line):
    with refuses(ConfigError, line):
        make()


@pytest.mark.parametrize(
    ("logits", "labels", "weights", "line"),
    [
        ((R, B, 4), (R, B), None, "expected logits (R=2, B, C=3), got (2, 6, 4)"),
        ((B, C), (R, B), None, "expected logits (R=2, B, C=3), got (6, 3)"),
        ((R, 0, C), (R, 0), None, "expected logits of at least one sample, got (2, 0, 3)"),
        ((R, B, C), (B,), None, "expected labels (1, 6) or (2, 6) for classification, got (6,)"),
        ((R, B, C), (B, 1), None, "expected labels (1, 6) or (2, 6) for classification, got (6, 1)"),
        ((R, B, C), (R, 5), None, "expected labels (1, 6) or (2, 6) for classification, got (2, 5)"),
        ((R, B, C), (R, B), (B,), "expected sample_weight (1, 6) or (2, 6) for classification, got (6,)"),
    ],
)
def test_bad_shapes(logits, labels, weights, line):
    with refuses(ShapeError, f"cross_entropy: {line}"):
        bound(SoftmaxCrossEntropy())(
            np.zeros(logits), np.zeros(labels, int), None, None if weights is None else np.ones(weights)
        )


def test_class_weights_of_another_number():
    with refuses(ShapeError, "cross_entropy: expected class_weight (C=3), got (2,)"):
        bound(SoftmaxCrossEntropy(class_weight=[1, 2]))


def test_a_loss_of_your_own():
    class Absolute(xbnet.Loss):
        """Mean over outputs of |y - t|."""

        name = "absolute"
        links = {"regression": "identity"}  # noqa: RUF012

        def _evaluate(self, logits, labels, dlogits):
            xp = self.xp
            xp.subtract(logits, labels, out=self.e)
            if dlogits is not None:
                xp.sign(self.e, out=dlogits)
                xp.multiply(dlogits, 1 / self.n_outputs, out=dlogits)
            xp.abs(self.e, out=self.e)
            self.ops.row_sum(self.e, self.s)
            xp.multiply(self.s, 1 / self.n_outputs, out=self.values_column)

    x, y = cases.samples("regression")
    net = cases.network(replicas=R)
    history = xbnet.fit(net, Absolute(), "adam:lr=0.05", (x, y), epochs=30, batch_size=8)
    assert np.all(history["train_loss"][-1] < history["train_loss"][0])
    expected = np.abs(net.predict(x) - y).mean(axis=(1, 2))
    np.testing.assert_allclose(xbnet.evaluate(net, Absolute(), x, y)["loss"], expected)
