import numpy as np
import pytest

import xbnet
from tests.support import cases
from xbnet import BATCH, Layer, ParameterSpec
from xbnet.nn.activations import ACTIVATIONS
from xbnet.nn.initializers import ones


class Scale(Layer):
    """y = x * factor, with a factor per column, times a number per replica: a layer of one's own."""

    def __init__(self, times=1.0):
        self.times = times

    def parameters(self):
        return (ParameterSpec("factor", (1, self.n_inputs), ones, is_weight=True),)

    def buffers(self):
        return {"y": (BATCH, self.n_inputs), "xs": (BATCH, self.n_inputs)}

    def scratch(self):
        return {"work": (BATCH, self.n_inputs)}

    def hyper(self):
        return {"by": self.times}

    def forward(self, x, training):
        self.xp.multiply(x, self.by, out=self.xs)
        return self.xp.multiply(self.xs, self.factor, out=self.y)

    def backward(self, dy, dx):
        self.xp.multiply(dy, self.xs, out=self.work)
        self.ops.batch_sum(self.work, self.dfactor)
        if dx is not None:
            self.xp.multiply(dy, self.factor, out=dx)
            self.xp.multiply(dx, self.by, out=dx)


def test_a_layer_of_your_own():
    net = cases.network([Scale([1.0, 2.0])], replicas=2)
    x, y = cases.samples(n=20)
    history = xbnet.fit(net, "cross_entropy", "adam:lr=0.05", (x, y), epochs=20, batch_size=8)
    assert np.all(history["train_loss"][-1] < history["train_loss"][0])
    assert repr(net.layers[0]) == "Scale(times=[1.0, 2.0])"
    h, (xb, _), cotangent = 1e-6, cases.device_samples(net), np.random.default_rng(0).normal(size=(2, 7, 3))
    net.forward(xb, training=True)
    net.backward(cotangent.copy())
    gradient = net.gradients["0.factor"].copy()
    for r, i in np.ndindex(2, cases.N_INPUTS):
        factor = net.parameters["0.factor"]
        factor[r, 0, i] += h
        up = (net.forward(xb) * cotangent).sum()
        factor[r, 0, i] -= 2 * h
        down = (net.forward(xb) * cotangent).sum()
        factor[r, 0, i] += h
        assert gradient[r, 0, i] == pytest.approx((up - down) / (2 * h), rel=1e-6)


def test_config_is_the_attributes_with_the_names_of_arguments():
    class Mine(Layer):
        def __init__(self, activation, n=3, *, rate=None, other=1):
            self.activation, self.n, self.rate, self.more = activation, n, rate, other

    assert Mine(ACTIVATIONS["tanh"], 4).config() == {"activation": "tanh", "n": 4, "rate": None}
    assert Layer().config() == {}


def test_an_unfinished_layer_says_what_is_missing():
    class Half(Layer):
        pass

    net = cases.network([Half()])
    with pytest.raises(NotImplementedError, match=r"\AHalf\.forward\Z"):
        net.forward(np.zeros((1, 2, cases.N_INPUTS)))


@pytest.mark.parametrize("row", cases.LAYERS)
def test_config_makes_the_layer_anew(row):
    for layer in cases.LAYERS[row]():
        again = type(layer)(**layer.config())
        assert repr(again) == repr(layer)
        assert again.config() == layer.config()


def test_what_a_layer_forgot_to_state_is_named():
    class Forgetful(Layer):
        def forward(self, x, training):
            return self.xp.add(x, 1.0, out=self.y)

    net = xbnet.Network([Forgetful()], 3)
    with pytest.raises(
        AttributeError, match="^Forgetful: nothing is named 'y'; state it in parameters, state, buffers"
    ):
        net.forward(np.zeros((1, 2, 3), np.float32))


@pytest.mark.parametrize("stated", [{"gain": (1, 3)}, {"dgain": (1, 3)}, {"forward": (1, 3)}, {"times": (1, 3)}])
def test_names_that_a_layer_states_twice_are_refused(stated):
    """Of two arrays by one name, the second would take the first one's place."""

    class Twice(Scale):
        def parameters(self):
            return (ParameterSpec("gain", (1, 3)),)

        def buffers(self):
            return stated

    (name,) = stated
    with pytest.raises(xbnet.ConfigError, match=f"^Twice: expected names that differ, got '{name}' twice; rename one$"):
        xbnet.Network([Twice()], 3)


def test_a_released_network_holds_no_batch():
    net = cases.network("deep")
    x, _ = cases.device_samples(net)
    net.forward(x, training=True)
    net.release()
    names = [set(vars(layer)) for layer in net.layers]
    assert not any({"x", "y", "z", "source"} & kept for kept in names)
    net.forward(x, training=True)
    net.backward(np.zeros_like(net.output_gradient))
