"""Of a network with one wrong layer, the failure names that layer; and a backward that returns is told so."""

import numpy as np
import pytest

import xbnet
from xbnet.nn.initializers import ones
from xbnet.verify.suspects import suspect

X = np.random.default_rng(0).normal(size=(6, 3)) + 1
Y = np.arange(6) % 2


class Scale(xbnet.Layer):
    """A right one: y = gain x."""

    def parameters(self):
        return (xbnet.ParameterSpec("gain", (1, self.n_inputs), ones),)

    def buffers(self):
        return {"y": (xbnet.BATCH, self.n_inputs)}

    def scratch(self):
        return {"work": (xbnet.BATCH, self.n_inputs)}

    def forward(self, x, training):
        self.x = x
        return self.xp.multiply(x, self.gain, out=self.y)

    def backward(self, dy, dx):
        self.xp.multiply(dy, self.x, out=self.work)
        self.ops.batch_sum(self.work, self.dgain)
        if dx is not None:
            self.xp.multiply(dy, self.gain, out=dx)


class WrongDx(Scale):
    def backward(self, dy, dx):
        super().backward(dy, dx)
        if dx is not None:
            self.xp.multiply(dx, 2.0, out=dx)


class WrongGain(Scale):
    def backward(self, dy, dx):
        super().backward(dy, dx)
        self.ops.batch_sum(dy, self.dgain)


class Returns(Scale):
    def backward(self, dy, dx):
        return dy * self.gain


def checked(layer):
    layers = [xbnet.Linear(4, "tanh"), xbnet.Linear(3, "tanh"), layer, xbnet.Dropout(0.1), xbnet.Linear(2)]
    network = xbnet.Network(layers, 3, rng=0, dtype="float64")
    return xbnet.gradient_test(network, "cross_entropy", X, Y)


def test_a_right_network_has_no_suspect():
    assert checked(Scale()).suspect == ""


def test_a_wrong_dx_is_named():
    assert checked(WrongDx()).suspect == (
        "the gradients of layers 0 to 1 and of x are wrong, those after are right: look at the dx of 2.WrongDx, "
        "or at 1.Linear itself"
    )


def test_a_wrong_gradient_of_a_parameter_is_named():
    result = checked(WrongGain())
    assert result.suspect == "each layer's dx is right: look at 2.WrongGain (dgain)"
    assert result.suspect in str(result)
    with pytest.raises(xbnet.GradientError, match=r"; each layer's dx is right: look at 2\.WrongGain \(dgain\)$"):
        result.raise_if_failed()


def test_a_backward_that_returns_is_told_to_write():
    result = checked(Returns())
    assert result.failures()[0] == (
        "2.Returns.backward returns a value, which is not read: it has to overwrite dx (unless that is None) and the "
        "gradients of its parameters, such as self.dW"
    )
    assert result.suspect == ""


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (["x"], "the gradient of x is wrong, all others are right: look at the dx of 0.A"),
        (["0.W", "x"], "the gradients of layer 0 and of x are wrong, those after are right: "
                       "look at the dx of 1.B or 2.C, or at 0.A itself"),
        (["0.W", "0.b", "2.W", "x"], "all gradients after 2.C are right: look at its dW and its dx"),
        (["0.W", "0.b", "2.W", "2.b", "x"], "all gradients are wrong: look at 2.C first, then at the loss"),
        (["0.W", "0.b", "2.b"], "each layer's dx is right: look at 0.A (dW and db) and 2.C (db)"),
        (["2.W", "x"], ""),
    ],
)  # fmt: skip
def test_the_pattern_of_wrong_blocks_tells_the_place(wrong, line):
    if wrong[:2] == ["0.W", "x"]:
        wrong = ["0.W", "0.b", "x"]
    passed = {block: block not in wrong for block in ("0.W", "0.b", "2.W", "2.b", "theta", "x")}
    assert suspect(passed, ["A", "B", "C"]) == line


def test_the_picture_keeps_to_the_curves():
    axis = checked(WrongDx()).plot().axes[0]
    assert axis.get_ylim()[1] < 100
