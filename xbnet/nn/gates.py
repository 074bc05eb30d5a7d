"""Activations that let a number through by a gate in (0, 1): z g(z), and the gate itself. See `activations`."""

from __future__ import annotations

from collections.abc import Sequence

from ..backends.arrays import Array, Namespace
from ..backends.constants import GELU_A, GELU_C, GELU_FAR


def sigmoid(xp: Namespace, z: Array, out: Array, work: Sequence[Array]) -> None:
    """1 / (1 + exp(-z)) = max(sign z, e) / (1 + e) with e = exp(-|z|), which can't overflow and keeps small digits."""
    xp.abs(z, out=out)
    xp.negative(out, out=out)
    xp.exp(out, out=out)
    xp.sign(z, out=work[0])
    xp.maximum(out, work[0], out=work[0])  # 1 for z > 0, else e; dpnp 0.20 has no maximum into its first operand
    xp.add(out, 1.0, out=out)
    xp.divide(work[0], out, out=out)


# GELU in its tanh form (Hendrycks & Gimpel 2016, section 2): it needs no erf, which not every backend has.
def _gelu_tanh(xp: Namespace, z: Array, out: Array) -> None:
    """out = tanh(c (z + a z^3))."""
    xp.multiply(z, z, out=out)
    xp.multiply(out, GELU_C * GELU_A, out=out)
    xp.add(out, GELU_C, out=out)
    xp.multiply(out, z, out=out)
    xp.tanh(out, out=out)


def gelu(xp: Namespace, z: Array, out: Array, work: Sequence[Array]) -> None:
    """z (1 + t) / 2 with t = tanh(c (z + a z^3))."""
    _gelu_tanh(xp, z, work[0])
    xp.add(work[0], 1.0, out=work[0])
    xp.multiply(work[0], 0.5, out=work[0])
    xp.multiply(z, work[0], out=out)


def gelu_backward(xp: Namespace, dy: Array, z: Array, y: Array, work: Sequence[Array]) -> None:
    """dy * (1 + t) / 2 * (1 + z (1 - t) c (1 + 3 a z^2)); far out, where t is 1 or -1, z must not become infinite."""
    t, u = work
    xp.minimum(z, GELU_FAR, out=t)
    xp.maximum(t, -GELU_FAR, out=u)
    xp.multiply(u, u, out=t)
    xp.multiply(t, 3 * GELU_C * GELU_A, out=t)
    xp.add(t, GELU_C, out=t)
    xp.multiply(t, u, out=u)  # u = z c (1 + 3 a z^2)
    _gelu_tanh(xp, z, t)
    xp.multiply(dy, 0.5, out=dy)
    xp.subtract(1.0, t, out=t)
    xp.multiply(u, t, out=u)
    xp.add(u, 1.0, out=u)  # u = 1 + z (1 - t) c (1 + 3 a z^2)
    xp.subtract(2.0, t, out=t)  # 2 - (1 - t) = 1 + t
    xp.multiply(dy, t, out=dy)
    xp.multiply(dy, u, out=dy)


def silu(xp: Namespace, z: Array, out: Array, work: Sequence[Array]) -> None:
    """z sigmoid(z) (Elfwing et al. 2018)."""
    sigmoid(xp, z, work[0], work[1:])
    xp.multiply(z, work[0], out=out)


def silu_backward(xp: Namespace, dy: Array, z: Array, y: Array, work: Sequence[Array]) -> None:
    """dy * (s + y (1 - s)) with s = sigmoid(z)."""
    s, u = work
    sigmoid(xp, z, s, (u,))
    xp.multiply(y, s, out=u)
    xp.subtract(y, u, out=u)
    xp.add(u, s, out=u)
    xp.multiply(dy, u, out=dy)


def mish(xp: Namespace, z: Array, out: Array, work: Sequence[Array]) -> None:
    """z tanh(softplus(z)) (Misra 2019) = z s (1 + c) / (1 + c^2) with s = sigmoid(z) and c = 1 - s."""
    s, c = work
    sigmoid(xp, z, s, (c,))
    xp.subtract(1.0, s, out=c)
    xp.multiply(c, c, out=out)
    xp.add(out, 1.0, out=out)
    xp.divide(s, out, out=out)
    xp.add(c, 1.0, out=c)
    xp.multiply(out, c, out=out)
    xp.multiply(out, z, out=out)


def mish_backward(xp: Namespace, dy: Array, z: Array, y: Array, work: Sequence[Array]) -> None:
    """dy * s / q * (1 + c + 4 z c^2 / q) with q = 1 + c^2; far below 0, where s is 0, z must not become infinite."""
    c, u = work
    sigmoid(xp, z, c, (u,))
    xp.multiply(dy, c, out=dy)
    xp.subtract(1.0, c, out=c)
    xp.multiply(c, c, out=u)
    xp.add(u, 1.0, out=u)
    xp.divide(dy, u, out=dy)
    xp.divide(c, u, out=u)
    xp.multiply(u, c, out=u)
    xp.multiply(u, dy, out=u)
    xp.multiply(u, z, out=u)
    xp.multiply(u, 4.0, out=u)
    xp.add(c, 1.0, out=c)
    xp.multiply(dy, c, out=dy)
    xp.add(dy, u, out=dy)
