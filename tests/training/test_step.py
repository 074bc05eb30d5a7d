"""Steps that are replayed are the steps that are run one call after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbnet
from tests.support import cases
from tests.support.chance import examples
from tests.support.errors import refuses
from xbnet import Linear
from xbnet.backends.replay import RUNS
from xbnet.errors import ConfigError, DivergenceError, ShapeError
from xbnet.optim.optimizers import OPTIMIZERS
from xbnet.training.execution.replay import ReplayedStep

EPOCHS = 6
LAYERS = {
    "linear": [Linear(6, "relu"), Linear(4, "tanh"), Linear(3)],
    "dropout": [Linear(6, "relu"), xbnet.Dropout(0.3), Linear(3)],
    "batch norm": [xbnet.BatchNorm(), Linear(4, "gelu"), Linear(3)],
}


def run(level, *, layers="linear", loss="cross_entropy", optimizer="sgd", replicas=1, n=23, dtype="float32", **more):
    """The network and history of a run, also of one that diverges: a level must diverge where another does."""
    net = xbnet.Network(LAYERS[layers], 4, replicas=replicas, dtype=dtype, rng=3)
    data = cases.samples(n=n)
    settings = {"epochs": EPOCHS, "batch_size": 5} | more
    try:
        history = xbnet.fit(net, loss, optimizer, data, rng=1, execution=level, **settings)
    except DivergenceError as error:
        history = error.history
    assert history.execution == level
    return net, history


@settings(max_examples=examples(20), deadline=None)
@given(
    layers=st.sampled_from(sorted(LAYERS)),
    loss=st.sampled_from(["cross_entropy", "binary_cross_entropy", "mse"]),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    replicas=st.integers(1, 3),
    n=st.integers(5, 40),
    batch_size=st.integers(1, 12),
    dtype=st.sampled_from(["float32", "float64"]),
    more=st.fixed_dictionaries(
        {},
        optional={
            "l2": st.sampled_from([0.0, 0.01]),
            "l1": st.sampled_from([0.0, 0.01]),
            "schedule": st.sampled_from(["cosine", "step:every=1,gamma=0.5"]),
            "clip_norm": st.just(0.1),
            "strategy": st.sampled_from(["alternating", "weighted:ratio=2", "weighted:factors=0/1"]),
            "patience": st.just(1),
            "weighted": st.booleans(),
        },
    ),
)
def test_replayed_or_not_the_bits_are_the_same(layers, loss, optimizer, replicas, n, batch_size, dtype, more):
    if more.pop("weighted", False):
        more["sample_weight"] = np.random.default_rng(0).random(n)
    if more.get("strategy") == "weighted:factors=0/1" and layers == "linear":
        more["strategy"] = "weighted:factors=0/2/1"
    more |= {"layers": layers, "loss": loss, "optimizer": optimizer, "replicas": replicas, "n": n, "dtype": dtype}
    (a, first), (b, second) = (run(level, batch_size=min(batch_size, n), **more) for level in ("replay", "eager"))
    np.testing.assert_array_equal(a.theta, b.theta)
    np.testing.assert_array_equal(a.state, b.state)
    assert len(first) == len(second)
    for name in ("train_loss", "train_cost", "train_accuracy", "grad_norm", "lr"):
        np.testing.assert_array_equal(first[name], second[name])


def test_a_run_that_diverges_when_replayed_diverges_in_the_same_epoch_otherwise():
    more = {"layers": "dropout", "loss": "mse", "optimizer": "momentum", "n": 5, "batch_size": 1}
    (a, first), (b, second) = (run(level, **more) for level in ("replay", "eager"))
    assert first.status == second.status == ["diverged"]
    assert len(first) == len(second) < EPOCHS
    np.testing.assert_array_equal(a.theta, b.theta)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"clip_norm": 1.0},
        {"strategy": "alternating"},
        {"sample_weight": np.ones(23)},
        {"layers": "dropout"},
        {"layers": "batch norm"},
    ],
    ids=str,
)
def test_all_but_the_first_steps_are_replayed(more, monkeypatch):
    counts, step = [], ReplayedStep.__call__

    def counted(self, *arguments):
        step(self, *arguments)
        counts.append(len(self.replays.records))

    monkeypatch.setattr(ReplayedStep, "__call__", counted)
    run("replay", **more)
    # Of whole batches, and of the short one at an epoch's end, which also wants the norm.
    assert counts[-1] == 2
    assert counts[RUNS + 2] == 1  # the first step of all makes the buffers, and the fifth is a short one


def test_a_learning_rate_that_changes_at_each_step_is_followed():
    (a, history), (b, _) = (run(level, optimizer="adam:lr=0.01", schedule="cosine") for level in ("replay", "eager"))
    assert len(set(history["lr"])) == EPOCHS
    np.testing.assert_array_equal(a.theta, b.theta)


def test_auto_replays_on_numpy_and_other_backends_do_not():
    net = cases.network()
    assert xbnet.fit(net, "cross_entropy", "sgd", cases.samples(), epochs=1).execution == "replay"
    other = xbnet.Backend("other", "cpu", np, net.backend.ops)
    line = "fit: execution 'replay' is not possible: backend 'other' replays no calls; use 'auto'"
    with refuses(ConfigError, line):
        xbnet.fit(cases.network(backend=other), "cross_entropy", "sgd", cases.samples(), epochs=1, execution="replay")


# -- loops of one's own ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given_rows", [False, True])
def test_a_loop_of_ones_own_does_what_fit_does(given_rows):
    x, y = cases.samples(n=30)
    nets = [cases.network(replicas=2, dtype="float64") for _ in range(2)]
    history = xbnet.fit(nets[0], "cross_entropy", xbnet.Adam([0.01, 0.1]), (x, y), epochs=6, l2=0.01, clip_norm=0.5)
    step = xbnet.Step(nets[1], "cross_entropy", xbnet.Adam([0.01, 0.1]), l2=0.01, clip_norm=0.5)
    for epoch in range(6):
        values = step(x, y, rows=np.arange(30)[None]) if given_rows else step(x[None], y[None])
        np.testing.assert_allclose(values.mean(axis=1), history["train_loss"][epoch], rtol=1e-12)
    np.testing.assert_array_equal(nets[0].theta, nets[1].theta)


def test_other_tasks_and_weights():
    x, y = cases.samples("regression", n=12)
    net = cases.network(dtype="float64")
    step = xbnet.Step(net, "mse", "momentum", task="regression")
    losses = [step(x[None], y[None], np.linspace(0, 1, 12)[None]).mean() for _ in range(EPOCHS)]
    assert net.link == "identity"
    assert losses[-1] < losses[0]


def test_what_does_not_fit_is_refused():
    net = cases.network()
    step = xbnet.Step(net, "cross_entropy", "sgd")
    with pytest.raises(ShapeError, match=r"^Network.forward: expected x "):
        step(np.ones((1, 5, 9)), np.zeros((1, 5), int))
    with pytest.raises(ShapeError, match=r"^cross_entropy: expected labels "):
        step(np.ones((1, 5, cases.N_INPUTS)), np.zeros((1, 6), int))
    with pytest.raises(ConfigError, match="cross_entropy: can't be used for regression"):
        xbnet.Step(net, "cross_entropy", "sgd", task="regression")
