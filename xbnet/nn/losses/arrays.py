"""The buffers of a loss: arrays for each shape of logits, which share their memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...backends.arrays import Array, Namespace
from ...backends.ops import Ops
from ...backends.parts import StepPart
from ...errors import ConfigError, ShapeError, expect_shape
from ..buffers import Workspace
from ..sharing import MemberRows


class LossArrays(StepPart):
    """The arrays of a bound loss, as attributes that `_use` sets."""

    name = ""
    _shape: tuple[int, ...] | None = None
    _arrays: dict[tuple[Any, ...], dict[str, Any]]  # shape of logits -> attributes

    # Set by `bind`:
    task: str
    link: str
    xp: Namespace
    ops: Ops
    replicas: int
    n_outputs: int
    answers: int
    """The network's number of outputs per row, see `MemberOutputs`."""
    weighted: bool
    """Whether the last batch's samples had weights, or their classes."""
    _floats: Workspace
    _integers: Workspace
    _flags: Workspace
    _summed: Array
    _eye: Array
    class_weights: Array | None
    tiny: float
    _lowest: float

    if TYPE_CHECKING:  # arrays are set by `_use`

        def __getattr__(self, name: str) -> Array: ...

        weights: dict[str, Array]
        _batch: int
        _members: MemberRows | None
        _leading: set[tuple[int, ...]]
        _label_shapes: set[tuple[int, ...]]

    def memory(self) -> list[Any]:
        """The memory of all buffers of now, see `Workspace.memory`."""
        own = [arrays[name] for arrays in self._arrays.values() for name in ("report", "_ones", "_share")]
        return own + [array for space in (self._floats, self._integers, self._flags) for array in space.memory()]

    def _use(self, logits: Array) -> None:
        """Arrays for logits of this shape."""
        if not hasattr(self, "replicas"):
            raise ConfigError(f"{self.name}: expected a loss that is bound to a network; call loss.bind(network) first")
        arrays = self._arrays.get(logits.shape)
        if arrays is None:
            k = self.answers if logits.shape[-1] == self.answers * self.n_outputs else 1
            expect_shape(self.name, "logits", logits, R=self.replicas, B=None, C=k * self.n_outputs)
            R, B, _ = logits.shape
            if not B:
                raise ShapeError(f"{self.name}: expected logits of at least one sample, got {tuple(logits.shape)}")
            arrays = self._allocate(R, B * k, self.n_outputs)
            if k > 1:
                arrays |= MemberRows(self, R, B, k).attributes()
            self._arrays[logits.shape] = arrays
        self.__dict__.update(arrays)

    def _allocate(self, R: int, B: int, C: int) -> dict[str, Any]:
        """Attributes for one shape of logits; all shapes share their memory, but for `report`, which is filled here."""
        rows, column = (B, C), (B, 1)
        floats = {"targets": rows, "e": rows, "work0": rows, "m": column, "s": column, "picked": column}
        found: dict[str, Any] = dict(self._floats.carve({n: (n, s) for n, s in floats.items()}))
        found["weights"] = self._floats.carve({"weights": ("weights", column), "fractions": ("fractions", column)})
        found |= self._integers.carve({n: (n, (B,)) for n in ("predicted", "_index")})
        found |= self._flags.carve({"_match": ("match", (B,))})
        # Three rows per replica: values, hits, ones; so one product with the weights sums all three.
        report = found["report"] = self.xp.ones((R, 3, B), dtype=self._eye.dtype)
        report[:, 1].fill(float("nan"))
        found["values"], found["_hits"] = report[:, 0], report[:, 1]
        found["values_column"] = report[:, 0].reshape(R, B, 1)
        found["_sums"] = self._floats.carve({"sums": ("sums", (3, 1))})["sums"]
        found["_ones"] = self.xp.ones((1, B, 1), dtype=report.dtype)
        found["_share"] = self.xp.ones((), dtype=report.dtype)
        found["_share"].fill(1 / B)
        found["_shape"], found["_batch"], found["_members"] = (R, B, C), B, None
        found["_leading"] = {(1, B), (R, B)}
        found["_label_shapes"] = found["_leading"] if self.task == "classification" else {(1, B, C), (R, B, C)}
        return found
