"""Signs of life from other processes reach the progress bar, and nothing else does."""

import json
import socket
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

import xbnet
from xbnet.sweeps import board, wire
from xbnet.sweeps.chunk import Pulse
from xbnet.sweeps.wire import Wire, listen, own_address

from .conftest import make_data

PULSE = Pulse(chunk=3, since=0, alive=2, done=5, steps=40, best=0.25)


def wait_for(found, n=1):
    until = time.monotonic() + 120
    while len(found) < n and time.monotonic() < until:
        time.sleep(0.01)
    return found


def test_a_sign_arrives_as_it_was_sent(monkeypatch):
    found = []
    with listen("127.0.0.1", found.append) as line, line.sender() as send:
        monkeypatch.setattr(wire, "EVERY", 60)
        assert send(PULSE)
        assert wait_for(found) == [PULSE]
        assert send(PULSE)  # too soon
    assert found == [PULSE]


@pytest.mark.parametrize("message", [b"", b"{", b"[1]", b"3", b"{}", b"\xff" * 2000, b'{"token": "x", "chunk": 1}'])
def test_what_others_send_is_dropped(message):
    found = []
    with listen("127.0.0.1", found.append) as line, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(message, (line.host, line.port))
        stranger.sendto(json.dumps({"token": line.token, "unknown": 1}).encode(), (line.host, line.port))
        with line.sender() as send:
            send(PULSE)
            assert wait_for(found) == [PULSE]


def test_where_nobody_listens_a_chunk_goes_on():
    with Wire("127.0.0.1", 9, "x").sender() as send:
        assert send(PULSE)
    with listen("198.51.100.1", print) as line:  # an address of nobody's
        assert line is None


def test_own_address():
    assert own_address("tcp://127.0.0.1:8786") == "127.0.0.1"
    assert own_address("nonsense") == "127.0.0.1"


@pytest.mark.slow
def test_the_bar_moves_within_chunks_of_other_processes(capsys, monkeypatch):
    seen = []
    monkeypatch.setattr(
        board.Board,
        "pulse",
        lambda self, pulse, plain=board.Board.pulse: seen.append(pulse) or plain(self, pulse),
    )
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        xbnet.sweep({"lr": [0.1] * 8}, make_data(3000), epochs=60, executor=pool, workers=2, progress=True)
    assert len({pulse.chunk for pulse in seen}) == 2
    assert {pulse.alive for pulse in seen} >= {4}
    assert all(0 < pulse.done <= 240 and pulse.best < 2 for pulse in seen)
    err = capsys.readouterr().err
    assert "steps/s" in err
    assert "8 alive" in err or "4 alive" in err
