"""Horizontal flips: which images are mirrored, by whose generator, and that stacks equal solo runs."""

import re

import numpy as np
import pytest

import xbnet
from xbnet.errors import ConfigError
from xbnet.training.augmentation import Flips, get_flips
from xbnet.training.batches import Resident, Shuffled
from xbnet.training.recipe import Recipe

SHAPE = (2, 3, 4)
N = 50
X = np.random.default_rng(0).normal(size=(N, 24)).astype(np.float32)
Y = np.arange(N) % 3
DATA = xbnet.Dataset("images", xbnet.Part(X, Y), image_shape=SHAPE)
MIRRORED = X.reshape(N, *SHAPE)[..., ::-1].reshape(N, 24)


def batches(streams, batch_size):
    backend = xbnet.get_backend("numpy")
    return Shuffled(backend, Resident(backend, np.float32, X, np.arange(N)), batch_size, streams)


def generators(n):
    return [np.random.default_rng(seed) for seed in range(n)]


@pytest.mark.parametrize("batch_size", [16, 50])
@pytest.mark.parametrize("replicas", [1, 3])
def test_each_sample_is_itself_or_its_mirror_image(batch_size, replicas):
    found = np.zeros((replicas, N))
    flips, source = Flips(0.5, SHAPE), batches(generators(replicas), batch_size)
    for _ in range(4):
        for x, y, _ in flips.epoch(source):
            assert x.shape == (replicas, y.shape[1], 24)
            for r in range(replicas):
                rows = y[min(r, len(y) - 1)]
                mirrored = (x[r] == MIRRORED[rows]).all(axis=1)
                assert (mirrored | (x[r] == X[rows]).all(axis=1)).all()
                found[r, rows] += mirrored
    assert 0.3 < found.mean() / 4 < 0.7
    assert (found.sum(axis=1) > 0).all()
    if replicas > 1:
        assert not np.array_equal(found[0], found[1])


def test_probability_one_mirrors_all_and_leaves_the_data_alone():
    before = X.copy()
    for x, y, _ in Flips(1.0, SHAPE).epoch(batches(generators(1), 16)):
        np.testing.assert_array_equal(x[0], MIRRORED[y[0]])
    np.testing.assert_array_equal(X, before)


def fit(replicas, rng, **more):
    net = xbnet.Network([xbnet.Linear(5, "tanh"), xbnet.Linear(3)], 24, replicas=replicas, rng=rng, dtype="float64")
    xbnet.fit(net, "cross_entropy", "momentum:lr=0.1", DATA, rng=rng, **{"batch_size": 16, **more})
    return net.theta


@pytest.mark.parametrize("batch_size", [16, None])
def test_stacked_equals_solo(batch_size):
    settings = {"epochs": 3, "flip": 0.5, "batch_size": batch_size}
    stack = fit(3, 7, **settings)
    for i in range(3):
        alone = fit(1, [xbnet.replica_seeds(7, 3)[i]], **settings)
        np.testing.assert_allclose(stack[i], alone[0], rtol=1e-12, atol=1e-14)


def test_same_seed_shares_order_and_mirrors():
    stack = fit(2, [xbnet.replica_seeds(7, 1)[0]] * 2, epochs=2, flip=0.5)
    np.testing.assert_allclose(stack[0], stack[1], rtol=1e-12)
    np.testing.assert_allclose(stack[0], fit(1, 7, epochs=2, flip=0.5)[0], rtol=1e-12, atol=1e-14)
    assert not np.allclose(stack[0], fit(1, 7, epochs=2)[0])


def test_resumes_to_the_bit(tmp_path):
    whole = fit(1, 3, epochs=4, flip=0.5)
    fit(1, 3, epochs=2, flip=0.5, checkpoint=tmp_path, checkpoint_every=1)
    np.testing.assert_array_equal(fit(1, 3, epochs=4, flip=0.5, checkpoint=tmp_path, resume=True), whole)


def test_a_symmetric_network_learns_from_mirrors():
    """Every image is mirrored: training on X is training on MIRRORED."""
    mirrored = xbnet.Dataset("mirrored", xbnet.Part(MIRRORED, Y), image_shape=SHAPE)
    nets = [xbnet.Network([xbnet.Linear(3)], 24, rng=0, dtype="float64") for _ in range(2)]
    xbnet.fit(nets[0], "cross_entropy", "sgd", DATA, epochs=2, batch_size=None, flip=1.0)
    xbnet.fit(nets[1], "cross_entropy", "sgd", mirrored, epochs=2, batch_size=None)
    np.testing.assert_allclose(nets[0].theta, nets[1].theta, rtol=1e-12)


@pytest.mark.parametrize("flip", [-0.1, 1.5, float("nan"), True, "often", None, [0.5]])
def test_bad_probability_is_one_line(flip):
    message = f"fit: expected flip in [0, 1], got {flip!r}"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Recipe(flip=flip)


def test_needs_images():
    with pytest.raises(
        ConfigError, match=r"^fit: flip needs images, and plain has none; set image_shape=\(C, H, W\) of the Dataset$"
    ):
        get_flips(0.5, xbnet.Dataset("plain", xbnet.Part(X, Y)))
    assert get_flips(0, xbnet.Dataset("plain", xbnet.Part(X, Y))) is None
