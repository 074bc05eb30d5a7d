"""Chunks of steps as CUDA graphs: captured once, and started by one call each from then on.

A graph does the same with the same memory each time. So what changes from chunk to chunk is in arrays that stay: the
rows of the samples and the optimizer's columns are copied in before a chunk, its sums are copied out after it.
Nothing may be allocated while steps are captured: the memory would go back to the pool, and the graph would still write
there. The last step of an epoch, which may have a shorter batch, and what does not fill a chunk are run one by one.

All steps have a stream of their own, which does not wait for CUDA's default stream: another thread's work there would
end a capture on a stream that does. Events order it with the work around the steps.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import numpy as np

from ...errors import XbnetError
from .run import Level, Run

LONGEST = 32
"""Steps of a chunk, at most."""


class Graph(Level):
    """One launch per chunk."""

    name = "graph"

    def __init__(self, trainer: Run):
        batches, live, optimizer = trainer.batches, trainer.live, trainer.optimizer
        xp = live.backend.library
        chunks = -(-(batches.steps - 1) // LONGEST)
        self.steps = (batches.steps - 1) // chunks
        self.stop = chunks * self.steps
        self.stream = xp.cuda.Stream(non_blocking=True)
        orders = len(batches.firsts)
        columns = len(optimizer.coefficients(np.ones((1, live.replicas)), np.ones((1, 1))))
        self.index = xp.empty((self.steps, orders, trainer.batch_size), dtype=np.intp)
        self.table = xp.empty((columns, self.steps, live.replicas, 1), dtype=live.dtype)
        self.sums = xp.empty((self.steps, live.replicas, 3, 1), dtype=live.dtype)
        self.warm = False
        self.graph: Any = None
        self.kept: Any = None

    @staticmethod
    def why_not(trainer: Run) -> str | None:
        """The reason why this trainer can't be served, or None."""
        live = trainer.live
        if not live.backend.cuda:
            return f"backend {live.backend.name!r} captures no graphs"
        if not live.backend.ops.capturable:
            return "the backend's products can't be captured"
        for part in (*live.layers, trainer.loss):
            if not part.replayable:
                return f"{type(part).__name__} does more in a step than array operations"
            if getattr(part, "draws", False):
                return f"{type(part).__name__} draws random numbers on the host"
        if trainer.train.streamed or trainer.train.sparse:
            return "the samples don't all lie on the device"
        if trainer.flips is not None:
            return "images are mirrored by masks from the host"
        if trainer.strategy.factors(live, 0) is not None:
            return f"strategy {trainer.strategy.name!r} changes the gradient from epoch to epoch"
        if trainer.batches.steps < 3:
            return f"an epoch has only {trainer.batches.steps} step{'s' * (trainer.batches.steps > 1)}"
        return None

    def run_steps(self, trainer: Run) -> None:
        """See `Eager.run_steps`."""
        xp, optimizer, batches = trainer.live.backend.library, trainer.optimizer, trainer.batches
        around = xp.cuda.get_current_stream()
        self.stream.wait_event(around.record())
        try:
            with self.stream:
                index, last = batches.by_step(batches.order())
                table = optimizer.ahead(batches.steps)
                for start in range(0, self.stop, self.steps):
                    stop = start + self.steps
                    xp.copyto(self.index, index[start:stop])
                    xp.copyto(self.table, table[:, start:stop])
                    self._run_chunk(trainer)
                    xp.copyto(trainer.sums[start:stop], self.sums)
                optimizer.take(table[:, self.stop :])
                rest = [*index[self.stop :], *([] if last is None else [last])]
                trainer.step.run_all(map(batches.gather, rest), trainer.sums[self.stop :])
        finally:
            around.wait_event(self.stream.record())

    def _run_chunk(self, trainer: Run) -> None:
        """Once step by step, which makes all buffers and compiles all kernels; then as a graph."""
        if self.graph is not None:
            trainer.optimizer.skip(self.steps)
        elif self.warm and self.name == "graph":
            self.graph = self._capture(trainer)
        if self.graph is not None:
            self.graph.launch(self.stream)
        else:
            self._run_steps(trainer)
            self.warm = True

    def _run_steps(self, trainer: Run) -> None:
        trainer.optimizer.take(self.table)
        trainer.step.run_all(map(trainer.batches.gather, self.index), self.sums)

    def _capture(self, trainer: Run) -> Any:
        """Write the steps down without running them. Where that fails: None, if the user takes any level."""
        taken, live = trainer.optimizer.steps, trainer.live
        live.backend.ops.bmm_nt(live.grad[:, None], live.grad[:, None], trainer.norm)  # tells cuBLAS the stream
        try:
            with live.backend.library.cuda.using_allocator(refuse):
                self.stream.begin_capture()
                try:
                    self._run_steps(trainer)
                except BaseException:
                    with suppress(Exception):  # that the capture has failed: why is known
                        self.stream.end_capture()
                    raise
                graph = self.stream.end_capture()
        except Exception as error:
            if trainer.recipe.execution == self.name:
                raise XbnetError(f"fit: the steps could not be captured ({error}); use execution='eager'") from error
            warnings.warn(f"the steps could not be captured ({error}); they are run one by one", stacklevel=2)
            trainer.optimizer.steps, self.name = taken, "eager"
            return None
        self.kept = live.memory(), trainer.loss.memory()  # other batch sizes may make them ask for larger memory
        return graph


def refuse(size: int) -> Any:
    """An allocator for the calling thread, which captures."""
    raise XbnetError(f"a step asks for {size} bytes of memory")
