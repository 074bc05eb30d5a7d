import signal

import pytest

from tests.support.chance import REPORT

BUSY, IDLE = 30, 300
"""In so many seconds of the processor, or of the clock while it waits, a command must be done with a damaged file.

The first are few, for a busy machine does not use them up; the second say that nobody will come.
"""


@pytest.fixture(scope="module", autouse=True)
def _undrawn(undrawn):
    """Commands draw none of their pictures, which would take longer than all else."""


@pytest.fixture
def alarm():
    """Called before and after: what lies in between and hangs becomes a failure."""
    if not hasattr(signal, "setitimer"):
        yield lambda on: None
        return

    def late(number, frame):
        raise AssertionError(f"{REPORT}: no end after {BUSY} s of the processor, or {IDLE} s")

    kinds = {signal.ITIMER_PROF: (signal.SIGPROF, BUSY), signal.ITIMER_REAL: (signal.SIGALRM, IDLE)}
    before = {number: signal.signal(number, late) for number, _ in kinds.values()}

    def switch(on):
        for timer, (_, seconds) in kinds.items():
            signal.setitimer(timer, seconds if on else 0)

    yield switch
    switch(False)
    for number, handler in before.items():
        signal.signal(number, handler)
