"""Training on a stand-in for CuPy, all the way: launches are counted, and the host reads once an epoch."""

import numpy as np
import pytest

import xbnet
from tests.support import cases
from tests.support.devices.emulation import launcher
from tests.support.devices.fake_cupy import Array, Cupy, Watched, fake_cublas
from xbnet.backends import backend as module
from xbnet.backends import devices
from xbnet.backends.numpy_ops import NumpyOps
from xbnet.training.recipe import Recipe
from xbnet.training.samples import Samples
from xbnet.training.trainer import Trainer

PLAIN = xbnet.Backend("numpy", "cpu", np, NumpyOps(np))


class Counted:
    """Runs kernels on the host, and counts them among the launches."""

    def __init__(self, cupy):
        self.emulated = launcher()
        self.shared_limit = self.emulated.shared_limit

    def launch(self, source, name, grid, threads, shared_bytes, arguments):
        Array.launches.append(name.split("<")[0])
        self.emulated.launch(source, name, grid, threads, shared_bytes, arguments)


@pytest.fixture
def cupy(monkeypatch):
    """A function that opens the backend "cupy" with settings: with the true code, on the stand-in."""
    library = fake_cublas()
    gemm = devices.Cublas.gemm

    def counted(self, *arguments, **keywords):
        Array.launches.append("product")
        return gemm(self, *arguments, **keywords)

    monkeypatch.setattr(module, "_opened", {})
    stand_in = Cupy()
    monkeypatch.setattr(devices, "_import", lambda name: stand_in)
    monkeypatch.setattr(devices, "load_library", lambda major: library)
    monkeypatch.setattr(devices, "CudaLauncher", Counted)
    monkeypatch.setattr(devices.Cublas, "gemm", counted)
    return lambda settings="": xbnet.get_backend("cupy" + settings)


def trainer(backend, widths=(6, 5), R=3, loss=None, optimizer=None, n=32, separate=False, **more):
    x, y = cases.samples(n=n)
    layers = [*(xbnet.Linear(n, "tanh") for n in widths), xbnet.Linear(cases.N_CLASSES)]
    net = xbnet.Network(layers, cases.N_INPUTS, replicas=R, backend=backend, rng=0)
    data = xbnet.Dataset("tiny", xbnet.Part(x, y), val=more.pop("val", None))
    samples = Samples.of(data, sample_weight=more.pop("sample_weight", None))
    shuffles = [np.random.default_rng(r) for r in range(R)] if separate else [np.random.default_rng(0)] * R
    return Trainer(
        net,
        loss or xbnet.SoftmaxCrossEntropy(),
        optimizer or xbnet.Adam(0.01),
        samples,
        Recipe(epochs=3, batch_size=8, execution="eager", **more),
        shuffles=shuffles,
    )


def launches_of_a_step(run):
    """Of a step within an epoch: neither the first, which makes buffers, nor the last, which also takes the norm."""
    run._plan()
    batches = run.batches.epoch()
    run.step.run_all([next(batches)], run.columns, run.sums)
    with Watched() as seen:
        run.step.run_all([next(batches)], run.columns[:, 1:], run.sums[1:])
    assert seen.reads == 0
    return seen.launches


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"separate": True},
        {"l2": 0.1},
        {"sample_weight": np.linspace(0, 1, 32)},
        {"loss": xbnet.SoftmaxCrossEntropy(label_smoothing=0.1, class_weight=[1, 2, 3])},
        {"optimizer": xbnet.AdamW(0.1)},
    ],
    ids=lambda more: ",".join(more),
)
@pytest.mark.parametrize("L", [1, 2, 3, 5])
def test_a_step_is_5_launches_per_layer_and_two(cupy, L, more):
    found = launches_of_a_step(trainer(cupy(), widths=(6,) * (L - 1), **more))
    assert len(found) == 5 * L + 2
    assert sorted(set(found)) == sorted(
        {"gather", "product", "bias_activation", "softmax_cross_entropy", "activation_gradient", "update"}
    )
    assert found.count("product") == 3 * L - 1
    assert found.count("activation_gradient") == L
    assert found.count("bias_activation") == L


def test_clipping_is_one_launch_more(cupy):
    found = launches_of_a_step(trainer(cupy(), clip_norm=1.0, l2=0.1))
    assert len(found) == 5 * 3 + 3
    assert found.count("square_sums") == 1


def test_the_plain_text_takes_many(cupy):
    found = launches_of_a_step(trainer(cupy(":kernels=plain")))
    assert len(found) > 11 * 3 + 13
    assert found.count("product") > 3 * 3 - 1  # sums are products, too


@pytest.mark.parametrize(
    "more", [{}, {"clip_norm": 1.0, "l2": 0.1, "val": xbnet.Part(*cases.samples(n=11))}], ids=["bare", "all"]
)
@pytest.mark.parametrize("kernels", ["fused", "plain"])
def test_the_host_reads_once_an_epoch(cupy, kernels, more):
    run = trainer(cupy(f":kernels={kernels}"), **more)
    for _ in range(3):
        with Watched() as seen:
            run.run_epoch()
        assert seen.reads == 1


@pytest.mark.parametrize("settings", ["", ":kernels=plain", ":precision=tf32"])
@pytest.mark.parametrize("row", ["linear-gelu", "residual-both", "deep", "batchnorm"])
def test_training_is_that_of_numpy(cupy, row, settings):
    x, y = cases.samples(n=30)
    data = xbnet.Dataset("tiny", xbnet.Part(x, y), val=xbnet.Part(*cases.samples(n=11, seed=9)))
    found = []
    for backend in (cupy(settings), PLAIN):
        net = cases.network(row, replicas=2, backend=backend)
        history = xbnet.fit(
            net, xbnet.SoftmaxCrossEntropy(label_smoothing=[0.1, 0.0]), xbnet.AdamW([0.01, 0.05]), data, epochs=3, batch_size=8,
            clip_norm=[0.5, 2.0], l2=0.01, l1=0.001, sample_weight=np.linspace(0, 2, 30), execution="eager", schedule="cosine",
        )  # fmt: skip
        host = net.backend.to_host
        found.append(
            [
                host(net.theta),
                host(net.state),
                *(history[name] for name in xbnet.history.PER_REPLICA),
                net.predict_proba(x),
            ]
        )
    for here, there in zip(*found, strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-9, atol=1e-11)


def test_replicas_leave_and_strategies_turn(cupy):
    """Where penalties and clipping stay with the plain text, and stacks shrink."""
    x, y = cases.samples(n=30)
    for more in (
        {"strategy": "alternating", "clip_norm": 1.0},
        {"patience": 1, "epochs": 6, "monitor": "train_accuracy"},
    ):
        found = []
        for backend in (cupy(), PLAIN):
            net = cases.network(replicas=3, backend=backend)
            settings = {"epochs": 3, "batch_size": 8, "l2": 0.01, "execution": "eager"} | more
            history = xbnet.fit(net, "cross_entropy", "momentum", (x, y), **settings)
            found.append([net.backend.to_host(net.theta), history["train_loss"], history["grad_norm"]])
        for here, there in zip(*found, strict=True):
            np.testing.assert_allclose(here, there, rtol=1e-9, atol=1e-11)


def test_streamed_data_train_the_same_network(cupy):
    found, backend = [], cupy()
    for memory in (None, 2400):  # of 9,600 bytes
        run = trainer(backend, separate=True, n=400, device_memory=memory)
        while not run.done:
            run.run_epoch()
        found.append(backend.to_host(run.live.theta))
    np.testing.assert_array_equal(*found)
    assert run.train.streamed
    assert not backend.xp.cuda.clocks.races
