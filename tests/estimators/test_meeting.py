"""Calls that wait for one another, without a search around them: interrupts at every point, and no more threads."""

import sys
import threading
import time
import warnings
from types import SimpleNamespace

import joblib
import pytest

from xbnet.estimators import meeting
from xbnet.estimators.meeting import Stacking, train_together

ESTIMATOR = SimpleNamespace(_encode=lambda y: y, _weigh=lambda y, w: w)


def fit(number, fails):
    """Leave filters of warnings behind, and wait for the others within further ones, as any library's fit may."""
    warnings.filters = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train_together(ESTIMATOR, None, number, None, None)
        if number == fails:
            raise ValueError("a fit failed")
        return number


def run(fits=3, fails=None, at_once=4):
    """Each fit's number, as joblib returns them."""
    with joblib.parallel_config(backend=Stacking(lambda tasks: None, at_once)), joblib.Parallel() as parallel:
        return parallel(joblib.delayed(fit)(number, fails) for number in range(fits))


class Interrupts:
    """Raises KeyboardInterrupt in this thread before the nth operation of meeting.py; `n` counts down.

    It counts from the first call on that runs. With a pause before, a fit that runs has come to the point where it waits.
    """

    def __init__(self, n, pause):
        self.n, self.pause, self.runs = n, pause, False

    def __call__(self, frame, event, arg):
        if frame.f_code.co_filename != meeting.__file__:
            return None
        frame.f_trace_opcodes = True
        self.runs = self.runs or frame.f_code.co_name == "retrieve_result"
        if event == "opcode" and self.runs:
            self.n -= 1
            if self.n == 0:
                time.sleep(self.pause)
                raise KeyboardInterrupt
        return self


def interrupted(n, pause, fails):
    """Run with an interrupt before the nth operation; whether there were so many."""
    tracer, interrupts = sys.gettrace(), Interrupts(n, pause)
    sys.settrace(interrupts)
    try:
        run(fails=fails)
    except (KeyboardInterrupt, ValueError):
        pass
    finally:
        sys.settrace(tracer)
    return interrupts.n <= 0


@pytest.mark.parametrize(("pause", "fails"), [(0, 1), (0.002, None)])
def test_an_interrupt_at_any_operation_ends_all_fits_and_puts_the_filters_of_warnings_back(pause, fails):
    state, before = meeting.warning_state(), set(threading.enumerate())

    def all_of_them():
        n = 1
        while interrupted(n, pause, fails):
            until = time.monotonic() + 5
            while not set(threading.enumerate()) <= before and time.monotonic() < until:
                time.sleep(0.001)  # a thread lives on a little after its call is over
            outcomes.append((n, meeting.warning_state() == state, set(threading.enumerate()) <= before))
            meeting.set_warning_state(state)
            n += 1
        outcomes.append("all")

    outcomes = []
    # In a thread, so that a run that waits for ever fails the test instead of stopping it.
    thread = threading.Thread(target=all_of_them, daemon=True)
    before.add(thread)
    thread.start()
    seen = -1
    while thread.is_alive() and len(outcomes) > seen:  # as long as it gets on, however slowly
        seen = len(outcomes)
        thread.join(30)
    assert outcomes[-1:] == ["all"], f"waits for ever after an interrupt at operation {len(outcomes) + 1}"
    assert len(outcomes) > 100
    assert [outcome for outcome in outcomes[:-1] if outcome[1:] != (True, True)] == []


def test_fits_that_get_no_thread_fail_and_the_others_end(monkeypatch):
    start, before, others = threading.Thread.start, threading.active_count(), set(threading.enumerate())

    def start_three(thread):
        if threading.active_count() >= before + 3:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_three)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        run(fits=600, at_once=meeting.MOST_AT_ONCE)
    for thread in set(threading.enumerate()) - others:
        thread.join(60)
    assert set(threading.enumerate()) <= others


def test_a_fit_that_asks_for_its_thread_leaves_none_behind():
    with joblib.parallel_config(backend=Stacking(lambda tasks: None, at_once=4)):
        threads = joblib.Parallel()(joblib.delayed(threading.current_thread)() for _ in range(3))
    for thread in threads:
        thread.join(5)
    assert not set(threads) & set(threading.enumerate())
