"""What a step is made of, and what a class may say of its own text."""

from __future__ import annotations

from typing import Any


class StepPart:
    """A layer, a loss, an optimizer, a penalty, a gradient mask, or the step that calls them.

    What a class says here is true of its own text only: a class that is derived from it says it anew, in its body, or
    it is not so.

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
