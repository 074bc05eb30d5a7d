import signal

import pytest

from tests.support.chance import REPORT

SECONDS = 60
"""In which a command must be done with a damaged file, on a busy machine."""


@pytest.fixture
def alarm():
    """Called before and after: what lies in between and hangs becomes a failure."""
    if not hasattr(signal, "SIGALRM"):
        yield lambda on: None
        return

    def late(number, frame):
        raise AssertionError(f"{REPORT}: no end after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    yield lambda on: signal.alarm(SECONDS if on else 0)
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
