"""The embedding of numbers by cosines of learned frequencies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....backends.arrays import Array
from ....errors import ConfigError
from ....parsing import number, whole
from ...activations import Activation
from ...parameters import ParameterSpec
from ..base import BATCH, Layer, OnnxGraph, Shape
from .columnwise import ColumnEmbedding


class PeriodicEmbedding(ColumnEmbedding):
    """Each column as cosines of it, of learned frequencies, and a learned linear map of these.

    The codes of a column are, with k learned frequencies f, 2 pi ahead of them, one of::

        cos(2 pi f x + phase)                 where phases are learned too
        cos(2 pi f x), sin(2 pi f x)          where not: the phase is 0, and -pi / 2

    Backward is that of `Linear` for each column, and with dz = -dcode * sin(2 pi f x + phase)::

        df = 2 pi * sum of dz * x over the batch
        dphase = sum of dz over the batch
        dx = 2 pi * sum of dz * f over the codes

    The defaults are the embedding "PBLD" of RealMLP (Holzmüller et al. 2024): periodic, bias, linear, and the column
    itself next to it as in a DenseNet. `PeriodicEmbedding(24, n_frequencies=48, sigma=0.01, phase=False, direct=False,
    activation="relu")` is the "PLR" of Gorishniy et al. (2022), section 3.3.

    Parameters
    ----------
    dim
        D >= 1, outputs per column, that of `direct` among them.
    n_frequencies
        k >= 1, per column.
    sigma
        Frequencies start normal with this standard deviation, > 0: the setting that counts most. They are no weights,
        and take no part in penalties.
    phase
        Whether phases are learned. They start uniform in [-pi, pi).
    direct
        Whether the column itself is one of its outputs. All columns then come after all embeddings.
    activation
        s, after the linear map: a name, an `Activation`, or None for the identity.
    columns
        Indices of the inputs to embed, from 0; the other inputs come first in the output, unchanged. None: all.

    Raises
    ------
    ConfigError
        A setting is out of range.

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([PeriodicEmbedding(), xbnet.Linear(2)], n_inputs=5)
    >>> {name: block.shape for name, block in network.parameters.items() if name.startswith("0")}
    {'0.W': (1, 80, 3), '0.b': (1, 1, 15), '0.f': (1, 1, 80), '0.shift': (1, 1, 80)}
    """

    replayable = True
    learns_code = True

    def __init__(
        self,
        dim: int = 4,
        *,
        n_frequencies: int = 16,
        sigma: float = 0.1,
        phase: bool = True,
        direct: bool = True,
        activation: str | Activation | None = None,
        columns: Sequence[int] | None = None,
    ):
        super().__init__(dim, activation, columns)
        self.n_frequencies = whole("PeriodicEmbedding", "n_frequencies", n_frequencies)
        self.sigma = number("PeriodicEmbedding", "sigma", sigma, "(0, inf)")
        self.phase, self.direct = bool(phase), bool(direct)
        if self.dim is None or self.dim <= self.direct:
            raise ConfigError(f"PeriodicEmbedding: expected dim >= {1 + self.direct}, got {dim!r}")

    def code_widths(self) -> list[int]:
        return [self.n_frequencies * (1 if self.phase else 2)] * self.n_inputs

    def build(self, n_inputs: int) -> None:
        super().build(n_inputs)
        k, starts = self.n_frequencies, [at.start for at in self.codes]
        halves = (0,) if self.phase else (0, k)
        self.waves = [
            (i, slice(i * k, (i + 1) * k), slice(start + half, start + half + k))
            for i, start in enumerate(starts)
            for half in halves
        ]
        """Column, its frequencies, and where their cosines (or sines) are."""

    def parameters(self) -> tuple[ParameterSpec, ...]:
        def frequencies(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
            return rng.normal(0.0, self.sigma, shape)

        def phases(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
            return rng.uniform(-math.pi, math.pi, shape)

        f = ParameterSpec("f", (1, self.n_inputs * self.n_frequencies), frequencies)
        shift = (ParameterSpec("shift", (1, self.n_codes), phases),) if self.phase else ()
        return (*super().parameters(), f, *shift)

    def bind(self, streams: list[np.random.Generator]) -> None:
        if not self.phase:
            self.shift = self.backend.asarray(self.fixed_shift()[None, None], self.dtype)

    def fixed_shift(self) -> np.ndarray:
        """0 for a cosine, -pi / 2 for a sine."""
        return np.tile(np.repeat([0.0, -math.pi / 2], self.n_frequencies), self.n_inputs)

    def embedding_buffers(self) -> dict[str, Shape]:
        return super().embedding_buffers() | {
            "angle": (BATCH, self.n_codes),
            "turn": (BATCH, self.n_codes),
            "sums": (1, self.n_codes),
        }

    def encode(self, x: Array) -> Array:
        xp = self.xp
        for i, of, at in self.waves:
            xp.multiply(x[:, :, i : i + 1], self.f[:, :, of], out=self.angle[:, :, at])
        xp.multiply(self.angle, 2 * math.pi, out=self.angle)
        xp.add(self.angle, self.shift, out=self.angle)
        return xp.cos(self.angle, out=self.code)

    def encode_backward(self, dcode: Array, dx: Array | None) -> None:
        xp, ops = self.xp, self.ops
        xp.sin(self.angle, out=self.turn)
        xp.multiply(dcode, self.turn, out=dcode)
        xp.negative(dcode, out=dcode)
        if self.phase:
            ops.batch_sum(dcode, self.dshift)
        for i, _, at in self.waves:
            xp.multiply(dcode[:, :, at], self.x[:, :, i : i + 1], out=self.turn[:, :, at])
        if self.phase:
            ops.batch_sum(self.turn, self.df)
        else:
            ops.batch_sum(self.turn, self.sums)
            for (_, of, cosines), (_, _, sines) in zip(self.waves[::2], self.waves[1::2], strict=True):
                xp.add(self.sums[:, :, cosines], self.sums[:, :, sines], out=self.df[:, :, of])
        xp.multiply(self.df, 2 * math.pi, out=self.df)
        if dx is None:
            return
        for _, of, at in self.waves:
            xp.multiply(dcode[:, :, at], self.f[:, :, of], out=self.turn[:, :, at])
        for i, at in enumerate(self.codes):
            ops.row_sum(self.turn[:, :, at], self.dx_all[:, :, i : i + 1])
        xp.multiply(self.dx_all, 2 * math.pi, out=dx)

    @classmethod
    def examples(cls) -> dict[str, Layer]:
        small: dict[str, Any] = {"dim": 3, "n_frequencies": 2, "sigma": 0.2}
        return {
            "": cls(**small),
            "without phase": cls(**small, phase=False, direct=False, activation="tanh"),
        }

    def onnx_code(self, graph: OnnxGraph, column: str, i: int) -> str:
        angles = [graph.add("Mul", column, graph.constant(self.f[0, :, of])) for j, of, _ in self.waves if i == j]
        angle = graph.add("Mul", graph.add("Concat", *angles, axis=1), graph.constant(2 * math.pi))
        return graph.add("Cos", graph.add("Add", angle, graph.constant(self.shift[0, :, self.codes[i]])))

    def torch_code(self) -> tuple[str, dict[str, Any]]:
        code = f"Periodic({self.widths}, {self.n_frequencies})"
        return code, {"f": self.f[0, 0], "shift": self.shift[0, 0]}
