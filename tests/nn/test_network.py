import copy

import numpy as np
import pytest

import xbnet
from tests.support import cases
from tests.support.errors import refuses
from xbnet import (
    BatchNorm,
    ConfigError,
    DataError,
    Dropout,
    LayerNorm,
    Linear,
    Network,
    Residual,
    ShapeError,
    XbnetError,
    replica_seeds,
)

R = 3


def test_the_weights_of_a_replica_do_not_depend_on_the_stack():
    stack = cases.network("deep", replicas=R, rng=5)
    for r, seed in enumerate(replica_seeds(5, R)):
        np.testing.assert_array_equal(stack.theta[r], cases.network("deep", rng=[seed]).theta[0])
    assert not np.array_equal(stack.theta[0], stack.theta[1])


def test_layers_are_copied():
    layer = Linear(3)
    before = dict(vars(layer))
    first, second = Network([layer, layer], 3, rng=0), Network([layer], 5, rng=0)
    assert vars(layer) == before
    assert first.parameters["0.W"].shape == first.parameters["1.W"].shape == (1, 3, 3)
    assert second.parameters["0.W"].shape == (1, 5, 3)


def test_select_takes_everything_along():
    layers = [Dropout([0.1, 0.2, 0.3]), Linear(4), BatchNorm(), Linear(2)]
    net = Network(layers, 3, replicas=3, rng=0)
    net.state[...] = np.arange(net.state.size).reshape(net.state.shape)
    some = net.select([2, 0])
    np.testing.assert_array_equal(some.theta, net.theta[[2, 0]])
    np.testing.assert_array_equal(some.state, net.state[[2, 0]])
    assert some.layers[0].rate.tolist() == [0.3, 0.1]
    assert some.seeds == (net.seeds[2], net.seeds[0])
    x = np.ones((1, 40, 3), "float32")
    everyone = net.forward(x, training=True).copy()
    again = Network(layers, 3, replicas=3, rng=0).select([2, 0])
    again.state[...] = net.state[[2, 0]]
    np.testing.assert_array_equal(again.forward(x, training=True), everyone[[2, 0]])
    assert not np.shares_memory(some.theta, net.theta)


def test_what_is_selected_is_on_its_own_unless_it_is_a_successor():
    net, x = Network([Dropout(0.5), Linear(2)], 3, replicas=2, rng=0), np.ones((1, 40, 3), "float32")
    some, partner = net.select([1, 1]), net.select([1], successor=True)
    masks = [some.forward(x, training=True).copy() for _ in range(3)]
    assert all(np.array_equal(*both) for both in masks)
    alone = net.forward(x, training=True)[1].copy()  # as if nobody had drawn
    np.testing.assert_array_equal(alone, masks[0][0])
    np.testing.assert_array_equal(partner.forward(x, training=True)[0], masks[1][0])


def test_copies_draw_masks_of_their_own():
    """A shallow copy, too: it has a theta of its own, and must not take numbers away from the network's streams."""
    net = cases.network("dropout")
    x = np.ones((net.replicas, 4, net.n_inputs), net.dtype)
    expected = copy.deepcopy(net).forward(x, training=True)
    copy.copy(net).forward(x, training=True)
    np.testing.assert_array_equal(net.forward(x, training=True), expected)


@pytest.mark.parametrize("initializer", ["uniform:1e39", "normal:1e40", "uniform:1e308"])
def test_initial_values_that_the_dtype_cannot_hold_are_one_line(initializer):
    line = (
        "initializer of 0.W: expected values that float32 can hold, got some that are infinite or nan; "
        "take a smaller one"
    )
    with refuses(ConfigError, line):
        Network([Linear(2, initializer=initializer)], 3, rng=0)


def test_settings_beyond_the_dtype_become_its_largest_number():
    net = Network([Linear(2)], 3, replicas=2, rng=0)
    assert net.per_replica("x", [1e39, -1e300])[:, 0].tolist() == [np.finfo("float32").max, np.finfo("float32").min]


def test_repr_and_describe():
    net = Network([Linear(4, "tanh"), Residual("relu"), Dropout(0.5), BatchNorm(), LayerNorm(), Linear(3)], 2, rng=0)
    assert repr(net) == (
        "Network([Linear(n_outputs=4, activation='tanh'), Residual(activation='relu'), Dropout(rate=0.5), "
        "BatchNorm(momentum=0.1, eps=1e-05), LayerNorm(eps=1e-05), Linear(n_outputs=3)], n_inputs=2, replicas=1, "
        "backend='numpy', dtype='float32')"
    )
    rows = [line.split()[-2:] for line in net.describe().splitlines()]
    assert rows[0] == ["outputs", "parameters"]
    assert rows[1:-1] == [["4", "12"], ["4", "36"], ["4", "0"], ["4", "8"], ["4", "8"], ["3", "15"]]
    assert rows[-1] == ["total", "79"]


# -- predictions -------------------------------------------------------------------------------------------------------


def test_predictions_of_one_network_and_of_a_stack():
    x, _ = cases.samples(n=10)
    one, stack = cases.network(rng=[1]), cases.network(replicas=2, rng=[1, 2])
    assert one.predict_proba(x).shape == (10, 3)
    assert stack.predict_proba(x).shape == (2, 10, 3)
    np.testing.assert_array_equal(stack.predict_proba(x)[0], one.predict_proba(x))
    np.testing.assert_allclose(one.predict_proba(x).sum(axis=1), 1)
    np.testing.assert_array_equal(one.predict(x), one.predict_proba(x).argmax(axis=1))
    assert stack.predict(x).shape == (2, 10)


def test_links_of_the_tasks():
    x, _ = cases.samples(n=6)
    net = cases.network()
    logits = net.forward(x[None])[0].copy()
    net.link = "multilabel"
    np.testing.assert_allclose(net.predict_proba(x), 1 / (1 + np.exp(-logits)))
    np.testing.assert_array_equal(net.predict(x), (logits >= 0).astype(int))
    net.link = "identity"
    np.testing.assert_array_equal(net.predict(x), logits)
    net.link = "scores"
    np.testing.assert_array_equal(net.predict(x), logits.argmax(axis=1))


def test_prediction_takes_any_rows(monkeypatch):
    x = cases.samples(n=10)[0]
    net = cases.network("deep", dtype="float64")
    expected = net.predict_proba(x)
    x.setflags(write=False)
    wide = np.zeros((20, 8))
    wide[::2, ::2] = x
    for same in (x, wide[::2, ::2], np.asfortranarray(x), x.tolist()):
        np.testing.assert_array_equal(net.predict_proba(same), expected)
    monkeypatch.setattr(xbnet.nn.predictor, "chunk_rows", lambda bytes_per_row: 3)
    np.testing.assert_allclose(net.predict_proba(x), expected, rtol=1e-12)
    assert net.predict_proba(x[:0]).shape == (0, 3)
    assert net.predict(np.ones((2, 4), int)).shape == (2,)


def test_predictions_do_not_disturb_dropout_and_statistics():
    net = cases.network("deep")
    state = net.state.copy()
    first = net.predict_proba(cases.samples()[0])
    np.testing.assert_array_equal(net.predict_proba(cases.samples()[0]), first)
    np.testing.assert_array_equal(net.state, state)


# -- bad input ---------------------------------------------------------------------------------------------------------


SEEDS = "rng: expected an integer >= 0, a SeedSequence, a Generator or None, got "


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Network([], 4), "Network: expected at least one layer, got none"),
        (lambda: Network(["tanh"], 4), "Network: expected layers such as xbnet.Linear(10), got 'tanh'"),
        (lambda: Network(Linear(3), 4), "Network: expected a list of layers, got Linear(n_outputs=3)"),
        (lambda: Network([Linear(3)], 0), "Network: expected n_inputs to be a whole number >= 1, got 0"),
        (lambda: Network([Linear(3)], 1.5), "Network: expected n_inputs to be a whole number >= 1, got 1.5"),
        (lambda: cases.network(replicas=0), "Network: expected replicas to be a whole number >= 1, got 0"),
        (lambda: cases.network(replicas=True), "Network: expected replicas to be a whole number >= 1, got True"),
        (lambda: cases.network(dtype="float16"), "Network: expected dtype 'float32' or 'float64', got 'float16'"),
        (lambda: cases.network(dtype="fast"), "Network: expected dtype 'float32' or 'float64', got 'fast'"),
        (lambda: cases.network(rng="a"), f"{SEEDS}'a'"),
        (lambda: cases.network(rng=[1, 2], replicas=3), "rng: expected 3 seeds, one per replica, got 2"),
        (
            lambda: cases.network([Dropout([0.1, 0.2])], replicas=3),
            "Dropout: expected a number or one per replica (R=3), got shape (2,)",
        ),
        (lambda: cases.network(replicas=3).select([3]), "Network.select: expected replicas in [0, 3), got [3]"),
        (lambda: cases.network(replicas=3).select([-1]), "Network.select: expected replicas in [0, 3), got [-1]"),
        (lambda: cases.network(replicas=3).select([]), "Network.select: expected replicas in [0, 3), got []"),
        (lambda: cases.network(replicas=3).select([1.5]), "Network.select: expected replicas in [0, 3), got [1.5]"),
        (
            lambda: cases.network(replicas=3).select([True, False, True]),
            "Network.select: expected replicas in [0, 3), got [True, False, True]",
        ),
    ],
)
def test_bad_settings(make, line):
    with refuses(ConfigError, line):
        make()


@pytest.mark.parametrize(
    ("shape", "line"),
    [
        ((5, 4), "expected x (R=1 or 3, B, I=4), got (5, 4); give it a replica axis: x[None]"),
        ((3, 5, 7), "expected x (R=1 or 3, B, I=4), got (3, 5, 7); was a feature column dropped?"),
        ((2, 5, 4), "expected x (R=1 or 3, B, I=4), got (2, 5, 4); was a feature column dropped?"),
    ],
)
def test_bad_shapes(shape, line):
    with refuses(ShapeError, f"Network.forward: {line}"):
        cases.network(replicas=3).forward(np.zeros(shape))


def test_bad_type():
    line = (
        "Network.forward: expected x of dtype float32, got float64; "
        "convert it with network.backend.asarray(x, network.dtype)"
    )
    with refuses(ShapeError, line):
        cases.network(dtype="float32").forward(np.zeros((1, 5, 4)))


@pytest.mark.parametrize("before", [lambda net: None, lambda net: net.forward(np.zeros((1, 2, 4)))])
def test_backward_without_its_forward(before):
    net = cases.network()
    before(net)
    with refuses(XbnetError, "Network.backward: expected forward(x, training=True) before it; call that first"):
        net.backward()


def test_bad_rows_to_predict():
    net = cases.network()
    for x, got in ((np.zeros(4), "(4,)"), (np.zeros((5, 3)), "(5, 3)"), (3.0, "()")):
        with refuses(ShapeError, f"Network.predict: expected x (N, I=4), got {got}"):
            net.predict(x)
    line = "Network.predict: expected x to hold numbers, got <U1; convert it to a float array"
    with refuses(DataError, line):
        net.predict([["a"] * 4])


def test_release_of_diverged_weights_is_quiet():
    network = xbnet.Network([xbnet.Linear(3, "gelu"), xbnet.Linear(2)], 2, rng=0)
    network.theta.fill(1e30)
    network.release()
