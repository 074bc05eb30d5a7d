"""One progress bar over a whole sweep: networks alive, the best so far, steps per second."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..progress import is_shown, new_bar
from .build import Program
from .chunk import Outcome, Pulse, run_chunk, sign
from .plan import Chunk, Member


class Board:
    """Collects signs of life from chunks, and their ends.

    Attributes
    ----------
    stopped
        Set to give up the chunks that run in this process.
    """

    def __init__(self, monitor: str, bar: Any = None):
        self.monitor, self.bar = monitor, bar
        self.stopped, self._spared = False, 0
        self._pulses: dict[tuple[int, int], Pulse] = {}
        self._lock = threading.Lock()
        self._started = time.perf_counter()

    def run(self, program: Program, members: Sequence[Member], *how: Any) -> Outcome | None:
        """Run a chunk in this process, watched; `how` are the further arguments of `run_chunk`."""
        return None if self.stopped else run_chunk(program, members, self.pulse, *how)

    def pulse(self, pulse: Pulse) -> bool:
        """Take note of a chunk's epoch; whether it shall go on."""
        with self._lock:
            self._pulses[pulse.chunk, pulse.since] = pulse
            self._draw()
        return not self.stopped

    def ended(self, chunk: Chunk, outcome: Outcome) -> None:
        """Take note of a chunk's end, wherever it ran."""
        key = first, since = chunk.indices[0], 0 if chunk.paused is None else chunk.paused.age(chunk.indices[0])
        epochs = chunk.epochs_to_train * len(chunk.members)
        scores = [row["score"] for row in outcome.rows if row["score"] == row["score"]]
        best = max(scores, key=lambda score: sign(self.monitor) * score) if scores else float("nan")
        with self._lock:
            seen = self._pulses.get(key)
            self._pulses[key] = Pulse(first, since, 0, epochs, seen.steps if seen else 0, best)
            self._draw()
            if self.bar is not None:
                self.bar.refresh()

    def spare(self, epochs: int) -> None:
        """So many epochs of networks need not be trained."""
        with self._lock:
            self._spared += epochs

    def _draw(self) -> None:
        if self.bar is None:
            return
        pulses = self._pulses.values()
        known = [pulse.best for pulse in pulses if pulse.best == pulse.best]
        steps = sum(pulse.steps for pulse in pulses) / (time.perf_counter() - self._started)
        words = [f"{sum(pulse.alive for pulse in pulses)} alive"]
        if known:
            words.append(f"best {self.monitor} {max(known, key=lambda v: sign(self.monitor) * v):.4f}")
        if steps:
            words.append(f"{steps:,.0f} steps/s")
        self.bar.set_postfix_str(", ".join(words), refresh=False)
        self.bar.update(sum(pulse.done for pulse in pulses) + self._spared - self.bar.n)


@contextmanager
def show_progress(show: bool | None, plan: Any, monitor: str, n_done: int, total: int) -> Iterator[Board]:
    """A board for the plan; its bar counts `total` epochs of networks. None shows it where stderr is a terminal."""
    if not is_shown(show):
        yield Board(monitor)
        return
    before = f"{n_done} networks are done already; " if n_done else ""
    print(f"sweep: {before}{plan}", file=sys.stderr)
    with new_bar(total=total, unit="epoch") as bar:
        yield Board(monitor, bar)
