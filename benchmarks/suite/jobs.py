"""A user's jobs: an epoch, a job with its accuracy, prediction, loading, checkpoints, a gradient test."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import xbnet

from .common import BACKENDS, CLASSES, INPUTS, open_backend


def small_network(backend: xbnet.Backend, replicas: int = 1, inputs: int = 5, outputs: int = 5) -> xbnet.Network:
    """I-10-7-C with tanh."""
    layers = [xbnet.Linear(10, "tanh"), xbnet.Linear(7, "tanh"), xbnet.Linear(outputs)]
    return xbnet.Network(layers, inputs, replicas=replicas, backend=backend, rng=0)


def fit(network: xbnet.Network, data: xbnet.Dataset, epochs: int = 1, batch_size: int = 64) -> xbnet.History:
    """Train as the report does."""
    history = xbnet.fit(
        network, "cross_entropy", xbnet.SGD(0.1), data, epochs=epochs, batch_size=batch_size, rng=0, progress=False
    )
    network.backend.synchronize()
    return history


class Epoch:
    """An epoch of `fit` on GMM (25,000 samples of 5 numbers): 5-10-7-5, batch 64, validation and all."""

    params = (BACKENDS, [1, 16])
    param_names = ("backend", "replicas")
    timeout = 300

    def setup(self, backend: str, replicas: int) -> None:
        self.data = xbnet.load_dataset("gmm")
        self.network = small_network(open_backend(backend), replicas)
        if backend != "numpy":  # compile the kernels
            fit(self.network, self.data)

    def time_epoch(self, backend: str, replicas: int) -> None:
        fit(self.network, self.data)

    def peakmem_epoch(self, backend: str, replicas: int) -> None:
        fit(self.network, self.data)


class EpochOfWide:
    """An epoch of `fit` on 20,000 samples: 784-300-10, batch 128; and the memory that it takes."""

    params = (BACKENDS,)
    param_names = ("backend",)
    timeout = 300

    def setup(self, backend: str) -> None:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(20_000, 784)).astype(np.float32)
        self.data = xbnet.Dataset("noise", xbnet.Part(x, rng.integers(0, CLASSES, len(x))))
        layers = [xbnet.Linear(300, "relu"), xbnet.Linear(CLASSES)]
        self.network = xbnet.Network(layers, 784, backend=open_backend(backend), rng=0)

    def time_epoch(self, backend: str) -> None:
        fit(self.network, self.data, batch_size=128)

    def peakmem_epoch(self, backend: str) -> None:
        fit(self.network, self.data, batch_size=128)


class Accuracy:
    """Accuracy after 10 epochs on GMM: a change that makes training faster must leave this alone."""

    params = (BACKENDS,)
    param_names = ("backend",)
    timeout = 300
    number = repeat = 1

    def setup(self, backend: str) -> None:
        self.data = xbnet.load_dataset("gmm")
        self.network = small_network(open_backend(backend))

    def track_validation_accuracy(self, backend: str) -> float:
        return 100 * float(fit(self.network, self.data, epochs=10).records[-1]["val_accuracy"][0])

    track_validation_accuracy.unit = "%"  # type: ignore[attr-defined]


class Predict:
    """Probabilities of 25,000 host samples: 32-10-7-10."""

    params = (BACKENDS, [1, 16])
    param_names = ("backend", "replicas")
    timeout = 120

    def setup(self, backend: str, replicas: int) -> None:
        self.x = np.random.default_rng(0).normal(size=(25_000, INPUTS)).astype(np.float32)
        self.network = small_network(open_backend(backend), replicas, INPUTS, CLASSES)
        self.network.predict_proba(self.x)

    def time_predict_proba(self, backend: str, replicas: int) -> None:
        self.network.predict_proba(self.x)


class Files:
    """Reading a data set, and writing and reading a network of 238,510 parameters."""

    def setup(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "model.safetensors")
        self.network = xbnet.Network([xbnet.Linear(300, "relu"), xbnet.Linear(10)], 784, rng=0)
        xbnet.save(self.network, self.path)

    def teardown(self) -> None:
        self.folder.cleanup()

    def time_load_dataset(self) -> None:
        xbnet.load_dataset("gmm")

    def time_save(self) -> None:
        xbnet.save(self.network, self.path)

    def time_load(self) -> None:
        xbnet.load(self.path)


class GradientTest:
    """`gradient_test` of 5-10-7-5 in float64 on 8 samples."""

    params = (BACKENDS,)
    param_names = ("backend",)
    timeout = 120

    def setup(self, backend: str) -> None:
        if not hasattr(xbnet, "gradient_test"):  # commits before it came
            raise NotImplementedError("no gradient_test")
        layers = [xbnet.Linear(10, "tanh"), xbnet.Linear(7, "tanh"), xbnet.Linear(5)]
        self.network = xbnet.Network(layers, 5, backend=open_backend(backend), dtype="float64", rng=0)
        rng = np.random.default_rng(0)
        self.x, self.y = rng.normal(size=(8, 5)), rng.integers(0, 5, 8)
        self.time_gradient_test(backend)

    def time_gradient_test(self, backend: str) -> None:
        xbnet.gradient_test(self.network, xbnet.SoftmaxCrossEntropy(), self.x, self.y)
