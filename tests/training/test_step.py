"""Steps whose tapes are joined are the steps that are taken one call after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbnet
from tests.support import cases
from xbnet import Linear
from xbnet.training.step import Steps


def run(joined, *, loss="cross_entropy", optimizer="sgd", replicas=1, n=23, batch_size=5, dtype="float32", **more):
    """The network and history of a run, and how many batches were trained on by joined tapes."""
    layers = [Linear(6, "relu"), Linear(4, "tanh"), Linear(3)]
    net = xbnet.Network(layers, 4, replicas=replicas, dtype=dtype, rng=3)
    counts = []
    with pytest.MonkeyPatch.context() as patch:
        if joined:
            patch.setattr(
                "xbnet.training.step.play", lambda calls: (counts.append(len(calls)), [call() for call in calls])
            )
        else:
            patch.setattr(Steps, "_join", lambda *arguments: [])
        history = xbnet.fit(net, loss, optimizer, cases.samples(n=n), epochs=3, batch_size=batch_size, rng=1, **more)
    return net, history, counts


@settings(max_examples=60, deadline=None)
@given(
    loss=st.sampled_from(["cross_entropy", "binary_cross_entropy", "mse"]),
    optimizer=st.sampled_from(sorted(xbnet.optim.optimizers.OPTIMIZERS)),
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
            "strategy": st.sampled_from(["alternating", "weighted:ratio=2"]),
            "patience": st.just(1),
            "weighted": st.booleans(),
        },
    ),
)
def test_joined_or_not_the_bits_are_the_same(loss, optimizer, replicas, n, batch_size, dtype, more):
    if more.pop("weighted", False):
        more["sample_weight"] = np.random.default_rng(0).random(n)
    settings = {"loss": loss, "optimizer": optimizer, "replicas": replicas, "n": n, "dtype": dtype, **more}
    batch_size = min(batch_size, n)
    (a, first, _), (b, second, _) = (run(joined, batch_size=batch_size, **settings) for joined in (True, False))
    np.testing.assert_array_equal(a.theta, b.theta)
    for name in ("train_loss", "train_cost", "train_accuracy", "grad_norm", "lr"):
        np.testing.assert_array_equal(first[name], second[name])


def test_whole_batches_but_the_first_and_the_last_are_joined():
    _, _, counts = run(True, n=23, batch_size=5)
    # Of five steps an epoch. Three are needed until all is on tapes, later one; the last one wants the norm.
    assert len(counts) == 1 + 3 + 3
    assert len(set(counts)) == 1
    assert len(run(True, l2=0.1)[2]) == len(counts)


@pytest.mark.parametrize("more", [{"clip_norm": 1.0}, {"strategy": "alternating"}, {"sample_weight": np.ones(23)}])
def test_what_is_on_no_tape_is_not_joined(more):
    assert run(True, **more)[2] == []


def test_a_learning_rate_that_changes_at_each_step_is_followed():
    a, history, counts = run(True, optimizer="adam:lr=0.01", schedule="cosine")
    b, _, _ = run(False, optimizer="adam:lr=0.01", schedule="cosine")
    assert counts
    assert len(set(history["lr"])) == 3
    np.testing.assert_array_equal(a.theta, b.theta)


def test_a_step_that_is_cut_short_spoils_none_after_it():
    """An interrupt within joined tapes: training goes on with the weights that there are."""
    layers = [Linear(6, "tanh"), Linear(3)]
    net = xbnet.Network(layers, 4, rng=3)
    data, settings = cases.samples(n=40), {"epochs": 2, "batch_size": 5, "rng": 1}
    calls = []

    def cut(taped):
        calls.append(taped)
        for call in taped[: 3 if len(calls) == 4 else None]:
            call()
        if len(calls) == 4:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xbnet.training.step.play", cut)
        with pytest.raises(KeyboardInterrupt):
            xbnet.fit(net, "cross_entropy", "sgd", data, **settings)
    fresh = xbnet.Network(layers, 4, rng=3)
    fresh.theta[...] = net.theta
    for network in (net, fresh):
        xbnet.fit(network, "cross_entropy", "sgd", data, **settings)
    np.testing.assert_array_equal(net.theta, fresh.theta)
