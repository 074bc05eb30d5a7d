"""How far members lie apart, whatever holds them."""

import numpy as np
import pytest

import xbnet
from tests.support.errors import refuses
from xbnet import ConfigError, Ensemble, Linear, Network
from xbnet.backends.machine.load import why_not
from xbnet.datasets import Scaler
from xbnet.io.spread import member_values

X = np.random.default_rng(0).normal(size=(9, 3))


def stack(replicas, link="softmax", **more):
    layers = xbnet.sharing_mlp([4], 2, **more) if more else [Linear(4, "tanh"), Linear(2)]
    network = Network(layers, 3, replicas=replicas, rng=0, dtype="float64")
    network.link = link
    return network


@pytest.mark.parametrize("link", ["softmax", "multilabel", "identity"])
@pytest.mark.parametrize(("replicas", "members"), [(1, 3), (2, 3), (3, None)])
def test_the_mean_of_all_members_is_what_is_predicted(replicas, members, link, tmp_path):
    network = stack(replicas, link, **({"members": members} if members else {}))
    before = network.predict_proba(X)
    values = member_values(network, X)
    assert values.shape == (replicas * (members or 1), 9, 2)
    np.testing.assert_allclose(values.mean(axis=0), before if replicas == 1 else before.mean(axis=0), rtol=1e-10)
    np.testing.assert_array_equal(network.predict_proba(X), before)
    preparation = Scaler(np.ones(3), np.full(3, 2.0))
    xbnet.save(network, tmp_path / "m.safetensors", preparation=preparation)
    model = xbnet.load_model(tmp_path / "m.safetensors")
    expected = member_values(network, preparation(X)).std(axis=0)
    np.testing.assert_allclose(model.predict_std(X), expected)
    committee = Ensemble(*zip(*model.members(), strict=True))
    np.testing.assert_allclose(committee.predict_std(X), expected)


@pytest.mark.skipif(bool(why_not()), reason=str(why_not()))
def test_of_a_network_that_the_machine_has_trained():
    x = np.random.default_rng(0).normal(size=(40, 3))
    network = stack(2, members=3)
    expected = member_values(network, x)
    network.compiled = True
    np.testing.assert_allclose(member_values(network, x), expected, rtol=1e-10)


def test_one_network_has_no_spread(tmp_path):
    xbnet.save(stack(1), tmp_path / "m.safetensors")
    with refuses(
        ConfigError,
        "predict_std: expected several members, got one network; train with --replicas N or --sharing tabm, or use an "
        "ensemble (--members become one network)",
    ):
        xbnet.load_model(tmp_path / "m.safetensors").predict_std(X)
