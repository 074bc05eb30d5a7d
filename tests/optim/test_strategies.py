"""Strategies: what moves, what stands still to the bit, and that stacks equal solo runs."""

import re

import numpy as np
import pytest

import xbnet
from xbnet.errors import ConfigError
from xbnet.optim.stages import stages
from xbnet.optim.strategies import get_strategy

N, EPOCHS = 96, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype(np.float32)
DATA = xbnet.Dataset("toy", xbnet.Part(X, (X[:, 0] > X[:, 1]).astype(int) + (X[:, 2] > 0)))
LAYERS = [xbnet.Linear(6, "tanh"), xbnet.BatchNorm(), xbnet.Residual("tanh"), xbnet.Dropout(0.2), xbnet.Linear(3)]
OPTIMIZERS = ["sgd", "momentum", "nesterov", "rmsprop:lr=0.01", "adam:lr=0.01", "adamw:lr=0.01,weight_decay=0.5"]


def network(replicas=1, rng=0):
    return xbnet.Network(LAYERS, 3, replicas=replicas, rng=rng, dtype="float64")


def moved_by_epoch(net, optimizer, **settings):
    """For each epoch, the names of the blocks that are not what they were, in every bit."""
    before, found = {name: view.copy() for name, view in net.parameters.items()}, []

    def note(record):
        found.append({name for name, view in net.parameters.items() if not np.array_equal(view, before[name])})
        before.update({name: view.copy() for name, view in net.parameters.items()})

    xbnet.fit(net, "cross_entropy", optimizer, DATA, epochs=EPOCHS, batch_size=32, rng=1, on_epoch=note, **settings)
    return found


def names(net, layers):
    return {name for name in net.parameters if int(name.split(".")[0]) in layers}


def test_stages_begin_at_weights():
    assert stages(network()) == [[0, 1], [2, 3], [4]]
    net = xbnet.Network([xbnet.BatchNorm(), xbnet.Linear(3), xbnet.LayerNorm()], 3)
    assert stages(net) == [[0, 1, 2]]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_alternating_moves_one_side_at_a_time(optimizer):
    net = network()
    classifier, body = names(net, {4}), names(net, {0, 1, 2})
    moved = moved_by_epoch(net, optimizer, strategy="alternating", l2=0.01, l1=0.01, clip_norm=1.0)
    assert moved == [classifier, body, classifier, body]
    moved = moved_by_epoch(network(), optimizer, strategy="alternating:every=2")
    assert moved == [classifier, classifier, body, body]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_factor_zero_freezes(optimizer):
    net = network()
    moved = moved_by_epoch(net, optimizer, strategy="weighted:factors=1/0/1", l2=0.01)
    assert moved == [names(net, {0, 1, 4})] * EPOCHS


def test_restart_forgets_the_averages_of_the_turn_before():
    """Alternating equals runs of one turn each, in which the other side is frozen and the optimizer is new."""
    net = xbnet.Network(LAYERS[:3] + LAYERS[4:], 3, rng=0, dtype="float64")
    turns = xbnet.Network(LAYERS[:3] + LAYERS[4:], 3, rng=0, dtype="float64")
    xbnet.fit(net, "cross_entropy", "adam", DATA, epochs=3, batch_size=None, rng=1, strategy="alternating")
    for factors in ("0/0/1", "1/1/0", "0/0/1"):
        strategy = f"weighted:factors={factors}"
        xbnet.fit(turns, "cross_entropy", "adam", DATA, epochs=1, batch_size=None, rng=1, strategy=strategy)
    np.testing.assert_array_equal(net.theta, turns.theta)


def test_weighting_is_a_learning_rate_per_stage():
    one, other = network(), network()
    before = one.theta.copy()
    for net, strategy in ((one, "joint"), (other, "weighted:ratio=0.5")):
        xbnet.fit(net, "cross_entropy", "sgd", DATA, epochs=1, batch_size=None, strategy=strategy)
    steps = {name: (one.parameters[name], other.parameters[name]) for name in one.parameters}
    start = dict(zip(one.parameters, xbnet.nn.parameters.carve(before, one.specs).values(), strict=True))
    for name, (full, part) in steps.items():
        factor = {0: 0.25, 1: 0.25, 2: 0.5, 4: 1.0}[int(name.split(".")[0])]
        np.testing.assert_allclose(part - start[name], factor * (full - start[name]), atol=1e-15)


def test_layerwise_grows_and_freezes():
    net, reference = network(), network()
    seen = []

    class Spy(xbnet.Layerwise):
        def prepare(self, network, train):
            def spy(grown, strategy, epochs):
                before = {name: view.copy() for name, view in grown.parameters.items()}
                history = train(grown, strategy, epochs)
                moved = {name for name, view in grown.parameters.items() if not np.array_equal(view, before[name])}
                seen.append((len(grown.layers), {int(name.split(".")[0]) for name in moved}, before))
                return history

            return super().prepare(network, spy)

    history = xbnet.fit(net, "cross_entropy", "adamw:lr=0.01", DATA, epochs=2, batch_size=32, rng=1, strategy=Spy(3))
    assert [(layers, moved) for layers, moved, _ in seen] == [(3, {0, 1, 2}), (5, {2, 4})]
    assert [len(stage) for stage in history.stages] == [3, 3]
    assert len(history) == 2
    # The second stage begins with what the first has learnt, and the new layers as they were drawn.
    assert not np.array_equal(seen[1][2]["0.W"], reference.parameters["0.W"])
    np.testing.assert_array_equal(seen[1][2]["2.W1"], reference.parameters["2.W1"])


def test_layerwise_hands_its_weights_to_the_network():
    net = network()
    xbnet.fit(net, "cross_entropy", "sgd:lr=0", DATA, epochs=1, batch_size=32, strategy="layerwise:epochs=2")
    np.testing.assert_array_equal(net.theta, network().theta)
    assert not np.array_equal(net.state, network().state)  # running statistics
    kept = []

    class Spy(xbnet.Layerwise):
        def prepare(self, network, train):
            histories = super().prepare(network, train)
            kept.append(network.theta.copy())
            return histories

    net = network()
    history = xbnet.fit(net, "cross_entropy", "sgd:lr=0.1", DATA, epochs=1, batch_size=32, strategy=Spy(2))
    assert history["train_loss"][0] < history.stages[0]["train_loss"][0]
    assert not np.array_equal(kept[0], network().theta)


@pytest.mark.parametrize("strategy", ["alternating", "weighted:ratio=0.5", "layerwise:epochs=2"])
def test_stacked_equals_solo(strategy):
    def run(replicas, rng, lr):
        net = network(replicas, rng)
        settings = {"epochs": 3, "batch_size": 32, "rng": rng, "strategy": strategy}
        xbnet.fit(net, "cross_entropy", xbnet.Momentum(lr=lr), DATA, **settings)
        return net.theta

    stack = run(3, 5, [0.1, 0.2, 0.3])
    for i, lr in enumerate([0.1, 0.2, 0.3]):
        alone = run(1, [xbnet.replica_seeds(5, 3)[i]], lr)
        np.testing.assert_allclose(stack[i], alone[0], rtol=1e-12, atol=1e-14)


def test_a_replica_that_leaves_takes_no_other_along():
    net = network(2)
    with np.errstate(all="ignore"):
        history = xbnet.fit(
            net, "cross_entropy", xbnet.SGD(lr=[1e200, 0.1]), DATA, epochs=3, batch_size=32, strategy="alternating"
        )
    assert history.status == ["diverged", "finished"]
    assert np.isfinite(net.theta).all()


@pytest.mark.parametrize("strategy", ["alternating:every=2", "layerwise:epochs=2"])
def test_resumes_to_the_bit(tmp_path, strategy):
    settings = {"batch_size": 32, "rng": 2}

    def run(epochs, **more):
        net = network()
        xbnet.fit(net, "cross_entropy", "adamw:lr=0.01", DATA, epochs=epochs, strategy=strategy, **settings, **more)
        return net.theta

    run(3, checkpoint=tmp_path, checkpoint_every=1)
    np.testing.assert_array_equal(run(5, checkpoint=tmp_path, checkpoint_every=1, resume=True), run(5))
    before = re.escape(repr(get_strategy(strategy)))
    with pytest.raises(ConfigError, match=rf"was made with strategy = {before}, got Strategy\(\)"):
        xbnet.fit(
            network(), "cross_entropy", "adamw:lr=0.01", DATA, epochs=6, checkpoint=tmp_path, resume=True, **settings
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alternatin", "strategy: unknown strategy 'alternatin'; did you mean 'alternating'? known are alternating, "
         "joint, layerwise, weighted"),
        ("alternating:evry=2", "strategy 'alternating': unknown parameter 'evry'; did you mean 'every'? "
         "known are every"),
        ("alternating:every=0", "strategy 'alternating': expected every to be a whole number >= 1, got 0"),
        ("layerwise:epochs=1.5", "strategy 'layerwise': expected epochs to be a whole number >= 1, got 1.5"),
        ("layerwise:epochs=nan", "strategy 'layerwise': expected epochs to be a whole number >= 1, got nan"),
        ("weighted", "strategy 'weighted': expected either ratio or factors"),
        ("weighted:ratio=0", "strategy 'weighted': expected ratio in (0, inf), got 0"),
        ("weighted:factors=1/-1", "strategy 'weighted': expected factors >= 0, got [1.0, -1.0]"),
        ("weighted:factors=1/x", "strategy 'weighted': expected factors=NUMBER, got factors=x"),
    ],
)  # fmt: skip
def test_bad_settings_are_one_line(text, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        get_strategy(text)


def test_own_strategies_say_a_factor_per_stage():
    class Own(xbnet.Strategy):
        name = "own"

        def factors(self, network, epoch):
            return np.ones(7)

    with pytest.raises(ConfigError, match=r"^strategy 'own': expected 3 finite factors, one per stage, got array\("):
        xbnet.fit(network(), "cross_entropy", "sgd", DATA, epochs=1, strategy=Own())
    with pytest.raises(
        ConfigError, match=r"^strategy: unknown strategy <class .*Own'>; a class is to be called: Own\(\); known are "
    ):
        get_strategy(Own)


@pytest.mark.parametrize("strategy", ["alternating", "layerwise"])
def test_needs_a_body(strategy):
    net = xbnet.Network([xbnet.Linear(3)], 3, rng=0)
    with pytest.raises(ConfigError, match=rf"^strategy '{strategy}': expected a network with a hidden layer, got \["):
        xbnet.fit(net, "cross_entropy", "sgd", DATA, epochs=1, strategy=strategy)
    with pytest.raises(ConfigError, match=r"^strategy 'weighted': expected 1 factors, one for each layer with weigh"):
        xbnet.fit(net, "cross_entropy", "sgd", DATA, epochs=1, strategy="weighted:factors=1/1")
