"""Every layer, activation, loss, optimizer, schedule and the loop on every backend that answers, against NumPy.

dpnp compiles a kernel per operation, type and kind of memory access at its first use, and each call takes some 200
microseconds. So each row runs once, in float32, on the same tiny shapes.
"""

import numpy as np
import pytest

import xbnet
from tests.support import cases
from xbnet import BatchNorm, Dropout, Linear, Residual

R = 2
TOLERANCE = {"rtol": 2e-4, "atol": 2e-5}


def pair(backend, row="linear-tanh", dtype="float32"):
    """The same stack on the backend and on NumPy."""
    return [cases.network(row, replicas=R, backend=b, dtype=dtype) for b in (backend, "numpy")]


def close(here, there, what):
    np.testing.assert_allclose(here, there, err_msg=what, **TOLERANCE)


def step_both(nets, loss, task, optimizer, leading=1):
    """One step; all that it leaves behind is the same."""
    seen = []
    for net in nets:
        host = net.backend.to_host
        bound, rule = loss.bind(net, task), optimizer.bind(net)
        x, y = cases.device_samples(net, task, B=5, leading=leading)
        logits = net.forward(x, training=True)
        values = bound(logits, y, net.output_gradient)
        sums = bound.summed
        result = {"logits": host(logits).copy(), "values": host(values).copy(), "sums": host(sums)}
        dx = net.backend.xp.zeros((R, *x.shape[1:]), dtype=net.dtype)
        net.backward(dx=dx)
        rule.step()
        result |= {"dx": host(dx), "grad": host(net.grad), "theta": host(net.theta), "state": host(net.state)}
        result["not training"] = host(net.forward(x))
        seen.append(result)
    for what, here in seen[0].items():
        assert here.dtype == np.float32, what
        assert np.isfinite(here).all() or (what == "sums" and task == "regression"), what
        close(here, seen[1][what], what)


@pytest.mark.parametrize("row", cases.LAYERS)
def test_layers(backend, row):
    step_both(pair(backend, row), xbnet.SoftmaxCrossEntropy(), "classification", xbnet.SGD(0.3))


@pytest.mark.parametrize("row", cases.LOSSES)
def test_losses(backend, row):
    step_both(pair(backend), *cases.LOSSES[row](), xbnet.SGD(0.3), leading=R)


@pytest.mark.parametrize("row", cases.OPTIMIZERS)
def test_optimizers(backend, row):
    step_both(pair(backend), xbnet.SoftmaxCrossEntropy(), "classification", cases.OPTIMIZERS[row]())


def curves(nets, **settings):
    (x, y), (x_val, y_val) = cases.samples(n=20), cases.samples(n=7, seed=8)
    data = xbnet.Dataset("tiny", xbnet.Part(x, y), val=xbnet.Part(x_val, y_val))
    settings = {"epochs": 3, "batch_size": 8} | settings
    loss = xbnet.SoftmaxCrossEntropy(label_smoothing=[0.1, 0.0], class_weight=[1, 2, 1])
    return [xbnet.fit(net, loss, xbnet.AdamW([0.01, 0.1]), data, **settings) for net in nets]


def assert_same_curves(nets, histories):
    for name in xbnet.history.PER_REPLICA:
        close(histories[0][name], histories[1][name], name)
    assert histories[0].status == histories[1].status
    assert histories[0].best_epoch.tolist() == histories[1].best_epoch.tolist()
    close(nets[0].backend.to_host(nets[0].theta), nets[1].theta, "theta")
    close(nets[0].backend.to_host(nets[0].state), nets[1].state, "state")
    x = cases.samples(n=9)[0]
    close(nets[0].predict_proba(x), nets[1].predict_proba(x), "predict_proba")
    assert nets[0].predict_proba(x).shape == (R, 9, 3)


def test_the_loop_with_everything_in_it(backend):
    layers = [Linear(6, "relu"), BatchNorm(), Residual(n_hidden=3, end="elu"), Dropout([0.2, 0.4])]
    nets = pair(backend, layers)
    weights = np.linspace(0, 2, 20)
    histories = curves(nets, l2=[0.0, 1e-2], l1=1e-3, clip_norm=[0.5, 2.0], schedule="cosine", sample_weight=weights)
    assert_same_curves(nets, histories)
    assert len(histories[0]) == 3


def test_early_stopping_shrinks_the_stack(backend):
    nets = pair(backend)
    histories = curves(nets, patience=1, epochs=6, monitor="val_accuracy", batch_size=None)
    assert_same_curves(nets, histories)
    assert "stopped" in histories[0].status


def test_a_diverged_replica_leaves(backend):
    nets = pair(backend)
    x, y = cases.samples("regression", 16)
    for net in nets:
        history = xbnet.fit(net, "mse", xbnet.SGD([0.1, 1e30]), (x, y), epochs=3, batch_size=8)
        assert history.status == ["finished", "diverged"]
    close(nets[0].backend.to_host(nets[0].theta), nets[1].theta, "theta")


@pytest.mark.parametrize("strategy", ["alternating", "weighted:ratio=0.5", "layerwise:epochs=1"])
def test_strategies_and_flips(backend, strategy):
    x, y = cases.samples(n=20)
    data = xbnet.Dataset("images", xbnet.Part(x, y), image_shape=(1, 1, x.shape[1]))
    nets = pair(backend, [Linear(6, "tanh"), BatchNorm()])
    for net in nets:
        xbnet.fit(net, "cross_entropy", "adamw", data, epochs=2, batch_size=8, strategy=strategy, flip=0.5)
    close(nets[0].backend.to_host(nets[0].theta), nets[1].theta, "theta")
    close(nets[0].backend.to_host(nets[0].state), nets[1].state, "state")


def test_evaluate(backend):
    x, y = cases.samples(n=9)
    here, there = (xbnet.evaluate(net, "cross_entropy", x, y) for net in pair(backend))
    close(here["loss"], there["loss"], "loss")
    close(here["accuracy"], there["accuracy"], "accuracy")


def test_float64(backend):
    step = xbnet.SoftmaxCrossEntropy(), "classification", xbnet.Adam(0.1)
    nets = pair(backend, dtype="float64")
    for net in nets:
        x, y = cases.device_samples(net, B=5)
        bound, rule = step[0].bind(net), step[2].bind(net)
        bound(net.forward(x, training=True), y, net.output_gradient)
        net.backward()
        rule.step()
    np.testing.assert_allclose(nets[0].backend.to_host(nets[0].theta), nets[1].theta, rtol=1e-12)


def test_every_view_shares_the_memory_of_theta(backend):
    net = cases.network("deep", replicas=R, backend=backend, dtype="float32")
    host = backend.to_host
    net.theta[...] = 0.5
    net.grad[...] = 0.25
    net.state[...] = 0.125
    for layer in net.layers:
        for spec in layer.parameters():
            assert np.all(host(getattr(layer, spec.name)) == 0.5), spec.name
            assert np.all(host(getattr(layer, "d" + spec.name)) == 0.25), spec.name
        for spec in layer.state():
            assert np.all(host(getattr(layer, spec.name)) == 0.125), spec.name


def test_arrays_travel_to_the_device_and_back(backend):
    host = np.arange(12.0).reshape(3, 4)[:, ::2]
    there = backend.asarray(host, "float32")
    assert isinstance(there, backend.xp.ndarray)
    np.testing.assert_array_equal(backend.to_host(there), host.astype("float32"))
    again = backend.asarray(there, "float64")
    assert isinstance(again, backend.xp.ndarray)
    assert backend.to_host(again).dtype == np.float64
    backend.synchronize()
    assert repr(backend).startswith(f"Backend({backend.name!r}, device=")
