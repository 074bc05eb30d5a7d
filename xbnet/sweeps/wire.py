"""Signs of life from chunks in other processes, and on other machines: small datagrams, of which some may get lost.

They serve the progress bar and nothing else. Where none comes through, the bar moves when chunks end.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from .chunk import Pulse

EVERY = 0.2
"""Seconds between two signs of a chunk, at least."""

LARGEST = 1000
"""Bytes of a datagram."""


@dataclass(frozen=True)
class Wire:
    """The address to which a chunk sends its signs of life; it is sent to the workers.

    Attributes
    ----------
    host, port
        Address of the listener.
    token
        Secret that only the workers of the sweep know.
    """

    host: str
    port: int
    token: str

    @contextmanager
    def sender(self) -> Iterator[Callable[[Pulse], bool]]:
        """Yield the function that `run_chunk` calls after each epoch."""
        last = float("-inf")

        def send(pulse: Pulse) -> bool:
            nonlocal last
            if time.monotonic() - last >= EVERY:
                last = time.monotonic()
                message = {"token": self.token, **dataclasses.asdict(pulse)}
                with suppress(OSError):
                    line.sendto(json.dumps(message).encode(), (self.host, self.port))
            return True

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            yield send


@contextmanager
def listen(host: str, tell: Callable[[Pulse], object]) -> Iterator[Wire | None]:
    """Hand every sign that comes in to `tell`; None where nobody can listen at `host`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        try:
            line.bind((host, 0))
        except OSError:
            yield None
            return
        wire, over = Wire(host, line.getsockname()[1], secrets.token_hex(16)), threading.Event()
        listener = threading.Thread(target=_hear, args=(line, wire.token, tell, over), daemon=True)
        listener.start()
        try:
            yield wire
        finally:
            over.set()
            listener.join()


def _hear(line: socket.socket, token: str, tell: Callable[[Pulse], object], over: threading.Event) -> None:
    line.settimeout(EVERY)
    while not over.is_set():
        try:
            message = json.loads(line.recv(LARGEST))
            if message.pop("token") == token:
                tell(Pulse(**message))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue  # nothing came, or somebody else's


def own_address(peer: str) -> str:
    """The address under which the machine of "tcp://HOST:PORT" sees this one, or that of this machine for itself."""
    host, _, port = peer.rpartition("/")[2].rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        try:
            line.connect((host, int(port)))  # sends nothing
            return line.getsockname()[0]
        except (OSError, ValueError):
            return "127.0.0.1"
