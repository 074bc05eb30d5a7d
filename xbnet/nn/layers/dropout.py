"""Dropout."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ...backends.arrays import Array
from ...errors import ConfigError
from ...replicas import PerReplica, numbers, select_values
from .base import BATCH, Layer, OnnxGraph, Shape, TorchModules


class Dropout(Layer):
    """While training, y = x * mask / (1 - rate), where each entry of mask is 0 with probability `rate`.

    dx = dy * mask / (1 - rate), with the same mask. When not training, y = x. (Srivastava et al. 2014, in the
    inverted form, which needs no rescaling when predicting.)

    The random numbers of the masks are drawn on the host, by each replica's own generator.

    Parameters
    ----------
    rate
        In [0, 1): a number, or one per replica.

    Raises
    ------
    ConfigError
        A rate outside [0, 1).

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([Dropout(0.5)], n_inputs=6, rng=0)
    >>> ones = np.ones((1, 1, 6), np.float32)
    >>> network.forward(ones, training=True).ravel().tolist()
    [0.0, 2.0, 2.0, 2.0, 0.0, 2.0]
    >>> network.forward(ones).ravel().tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """

    replayable = True
    draws = True

    def __init__(self, rate: PerReplica = 0.5):
        values = numbers("Dropout", rate)
        if not np.all((values >= 0) & (values < 1)):
            raise ConfigError(f"Dropout: expected a rate in [0, 1), or one per replica, got {rate!r}")
        self.rate = rate

    def hyper(self) -> dict[str, Any]:
        rate = np.asarray(self.rate, dtype=float)
        return {"keep": 1 - rate, "scale": 1 / (1 - rate)}

    def buffers(self) -> dict[str, Shape]:
        shape = (BATCH, self.n_inputs)
        return {"y": shape, "mask": shape}

    def bind(self, streams: list[np.random.Generator]) -> None:
        self.streams = streams

    def draw(self) -> None:
        """New masks (R, B, I), 0 or 1 / (1 - rate)."""
        xp = self.xp
        self.ops.random(self.streams, self.mask)
        xp.subtract(self.keep, self.mask, out=self.y)
        xp.sign(self.y, out=self.y)
        xp.maximum(self.y, 0.0, out=self.mask)  # 1 where the number drawn is below `keep`, else 0
        xp.multiply(self.mask, self.scale, out=self.mask)

    def forward(self, x: Array, training: bool) -> Array:
        if not training:
            if x.shape[0] == self.y.shape[0]:
                return x
            self.xp.copyto(self.y, x)  # all replicas share x, but each has an output
            return self.y
        if not self.frozen:
            self.draw()
        return self.xp.multiply(x, self.mask, out=self.y)

    def backward(self, dy: Array, dx: Array | None) -> None:
        if dx is not None:
            self.xp.multiply(dy, self.mask, out=dx)

    def select(self, index: np.ndarray) -> Dropout:
        twin = copy.copy(self)
        twin.rate = select_values(self.rate, index)
        return twin

    def config(self) -> dict[str, Any]:
        return {"rate": np.asarray(self.rate).tolist()}

    @classmethod
    def examples(cls) -> dict[str, Layer]:
        return {"": cls(0.4)}

    def to_onnx(self, graph: OnnxGraph, x: str) -> str:
        return x

    def to_torch(self, modules: TorchModules) -> None:
        modules.add(f"nn.Dropout({float(np.ravel(self.rate)[0])})")
