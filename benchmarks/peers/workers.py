"""Every rival lives in a process of its own and works when it is its turn: their thread pools never meet."""

from __future__ import annotations

import importlib
import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from .cases import Case
from .rival import Rival, Unable

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Weights = list[dict[str, np.ndarray]]


class Worker:
    """This side of a rival's process."""

    def __init__(self, module: str, name: str):
        here, there = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(there, module, name), daemon=True
        )
        self.process.start()
        there.close()
        self.pipe = here
        self.version = self._answer()

    def prepare(self, case: Case) -> Weights | None:
        """Train an epoch of a case without chance, then take the case on; the weights, or None if they mean nothing."""
        self.pipe.send(("prepare", case))
        return self._answer()

    def seconds(self, turn: float, clock: str) -> float:
        """Per step and network, over as many epochs as fit into a turn of this many seconds, at least one."""
        self.pipe.send(("seconds", (turn, clock)))
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self.pipe.close()
        self.process.join()

    def _answer(self) -> Any:
        try:
            answer = self.pipe.recv()
        except EOFError:
            raise RuntimeError("a rival's process has ended, see above") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def serve(pipe: Connection, module: str, name: str) -> None:
    """The rival's side: answer until asked to close, or until nobody asks any more."""
    try:
        kind = getattr(importlib.import_module(f".{module}", __package__), name)
    except ImportError as error:
        pipe.send(Unable(f"not installed ({error})"))
        return
    pipe.send(kind.version())
    rival: Rival | None = None
    while True:
        try:
            request, argument = pipe.recv()
        except EOFError:
            return
        if request == "prepare":
            rival = None  # lets go of the memory of the case before
            try:
                rival = kind(argument.without_chance())
                rival.run(1)
                pipe.send(rival.weights() if rival.checked else None)
                if argument != rival.case:
                    rival = kind(argument)
            except Unable as error:
                pipe.send(error)
        elif rival is not None:
            turn, clock = argument
            now = CLOCKS[clock]
            started = now()
            rival.run(1)  # caches and processor clocks are warm again
            epochs = max(1, round(turn / (now() - started)))
            started = now()
            rival.run(epochs)
            pipe.send((now() - started) / (epochs * rival.case.steps * rival.networks))
