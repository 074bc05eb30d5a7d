"""Fits that wait for one another: scikit-learn's own loops run as they are, and the networks in them train as stacks.

joblib hands each "fit and score" of a search to `Stacking`, a backend of ours. Each runs in a thread of its own, one at
a time, until an estimator of xbnet in it is about to train: there it waits. When all of them wait, their networks are
trained together, and they go on as if each had done so by itself. So weights, scorers, metadata, pipelines, callbacks
and errors are scikit-learn's business, whatever is around the network.
"""

from __future__ import annotations

import contextvars
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np
from joblib.parallel import ParallelBackendBase, SequentialBackend

from .standing import Standing
from .starts import MOST_STARTS, Start, Starts

MOST_AT_ONCE = 512
"""Fits that wait for one another at most: each is a thread, and holds its rows of X."""


@dataclass(eq=False)
class Task:
    """An estimator with its initial network, and what it would train on.

    Attributes
    ----------
    X, y, w
        Validated rows (N, I), targets as the loss takes them, weights (N,) with the classes' in them, or None.
    val
        X (N', I), y, w or None of the validation part, y as the loss takes it; None: there is no such part.
    truth
        The validation part's targets as the user gave them, or None.
    shared
        Where it began together with others, or None.
    stands
        Where it has trained to an earlier rung, or None.
    status
        Outcome of the run: "finished", "stopped", "diverged"; "" where it could not be part of a stack.
    """

    estimator: Any
    X: np.ndarray
    y: np.ndarray
    w: np.ndarray | None
    val: tuple[np.ndarray, np.ndarray, np.ndarray | None] | None
    truth: np.ndarray | None
    shared: Start | None = None
    stands: Standing | None = None
    status: str = ""


class Abandoned(BaseException):
    """Ends a call that still waits when nobody wants its result any more."""


class Call:
    """A function in a thread of its own, which runs only while `go_on` waits for it.

    An interrupt can come at any point of the thread that calls `go_on`, so both signal by queues, which an interrupt
    can't leave locked, and the state is the call's own: `done` is set by its thread, before its last signal.

    Parameters
    ----------
    function
        Without arguments.
    callback
        Called by the backend when it is over.
    starts
        What it may begin with.
    """

    def __init__(self, function: Callable[[], Any], callback: Callable[[Any], None] | None, starts: Starts):
        self.function, self.callback, self.starts = function, callback, starts
        self.task: Task | None = None
        self.done = self.abandoned = False
        self._result: Any = None
        self._error: BaseException | None = None
        # With the caller's context variables, among them NumPy's way to handle floating-point errors, and its filters
        # of warnings: those belong to the process, and a call that waits within `catch_warnings` takes its own along.
        self._context, self._warnings = contextvars.copy_context(), warning_state()
        self._go: SimpleQueue[None] = SimpleQueue()
        self._stopped: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def begun(self) -> bool:
        """Whether it has a thread."""
        return self._thread is not None

    def go_on(self) -> None:
        """Let it run until it waits or is over."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._context.run, args=(self._run,), daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:  # there are no more threads
                self._error, self.done = error, True
                return
        else:
            self._go.put(None)
        self._stopped.get()

    def _run(self) -> None:
        CURRENT.set(self)
        try:
            if not self.abandoned:
                set_warning_state(self._warnings)
                self._result = self.function()
        except BaseException as error:  # all of them: they are raised where the result is asked for
            self._error = error
        self.done = True
        self._stopped.put(None)

    def wait(self, task: Task) -> None:
        """Wait, in its thread, until the task is done."""
        if not self.abandoned:
            self.task, self._warnings = task, warning_state()
            self._stopped.put(None)
            self._go.get()
            self.task = None
            set_warning_state(self._warnings)
        if self.abandoned:
            raise Abandoned

    def end(self) -> None:
        """End it where it waits or is about to, after `abandoned` was set."""
        self._go.put(None)
        # A thread that an interrupt kept from being started, or that is only being born, finds it abandoned.
        if self._thread is not None and self._thread.is_alive():
            while not self.done:
                self._stopped.get()

    def result(self) -> Any:
        """Return the function's result, or raise its exception."""
        if self._error is not None:
            raise self._error
        return self._result

    def is_here(self) -> bool:
        """Whether this is its thread, and not one that its function has started."""
        return self._thread is not None and self._thread.ident == threading.get_ident()


CURRENT: contextvars.ContextVar[Call | None] = contextvars.ContextVar("CURRENT", default=None)
"""The call in whose thread we are."""


def warning_state() -> tuple[Any, ...]:
    """Return the state that `warnings.catch_warnings` restores at its end."""
    return warnings.filters, warnings.showwarning, getattr(warnings, "_showwarnmsg_impl", None)


def set_warning_state(state: tuple[Any, ...]) -> None:
    """Put back a state that `warning_state` returned."""
    filters, show, implementation = state
    warnings.filters, warnings.showwarning = filters, show
    if implementation is not None:
        warnings._showwarnmsg_impl = implementation  # type: ignore[attr-defined]
    getattr(warnings, "_filters_mutated", lambda: None)()


def current_call() -> Call | None:
    """The call whose thread this is, or None."""
    call = CURRENT.get()
    return call if call is not None and call.is_here() else None


def train_together(estimator: Any, X: Any, y: Any, w: Any, val: Any, shared: Start | None = None) -> str:
    """Train as part of a stack, if others wait for this one: its status, or "" where it has to train by itself.

    Parameters
    ----------
    estimator
        With its initial network.
    X, y, w
        The rows to train on, as the estimator validated them.
    val
        The same of a validation part, or None.
    shared
        Where it began together with others, on the same rows, or None.
    """
    call = current_call()
    if call is None:
        return ""
    if shared is None or shared.encoded is None:
        part = None if val is None else (val[0], estimator._encode(val[1]), val[2])
        encoded = estimator._encode(y), estimator._weigh(y, w), part
        if shared is not None:
            shared.encoded = encoded
    else:
        encoded = shared.encoded
    task = Task(estimator, X, *encoded, None if val is None else val[1], shared)
    call.wait(task)
    return task.status


class Stacking(ParallelBackendBase):
    """A backend for joblib whose calls wait for one another where they train.

    Parameters
    ----------
    train
        Trains tasks, and sets the status of each.
    at_once
        So many calls may wait at a time.
    begin
        Called before those that joblib hands over together.
    """

    supports_sharedmem = True
    uses_threads = True

    def __init__(
        self,
        train: Callable[[Sequence[Task]], None],
        at_once: int,
        begin: Callable[[], None] | None = None,
        nesting_level: int | None = None,
    ):
        super().__init__(nesting_level=nesting_level)
        self._train, self._begin, self._at_once = train, begin, max(1, min(at_once, MOST_AT_ONCE))
        self._calls: list[Call] = []
        self._last: Call | None = None
        self._starts = Starts(min(MOST_STARTS, self._at_once))
        self._outside = warning_state()

    def start_call(self) -> None:
        """Note that joblib begins with calls."""
        if self._begin is not None:
            self._begin()

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Calls that joblib may have open at a time: by default it hands over twice as many; one it runs by itself."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        return max(2, self._at_once // 2)

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], None] | None = None) -> Call:
        """Note the call; it begins when a result is asked for."""
        self._calls.append(Call(func, callback, self._starts))
        return self._calls[-1]

    def retrieve_result(self, out: Call, timeout: float | None = None) -> Any:
        """Run all calls until this one is over."""
        self._outside = warning_state()
        while not out.done:
            calls = [call for call in self._calls if not call.begun]
            if not calls:
                calls = list(self._calls)
                self._train([call.task for call in calls if call.task is not None])
            for call in calls:
                self._last = call
                call.go_on()
            set_warning_state(self._outside)
            over = [call for call in calls if call.done]
            self._calls = [call for call in self._calls if not call.done]
            for call in over:
                if call.callback is not None:
                    call.callback(call)
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """End the calls that still wait; joblib asks for it after any exception, an interrupt included."""
        for call in self._calls:
            call.abandoned = True
        begun = [call for call in self._calls if call.begun]
        for call in sorted(begun, key=lambda call: call is not self._last):  # the last one may be running still
            call.end()
        if begun:
            set_warning_state(self._outside)
        self._calls.clear()

    def terminate(self) -> None:
        """Nothing remains."""
        self.abort_everything()

    def get_nested_backend(self) -> tuple[Any, Any]:
        """Return the backend for nested calls: they run one after the other."""
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None
