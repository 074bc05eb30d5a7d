"""A step in the steady state takes no memory from the system: everything was allocated by the first one."""

import tracemalloc

import numpy as np
import pytest

import xbnet

R, B, INPUTS, C = 3, 20_000, 6, 4
COLUMN = B * 4
"""Bytes of the smallest array that has a number per sample: whoever allocates one is found out."""

NUMPYS = 1 << 16
"""Bytes that NumPy's iterator takes for a moment, at most: two buffers of 8,192 numbers where rows are narrow. With the
views and tuples of Python they are all that a step allocates; none of it grows with the batch."""

assert NUMPYS < COLUMN

NETWORKS = {
    "linear": lambda: [xbnet.Linear(8, "tanh"), xbnet.Linear(C)],
    "activations": lambda: (
        [
            xbnet.Linear(8, name)
            for name in ("relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "softplus", "selu", "mish", "identity")
        ]
        + [xbnet.Linear(C)]
    ),
    "residual": lambda: [xbnet.Residual("tanh", begin="relu"), xbnet.Residual("relu", end="tanh"), xbnet.Linear(C)],
    "normalized": lambda: [xbnet.Linear(8, "relu"), xbnet.BatchNorm(), xbnet.LayerNorm(), xbnet.Linear(C)],
}
LOSSES = {
    "cross_entropy": lambda: xbnet.SoftmaxCrossEntropy(label_smoothing=0.1),
    "weighted": lambda: xbnet.SoftmaxCrossEntropy(class_weight=[1, 2, 3, 4]),
    "binary": xbnet.BinaryCrossEntropy,
    "mse": xbnet.MeanSquaredError,
}
OPTIMIZERS = {
    optimizer.name: optimizer
    for optimizer in (xbnet.SGD, xbnet.Momentum, xbnet.Nesterov, xbnet.RMSProp, xbnet.Adam, xbnet.AdamW)
}


def steady_step(layers, loss, optimizer, replicas):
    """One step as `fit` does it, from gathering the rows to the update; all its buffers exist."""
    network = xbnet.Network(layers, INPUTS, replicas=replicas, rng=0)
    loss, optimizer, rng = loss.bind(network), optimizer.bind(network), np.random.default_rng(0)
    x, y = rng.normal(size=(3 * B, INPUTS)).astype(np.float32), rng.integers(0, C, 3 * B)
    xb, yb = np.empty((replicas, B, INPUTS), np.float32), np.empty((replicas, B), np.intp)
    index, sums = rng.integers(0, 3 * B, (replicas, B)), np.empty((replicas, 3, 1), np.float32)
    gather = network.backend.ops.gather

    def step():
        gather(x, index, xb)
        gather(y, index, yb)
        loss(network.forward(xb, training=True), yb, network.output_gradient)
        loss.sums(sums)
        network.backward()
        optimizer.step()

    step()
    return step


def peak_of(step, times):
    """The most bytes that were allocated at a time, and how many are left, over so many steps."""
    tracemalloc.start()
    try:
        for _ in range(4):  # Python keeps small things for reuse
            step()
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(times):
            step()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before, after - before


@pytest.mark.parametrize("replicas", [1, R])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name, replicas):
    step = steady_step(NETWORKS[name](), xbnet.SoftmaxCrossEntropy(), xbnet.SGD(), replicas)
    peak, left = peak_of(step, times=3)
    assert peak < NUMPYS
    assert left < 1000


@pytest.mark.parametrize("replicas", [1, R])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, replicas):
    step = steady_step(NETWORKS["linear"](), LOSSES[name](), xbnet.SGD(), replicas)
    peak, _ = peak_of(step, times=3)
    assert peak < NUMPYS


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    """`step` plans 64 steps at a time, which takes a little; so does `fit`, once an epoch."""
    step = steady_step(NETWORKS["linear"](), xbnet.SoftmaxCrossEntropy(), OPTIMIZERS[name](), 1)
    peak, _ = peak_of(step, times=3)
    assert peak < NUMPYS


def test_a_single_temporary_would_show():
    step = steady_step(NETWORKS["linear"](), xbnet.SoftmaxCrossEntropy(), xbnet.SGD(), 1)
    x = np.ones(B, np.float32)
    peak, _ = peak_of(lambda: (step(), x + x), times=2)
    assert peak > COLUMN


def test_memory_does_not_grow_with_the_number_of_steps():
    step = steady_step(NETWORKS["residual"](), LOSSES["weighted"](), xbnet.Adam(), R)
    peak_of(step, times=20)
    _, left = peak_of(step, times=20)
    assert left < 2000
