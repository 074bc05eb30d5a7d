"""Members side by side in one network: what it says is the mean of what they say."""

import numpy as np
import pytest

from tests.support.errors import refuses
from xbnet import ConfigError, Dropout, Embedding, LayerNorm, Linear, Network
from xbnet.io.joining import join


@pytest.mark.parametrize(
    "layers",
    [
        [Linear(4, "tanh"), Dropout(0.2), Linear(5, "relu"), Linear(3)],
        [Embedding([4, 3], 2, columns=[3, 0]), Linear(4, "tanh"), Linear(3)],
        [Embedding(4, 2), Linear(3)],
        [Linear(4, "tanh"), Linear(3), Dropout(0.2)],
    ],
)
def test_the_mean_of_all_members(layers):
    stack = Network(layers, n_inputs=4, replicas=3, rng=0, dtype="float64")
    stack.theta[...] = np.random.default_rng(1).normal(size=stack.theta.shape)  # biases are 0 at first
    x = np.random.default_rng(0).integers(-1, 6, (1, 20, 4)).astype(float)
    np.testing.assert_allclose(join(stack).forward(x)[0], stack.forward(x).mean(axis=0), rtol=1e-12, atol=1e-12)


def test_what_acts_on_all_units_is_refused():
    stack = Network([LayerNorm(), Linear(2)], n_inputs=2, replicas=2)
    line = "join: expected layers of Linear and Dropout, the first may be an Embedding, got LayerNorm, Linear"
    with refuses(ConfigError, line):
        join(stack)
