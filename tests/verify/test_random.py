"""Correct code is never failed: random architectures, 20 in the suite."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import xbnet
from tests.support.chance import examples
from xbnet.nn.activations import ACTIVATIONS

activations = st.sampled_from(sorted(ACTIVATIONS))
layers = st.one_of(
    st.builds(xbnet.Linear, st.integers(1, 8), activations),
    st.builds(
        xbnet.Residual,
        activations,
        n_hidden=st.none() | st.integers(1, 6),
        begin=st.none() | activations,
        end=st.none() | activations,
    ),
    st.builds(xbnet.Dropout, st.floats(0, 0.8)),
    st.builds(xbnet.BatchNorm),
    st.builds(xbnet.LayerNorm),
)


@st.composite
def problems(draw):
    """A network, a loss, and a batch that may have huge, tiny, rounded or missing (zero) inputs."""
    C, inputs, B, R = (draw(st.integers(1, high)) for high in (5, 6, 9, 3))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    network = xbnet.Network(
        [*draw(st.lists(layers, max_size=6)), xbnet.Linear(C)],
        inputs,
        replicas=R,
        dtype=draw(st.sampled_from(["float32", "float64"])),
        rng=seed,
    )
    x = rng.standard_normal((B, inputs)) * draw(st.sampled_from([0.01, 1, 1, 100]))
    x = draw(st.sampled_from([np.positive, np.round, lambda a: a * (a > 0)]))(x)
    y = rng.integers(0, C, B)
    cost = {
        "l2": draw(st.sampled_from([0, 0, 0.01])),
        "l1": draw(st.sampled_from([0, 0, 0.01])),
        "sample_weight": draw(st.sampled_from([None, rng.uniform(0.01, 2, B)])),
    }
    weights = draw(st.sampled_from([None, rng.uniform(0.1, 2, C)]))
    smoothing = draw(st.sampled_from([0, 0.1]))
    loss = draw(
        st.sampled_from(
            [
                xbnet.SoftmaxCrossEntropy(class_weight=weights, label_smoothing=smoothing),
                xbnet.BinaryCrossEntropy(class_weight=weights),
                xbnet.MeanSquaredError(),
            ]
        )
    )
    if loss.name == "mse" and draw(st.booleans()):
        y = rng.standard_normal((B, C))
    return network, loss, x, y, cost, seed


@settings(max_examples=examples(20), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(problems())
def test_random_architectures_pass(problem):
    network, loss, x, y, cost, seed = problem
    xbnet.gradient_test(network, loss, x, y, rng=seed, **cost).raise_if_failed()
