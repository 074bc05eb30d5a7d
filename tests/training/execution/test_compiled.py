"""The compiled machine: the same numbers as step by step up to rounding, and the same bits alone, in a stack, and resumed."""

import numpy as np
import pytest

import xbnet
from tests.support import cases
from tests.support.errors import refuses
from xbnet import BatchNorm, Dropout, Linear, Residual

pytest.importorskip("numba")

TOLERANCE = {"float64": 1e-11, "float32": 2e-4}


def train(net, execution="compiled", *, loss="cross_entropy", optimizer=None, task=None, n=40, epochs=3, **settings):
    """Train on the table's samples; the history."""
    loss, task = cases.LOSSES[loss]()[0], task or cases.LOSSES[loss]()[1]
    x, y = cases.samples(task, n)
    settings = {"batch_size": 16, "rng": 1} | settings
    return xbnet.fit(
        net, loss, optimizer or xbnet.SGD(0.1), (x, y), epochs=epochs, execution=execution, progress=False, **settings
    )


def compare(layers="linear-tanh", *, dtype="float64", replicas=3, n_outputs=cases.N_CLASSES, **settings):
    """Train two equal networks, by the machine and one call after the other."""
    nets = [cases.network(layers, dtype=dtype, replicas=replicas, n_outputs=n_outputs) for _ in range(2)]
    first, second = (train(net, level, **settings) for net, level in zip(nets, ("compiled", "eager"), strict=True))
    assert (first.execution, second.execution) == ("compiled", "eager")
    assert not np.array_equal(nets[0].theta, cases.network(layers, dtype=dtype, replicas=replicas).theta), "no step"
    rtol = TOLERANCE[dtype]
    np.testing.assert_allclose(nets[0].theta, nets[1].theta, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(nets[0].state, nets[1].state, rtol=rtol, atol=rtol)
    for name in ("train_loss", "train_accuracy", "grad_norm"):
        np.testing.assert_allclose(first[name], second[name], rtol=rtol, atol=rtol, err_msg=name)


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("layers", cases.LAYERS)
def test_layers(layers, replicas):
    compare(layers, replicas=replicas)


@pytest.mark.parametrize("layers", ["linear-tanh", "linear-elu", "linear-softplus", "deep"])
def test_layers_in_float32(layers):
    compare(layers, dtype="float32")


@pytest.mark.parametrize("loss", cases.LOSSES)
def test_losses(loss):
    compare(loss=loss)


@pytest.mark.parametrize("loss", cases.LOSSES)
def test_losses_with_sample_weights(loss):
    compare(loss=loss, sample_weight=np.linspace(0, 2, 40))


@pytest.mark.parametrize("optimizer", cases.OPTIMIZERS)
def test_optimizers(optimizer):
    compare(optimizer=cases.OPTIMIZERS[optimizer]())


@pytest.mark.parametrize("schedule", cases.SCHEDULES)
def test_schedules(schedule):
    compare(schedule=cases.SCHEDULES[schedule]()[0])


@pytest.mark.parametrize("strategy", ["alternating", "weighted:ratio=0.5", "gradual"])
def test_strategies(strategy):
    compare([Linear(5, "tanh"), Linear(4, "relu")], strategy=strategy, optimizer=xbnet.AdamW(0.02, weight_decay=0.3))


def test_penalties_and_clipping_per_replica():
    compare(l2=[0, 1e-3, 1e-2], l1=[1e-3, 0, 1e-3], clip_norm=[0.1, 10, 0.3])


@pytest.mark.parametrize("batch_size", [1, 7, 40, None])
def test_sizes_of_batches(batch_size):
    compare("deep" if batch_size != 1 else "linear-tanh", batch_size=batch_size)


@pytest.mark.parametrize("width", [1, 2, 33, 65, 130])
def test_widths(width):
    """Layouts, kinds of products and their last rows and columns."""
    compare([Linear(width, "tanh"), Residual("relu", n_hidden=width + 1)], batch_size=20)


def test_each_replica_in_its_own_order():
    layers = [Linear(6, "tanh"), Dropout(0.3), BatchNorm()]
    seeds = [np.random.SeedSequence(s) for s in (5, 6, 7)]
    compare(layers, rng=seeds)
