"""What `test_real_cupy` runs in a process of its own: ``python scenarios.py NAME ..`` prints what failed, as JSON."""

import contextlib
import json
import pickle
import sys
import tempfile
import threading
import traceback
import warnings

import pretend
from pretend import cupy

import numpy as np  # isort: skip
import pytest

import xbnet
from xbnet import BatchNorm, Dropout, LayerNorm, Linear, Residual

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(151, 5)), RNG.integers(0, 4, 151)
DATA = xbnet.Dataset("small", xbnet.Part(X, Y), val=xbnet.Part(X[:40], Y[:40]))
TWO = [Linear(6, "gelu"), Linear(4)]


def network(backend, layers=None, replicas=3, **more):
    return xbnet.Network(layers or TWO, 5, replicas=replicas, rng=0, backend=backend, **more)


def train(net, loss="cross_entropy", optimizer="adam", data=DATA, **more):
    history = xbnet.fit(net, loss, optimizer, data, **{"epochs": 3, "batch_size": 4, "progress": False} | more)
    return history, [net.backend.to_host(net.theta), history["train_loss"], history["val_loss"], net.predict_proba(X)]


def same(layers=None, backend="cupy", execution="auto", expected=None, loss="cross_entropy", optimizer="adam", **more):
    """Training on both ends in the same numbers."""
    history, here = train(network(backend, layers), loss, optimizer, execution=execution, **more)
    _, there = train(network("numpy", layers), loss, optimizer, **more)
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)
    assert history.execution == (expected or execution), history.execution


def levels():
    for backend in ("cupy", "cupy:kernels=plain", "cupy:precision=tf32"):
        for level in ("eager", "graph"):
            same(backend=backend, execution=level, schedule="cosine", l2=0.01, clip_norm=0.5)
    for optimizer in ("adam", "momentum"):
        same([Linear(6, "tanh"), Linear(4)], execution="persistent", optimizer=optimizer, l1=0.001)


def layers():
    same([Linear(6), LayerNorm(), Residual("silu", begin="relu", end="elu"), Linear(4)], expected="graph")
    same([Linear(6, "relu"), Dropout([0.1, 0.2, 0.3]), Linear(4)], expected="eager")
    same([BatchNorm(), Linear(4)], expected="graph")


def the_host_reads_once_an_epoch():
    for level in ("eager", "graph"):
        before = pretend.counter("reads")
        net = network("cupy")
        xbnet.fit(net, "cross_entropy", "adam", DATA, epochs=3, batch_size=4, execution=level)
        assert pretend.counter("reads") - before == 3


def graphs_are_started_once_a_chunk():
    before = pretend.counter("graph_launches")
    train(network("cupy"), execution="graph")
    assert pretend.counter("graph_launches") - before == 3 * 2 - 1


def a_step_that_allocates_is_not_captured():
    class Wasteful(Linear):
        replayable = True

        def forward(self, x, training):
            out = super().forward(x, training)
            self.xp.add(out, out)
            return out

    with pytest.raises(xbnet.XbnetError, match="a step asks for 288 bytes of memory"):
        train(network("cupy", [Wasteful(6), Linear(4)]), execution="graph")


def a_stream_of_the_users():
    """It does not wait for the default stream, nor is it waited for."""
    _, expected = train(network("numpy"))
    for level in ("eager", "graph"):
        with cupy.cuda.Stream(non_blocking=True):
            _, found = train(network("cupy"), execution=level)
        np.testing.assert_allclose(found[0], expected[0], atol=1e-5)


def an_order_that_is_missing_shows():
    """So that the one before is worth something."""
    _, expected = train(network("numpy"))
    wait_event = cupy.cuda.stream._BaseStream.wait_event
    cupy.cuda.stream._BaseStream.wait_event = lambda self, event: None
    try:
        with cupy.cuda.Stream(non_blocking=True):
            _, found = train(network("cupy"), execution="graph")
        assert not np.allclose(found[0], expected[0], atol=1e-5)
    except xbnet.DivergenceError:
        pass
    finally:
        cupy.cuda.stream._BaseStream.wait_event = wait_event


def threads_side_by_side():
    _, expected = train(network("numpy"))
    found, before = [], sys.getswitchinterval()
    threads = [threading.Thread(target=lambda: found.append(train(network("cupy")))) for _ in range(4)]
    sys.setswitchinterval(1e-5)
    for step in (threading.Thread.start, threading.Thread.join):
        for thread in threads:
            step(thread)
    sys.setswitchinterval(before)
    assert [history.execution for history, _ in found] == ["graph"] * 4
    for _, arrays in found:
        np.testing.assert_allclose(arrays[0], expected[0], atol=1e-5)


def losses_and_strategies():
    same(loss="mse", expected="graph")
    same(loss=xbnet.SoftmaxCrossEntropy(label_smoothing=[0.1, 0, 0.2], class_weight=[1, 2, 3, 4]), expected="graph")
    same(strategy="alternating", optimizer="adamw", expected="eager")
    images = xbnet.Dataset("images", xbnet.Part(X, Y), val=xbnet.Part(X[:40], Y[:40]), image_shape=(1, 1, 5))
    same(data=images, flip=0.5, expected="eager")


def streamed_data():
    same(device_memory=4000, sample_weight=np.linspace(0, 1, 151), expected="eager")


def replicas_leave():
    same(patience=1, epochs=8, monitor="val_accuracy", expected="graph")
    same(optimizer=xbnet.SGD([1e30, 0.1, 0.1]), expected="graph")


def a_run_goes_on_from_its_files():
    class Killed(Exception):
        pass

    def die(record):
        if record["epoch"] == 2:
            raise Killed

    _, whole = train(network("cupy"), epochs=4)
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.suppress(Killed):
            train(network("cupy"), epochs=4, checkpoint=folder, checkpoint_every=1, on_epoch=die)
        net = network("cupy")
        _, resumed = train(net, epochs=4, checkpoint=folder, resume=True)
        np.testing.assert_allclose(resumed[0], whole[0], rtol=1e-6)
        xbnet.save(net, f"{folder}/net.safetensors")
        again = xbnet.load(f"{folder}/net.safetensors", "cupy")
    for other in (again, pickle.loads(pickle.dumps(net)), net.select([0, 1, 2])):
        np.testing.assert_array_equal(other.theta.get(), net.theta.get())


def predictions():
    net = network("cupy")
    assert net.predict(X[:0]).shape == (3, 0)
    here, there = (xbnet.evaluate(n, "cross_entropy", X, Y) for n in (net, network("numpy")))
    np.testing.assert_allclose(here["loss"], there["loss"], rtol=1e-6)


def estimators():
    found = []
    for backend in ("cupy", "numpy"):
        model = xbnet.XBClassifier((6,), backend=backend, batch_size=4, max_iter=3, random_state=0, alpha=0.1)
        model.fit(X, Y, sample_weight=np.linspace(0, 1, 151))
        found.append([model.loss_curve_, model.predict_proba(X)])
    for here, there in zip(*found, strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-5)
    there = (
        xbnet.XBClassifier(backend="cupy", max_iter=2).fit(cupy.asarray(X), cupy.asarray(Y)).predict(cupy.asarray(X))
    )
    assert isinstance(there, cupy.ndarray)
    xbnet.XBRegressor(backend="cupy", max_iter=2, early_stopping=True).fit(X, X[:, 0]).predict(X)


def sweeps():
    here, there = (
        xbnet.sweep(
            {"lr": [0.01, 0.1]}, DATA, seeds=2, folds=3, epochs=2, batch_size=8, backend=backend, progress=False
        )
        for backend in ("cupy", "numpy")
    )
    np.testing.assert_allclose(here.column("val_loss"), there.column("val_loss"), rtol=1e-4)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    asked, failed = sys.argv[1:], {}
    for name, scenario in list(globals().items()):
        if name in asked:
            try:
                scenario()
            except BaseException:
                failed[name] = traceback.format_exc()
    print(json.dumps(failed), flush=True)
