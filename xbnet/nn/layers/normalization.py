"""Batch and layer normalization."""

from __future__ import annotations

from ...backends.arrays import Array
from ...parsing import number
from ..initializers import ones, zeros
from ..parameters import ParameterSpec
from .base import BATCH, Layer, OnnxGraph, Shape, TorchModules


class _Normalization(Layer):
    """The common part of both: gain and offset, and what follows mean and variance."""

    eps: float

    def parameters(self) -> tuple[ParameterSpec, ...]:
        shape = (1, self.n_inputs)
        return ParameterSpec("gain", shape, ones), ParameterSpec("offset", shape, zeros)

    def _invert(self, var: Array) -> None:
        """1 / sqrt(var + eps) to `inv_std`."""
        xp, inv_std = self.xp, self.inv_std
        xp.add(var, self.eps, out=inv_std)
        xp.sqrt(inv_std, out=inv_std)
        xp.divide(1.0, inv_std, out=inv_std)

    def _scaled(self) -> Array:
        """y, of x - mean in `xhat`."""
        xp, xhat = self.xp, self.xhat
        xp.multiply(xhat, self.inv_std, out=xhat)
        xp.multiply(xhat, self.gain, out=self.y)
        return xp.add(self.y, self.offset, out=self.y)

    def _sum_gradients(self, dy: Array) -> None:
        """Those of gain and offset."""
        self.xp.multiply(dy, self.xhat, out=self.work)
        self.ops.batch_sum(self.work, self.dgain)
        self.ops.batch_sum(dy, self.doffset)


class BatchNorm(_Normalization):
    """y = gain * (x - mean) / sqrt(var + eps) + offset, with mean and variance over the batch.

    With xhat = (x - mean) / sqrt(var + eps), g = dy * gain and means over the batch (Ioffe & Szegedy 2015)::

        dgain = sum of dy * xhat       doffset = sum of dy
        dx = (g - mean(g) - xhat * mean(g * xhat)) / sqrt(var + eps)

    When not training, the running statistics of each replica take the place of the batch's:
    ``running <- (1 - momentum) running + momentum batch``, with the unbiased variance. A batch of one row has none
    and leaves them as they are.

    Parameters
    ----------
    momentum
        Weight of the newest batch in the running statistics, in (0, 1].
    eps
        Added to the variance, > 0.

    Raises
    ------
    ConfigError
        `momentum` or `eps` out of range.

    Examples
    --------
    >>> import numpy as np, xbnet
    >>> network = xbnet.Network([BatchNorm()], n_inputs=1)
    >>> network.forward(np.array([[[1.0], [3.0]]], np.float32), training=True).ravel().round(3).tolist()
    [-1.0, 1.0]
    >>> round(network.statistics["0.running_mean"].item(), 3)
    0.2
    """

    replayable = True

    def __init__(self, *, momentum: float = 0.1, eps: float = 1e-5):
        self.momentum = number("BatchNorm", "momentum", momentum, "(0, 1]")
        self.eps = number("BatchNorm", "eps", eps, "(0, inf)")

    def state(self) -> tuple[ParameterSpec, ...]:
        shape = (1, self.n_inputs)
        return ParameterSpec("running_mean", shape, zeros), ParameterSpec("running_var", shape, ones)

    def buffers(self) -> dict[str, Shape]:
        rows, one = (BATCH, self.n_inputs), (1, self.n_inputs)
        return {"xhat": rows, "y": rows, "mean": one, "var": one, "inv_std": one}

    def scratch(self) -> dict[str, Shape]:
        return {"work": (BATCH, self.n_inputs), "row": (1, self.n_inputs)}

    def forward(self, x: Array, training: bool) -> Array:
        if training:
            self._statistics(x)
        mean, var = (self.mean, self.var) if training else (self.running_mean, self.running_var)
        self._invert(var)
        self.xp.subtract(x, mean, out=self.xhat)
        return self._scaled()

    def _statistics(self, x: Array) -> None:
        """Mean and variance of the batch, in two passes, and the running ones moved towards them."""
        xp, m, B = self.xp, self.momentum, x.shape[1]
        if x.shape[0] == self.mean.shape[0]:
            self.ops.batch_sum(x, self.mean)
        else:  # all replicas share x
            xp.copyto(self.mean, self.ops.batch_sum(x, self.mean[:1]))
        xp.multiply(self.mean, 1 / B, out=self.mean)
        xp.subtract(x, self.mean, out=self.xhat)
        xp.multiply(self.xhat, self.xhat, out=self.work)
        self.ops.batch_sum(self.work, self.var)
        xp.multiply(self.var, 1 / B, out=self.var)
        if self.frozen or B == 1:  # one row has no variance to tell of
            return
        xp.multiply(self.running_mean, 1 - m, out=self.running_mean)
        xp.multiply(self.mean, m, out=self.row)
        xp.add(self.running_mean, self.row, out=self.running_mean)
        xp.multiply(self.running_var, 1 - m, out=self.running_var)
        xp.multiply(self.var, m * B / (B - 1), out=self.row)
        xp.add(self.running_var, self.row, out=self.running_var)

    def backward(self, dy: Array, dx: Array | None) -> None:
        xp = self.xp
        self._sum_gradients(dy)
        if dx is None:
            return
        # mean(g * xhat) = gain * dgain / B and mean(g) = gain * doffset / B: no further sums are needed.
        B = dy.shape[1]
        xp.multiply(self.dgain, 1 / B, out=self.row)
        xp.multiply(self.xhat, self.row, out=self.work)
        xp.subtract(dy, self.work, out=dx)
        xp.multiply(self.doffset, 1 / B, out=self.row)
        xp.subtract(dx, self.row, out=dx)
        xp.multiply(self.gain, self.inv_std, out=self.row)
        xp.multiply(dx, self.row, out=dx)

    def to_onnx(self, graph: OnnxGraph, x: str) -> str:
        blocks = (self.gain, self.offset, self.running_mean, self.running_var)
        return graph.add("BatchNormalization", x, *(graph.constant(b[0, 0]) for b in blocks), epsilon=self.eps)

    def to_torch(self, modules: TorchModules) -> None:
        modules.add(
            f"nn.BatchNorm1d({self.n_inputs}, eps={self.eps}, momentum={self.momentum})",
            weight=self.gain[0, 0],
            bias=self.offset[0, 0],
            running_mean=self.running_mean[0, 0],
            running_var=self.running_var[0, 0],
            num_batches_tracked=0,
        )


class LayerNorm(_Normalization):
    """y = gain * (x - mean) / sqrt(var + eps) + offset, with mean and variance over each row.

    With xhat = (x - mean) / sqrt(var + eps), g = dy * gain and means over the features (Ba et al. 2016)::

        dgain = sum over the batch of dy * xhat       doffset = sum over the batch of dy
        dx = (g - mean(g) - xhat * mean(g * xhat)) / sqrt(var + eps)

    Parameters
    ----------
    eps
        Added to the variance, > 0.

    Raises
    ------
    ConfigError
        `eps` out of range.

    Examples
    --------
    >>> import numpy as np, xbnet
    >>> network = xbnet.Network([LayerNorm()], n_inputs=2)
    >>> network.forward(np.array([[[1.0, 3.0]]], np.float32)).ravel().round(3).tolist()
    [-1.0, 1.0]
    """

    replayable = True

    def __init__(self, *, eps: float = 1e-5):
        self.eps = number("LayerNorm", "eps", eps, "(0, inf)")

    def buffers(self) -> dict[str, Shape]:
        rows = (BATCH, self.n_inputs)
        return {"xhat": rows, "y": rows, "inv_std": (BATCH, 1)}

    def scratch(self) -> dict[str, Shape]:
        return {"work": (BATCH, self.n_inputs), "column": (BATCH, 1)}

    def _row_mean(self, x: Array, out: Array) -> None:
        self.ops.row_sum(x, out)
        self.xp.multiply(out, 1 / self.n_inputs, out=out)

    def forward(self, x: Array, training: bool) -> Array:
        xp, xhat = self.xp, self.xhat
        xp.copyto(xhat, x)  # x may be shared by all replicas; the rest is per replica
        self._row_mean(xhat, self.column)
        xp.subtract(xhat, self.column, out=xhat)
        xp.multiply(xhat, xhat, out=self.work)
        self._row_mean(self.work, self.inv_std)
        self._invert(self.inv_std)
        return self._scaled()

    def backward(self, dy: Array, dx: Array | None) -> None:
        xp, xhat = self.xp, self.xhat
        self._sum_gradients(dy)
        if dx is None:
            return
        xp.multiply(dy, self.gain, out=dy)  # g
        self._row_mean(dy, self.column)
        xp.subtract(dy, self.column, out=dx)
        xp.multiply(dy, xhat, out=self.work)
        self._row_mean(self.work, self.column)
        xp.multiply(xhat, self.column, out=self.work)
        xp.subtract(dx, self.work, out=dx)
        xp.multiply(dx, self.inv_std, out=dx)

    def to_onnx(self, graph: OnnxGraph, x: str) -> str:
        gain, offset = graph.constant(self.gain[0, 0]), graph.constant(self.offset[0, 0])
        return graph.add("LayerNormalization", x, gain, offset, axis=-1, epsilon=self.eps)

    def to_torch(self, modules: TorchModules) -> None:
        modules.add(f"nn.LayerNorm({self.n_inputs}, eps={self.eps})", weight=self.gain[0, 0], bias=self.offset[0, 0])
