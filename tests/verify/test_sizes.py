"""Faults that show at some sizes only, or only as a network is trained: batches of several sizes, steps that are played."""

import numpy as np
import pytest

import xbnet
from xbnet.verify import catalogue

CASES = {case.name.removeprefix("sizes/"): case for case in catalogue.catalogue() if case.name.startswith("sizes/")}
RIGHT = xbnet.Linear.backward

AT_SIZES = {
    "width over 8": ("33 rows, one replica", lambda layer, dy, dx: layer.n_outputs > 8),
    "more than 16 rows": ("33 rows, one replica", lambda layer, dy, dx: dy.shape[1] > 16),
    "one replica": ("33 rows, one replica", lambda layer, dy, dx: dy.shape[0] == 1),
    "one row": ("one row, three replicas", lambda layer, dy, dx: dy.shape[1] == 1),
    "small inputs": ("inputs of 0.001", lambda layer, dy, dx: np.abs(layer.x).max() < 0.1),
    "large inputs": ("inputs of 1,000", lambda layer, dy, dx: layer.x.shape[2] > 8 and dy.shape[1] == 17),
}


@pytest.mark.parametrize("name", AT_SIZES)
def test_fault_at_some_sizes_fails_a_case_of_the_catalogue(name, monkeypatch):
    case, hits = AT_SIZES[name]

    def backward(layer, dy, dx):
        wrong = hits(layer, dy, dx)
        RIGHT(layer, dy, dx)
        if wrong:
            layer.dW *= 1.01

    monkeypatch.setattr(xbnet.Linear, "backward", backward)
    monkeypatch.setattr("xbnet.verify.gradient.MANY", 1)  # not entry by entry
    assert CASES[case].run().passed is False


class Faulty(xbnet.Linear):
    """dW is wrong by a hundredth where `wrong` says so."""

    most = 0

    def wrong(self, rows, dx):
        return False

    def backward(self, dy, dx):
        rows = dy.shape[1]
        wrong = self.wrong(rows, dx)
        super().backward(dy, dx)
        if wrong:
            self.xp.multiply(self.dW, 1.01, out=self.dW)
        self.most = max(self.most, rows)


class WithDx(Faulty):
    """Wrong only where dx is wanted."""

    def wrong(self, rows, dx):
        return dx is not None


class ShortBatch(Faulty):
    """Wrong where a batch is at most half as long as the longest so far."""

    def wrong(self, rows, dx):
        return 2 * rows <= self.most


class ShortBatchWithDx(Faulty):
    """The same, and only where dx is wanted."""

    def wrong(self, rows, dx):
        return dx is not None and 2 * rows <= self.most


class Unrecorded(Faulty):
    """Half of the gradient is made by what no record holds: it is missing where steps are played."""

    replayable = True

    def backward(self, dy, dx):
        super().backward(dy, dx)
        self.dW *= 0.5
        self.xp.multiply(self.dW, 2.0, out=self.dW)


class Unrecordable(Faulty):
    """Says that it is replayable, and makes an array at each call."""

    replayable = True

    def backward(self, dy, dx):
        super().backward(dy, dx)
        self.dW[...] = self.xp.multiply(self.dW, 1.0)


SHORT, PLAYED = "the gradient of a short batch: 3 rows after 6", "the same gradient in played steps"
AS_TRAINED = {
    WithDx: "the same gradient with and without dx",
    ShortBatch: SHORT,
    ShortBatchWithDx: SHORT,
    Unrecorded: PLAYED,
    Unrecordable: PLAYED,
}


def batch(B=6):
    rng = np.random.default_rng(3)
    return rng.standard_normal((B, 4)), rng.integers(0, 3, B)


@pytest.mark.parametrize("layer", AS_TRAINED, ids=lambda layer: layer.__name__)
def test_fault_of_a_network_that_trains_is_caught_and_named(layer):
    network = xbnet.Network([layer(4, "tanh"), xbnet.Linear(3)], 4, replicas=2, rng=1)
    result = xbnet.gradient_test(network, "cross_entropy", *batch())
    assert any(line.startswith(AS_TRAINED[layer]) for line in result.failures()), result.failures()


def test_what_is_not_kept_in_buffers_is_one_line():
    """A mask of its own, of which a network at the same point knows nothing."""

    class Noise(xbnet.Layer):
        def bind(self, streams):
            self.streams = streams

        def forward(self, x, training):
            if not self.frozen:
                self.mask = np.stack([stream.random(x.shape[1:]) for stream in self.streams])
            return x * self.mask

        def backward(self, dy, dx):
            dx[...] = dy * self.mask

    network = xbnet.Network([xbnet.Linear(4), Noise(), xbnet.Linear(3)], 4, dtype="float64", rng=0)
    x, y = np.random.default_rng(0).normal(size=(8, 4)), np.arange(8) % 3
    failures = xbnet.gradient_test(network, "cross_entropy", x, y, rng=0).failures()
    line = "8 rows: Noise: nothing is named 'mask'; state it in parameters, state, buffers, scratch or hyper, and use it in "
    assert failures == [f"the same gradient in played steps: {line}a network"]
