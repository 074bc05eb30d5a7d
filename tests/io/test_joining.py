"""Members side by side in one network: what it says is the mean of what they say."""

import numpy as np
import pytest

from tests.support.errors import refuses
from xbnet import (
    ConfigError,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Network,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
)
from xbnet.io.joining import join


@pytest.mark.parametrize(
    "layers",
    [
        [Linear(4, "tanh"), Dropout(0.2), Linear(5, "relu"), Linear(3)],
        [Embedding([4, 3], 2, columns=[3, 0]), Linear(4, "tanh"), Linear(3)],
        [Embedding(4, 2), Linear(3)],
        [Linear(4, "tanh"), Linear(3), Dropout(0.2)],
        [PeriodicEmbedding(3, n_frequencies=2), Linear(3, "tanh"), Linear(2)],
        [PeriodicEmbedding(2, n_frequencies=3, phase=False, direct=False, columns=[3, 1]), Linear(2)],
        [PiecewiseLinearEmbedding([[0, 1, 4], [1, 3]], 2, activation="tanh", columns=[2, 0]), Linear(4), Linear(2)],
        [Embedding([4, 3], 2, columns=[3, 0]), PeriodicEmbedding(columns=[1]), Linear(4, "tanh"), Linear(3)],
        [Embedding([4], 3, columns=[1]), PiecewiseLinearEmbedding([0, 2, 3], 2, columns=[2, 0]), Linear(3)],
    ],
)
def test_the_mean_of_all_members(layers):
    stack = Network(layers, n_inputs=4, replicas=3, rng=0, dtype="float64")
    stack.theta[...] = np.random.default_rng(1).normal(size=stack.theta.shape)  # biases are 0 at first
    x = np.random.default_rng(0).integers(-1, 6, (1, 20, 4)).astype(float)
    np.testing.assert_allclose(join(stack).forward(x)[0], stack.forward(x).mean(axis=0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("layers", "kinds"),
    [
        ([LayerNorm(), Linear(2)], "LayerNorm, Linear"),
        ([Embedding(3, 2, columns=[0]), PeriodicEmbedding(), Linear(2)], "Embedding, Linear, PeriodicEmbedding"),
        ([Linear(2), PeriodicEmbedding(), Linear(2)], "Linear, PeriodicEmbedding"),
    ],
)
def test_what_acts_on_all_units_is_refused(layers, kinds):
    """So is an embedding of what is another value for each member."""
    stack = Network(layers, n_inputs=2, replicas=2)
    line = f"join: expected embeddings of inputs, and layers of Linear and Dropout, got {kinds}"
    with refuses(ConfigError, line):
        join(stack)
