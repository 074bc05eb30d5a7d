import copy
import dataclasses
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import cases
from tests.support.errors import refuses
from xbnet import Activation, ConfigError, Linear
from xbnet.nn.activations import ACTIVATIONS, get_activation

# The textbook's formulas, one number at a time.
FORMULAS = {
    "identity": lambda z: z,
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else math.expm1(z),
    "gelu": lambda z: 0.5 * z * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z / (1 + math.exp(-z)),
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": math.tanh,
    "softplus": lambda z: math.log1p(math.exp(z)),
    "selu": lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * math.expm1(z)),
    "mish": lambda z: z * math.tanh(math.log1p(math.exp(z))),
}


def value(activation, z):
    z, out, work = np.asarray(z), np.full(np.shape(z), np.nan), np.full((2, *np.shape(z)), np.nan)
    before = z.copy()
    activation.forward(np, z, out, tuple(work))
    np.testing.assert_array_equal(z, before, err_msg="forward only reads z")
    return out


def slope(activation, z, dy=None):
    y, work = value(activation, z), np.full((2, *z.shape), np.nan)
    dy = np.ones_like(z) if dy is None else dy.copy()
    z_before, y_before = z.copy(), y.copy()
    activation.backward(np, dy, z, y, tuple(work))
    np.testing.assert_array_equal(z, z_before, err_msg="backward only reads z")
    np.testing.assert_array_equal(y, y_before, err_msg="backward only reads y")
    return dy


Z = np.array([[-9.0, -1.5, -0.3, -1e-3, 1e-3, 0.2, 0.7, 1.9, 8.0]])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_are_the_formula(name):
    np.testing.assert_allclose(
        value(ACTIVATIONS[name], Z)[0], [FORMULAS[name](z) for z in Z[0]], rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_backward_multiplies_by_the_slope_of_the_formula(name):
    h, dy = 1e-5, np.linspace(-2, 3, Z.size).reshape(Z.shape)
    numeric = [(FORMULAS[name](z + h) - FORMULAS[name](z - h)) / (2 * h) for z in Z[0]]
    np.testing.assert_allclose(slope(ACTIVATIONS[name], Z, dy)[0], dy[0] * numeric, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_out_all_is_finite(name, dtype):
    z = np.array([[-1e4, -100.0, 0.0, 100.0, 1e4]], dtype)
    assert np.isfinite(value(ACTIVATIONS[name], z)).all()
    assert np.isfinite(slope(ACTIVATIONS[name], z)).all()
    with np.errstate(over="ignore"):  # as in training; z^3 has no room in float32
        out, in_ = slope(ACTIVATIONS[name], z[:, -1:] * 3e34).item(), slope(ACTIVATIONS[name], z[:, :1] * 3e34).item()
    assert (out, in_) == (slope(ACTIVATIONS[name], z[:, -1:]).item(), slope(ACTIVATIONS[name], z[:, :1]).item())


def test_slopes_at_kinks():
    zero = np.zeros((1, 1))
    assert [slope(ACTIVATIONS[name], zero).item() for name in ("relu", "leaky_relu", "elu")] == [0.0, 0.01, 1.0]
    assert [name for name, a in ACTIVATIONS.items() if a.kinks] == ["relu", "leaky_relu", "selu"]


def test_initializers_suit_the_activation():
    he = {name for name, a in ACTIVATIONS.items() if a.initializer == "he"}
    assert he == {"relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "mish"}
    assert {name for name, a in ACTIVATIONS.items() if a.initializer == "lecun"} == {"selu"}


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(sorted(ACTIVATIONS)), st.lists(st.floats(-50, 50), min_size=1, max_size=9))
def test_the_same_number_anywhere_in_an_array(name, numbers):
    """The value of an entry depends on nothing but the entry: not on its place, nor on its neighbours."""
    z = np.array([numbers])
    alone = [value(ACTIVATIONS[name], z[:, i : i + 1]).item() for i in range(len(numbers))]
    np.testing.assert_array_equal(value(ACTIVATIONS[name], z)[0], alone)


def test_a_function_of_your_own():
    def cube(xp, z, out, work):
        xp.multiply(z, z, out=work[0])
        xp.multiply(work[0], z, out=out)

    def cube_backward(xp, dy, z, y, work):
        xp.multiply(z, z, out=work[0])
        xp.multiply(work[0], 3.0, out=work[0])
        xp.multiply(dy, work[0], out=dy)

    net = cases.network([Linear(3, Activation("cube", cube, cube_backward))])
    x, _ = cases.device_samples(net, B=2)
    hidden = (x[0] @ net.parameters["0.W"][0] + net.parameters["0.b"][0]) ** 3
    np.testing.assert_allclose(net.forward(x)[0], hidden @ net.parameters["1.W"][0] + net.parameters["1.b"][0])


@pytest.mark.parametrize("other", ["forward", "backward"])
def test_what_is_said_of_functions_is_not_said_of_others_in_their_place(other):
    tanh, sigmoid = ACTIVATIONS["tanh"], ACTIVATIONS["sigmoid"]
    for same in (copy.deepcopy(tanh), pickle.loads(pickle.dumps(tanh))):
        assert (same, same.replayable, same.kernel) == (tanh, True, "tanh")
    mine = dataclasses.replace(tanh, **{other: getattr(sigmoid, other)})
    assert (mine.name, mine.replayable, mine.kernel) == ("tanh", False, None)


def test_a_class_of_activations_may_say_that_they_are_replayable():
    class Mine(Activation):
        replayable = True

    mine = Mine("mine", ACTIVATIONS["tanh"].forward, ACTIVATIONS["tanh"].backward)
    assert (mine.replayable, mine.kernel) == (True, None)


def test_get_activation():
    assert get_activation("tanh") is ACTIVATIONS["tanh"]
    assert get_activation(None) is ACTIVATIONS["identity"]
    assert get_activation(ACTIVATIONS["elu"]) is ACTIVATIONS["elu"]
    assert Linear(3, "identity").activation is Linear(3).activation is None


KNOWN = "known are elu, gelu, identity, leaky_relu, mish, relu, selu, sigmoid, silu, softplus, tanh"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("rleu", f"activation: unknown activation 'rleu'; did you mean 'relu'? {KNOWN}"),
        ("zzz", f"activation: unknown activation 'zzz'; {KNOWN}"),
        (["tanh"], f"activation: unknown activation ['tanh']; did you mean 'tanh'? {KNOWN}"),
    ],
)
def test_unknown(name, line):
    with refuses(ConfigError, line):
        Linear(3, name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_small_sigmoid_keeps_its_digits(dtype):
    """By tanh(z / 2) they would be 2.98e-8, 0 and 0 in float32."""
    z = np.array([[-18.0, -20.0, -40.0]], dtype)
    p = np.exp(z) / (1 + np.exp(z))
    rtol = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(value(ACTIVATIONS["sigmoid"], z), p, rtol=rtol)
    np.testing.assert_allclose(value(ACTIVATIONS["silu"], z), z * p, rtol=rtol)
    np.testing.assert_allclose(slope(ACTIVATIONS["softplus"], z), p, rtol=rtol)
    np.testing.assert_allclose(slope(ACTIVATIONS["sigmoid"], z), p * (1 - p), rtol=rtol)
