"""Activation functions, each with its derivative.

Two signatures serve them all::

    forward(xp, z, out, work)       out = s(z); `out` never aliases z
    backward(xp, dy, z, y, work)    dy = dy * s'(z), in place; z and y = s(z) are only read

All arrays have the same shape; `work` is a pair of scratch arrays of that shape. A function of your own
is an `Activation` made of two such functions, and goes wherever a name goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..backends.arrays import Array, Namespace
from ..backends.constants import LEAK, SELU_ALPHA, SELU_SCALE
from ..errors import unknown_name
from .gates import gelu, gelu_backward, mish, mish_backward, sigmoid, silu, silu_backward


@dataclass(frozen=True)
class Activation:
    """An elementwise function and its derivative.

    Attributes
    ----------
    name
        How it is asked for and kept in files.
    forward, backward
        See the module's text.
    initializer
        The default initializer of weights in front of it: "glorot", "he" or "lecun".
    kinks
        Points at which the derivative jumps; gradient tests keep away from them.
    replayable, kernel
        See `StepPart`: whether both functions do nothing but by operations of `xp` with ``out=``, and the name by which
        kernels know them. No arguments, so that `dataclasses.replace` doesn't hand on what was true of other functions;
        a class derived from this one may say ``replayable = True`` in its body.

    Examples
    --------
    >>> import xbnet
    >>> def square(xp, z, out, work):
    ...     xp.multiply(z, z, out=out)
    >>> def square_backward(xp, dy, z, y, work):
    ...     xp.multiply(dy, z, out=dy)
    ...     xp.multiply(dy, 2.0, out=dy)
    >>> layer = xbnet.Linear(3, Activation("square", square, square_backward))
    >>> xbnet.jacobian_test(layer, [[0.5, -1.0]]).passed
    True
    """

    name: str
    forward: Callable[..., None]
    backward: Callable[..., None]
    initializer: str = "glorot"
    kinks: tuple[float, ...] = ()
    replayable: bool = field(default=False, init=False)
    kernel: str | None = field(default=None, init=False)


def _identity(xp: Namespace, z: Array, out: Array, work: Sequence[Array]) -> None:
    xp.copyto(out, z)


def _identity_backward(xp: Namespace, dy: Array, z: Array, y: Array, work: Sequence[Array]) -> None:
    """dy is what it was."""


def _relu(xp: Namespace, z: Array, out: Array, work: Sequence[Array]) -> None:
    xp.maximum(z, 0.0, out=out)


SHORT = 2048
"""Up to this many numbers one call of `sign` takes less time than two calls with vector instructions."""


def _relu_backward(xp: Namespace, dy: Array, z: Array, y: Array, work: Sequence[Array]) -> None:
    """dy * [y > 0]; the derivative at 0 is taken as 0."""
    if y.size <= SHORT:
        xp.sign(y, out=work[0])  # y >= 0, so both give 0 or 1
    else:
        xp.ceil(y, out=work[0])
        xp.minimum(work[0], 1.0, out=work[0])
    xp.multiply(dy, work[0], out=dy)


def _leaky_relu(xp: Namespace, z: Array, out: Array, work: Sequence[Array]) -> None:
    xp.multiply(z, LEAK, out=work[0])
    xp.maximum(z, work[0], out=out)


def _leaky_relu_backward(xp: Namespace, dy: Array, z: Array, y: Array, work: Sequence[Array]) -> None:
    """dy * (1 where z > 0, else the leak)."""
    xp.sign(z, out=work[0])
    xp.maximum(work[0], LEAK, out=work[1])  # sign -1, 0, 1 -> leak, leak, 1
    xp.multiply(dy, work[1], out=dy)


def _elu(xp: Namespace, z: Array, out: Array, work: Sequence[Array]) -> None:
    xp.minimum(z, 0.0, out=work[0])
    xp.expm1(work[0], out=work[0])
    xp.maximum(z, work[0], out=out)  # for z > 0 expm1(0) = 0 < z; for z <= 0 expm1(z) >= z


def _elu_backward(xp: Namespace, dy: Array, z: Array, y: Array, work: Sequence[Array]) -> None:
    """dy * (1 where z > 0, else exp(z) = y + 1)."""
    xp.minimum(y, 0.0, out=work[0])
    xp.add(work[0], 1.0, out=work[0])
    xp.multiply(dy, work[0], out=dy)


def _selu(xp: Namespace, z: Array, out: Array, work: Sequence[Array]) -> None:
    """scale * (z where z > 0, else alpha (exp(z) - 1)) (Klambauer et al. 2017)."""
    xp.minimum(z, 0.0, out=work[0])
    xp.expm1(work[0], out=work[0])
    xp.multiply(work[0], SELU_SCALE * SELU_ALPHA, out=work[0])
    xp.maximum(z, 0.0, out=out)
    xp.multiply(out, SELU_SCALE, out=out)
    xp.add(out, work[0], out=out)  # one of them is 0


def _selu_backward(xp: Namespace, dy: Array, z: Array, y: Array, work: Sequence[Array]) -> None:
    """dy * (scale where z > 0, else scale alpha exp(z) = y + scale alpha)."""
    xp.sign(y, out=work[0])
    xp.maximum(work[0], 0.0, out=work[1])
    xp.multiply(work[1], SELU_SCALE - SELU_SCALE * SELU_ALPHA, out=work[1])
    xp.minimum(y, 0.0, out=work[0])
    xp.add(work[0], SELU_SCALE * SELU_ALPHA, out=work[0])
    xp.add(work[0], work[1], out=work[0])
    xp.multiply(dy, work[0], out=dy)


def _sigmoid_backward(xp: Namespace, dy: Array, z: Array, y: Array, work: Sequence[Array]) -> None:
    """dy * y (1 - y)."""
    xp.multiply(dy, y, out=dy)
    xp.multiply(dy, y, out=work[0])
    xp.subtract(dy, work[0], out=dy)


def _tanh(xp: Namespace, z: Array, out: Array, work: Sequence[Array]) -> None:
    xp.tanh(z, out=out)


def _tanh_backward(xp: Namespace, dy: Array, z: Array, y: Array, work: Sequence[Array]) -> None:
    """dy * (1 - y^2)."""
    xp.multiply(y, y, out=work[0])
    xp.multiply(work[0], dy, out=work[0])
    xp.subtract(dy, work[0], out=dy)


def softplus(xp: Namespace, z: Array, out: Array, work: Sequence[Array]) -> None:
    """log(1 + exp(z)) = max(z, 0) + log1p(exp(-|z|)), which can't overflow."""
    xp.abs(z, out=work[0])
    xp.negative(work[0], out=work[0])
    xp.exp(work[0], out=work[0])
    xp.log1p(work[0], out=work[0])
    xp.maximum(z, 0.0, out=out)
    xp.add(out, work[0], out=out)


def _softplus_backward(xp: Namespace, dy: Array, z: Array, y: Array, work: Sequence[Array]) -> None:
    """dy * sigmoid(z)."""
    sigmoid(xp, z, work[0], work[1:])
    xp.multiply(dy, work[0], out=dy)


def _known(activation: Activation) -> Activation:
    """An activation of xbnet's own, said to be replayable and known to kernels."""
    vars(activation).update(replayable=True, kernel=activation.name)  # around "frozen", while nobody else has it
    return activation


ACTIVATIONS = {
    a.name: _known(a)
    for a in (
        Activation("identity", _identity, _identity_backward),
        Activation("relu", _relu, _relu_backward, "he", kinks=(0.0,)),
        Activation("leaky_relu", _leaky_relu, _leaky_relu_backward, "he", kinks=(0.0,)),
        Activation("elu", _elu, _elu_backward, "he"),
        Activation("gelu", gelu, gelu_backward, "he"),
        Activation("silu", silu, silu_backward, "he"),
        Activation("sigmoid", sigmoid, _sigmoid_backward),
        Activation("tanh", _tanh, _tanh_backward),
        Activation("softplus", softplus, _softplus_backward, "he"),
        Activation("selu", _selu, _selu_backward, "lecun", kinks=(0.0,)),
        Activation("mish", mish, mish_backward, "he"),
    )
}


def get_activation(activation: str | Activation | None) -> Activation:
    """The activation of that name.

    Parameters
    ----------
    activation
        A key of `ACTIVATIONS`; an `Activation` is returned as it is, None means "identity".

    Returns
    -------
    Activation

    Raises
    ------
    ConfigError
        There is no activation of that name.

    Examples
    --------
    >>> get_activation("relu").kinks
    (0.0,)
    """
    if isinstance(activation, Activation):
        return activation
    if activation is None:
        return ACTIVATIONS["identity"]
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise unknown_name("activation", "activation", activation, ACTIVATIONS)
    return ACTIVATIONS[activation]
