"""The outputs of k members, each from its own linear layer: side by side for the loss, averaged for predictions."""

from __future__ import annotations

import numpy as np

from ....backends.arrays import Array
from ....parsing import whole
from ...initializers import Initializer, get_initializer
from ...parameters import ParameterSpec
from ..base import BATCH, Layer, OnnxGraph, Shape, TorchModules
from .members import shared_width

YES_OR_NO = ("sigmoid", "multilabel")
"""Links of outputs that are logits of yes or no, each by itself."""
MOST = 80.0
"""Larger logits say no more; float32 holds exp of it."""


class MemberOutputs(Layer):
    """The last layer of k members that share what is before it: z_j = x_j W_j + b_j.

    While training its output is (B, k C): a loss takes each member's outputs by themselves, and its mean goes over
    samples and members, so each member learns as if it were alone (with the mean's loss they would all but copy each
    other's answers). Otherwise the output is (B, C), the mean of the members: where the network's link is "softmax" the
    logarithm of the mean of their probabilities, whose softmax is that mean; where it is of questions of yes or no the
    logit of the mean of each one's probabilities; where it is "exp" the logarithm of the mean of exp(z_j); else the
    mean of their outputs. With dz_j::

        dW_j = x_j^T dz_j        db_j = sum of dz_j over the batch        dx_j = dz_j W_j^T

    Parameters
    ----------
    n_outputs
        C >= 1, or O of a regression.
    members
        k >= 1, as many as in the layers before it.
    initializer
        How each W_j (I, C) starts; Glorot by default. b starts at 0.

    Raises
    ------
    ConfigError
        A number is no whole number >= 1, or the inputs are not those of k members.

    Examples
    --------
    >>> import xbnet
    >>> layers = [xbnet.Members(4), xbnet.SharedLinear(8, "relu", members=4), MemberOutputs(3, members=4)]
    >>> network = xbnet.Network(layers, n_inputs=2, rng=0)
    >>> x = np.ones((1, 5, 2), "float32")
    >>> network.forward(x, training=True).shape, network.forward(x).shape
    ((1, 5, 12), (1, 5, 3))
    """

    replayable = True
    apart = False
    """Whether predictions are the members', side by side, as while training."""

    def __init__(self, n_outputs: int, *, members: int, initializer: str | Initializer | None = None):
        self.width = whole("MemberOutputs", "n_outputs", n_outputs)
        self.members = self.answers = whole("MemberOutputs", "members", members)
        self.initializer = initializer
        self._draw_one = get_initializer(initializer or "glorot")
        self.n_outputs = self.members * self.width

    def config(self) -> dict[str, object]:
        return {**super().config(), "n_outputs": self.width}

    def build(self, n_inputs: int) -> None:
        self.n_inputs, self.narrow = n_inputs, shared_width(self, self.members, n_inputs)

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return self._draw_one(rng, (self.members, self.narrow, self.width)).reshape(shape)

    def parameters(self) -> tuple[ParameterSpec, ...]:
        return (
            ParameterSpec("W", (self.n_inputs, self.width), self._draw, is_weight=True),
            ParameterSpec("b", (1, self.n_outputs)),
        )

    def buffers(self) -> dict[str, Shape]:
        return {"z": (BATCH, self.n_outputs), "y": (BATCH, self.width)}

    def scratch(self) -> dict[str, Shape]:
        by_member = (BATCH, self.members)
        return {"e": (BATCH, self.n_outputs), "largest": by_member, "larger": by_member, "mean": (BATCH, self.width)}

    def _of(self, array: Array, j: int, width: int) -> Array:
        """The part of member j in an array (R, B, k n)."""
        return array[:, :, j * width : (j + 1) * width]

    def _weights(self, W: Array, j: int) -> Array:
        return W[:, j * self.narrow : (j + 1) * self.narrow]

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        for j in range(self.members):
            self.ops.bmm(self._of(x, j, self.narrow), self._weights(self.W, j), self._of(self.z, j, self.width))
        self.ops.bias_activation(None, self.z, self.b, self.z, ())
        return self.z if training or self.apart else self._mean()

    def _mean(self) -> Array:
        """The members as one (R, B, C)."""
        xp, y = self.xp, self.y
        if self.link == "softmax":
            total = self._mean_of(self._probabilities(), self.mean)
            xp.maximum(total, self._tiny, out=y)
            return xp.log(y, out=y)
        if self.link == "exp":
            return self._log_mean_exp()
        if self.link not in YES_OR_NO:
            return self._mean_of(self.z, y)
        for sign, total in ((-1.0, self.mean), (1.0, y)):  # of yes and of no: 1 - p would lose the digits of small ones
            self._sigmoid(sign)
            self._mean_of(self.e, total)
            xp.maximum(total, self._tiny, out=total)
            xp.log(total, out=total)
        return xp.subtract(self.mean, y, out=y)

    @property
    def _tiny(self) -> float:
        return float(np.finfo(self.dtype).tiny)

    def _mean_of(self, values: Array, total: Array) -> Array:
        """The mean of the members' values (R, B, k C), to total (R, B, C)."""
        xp = self.xp
        xp.copyto(total, self._of(values, 0, self.width))
        for j in range(1, self.members):
            xp.add(total, self._of(values, j, self.width), out=total)
        return xp.multiply(total, 1 / self.members, out=total)

    def _log_mean_exp(self) -> Array:
        """log of the mean of exp(z_j), less the largest and plus it again: exp of a large z overflows."""
        xp, largest, y = self.xp, self.mean, self.y
        xp.copyto(largest, self._of(self.z, 0, self.width))
        for j in range(1, self.members):
            xp.maximum(largest, self._of(self.z, j, self.width), out=largest)
        for j in range(self.members):
            xp.subtract(self._of(self.z, j, self.width), largest, out=self._of(self.e, j, self.width))
        xp.exp(self.e, out=self.e)
        xp.log(self._mean_of(self.e, y), out=y)
        return xp.add(y, largest, out=y)

    def _sigmoid(self, sign: float) -> None:
        """e = 1 / (1 + exp(sign z)), of z that exp can take."""
        xp, e = self.xp, self.e
        xp.multiply(self.z, sign, out=e)
        xp.maximum(e, -MOST, out=e)
        xp.minimum(e, MOST, out=e)
        xp.exp(e, out=e)
        xp.add(e, 1.0, out=e)
        xp.divide(1.0, e, out=e)

    def _probabilities(self) -> Array:
        """The softmax of each member by itself, (R, B, k C)."""
        xp, C = self.xp, self.width
        R, B, _ = self.z.shape
        z, e = self.z.reshape(R, B * self.members, C), self.e.reshape(R, B * self.members, C)
        largest, other = (m.reshape(R, B * self.members, 1) for m in (self.largest, self.larger))
        xp.copyto(largest, z[:, :, :1])
        for c in range(1, C):
            xp.maximum(largest, z[:, :, c : c + 1], out=other)
            largest, other = other, largest
        xp.subtract(z, largest, out=e)
        xp.exp(e, out=e)
        self.ops.row_sum(e, other)
        xp.divide(e, other, out=e)
        return self.e

    def backward(self, dy: Array, dx: Array | None) -> None:
        self.ops.batch_sum(dy, self.db)
        for j in range(self.members):
            d = self._of(dy, j, self.width)
            self.ops.bmm_tn(self._of(self.x, j, self.narrow), d, self._weights(self.dW, j))
            if dx is not None:
                self.ops.bmm_nt(d, self._weights(self.W, j), self._of(dx, j, self.narrow))

    @classmethod
    def examples(cls) -> dict[str, Layer]:
        return {"": cls(3, members=2)}

    def to_onnx(self, graph: OnnxGraph, x: str) -> str:
        k, shape = self.members, [-1, self.members, self.narrow]
        x = graph.add("Transpose", graph.add("Reshape", x, graph.constant(np.array(shape), np.int64)), perm=[1, 0, 2])
        W, b = self.W[0].reshape(k, self.narrow, self.width), self.b[0].reshape(k, 1, self.width)
        z = graph.add("Add", graph.add("MatMul", x, graph.constant(W)), graph.constant(b))

        def mean(values: str) -> str:
            return graph.add("ReduceMean", values, graph.constant(np.array([0]), np.int64), keepdims=0)

        def logarithm(p: str) -> str:
            return graph.add("Log", graph.add("Max", p, graph.constant(self._tiny)))

        if self.link == "softmax":
            return logarithm(mean(graph.add("Softmax", z, axis=-1)))
        if self.link == "exp":
            total = graph.add("ReduceLogSumExp", z, graph.constant(np.array([0]), np.int64), keepdims=0)
            return graph.add("Sub", total, graph.constant(np.log(k)))
        if self.link not in YES_OR_NO:
            return mean(z)
        yes, no = (mean(graph.add("Sigmoid", one)) for one in (z, graph.add("Neg", z)))
        return graph.add("Sub", logarithm(yes), logarithm(no))

    def to_torch(self, modules: TorchModules) -> None:
        k = self.members
        W, b = self.W[0].reshape(k, self.narrow, self.width), self.b[0].reshape(k, 1, self.width)
        how = self.link if self.link in ("softmax", "exp") else "sigmoid" if self.link in YES_OR_NO else "values"
        module = f"MemberOutputs({k}, {self.narrow}, {self.width}, {how!r})"
        modules.add(module, W=W, b=b)
