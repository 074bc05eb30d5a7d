"""Protocols of a step's parts, and properties that a class may declare of its own implementation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from .arrays import Array, Namespace


class StepPart:
    """A layer, a loss, an optimizer, a penalty, a gradient mask, or the step that calls them.

    A class declares these attributes for its own implementation only: they are not inherited, and a derived class for
    which they hold declares them again, in its body.

    Attributes
    ----------
    replayable
        Whether the part does nothing but by operations of its `xp` with ``out=`` and of its `ops`, the same ones for
        arrays of the same shapes. Then they may be recorded once and replayed, see `replay`.
    kernel
        The name of the CUDA kernel that stands for the part, or None.
    """

    replayable: bool = False
    kernel: str | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name in ("replayable", "kernel"):
            if name not in vars(cls):
                setattr(cls, name, getattr(StepPart, name))


class Elementwise(Protocol):
    """An activation as operations see it, see `Activation`."""

    @property
    def kernel(self) -> str | None:
        """See `StepPart`."""

    @property
    def forward(self) -> Callable[[Namespace, Array, Array, Sequence[Array]], None]:
        """``forward(xp, z, out, work)``."""

    @property
    def backward(self) -> Callable[[Namespace, Array, Array, Array, Sequence[Array]], None]:
        """``backward(xp, dy, z, y, work)``."""


class Evaluates(Protocol):
    """A bound loss as operations see it."""

    kernel: str | None

    def evaluate(
        self, logits: Array, labels: Array, dlogits: Array | None, sample_weight: Array | None, sums: Array
    ) -> None:
        """See `Loss`."""


class Updates(Protocol):
    """A step as operations see it."""

    def update(self, columns: Array, wants_norm: bool) -> None:
        """See `BoundStep`."""


class Applies(Protocol):
    """A bound optimizer as operations see it."""

    kernel: str | None

    def apply(self, columns: Array) -> None:
        """See `Optimizer`."""


class SampleArrays(Protocol):
    """Samples on the device: inputs, targets, and weights where there are some."""

    @property
    def x(self) -> Array:
        """Inputs."""

    @property
    def y(self) -> Array:
        """Labels or targets."""

    @property
    def w(self) -> Array | None:
        """Weights."""


Samples = TypeVar("Samples", bound=SampleArrays)
